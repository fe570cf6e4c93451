"""Plain records as a table in any of the formats: for lists that are not a publisher's table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .media import csv_text, markdown, tabulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
