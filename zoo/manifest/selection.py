"""Which checkpoints a command is about: ids, aliases, globs and `--where` conditions."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from .names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ...evaluate.data.datasets import DatasetSpec
    from .records import Checkpoint, Manifest


class SelectionError(ValueError):
    """A `--where` condition cannot be understood, or no data set has this name; the message says what to write instead."""


class Condition(NamedTuple):
    """One `field=value` or `field!=value`."""

    field: str
    value: str
    """A glob, in lower case."""
    wanted: bool
    """False for `!=`."""

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether any of the field's values matches, or, for `!=`, none does."""
        return _matches_any(FIELDS[self.field](checkpoint), self.value) is self.wanted


FIELDS: dict[str, Callable[[Checkpoint], Iterable[str]]] = {
    "id": lambda checkpoint: (checkpoint.id, *checkpoint.aliases),
    "publisher": lambda checkpoint: (checkpoint.publisher,),
    "method": lambda checkpoint: (checkpoint.method,),
    "segmentor": lambda checkpoint: (checkpoint.segmentor,),
    # `R-50` means `R-50-D8`: every row here has output stride 8.
    "backbone": lambda checkpoint: (checkpoint.backbone, re.sub(r"-D\d+\Z", "", checkpoint.backbone)),
    "dataset": lambda checkpoint: (checkpoint.dataset,),
    "crop": lambda checkpoint: ("x".join(map(str, checkpoint.crop)),),
    "schedule": lambda checkpoint: (checkpoint.schedule,),
    "metric": lambda checkpoint: [claim.metric for claim in checkpoint.published],
}
"""Field -> the values a condition is held against; `metric` means a printed number."""


def select(manifest: Manifest, patterns: Sequence[str], where: str = "") -> list[Checkpoint]:
    """The checkpoints that any pattern names and every condition admits, in the manifest's order.

    Args:
        manifest: where to choose from.
        patterns: ids, aliases, or globs over both (`isnet_*`); none at all means every checkpoint.
        where: `field=value` and `field!=value`, separated by spaces; values may be globs, ignore case, and
            are quoted as in a shell where they contain spaces.

    Returns:
        An empty list where a glob or a condition matches nothing.

    Raises:
        UnknownCheckpoint: a pattern without wildcards is no id or alias.
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
    match = re.fullmatch(r"(\w+)(!?=)(.*)", term, re.DOTALL)
    if match is None:
        raise SelectionError(f"--where: expected field=value or field!=value, found {term!r}")
    field, sign, value = match.groups()
    if field not in FIELDS:
        best = nearest(field, FIELDS, 1)
        hint = f", nearest is {best[0]!r}" if best else ""
        raise SelectionError(f"--where: unknown field {field!r}{hint}; fields are {', '.join(FIELDS)}")
    return Condition(field=field, value=value.lower(), wanted=sign == "=")


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
