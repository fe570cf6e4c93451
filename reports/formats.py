"""Every format of a report by its name on the command line, and of plain records; each formatter returns a string."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import table
from .html import format_html
from .junit import format_junit
from .media import csv_text, markdown, tabulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
