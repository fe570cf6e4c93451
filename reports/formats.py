"""Every format of a report by its name on the command line, and of plain records; each formatter returns a string."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from . import table
from .html import format_html
from .junit import format_junit
from .media import csv_text, markdown, markdown_link, tabulate
from .verdict import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .background import Background

FORMATS: dict[str, Callable[[Sequence[table.Row], Background], str]] = {
    **table.FORMATS,
    "html": format_html,
    "junit": format_junit,
}
"""Name on the command line -> formatter."""
ABSENT = "–"
"""Cell of a value that is None, in the formats that people read."""
_STYLES = {"text": "simple", "md": "github"}


def format_records(records: Sequence[Mapping[str, Any]], style: str) -> str:
    """Records of the same keys as `text`, `md`, `csv` or `json`; keys are headings, floats have two decimals.

    CSV and JSON keep numbers unrounded and leave absent values empty or null.
    """
    if style == "json":
        return json.dumps([dict(record) for record in records], indent=2, ensure_ascii=False)
    if style == "csv":
        return csv_text(list(records[0]) if records else [], records)
    rows = [[_cell(value) for value in record.values()] for record in records]
    if style == "md":
        rows = [[markdown(cell) for cell in row] for row in rows]
    header = list(records[0]) if records else []
    return tabulate(rows, header, tablefmt=_STYLES[style], disable_numparse=True)


def _cell(value: Any) -> str:
    if value is None:
        return ABSENT
    return f"{value:.2f}" if isinstance(value, float) else str(value)


# --- a file a method --------------------------------------------------------------------------------


INDEX = "README.md"


def format_files(rows: Sequence[table.Row], background: Background) -> dict[str, str]:
    """Each method's tables as a Markdown file of their own, and an index: path within a folder -> text."""
    methods: dict[tuple[str, str], list[table.Row]] = {}
    for row in rows:
        methods.setdefault((row.publisher, row.method), []).append(row)
    paths = _paths(methods)
    files = {path: _method_text(*key, methods[key]) for key, path in paths.items()}
    return {INDEX: _index_text(rows, methods, paths, background), **files}


def _paths(methods: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Publisher and method -> `publisher/method.md` of plain letters; a second one of the same letters gets a number."""
    paths: dict[tuple[str, str], str] = {}
    for publisher, method in methods:
        letters = "/".join(
            re.sub(r"[^a-z0-9+]+", "-", name.casefold()).strip("-") or "-" for name in (publisher, method)
        )
        taken = sum(path == f"{letters}.md" or path.startswith(f"{letters}--") for path in paths.values())
        paths[publisher, method] = f"{letters}--{taken + 1}.md" if taken else f"{letters}.md"
    return paths


def _method_text(publisher: str, method: str, rows: Sequence[table.Row]) -> str:
    head = f"# {markdown(method)} of {markdown(publisher)}\n\n[All methods](../{INDEX}), and what the words mean\n\n"
    return head + table.format_markdown(rows)


def _index_text(
    rows: Sequence[table.Row],
    methods: Mapping[tuple[str, str], Sequence[table.Row]],
    paths: Mapping[tuple[str, str], str],
    background: Background,
) -> str:
    """A line a method with its verdicts; below it the legend of all files."""
    statuses = [
        s for s in Status if s in table.ALWAYS_COUNTED or any(v.status is s for r in rows for v in r.verdicts)
    ]
    parts = [f"# {markdown(background.title)}", table.note_text(background.note)]
    for publisher in dict.fromkeys(name for name, _ in methods):
        lines = [
            [
                markdown_link(method, paths[name, method]),
                len(found),
                ", ".join(dict.fromkeys(markdown(row.dataset) for row in found)),
                *(sum(v.status is status for row in found for v in row.verdicts) for status in statuses),
            ]
            for (name, method), found in methods.items()
            if name == publisher
        ]
        header = ["method", "rows", "data sets", *(status.value for status in statuses)]
        parts += [
            f"## {markdown(publisher)}",
            tabulate(lines, header, tablefmt="github", disable_numparse=True),
        ]
    return "\n\n".join([*parts, table.explanations(rows, background)]) + "\n"
