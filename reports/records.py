"""Plain records as a table in any of the formats: for lists that are not a publisher's table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
        import pandas as pd  # noqa: PLC0415  (half a second that only this format needs)

        return pd.DataFrame.from_records(records).to_csv(index=False)
    from tabulate import tabulate  # noqa: PLC0415

    rows = [[_cell(value) for value in record.values()] for record in records]
    header = list(records[0]) if records else []
    return tabulate(rows, header, tablefmt=_STYLES[style], disable_numparse=True)


def _cell(value: Any) -> str:
    if value is None:
        return ABSENT
    return f"{value:.2f}" if isinstance(value, float) else str(value)
