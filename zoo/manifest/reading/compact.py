"""Compact rows made whole: what defaults of a file and of a section say for its rows, figures as claims, URLs of parts.

All of it is done with YAML's nodes, before anything is read: each keeps the place where it was written, so that a
fault of a default is told at the default's line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from ....reports.metrics import METRICS
from ...files.whole_number import whole_number
from ..names import unknown
from ..records import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .source_files import Part
    from .walk import Reader

TABLES = ("documents", "datasets", "publishers", "protocols")
"""Keys whose contents are put together from all files."""
KEYS = ("version", "include", "defaults", *TABLES, "sections", "checkpoints")
SECTION_KEYS = ("defaults", "rows", "additions")
ADDED_KEYS = (
    "id", "aliases", "weights", "log_urls", "config_urls", "figures", "claims", "listed_in", "row", "parts", "source",
)  # fmt: skip
"""What an addition may say of a row of another file."""
COMPACT = {"figures", "row", "parts", "source"}
"""Keys of a row that are none of the full record."""
LEAST_EXPANDED = 250_000
EXPANDED_PER_BYTE = 4
"""Values that rows may stand for with their defaults: this many a byte of their files, and at least the other."""
MOST_URL_CHARACTERS = 2000
_STR, _INT, _NULL, _MAP, _SEQ = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "null", "map", "seq"))
_PART = re.compile(r"\{([A-Za-z_]+)\}")


class TooMuchError(Exception):
    """The rows stand for more than they may; the message says what to do."""


class _Shared(NamedTuple):
    """What rows have in common: a file's defaults, or those with a section's on top."""

    record: Any
    """A mapping of fields; None for nothing."""
    figures: Any
    """A mapping of metrics; None for nothing."""


NOTHING = _Shared(None, None)


class Expansion:
    """Makes one file in full form out of a manifest's parts; faults go to the reader's record."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._left = 0

    def fits(self, parts: Sequence[Part]) -> bool:
        """Whether every file that names its version is of this one; the others are on record."""
        found = [_value(part.root, "version") for part in parts]
        others = [
            node for node in found if node is not None and (node.tag, node.value) != (_INT, str(VERSION))
        ]
        for node in others:
            self.reader.wrong_version(node)
        return not others

    def whole(self, parts: Sequence[Part]) -> Any:
        """The root node of all parts together, the first of which is the manifest itself; None where that is empty."""
        self._left = max(LEAST_EXPANDED, EXPANDED_PER_BYTE * sum(part.size_bytes for part in parts))
        root = parts[0].root
        if not isinstance(root, yaml.MappingNode):
            return root
        tops = [self._top(part) for part in parts if isinstance(part.root, yaml.MappingNode)]
        for part in parts[1:]:
            if part.root is not None and not isinstance(part.root, yaml.MappingNode):
                self.reader.fault("", part.root, f"expected a mapping with some of {', '.join(KEYS)}")
        pairs = [pair for key in TABLES for pair in self._table(key, tops)]
        pairs += [tops[0]["version"]] if "version" in tops[0] else []
        rows, additions = [], []
        for top in tops:
            for row, is_addition in self._rows(top):
                (additions if is_addition else rows).append(row)
        return yaml.MappingNode(
            _MAP,
            pairs + self._checkpoints(tops, self._with_additions(rows, additions)),
            root.start_mark,
            root.end_mark,
        )

    def _checkpoints(self, tops: list[dict[str, tuple[Any, Any]]], rows: list[Any]) -> list[tuple[Any, Any]]:
        """The key of all rows; none where no file has any."""
        listed = [top[key] for top in tops for key in ("checkpoints", "sections") if key in top]
        if not listed:
            return []
        strange = [
            one
            for one in listed
            if one[0].value == "checkpoints" and not isinstance(one[1], yaml.SequenceNode)
        ]
        if strange:
            return strange[:1]  # for the reader to refuse
        key, value = listed[0]
        return [(_text("checkpoints", key), yaml.SequenceNode(_SEQ, rows, value.start_mark, value.end_mark))]

    def _top(self, part: Part) -> dict[str, tuple[Any, Any]]:
        """The keys of one file; unknown and doubled ones are on record."""
        entries = self.reader.entries(part.root, "")
        for name, (key, _) in entries.items():
            if name not in KEYS:
                self.reader.fault("", key, unknown("key", name, KEYS))
        return entries

    def _table(self, key: str, tops: list[dict[str, tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
        found = [top[key] for top in tops if key in top]
        good = [value for _, value in found if isinstance(value, yaml.MappingNode)]
        if len(good) < len(found) or len(found) < 2:
            return [one for one in found if one[1] not in good][:1] or found
        pairs = [pair for value in good for pair in value.value]
        whole = yaml.MappingNode(_MAP, pairs, good[0].start_mark, good[0].end_mark)
        return [(found[0][0], whole)]

    # --- rows -------------------------------------------------------------------------------------------

    def _rows(self, top: dict[str, tuple[Any, Any]]) -> Iterator[tuple[Any, bool]]:
        """The rows of a file in full form, and whether each is an addition to a row of elsewhere."""
        defaults = top["defaults"][1] if "defaults" in top else None
        shared = self._on_top(NOTHING, defaults, "defaults")
        for index, row in enumerate(_items(top, "checkpoints")):
            yield self._row(row, shared, None, f"checkpoints[{index}]"), False
        for number, section in enumerate(self._list(top, "sections")):
            yield from self._section(section, shared, f"sections[{number}]")

    def _section(self, section: Any, shared: _Shared, place: str) -> Iterator[tuple[Any, bool]]:
        if not isinstance(section, yaml.MappingNode):
            self.reader.fault(place, section, f"expected a mapping with {', '.join(SECTION_KEYS)}")
            return
        entries = self.reader.entries(section, place)
        for name, (key, _) in entries.items():
            if name not in SECTION_KEYS:
                self.reader.fault(place, key, unknown("key", name, SECTION_KEYS))
        own = self._on_top(
            shared, entries["defaults"][1] if "defaults" in entries else None, f"{place}.defaults"
        )
        own, first = self._first_row(own, f"{place}.defaults")
        for index, row in enumerate(self._list(entries, "rows", place)):
            yield self._row(row, own, first + index, f"{place}.rows[{index}]"), False
        for index, row in enumerate(self._list(entries, "additions", place)):
            self._check_addition(row, f"{place}.additions[{index}]")
            yield self._row(row, NOTHING, None, f"{place}.additions[{index}]"), True

    def _first_row(self, shared: _Shared, place: str) -> tuple[_Shared, int]:
        """The row that a section's first one is in its table: its default `row`, which the others count on from."""
        record, number = _without(shared.record, "row")
        if number is None:
            return shared, 1
        first = whole_number(number.value) if number.tag == _INT else None
        if not first:
            self.reader.fault(
                f"{place}.row", number, "expected the number of the section's first row, from 1 on"
            )
        return _Shared(record, shared.figures), first or 1

    def _list(self, entries: dict[str, tuple[Any, Any]], name: str, place: str = "") -> list[Any]:
        if name not in entries:
            return []
        node = entries[name][1]
        if not isinstance(node, yaml.SequenceNode):
            self.reader.fault(f"{place}.{name}" if place else name, node, "expected a list")
            return []
        return node.value

    def _on_top(self, shared: _Shared, defaults: Any, place: str) -> _Shared:
        if defaults is None:
            return shared
        if not isinstance(defaults, yaml.MappingNode):
            self.reader.fault(place, defaults, "expected a mapping of a row's fields")
            return shared
        record, figures = _without(defaults, "figures")
        if figures is not None and not isinstance(figures, yaml.MappingNode):
            self.reader.fault(
                f"{place}.figures", figures, "expected a mapping from metrics to a claim's fields"
            )
            figures = None
        return _Shared(merged(shared.record, _with_listed_rows(record)), merged(shared.figures, figures))

    def _row(self, own: Any, shared: _Shared, position: int | None, place: str) -> Any:
        """A row in full form; as it stands where it is that already."""
        self.reader.places[id(own)] = place
        if not isinstance(own, yaml.MappingNode):
            return own
        if shared is NOTHING and _is_full(own):
            return own
        record, figures = _without(own, "figures")
        record = merged(shared.record, _with_listed_rows(record))
        row = _Row(self.reader, record, position, place)
        node = row.full(shared.figures, figures)
        self.reader.places[id(node)] = place
        self._left -= _size(node)
        if self._left < 0:
            raise TooMuchError(
                f"its defaults stand for more than {EXPANDED_PER_BYTE} values a byte; give rows less in common"
            )
        return node

    # --- additions --------------------------------------------------------------------------------------

    def _check_addition(self, row: Any, place: str) -> None:
        if not isinstance(row, yaml.MappingNode):
            self.reader.fault(place, row, f"expected a mapping with {', '.join(ADDED_KEYS)}")
            return
        for key, _ in row.value:
            if key.value not in ADDED_KEYS:
                self.reader.fault(
                    place, key, f"an addition cannot say {key.value!r}, only {', '.join(ADDED_KEYS)}"
                )

    def _with_additions(self, rows: list[Any], additions: list[Any]) -> list[Any]:
        """The rows, each with what other documents add to it."""
        indices: dict[str, int] = {}
        for index, row in enumerate(rows):
            for name in _names(row):
                indices.setdefault(name, index)
        for addition in additions:
            if not isinstance(addition, yaml.MappingNode):
                continue
            name = _value(addition, "id")
            if name is None or name.value not in indices:
                known = unknown("checkpoint", "" if name is None else str(name.value), indices)
                self.reader.fault(self.reader.places[id(addition)], name or addition, known)
                continue
            index = indices[name.value]
            place = self.reader.places[id(rows[index])]
            rows[index] = _added(rows[index], addition)
            self.reader.places[id(rows[index])] = place
        return rows


class _Row:
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
            number = _node(_INT, str(position), self.record)
        return _with(source, "row", number) if number is not None else source

    def full(self, shared: Any, own: Any) -> Any:
        """The record with claims for its figures, listings for its documents, and URLs put together."""
        pairs = [(key, value) for key, value in self.record.value if key.value not in COMPACT]
        pairs = [(key, self._filled(key.value, value)) for key, value in pairs]
        claims = self._claims(shared, own)
        if claims is not None:
            listed = next((index for index, (key, _) in enumerate(pairs) if key.value == "claims"), None)
            if listed is None:
                pairs.append((_text("claims", self.record), claims))
            elif isinstance(pairs[listed][1], yaml.SequenceNode):
                claims.value[:0] = pairs[listed][1].value
                pairs[listed] = (pairs[listed][0], claims)
        return yaml.MappingNode(_MAP, pairs, self.record.start_mark, self.record.end_mark)

    # figures -> claims

    def _claims(self, shared: Any, own: Any) -> Any:
        if shared is None and own is None:
            return None
        if own is not None and not isinstance(own, yaml.MappingNode):
            self.reader.fault(
                f"{self.place}.figures", own, "expected a mapping from metrics to printed figures"
            )
            own = None
        defaults, figures = _entries(shared), _entries(own)
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
        return yaml.SequenceNode(_SEQ, claims, at.start_mark, at.end_mark)

    def _of_metric(self, metric: str, default: Any, own: Any) -> Iterator[Any]:
        """A metric's claims: one for a single figure, one for each of a list, none where nothing is said of it."""
        key, value = own or default
        shared = default[1] if default else None
        if own is None:
            if not _is_absence(shared):
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
            earlier = _value(node, "printed")
            yield node

    def _claim(self, metric: Any, default: Any, figure: Any, earlier: Any) -> Any:
        if not isinstance(figure, yaml.MappingNode):
            figure = _mapping("printed", figure)
        if isinstance(default, yaml.MappingNode):
            is_absence = _is_absence(default)
            kept = [
                pair for pair in default.value if not is_absence or pair[0].value not in ("printed", "note")
            ]
            shared = yaml.MappingNode(_MAP, kept, default.start_mark, default.end_mark)
            figure = merged(shared, figure)
        if _is_absence(figure):
            kept = [pair for pair in figure.value if pair[0].value in ("printed", "note", "source", "date")]
            figure = yaml.MappingNode(_MAP, kept, figure.start_mark, figure.end_mark)
        elif earlier is not None and earlier.tag != _NULL:
            figure = _with(figure, "supersedes", earlier)
        if metric.value == "train_memory" and not _is_absence(figure):
            figure = self._of_training(figure)
        if self.source is not None:
            own = _value(figure, "source")
            whole = self.source if own is None else merged(self.source, own)
            figure = _with(figure, "source", whole, replace=True)
        pairs = [(_text("metric", metric), metric), *figure.value]
        return yaml.MappingNode(_MAP, pairs, figure.start_mark, figure.end_mark)

    def _of_training(self, figure: Any) -> Any:
        """A training memory is that of the row's own crop and images a device, where it does not say another."""
        crop, training = _value(self.record, "crop"), _value(self.record, "training")
        batch = _value(training, "batch_per_gpu") if isinstance(training, yaml.MappingNode) else None
        for name, value in (("batch", batch), ("crop", crop)):
            figure = _with(figure, name, value) if value is not None else figure
        return figure

    # listings and URLs

    def _filled(self, name: str, value: Any) -> Any:
        if name == "listed_in" and isinstance(value, yaml.MappingNode):
            listings = [self._listing(key, one) for key, one in value.value]
            return yaml.SequenceNode(_SEQ, listings, value.start_mark, value.end_mark)
        if name in ("aliases", "log_urls", "config_urls"):
            return self._put_together(value)
        if name == "weights" and isinstance(value, yaml.MappingNode):
            pairs = [
                (key, self._put_together(one) if key.value in ("urls", "sha256_prefix") else one)
                for key, one in value.value
            ]
            return yaml.MappingNode(_MAP, pairs, value.start_mark, value.end_mark)
        return value

    def _listing(self, document: Any, value: Any) -> Any:
        """`document: {row: 5, blank: [...]}` as a listing; section and row are the row's own, where it has no others."""
        if not isinstance(value, yaml.MappingNode):
            value = yaml.MappingNode(_MAP, [], value.start_mark, value.end_mark)
        own = yaml.MappingNode(
            _MAP, [(_text("document", document), document)], value.start_mark, value.end_mark
        )
        place = [pair for pair in getattr(self.source, "value", []) if pair[0].value in ("section", "row")]
        base = yaml.MappingNode(_MAP, place, value.start_mark, value.end_mark)
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
        parts = _entries(self.pairs["parts"][1]) if "parts" in self.pairs else {}
        known = {
            name: str(node.value) for name, (_, node) in parts.items() if isinstance(node, yaml.ScalarNode)
        }
        identity = _value(self.record, "id")
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
        return yaml.ScalarNode(_STR, text, value.start_mark, value.end_mark, value.style)


# --- nodes ----------------------------------------------------------------------------------------------


def merged(base: Any, own: Any) -> Any:
    """One mapping on top of another: mappings within are merged too, null takes a default away, all else replaces."""
    if base is None or own is None:
        return own if base is None else base
    if not isinstance(base, yaml.MappingNode) or not isinstance(own, yaml.MappingNode):
        return own
    pairs: dict[Any, tuple[Any, Any]] = {key.value: (key, value) for key, value in base.value}
    seen: set[Any] = set()
    for key, value in own.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
        if name in seen:
            pairs[id(key)] = (key, value)  # the same key again: the reader tells it
        elif name in pairs and value.tag == _NULL:
            del pairs[name]
        else:
            pairs[name] = (key, merged(pairs[name][1], value) if name in pairs else value)
        seen.add(name)
    return yaml.MappingNode(_MAP, list(pairs.values()), own.start_mark, own.end_mark)


def _node(tag: str, text: str, at: Any) -> Any:
    return yaml.ScalarNode(tag, text, at.start_mark, at.end_mark)


def _text(text: str, at: Any) -> Any:
    return _node(_STR, text, at)


def _entries(mapping: Any) -> dict[str, tuple[Any, Any]]:
    """Key text -> key and value, the first of equal keys."""
    found: dict[str, tuple[Any, Any]] = {}
    for key, value in () if mapping is None else mapping.value:
        if isinstance(key, yaml.ScalarNode):
            found.setdefault(key.value, (key, value))
    return found


def _items(entries: dict[str, tuple[Any, Any]], name: str) -> list[Any]:
    node = entries[name][1] if name in entries else None
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _value(mapping: Any, name: str) -> Any:
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((value for key, value in mapping.value if key.value == name), None)


def _with(mapping: Any, name: str, value: Any, *, replace: bool = False) -> Any:
    """A mapping with one more key, where it has not that yet or it is to be replaced."""
    if not isinstance(mapping, yaml.MappingNode):
        return mapping
    if not replace and _value(mapping, name) is not None:
        return mapping
    pairs = [pair for pair in mapping.value if pair[0].value != name]
    return yaml.MappingNode(_MAP, [*pairs, (_text(name, value), value)], mapping.start_mark, mapping.end_mark)


def _without(mapping: Any, name: str) -> tuple[Any, Any]:
    """A mapping without a key, and that key's value; the first, where there are several."""
    value = _value(mapping, name)
    if value is None:
        return mapping, None
    left = [pair for pair in mapping.value if pair[1] is not value]
    return yaml.MappingNode(_MAP, left, mapping.start_mark, mapping.end_mark), value


def _with_listed_rows(record: Any) -> Any:
    """A record with `{page: 5}` in its listings written out as `{page: {row: 5}}`."""
    listed = _value(record, "listed_in")
    if not isinstance(listed, yaml.MappingNode):
        return record
    pairs = [
        (
            key,
            value if not isinstance(value, yaml.ScalarNode) or value.tag == _NULL else _mapping("row", value),
        )
        for key, value in listed.value
    ]
    whole = yaml.MappingNode(_MAP, pairs, listed.start_mark, listed.end_mark)
    return _with(record, "listed_in", whole, replace=True)


def _mapping(name: str, value: Any) -> Any:
    """A mapping of one key."""
    return yaml.MappingNode(_MAP, [(_text(name, value), value)], value.start_mark, value.end_mark)


def _is_full(row: Any) -> bool:
    """Whether a row has nothing in it that has to be made whole."""
    short = any(key.value in COMPACT for key, _ in row.value)
    return not short and not isinstance(_value(row, "listed_in"), yaml.MappingNode)


def _is_absence(figure: Any) -> bool:
    """Whether a claim says that nothing is printed."""
    printed = _value(figure, "printed")
    return printed is not None and printed.tag == _NULL


def _size(node: Any) -> int:
    """Values of a record; nothing in it can contain itself, and texts of aliases are counted wherever they stand."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if isinstance(node, yaml.MappingNode):
        return 1 + sum(_size(value) for _, value in node.value)
    return 1 + sum(map(_size, node.value))


def _names(row: Any) -> Iterator[str]:
    """The id and aliases of a row, as far as they are texts."""
    aliases = _value(row, "aliases")
    listed = aliases.value if isinstance(aliases, yaml.SequenceNode) else []
    for node in (_value(row, "id"), *listed):
        if isinstance(node, yaml.ScalarNode):
            yield node.value


def _added(row: Any, addition: Any) -> Any:
    """A row with what another document adds: names and listings behind its own, links before them."""
    added = _entries(addition)
    pairs = _entries(row)
    for name in ("aliases", "listed_in", "log_urls", "config_urls"):
        if name in added:
            newest_first = name.endswith("_urls")
            pairs[name] = _longer(pairs.get(name), added[name], newest_first=newest_first)
    if "weights" in added and "weights" in pairs:
        own, new = _entries(pairs["weights"][1]), _entries(added["weights"][1])
        if "urls" in own and "urls" in new:
            _, urls = _longer(own["urls"], new["urls"], newest_first=True)
            pairs["weights"] = (
                pairs["weights"][0],
                _with(pairs["weights"][1], "urls", urls, replace=True),
            )
    if "claims" in added and "claims" in pairs:
        key, claims = pairs["claims"]
        news = added["claims"][1]
        if isinstance(claims, yaml.SequenceNode) and isinstance(news, yaml.SequenceNode):
            listed = _with_claims(claims.value, news.value)
            pairs["claims"] = key, yaml.SequenceNode(_SEQ, listed, claims.start_mark, claims.end_mark)
    return yaml.MappingNode(_MAP, list(pairs.values()), row.start_mark, row.end_mark)


def _longer(own: tuple[Any, Any] | None, new: tuple[Any, Any], *, newest_first: bool) -> tuple[Any, Any]:
    """A list and what is added to it, without texts that it has."""
    if own is None or not isinstance(own[1], yaml.SequenceNode) or not isinstance(new[1], yaml.SequenceNode):
        return new if own is None else own
    known = {node.value for node in own[1].value if isinstance(node, yaml.ScalarNode)}
    fresh = [node for node in new[1].value if not (isinstance(node, yaml.ScalarNode) and node.value in known)]
    values = [*fresh, *own[1].value] if newest_first else [*own[1].value, *fresh]
    return own[0], yaml.SequenceNode(_SEQ, values, own[1].start_mark, own[1].end_mark)


def _with_claims(own: list[Any], new: list[Any]) -> list[Any]:
    """Claims with those added: the same figure again completes its claim, another one stands behind its metric's last."""
    claims = list(own)
    for one in new:
        key = _claim_key(one)
        same = next((index for index, claim in enumerate(claims) if _claim_key(claim) == key), None)
        if same is not None:
            claims[same] = _completed(claims[same], one)
            continue
        last = [index for index, claim in enumerate(claims) if _claim_key(claim)[0] == key[0]]
        claims.insert(last[-1] + 1 if last else len(claims), one)
    return claims


def _claim_key(claim: Any) -> tuple[Any, Any]:
    return tuple(getattr(_value(claim, name), "value", None) for name in ("metric", "printed"))  # type: ignore[return-value]


def _completed(claim: Any, new: Any) -> Any:
    for key, value in new.value if isinstance(new, yaml.MappingNode) else ():
        if key.value in ("date", "note"):
            claim = _with(claim, key.value, value)
    return claim
