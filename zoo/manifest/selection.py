"""Which checkpoints a command is about: ids, aliases, methods, globs and `--where` conditions; and their order."""

from __future__ import annotations

import operator
import re
import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ...reports.metrics import METRICS
from .names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ...evaluate.data.datasets import DatasetSpec
    from .records import Checkpoint, Manifest


class SelectionError(ValueError):
    """A `--where` condition cannot be understood, or no data set has this name; the message says what to write instead."""


FIELDS: dict[str, Callable[[Checkpoint], Iterable[str]]] = {
    "id": lambda checkpoint: (checkpoint.id, *checkpoint.aliases),
    "publisher": lambda checkpoint: (checkpoint.publisher,),
    "method": lambda checkpoint: (checkpoint.method,),
    "segmentor": lambda checkpoint: (checkpoint.segmentor,),
    # `R-50` means `R-50-D8` too, whatever the output stride.
    "backbone": lambda checkpoint: (checkpoint.backbone, re.sub(r"-D\d+\Z", "", checkpoint.backbone)),
    "dataset": lambda checkpoint: (checkpoint.dataset, checkpoint.dataset_spec.title),
    "crop": lambda checkpoint: ("x".join(map(str, checkpoint.crop)),),
    "schedule": lambda checkpoint: (checkpoint.schedule,),
    "metric": lambda checkpoint: [claim.metric for claim in checkpoint.published],
    "built": lambda checkpoint: ("no" if checkpoint.unbuilt() else "yes",),
    "parameters": lambda checkpoint: _known(checkpoint.parameters),
    "gflops": lambda checkpoint: _known(checkpoint.cost and checkpoint.cost.gflops),
}
"""Field -> the values a condition is held against; `metric` means a printed number. Beside them each metric's name is a field:
its printed figures."""
_TERM = re.compile(r"(\w+)(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_NUMBERS = ("schedule", "parameters", "gflops")
"""Fields beside the metrics that hold numbers, or may."""


class Condition(NamedTuple):
    """One `field=value`, `field!=value`, or a comparison with a number: `field>80`."""

    field: str
    sign: str
    value: str
    """A glob, in lower case; or a number."""

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether any of the field's values matches, or, for `!=`, none does."""
        values = values_of(self.field, checkpoint)
        if compare := _COMPARED.get(self.sign):
            numbers = (number_of(value) for value in values)
            return any(number is not None and compare(number, float(self.value)) for number in numbers)
        return _matches_any(values, self.value) is (self.sign == "=")


def field_names() -> list[str]:
    """Everything that rows can be chosen, sorted and shown by."""
    return [*FIELDS, *METRICS]


def values_of(field: str, checkpoint: Checkpoint) -> list[str]:
    """A row's values of a field, the one that it is called by and the newest figure first; none where it has none."""
    if field in FIELDS:
        return [value for value in FIELDS[field](checkpoint) if value]
    printed = [claim.printed for claim in checkpoint.published if claim.metric == field and claim.printed]
    return printed[::-1]


def number_of(value: str) -> float | None:
    """A figure as printed, or a count, as a number; None where it is none."""
    return float(value) if _NUMBER.fullmatch(value) else None


def _known(number: float | None) -> tuple[str, ...]:
    return () if number is None else (f"{number:.12g}",)


_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{0,15})?(?:e[0-9]{1,2})?", re.ASCII)


def sorted_by(rows: Sequence[Checkpoint], order: str) -> list[Checkpoint]:
    """Rows by one field or several, `dataset,-miou`; a minus puts the largest first, rows without a value come last.

    Raises:
        SelectionError: a field is not known.
    """
    found = list(rows)
    for word in reversed(order.split(",")):
        field = require_field(word.removeprefix("-"), "--sort")
        keys = {row.id: _sort_key(field, row) for row in found}
        there = [row for row in found if keys[row.id] is not None]
        there.sort(key=lambda row: keys[row.id] or (), reverse=word.startswith("-"))
        found = there + [row for row in found if keys[row.id] is None]
    return found


def _sort_key(field: str, row: Checkpoint) -> tuple[bool, float, str] | None:
    """Numbers before words, words whatever their case; None for nothing."""
    value = next(iter(values_of(field, row)), None)
    if value is None:
        return None
    number = number_of(value)
    return (number is None, number or 0.0, "" if number is not None else value.lower())


def require_field(name: str, flag: str) -> str:
    """The field of this name.

    Raises:
        SelectionError: there is none.
    """
    names = field_names()
    if name not in names:
        best = nearest(name, names, 1)
        hint = f", nearest is {best[0]!r}" if best else ""
        raise SelectionError(
            f"{flag}: unknown field {name!r}{hint}; fields are {', '.join(FIELDS)}, and the metrics, such as miou"
        )
    return name


def select(manifest: Manifest, patterns: Sequence[str], where: str = "") -> list[Checkpoint]:
    """The checkpoints that any pattern names and every condition admits, in the manifest's order.

    Args:
        manifest: where to choose from.
        patterns: ids, aliases, globs over both (`isnet_*`), or methods; none at all means every checkpoint.
        where: `field=value`, `field!=value` and comparisons of numbers (`miou>80`), separated
            by spaces; values may be globs, ignore case, and are quoted as in a shell where they contain spaces.

    Returns:
        An empty list where a glob or a condition matches nothing.

    Raises:
        UnknownCheckpoint: a pattern without wildcards is no id, alias or method.
        SelectionError: `where` names an unknown field or is malformed.
    """
    conditions = parse_where(where)
    named = {checkpoint.id for pattern in patterns for checkpoint in _named(manifest, pattern)}
    return [
        checkpoint
        for checkpoint in manifest
        if (not patterns or checkpoint.id in named)
        and all(condition.holds(checkpoint) for condition in conditions)
    ]


def _named(manifest: Manifest, pattern: str) -> list[Checkpoint]:
    if methods := methods_of(manifest, pattern):
        return [one for one in manifest if one.method in methods]
    if not any(wildcard in pattern for wildcard in "*?["):
        return [manifest[pattern]]
    return [one for one in manifest if _matches_any((one.id, *one.aliases), pattern.lower())]


def _matches_any(values: Iterable[str], glob: str) -> bool:
    return any(fnmatchcase(value.lower(), glob) for value in values)


def parse_where(where: str) -> list[Condition]:
    """Conditions of a `--where` text.

    Raises:
        SelectionError: an unknown field, no `=`, or an unclosed quote.
    """
    try:
        terms = shlex.split(where)
    except ValueError as error:
        raise SelectionError(f"--where {where!r}: {str(error).lower()}") from error
    return [_condition(term) for term in terms]


def _condition(term: str) -> Condition:
    match = _TERM.fullmatch(term)
    if match is None:
        raise SelectionError(f"--where: expected field=value, field!=value or field>number, found {term!r}")
    field, sign, value = match.groups()
    require_field(field, "--where")
    if sign in _COMPARED:
        if field in FIELDS and field not in _NUMBERS:
            raise SelectionError(
                f"--where: {field} has no numbers to compare; use {field}=GLOB, found {term!r}"
            )
        if number_of(value) is None:
            raise SelectionError(
                f"--where: expected a number after {sign}, such as {field}{sign}80, found {term!r}"
            )
    if field == "built" and not _matches_any(("yes", "no"), value.lower()):
        raise SelectionError(f"--where: built is yes or no, found {term!r}")
    return Condition(field=field, sign=sign, value=value.lower())


def methods_of(manifest: Manifest, name: str) -> list[str]:
    """The method of this name, else those of it in another case (Segformer, SegFormer); none where it is a row's."""
    if name in manifest:
        return []
    methods = manifest.methods()
    return [name] if name in methods else [one for one in methods if one.lower() == name.lower()]


def select_datasets(manifest: Manifest, names: Sequence[str]) -> list[DatasetSpec]:
    """The named data sets, each once; all of the manifest where none is named.

    Raises:
        SelectionError: no data set has this name.
    """
    for name in names:
        if name not in manifest.datasets:
            best = nearest(name, manifest.datasets)
            hint = f", nearest are {', '.join(best)}" if best else ""
            raise SelectionError(f"unknown data set {name!r}{hint}; there are {', '.join(manifest.datasets)}")
    return [manifest.datasets[name] for name in dict.fromkeys(names or manifest.datasets)]
