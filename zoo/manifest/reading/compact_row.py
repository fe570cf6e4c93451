"""One row in short made whole: figures as claims, listings, URLs of parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from ....reports.metrics import METRICS
from .node_edits import (
    INT,
    MAP,
    NULL,
    SEQ,
    STR,
    entries_of,
    is_absence,
    mapping_of,
    merged,
    scalar,
    text_node,
    value_of,
    with_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .walk import Reader

COMPACT = {"figures", "row", "parts", "source"}
"""Keys of a row that are none of the full record."""
MOST_URL_CHARACTERS = 2000
_PART = re.compile(r"\{([A-Za-z_]+)\}")


class CompactRow:
    """One row's fields with its defaults, on their way to the full form."""

    def __init__(self, reader: Reader, record: Any, position: int | None, place: str) -> None:
        self.reader, self.place, self.record = reader, place, record
        self.pairs = {key.value: (key, value) for key, value in record.value if key.value in COMPACT}
        self.source = self._source(position)

    def _source(self, position: int | None) -> Any:
        """The row's own cell: document, section and row; None where nothing says which document."""
        if "source" not in self.pairs:
            return None
        source = self.pairs["source"][1]
        number = self.pairs["row"][1] if "row" in self.pairs else None
        if number is None and position is not None:
            number = scalar(INT, str(position), self.record)
        return with_key(source, "row", number) if number is not None else source

    def full(self, shared: Any, own: Any) -> Any:
        """The record with claims for its figures, listings for its documents, and URLs put together."""
        pairs = [(key, value) for key, value in self.record.value if key.value not in COMPACT]
        pairs = [(key, self._filled(key.value, value)) for key, value in pairs]
        claims = self._claims(shared, own)
        if claims is not None:
            listed = next((index for index, (key, _) in enumerate(pairs) if key.value == "claims"), None)
            if listed is None:
                pairs.append((text_node("claims", self.record), claims))
            elif isinstance(pairs[listed][1], yaml.SequenceNode):
                claims.value[:0] = pairs[listed][1].value
                pairs[listed] = (pairs[listed][0], claims)
        return yaml.MappingNode(MAP, pairs, self.record.start_mark, self.record.end_mark)

    # figures -> claims

    def _claims(self, shared: Any, own: Any) -> Any:
        if shared is None and own is None:
            return None
        if own is not None and not isinstance(own, yaml.MappingNode):
            self.reader.fault(
                f"{self.place}.figures", own, "expected a mapping from metrics to printed figures"
            )
            own = None
        defaults, figures = entries_of(shared), entries_of(own)
        if own is not None and len(figures) < len(own.value):
            self.reader.entries(own, f"{self.place}.figures")  # doubled metrics, and keys that are no text
        order = {metric: index for index, metric in enumerate(METRICS)}
        metrics = sorted({**defaults, **figures}, key=lambda metric: order.get(metric, len(order)))
        claims = [
            claim
            for metric in metrics
            for claim in self._of_metric(metric, defaults.get(metric), figures.get(metric))
        ]
        at = self.record if own is None else own
        return yaml.SequenceNode(SEQ, claims, at.start_mark, at.end_mark)

    def _of_metric(self, metric: str, default: Any, own: Any) -> Iterator[Any]:
        """A metric's claims: one for a single figure, one for each of a list, none where nothing is said of it."""
        key, value = own or default
        shared = default[1] if default else None
        if own is None:
            if not is_absence(shared):
                return
            figures, shared = [shared], None
        else:
            figures = value.value if isinstance(value, yaml.SequenceNode) else [value]
        earlier = None
        for index, figure in enumerate(figures):
            base = shared.value[index : index + 1] if isinstance(shared, yaml.SequenceNode) else [shared]
            node = self._claim(key, base[0] if base else None, figure, earlier)
            many = f"[{index}]" if isinstance(value, yaml.SequenceNode) else ""
            self.reader.places[id(node)] = f"{self.place}.figures.{metric}{many}"
            earlier = value_of(node, "printed")
            yield node

    def _claim(self, metric: Any, default: Any, figure: Any, earlier: Any) -> Any:
        if not isinstance(figure, yaml.MappingNode):
            figure = mapping_of("printed", figure)
        if isinstance(default, yaml.MappingNode):
            nothing = is_absence(default)
            kept = [pair for pair in default.value if not nothing or pair[0].value not in ("printed", "note")]
            shared = yaml.MappingNode(MAP, kept, default.start_mark, default.end_mark)
            figure = merged(shared, figure)
        if is_absence(figure):
            kept = [pair for pair in figure.value if pair[0].value in ("printed", "note", "source", "date")]
            figure = yaml.MappingNode(MAP, kept, figure.start_mark, figure.end_mark)
        elif earlier is not None and earlier.tag != NULL:
            figure = with_key(figure, "supersedes", earlier)
        if metric.value == "train_memory" and not is_absence(figure):
            figure = self._of_training(figure)
        if self.source is not None:
            own = value_of(figure, "source")
            whole = self.source if own is None else merged(self.source, own)
            figure = with_key(figure, "source", whole, replace=True)
        pairs = [(text_node("metric", metric), metric), *figure.value]
        return yaml.MappingNode(MAP, pairs, figure.start_mark, figure.end_mark)

    def _of_training(self, figure: Any) -> Any:
        """A training memory is that of the row's own crop and images a device, where it does not say another."""
        crop, training = value_of(self.record, "crop"), value_of(self.record, "training")
        batch = value_of(training, "batch_per_gpu") if isinstance(training, yaml.MappingNode) else None
        for name, value in (("batch", batch), ("crop", crop)):
            figure = with_key(figure, name, value) if value is not None else figure
        return figure

    # listings and URLs

    def _filled(self, name: str, value: Any) -> Any:
        if name == "listed_in" and isinstance(value, yaml.MappingNode):
            listings = [self._listing(key, one) for key, one in value.value]
            return yaml.SequenceNode(SEQ, listings, value.start_mark, value.end_mark)
        if name in ("aliases", "log_urls", "config_urls"):
            return self._put_together(value)
        if name == "weights" and isinstance(value, yaml.MappingNode):
            pairs = [
                (key, self._put_together(one) if key.value in ("urls", "sha256_prefix") else one)
                for key, one in value.value
            ]
            return yaml.MappingNode(MAP, pairs, value.start_mark, value.end_mark)
        return value

    def _listing(self, document: Any, value: Any) -> Any:
        """`document: {row: 5, blank: [...]}` as a listing; section and row are the row's own, where it has no others."""
        if not isinstance(value, yaml.MappingNode):
            value = yaml.MappingNode(MAP, [], value.start_mark, value.end_mark)
        own = yaml.MappingNode(
            MAP, [(text_node("document", document), document)], value.start_mark, value.end_mark
        )
        place = [pair for pair in getattr(self.source, "value", []) if pair[0].value in ("section", "row")]
        base = yaml.MappingNode(MAP, place, value.start_mark, value.end_mark)
        node = merged(merged(base, own), value)
        self.reader.places[id(node)] = f"{self.place}.listed_in.{document.value}"
        return node

    def _put_together(self, value: Any) -> Any:
        """Texts with `{id}` and the names of `parts` filled in."""
        if isinstance(value, yaml.SequenceNode):
            filled = [self._put_together(one) for one in value.value]
            if all(one is old for one, old in zip(filled, value.value, strict=True)):
                return value
            return yaml.SequenceNode(value.tag, filled, value.start_mark, value.end_mark)
        if not isinstance(value, yaml.ScalarNode) or "{" not in value.value:
            return value
        parts = entries_of(self.pairs["parts"][1]) if "parts" in self.pairs else {}
        known = {
            name: str(node.value) for name, (_, node) in parts.items() if isinstance(node, yaml.ScalarNode)
        }
        identity = value_of(self.record, "id")
        if isinstance(identity, yaml.ScalarNode):
            known["id"] = identity.value
        missing = [name for name in _PART.findall(value.value) if name not in known]
        if missing:
            message = f"{{{missing[0]}}} is neither 'id' nor one of the row's parts: {', '.join(known)}"
            self.reader.fault(self.place, value, message)
            return value
        text = _PART.sub(lambda match: known[match[1]], value.value)
        if len(text) > MOST_URL_CHARACTERS:
            self.reader.fault(
                self.place, value, f"longer than {MOST_URL_CHARACTERS} characters with its parts"
            )
            return value
        return yaml.ScalarNode(STR, text, value.start_mark, value.end_mark, value.style)


def is_full(row: Any) -> bool:
    """Whether a row has nothing in it that has to be made whole."""
    short = any(key.value in COMPACT for key, _ in row.value)
    return not short and not isinstance(value_of(row, "listed_in"), yaml.MappingNode)


def with_listed_rows(record: Any) -> Any:
    """A record with `{page: 5}` in its listings written out as `{page: {row: 5}}`."""
    listed = value_of(record, "listed_in")
    if not isinstance(listed, yaml.MappingNode):
        return record
    pairs = [
        (
            key,
            value
            if not isinstance(value, yaml.ScalarNode) or value.tag == NULL
            else mapping_of("row", value),
        )
        for key, value in listed.value
    ]
    whole = yaml.MappingNode(MAP, pairs, listed.start_mark, listed.end_mark)
    return with_key(record, "listed_in", whole, replace=True)
