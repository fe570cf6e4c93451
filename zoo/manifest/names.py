"""Names in messages: the known ones nearest to an unknown one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED = 20
"""Known names in one message."""
HINTED = 50
"""Faults of a file that tell the known name nearest to an unknown one."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` known names that look like `name`, best first: those it begins, then the similar ones."""
    names = list(known)
    begun = [other for other in names if name and other.startswith(name)]
    similar = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    return tuple(dict.fromkeys([*begun, *similar]))[:count]


def unknown(what: str, name: str, known: Iterable[str], *, hinted: bool = True) -> str:
    """That a name is not known, with the nearest known one, else a list of them; without either where no hint is wanted."""
    if not hinted:
        return f"unknown {what} {name!r}"
    known = list(known)
    best = nearest(name, known, 1)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listed = f"known are {', '.join(known[:LISTED]) or 'none'}{more}"
    return f"unknown {what} {name!r}, {f'nearest is {best[0]!r}' if best else listed}"
