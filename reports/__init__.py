"""From claims and measurements to verdicts and the publishers' own tables.

`verdict` judges, `ledger` keeps measurements as JSON lines, `table` formats, `metrics` knows units. Nothing
here knows manifests, models or the network. Formatters return strings; pandas is imported when a table is
made, not before.
"""

from __future__ import annotations

from .tolerance import Tolerance
from .verdict import Status, Verdict, judge

__all__ = ["Status", "Tolerance", "Verdict", "judge"]
