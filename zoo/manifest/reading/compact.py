"""Compact rows made whole: what defaults of a file and of a section say for its rows, figures as claims, URLs of parts.

All of it is done with YAML's nodes, before anything is read: each keeps the place where it was written, so that a
fault of a default is told at the default's line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from ...files.whole_number import whole_number
from ..names import unknown
from ..records import VERSION
from .additions import ADDED_KEYS, added, names_of
from .compact_row import CompactRow, is_full, with_listed_rows
from .node_edits import INT, MAP, SEQ, items_of, merged, size_of, text_node, value_of, without_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .source_files import Part
    from .walk import Reader

TABLES = ("documents", "datasets", "publishers", "protocols")
"""Keys whose contents are put together from all files."""
KEYS = ("version", "include", "defaults", *TABLES, "sections", "checkpoints")
SECTION_KEYS = ("defaults", "rows", "additions")
LEAST_EXPANDED = 250_000
EXPANDED_PER_BYTE = 4
"""Values that rows may stand for with their defaults: this many a byte of their files, and at least the other."""


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
        found = [value_of(part.root, "version") for part in parts]
        others = [
            node for node in found if node is not None and (node.tag, node.value) != (INT, str(VERSION))
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
            MAP,
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
        return [
            (text_node("checkpoints", key), yaml.SequenceNode(SEQ, rows, value.start_mark, value.end_mark))
        ]

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
        whole = yaml.MappingNode(MAP, pairs, good[0].start_mark, good[0].end_mark)
        return [(found[0][0], whole)]

    # --- rows -------------------------------------------------------------------------------------------

    def _rows(self, top: dict[str, tuple[Any, Any]]) -> Iterator[tuple[Any, bool]]:
        """The rows of a file in full form, and whether each is an addition to a row of elsewhere."""
        defaults = top["defaults"][1] if "defaults" in top else None
        shared = self._on_top(NOTHING, defaults, "defaults")
        for index, row in enumerate(items_of(top, "checkpoints")):
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
        record, number = without_key(shared.record, "row")
        if number is None:
            return shared, 1
        first = whole_number(number.value) if number.tag == INT else None
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
        record, figures = without_key(defaults, "figures")
        if figures is not None and not isinstance(figures, yaml.MappingNode):
            self.reader.fault(
                f"{place}.figures", figures, "expected a mapping from metrics to a claim's fields"
            )
            figures = None
        return _Shared(merged(shared.record, with_listed_rows(record)), merged(shared.figures, figures))

    def _row(self, own: Any, shared: _Shared, position: int | None, place: str) -> Any:
        """A row in full form; as it stands where it is that already."""
        self.reader.places[id(own)] = place
        if not isinstance(own, yaml.MappingNode):
            return own
        if shared is NOTHING and is_full(own):
            return own
        record, figures = without_key(own, "figures")
        record = merged(shared.record, with_listed_rows(record))
        row = CompactRow(self.reader, record, position, place)
        node = row.full(shared.figures, figures)
        self.reader.places[id(node)] = place
        self._left -= size_of(node)
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
            for name in names_of(row):
                indices.setdefault(name, index)
        for addition in additions:
            if not isinstance(addition, yaml.MappingNode):
                continue
            name = value_of(addition, "id")
            if name is None or name.value not in indices:
                known = unknown("checkpoint", "" if name is None else str(name.value), indices)
                self.reader.fault(self.reader.places[id(addition)], name or addition, known)
                continue
            index = indices[name.value]
            place = self.reader.places[id(rows[index])]
            rows[index] = added(rows[index], addition)
            self.reader.places[id(rows[index])] = place
        return rows
