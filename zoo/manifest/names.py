"""Names in messages: the known ones nearest to an unknown one."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = re.compile(r"[a-z0-9]+")
LISTED = 20
"""Known names in one message."""
HINTED = 50
"""Faults of a file that tell the known name nearest to an unknown one."""


def nearest(name: str, known: Iterable[str], count: int = 3, *, likeness: float = 0.5) -> tuple[str, ...]:
    """Up to `count` known names that look like `name`, best first.

    Those it begins, then those that have all its words where it has several, then the similar ones; in whatever case.
    """
    names: dict[str, str] = {}
    for other in known:
        names.setdefault(other.lower(), other)
    wanted = name.lower()
    words = _WORDS.findall(wanted)
    begun = [other for other in names if wanted and other.startswith(wanted)]
    worded = [other for other in names if len(words) > 1 and all(word in other for word in words)]
    similar = difflib.get_close_matches(wanted, names, n=count, cutoff=likeness) if len(begun) < count else []
    return tuple(names[other] for other in dict.fromkeys([*begun, *worded, *similar]))[:count]


def unknown(what: str, name: str, known: Iterable[str], *, hinted: bool = True) -> str:
    """That a name is not known, with the nearest known one, else a list of them; without either where no hint is wanted."""
    if not hinted:
        return f"unknown {what} {name!r}"
    known = list(known)
    best = nearest(name, known, 1)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listed = f"known are {', '.join(known[:LISTED]) or 'none'}{more}"
    return f"unknown {what} {name!r}, {f'nearest is {best[0]!r}' if best else listed}"
