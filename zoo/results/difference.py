"""How a written report differs from what it should be, short enough for a log."""

from __future__ import annotations

import difflib

LINES = 20
"""Lines of a difference that are shown at most."""
WIDTH = 300
"""Of a shown line: rows of a Markdown table are long, and the point is which."""


def short_difference(found: str, expected: str) -> str:
    """The first changed lines, `-` as found and `+` as expected; empty where the texts are equal."""
    lines = difflib.unified_diff(
        found.splitlines(), expected.splitlines(), "found", "expected", lineterm="", n=0
    )
    changes = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines][2:]
    if not changes and found != expected:
        return "the texts differ in their line ends only"
    more = len(changes) - LINES
    return "\n".join([*changes[:LINES], *([f"... and {more} more lines"] if more > 0 else [])])
