"""`zoo list`: published checkpoints with their printed numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reports.media import tabulate
from ...reports.metrics import METRICS
from ..console.exit_codes import ExitCode
from .shared import flags
from .shared.answer import json_text, write
from .shared.arguments import selected
from .shared.rows import by, row_record

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..manifest import Checkpoint

_NOT_PUBLISHED = "–"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows."""
    flags.add_selection(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line a row."""
    chosen = selected(arguments)
    write(json_text([row_record(row) for row in chosen]) if arguments.json else _table(chosen))
    return ExitCode.OK


def _table(rows: Sequence[Checkpoint]) -> str:
    """One line a checkpoint with its published numbers as printed."""
    metrics = [metric for metric in METRICS if any(_printed(row, metric) for row in rows)]
    header = ["id", "dataset", "backbone", "crop", *(METRICS[metric].title for metric in metrics)]
    body = [
        [
            row.id,
            row.dataset,
            row.backbone,
            by(row.crop),
            *(_printed(row, metric) or _NOT_PUBLISHED for metric in metrics),
        ]
        for row in rows
    ]
    return tabulate(body, header, disable_numparse=True, colalign=("left",) * 4 + ("right",) * len(metrics))


def _printed(checkpoint: Checkpoint, metric: str) -> str:
    """The first printed figure of a metric; a revised one is marked, and `zoo show` tells both."""
    printed = [claim.printed for claim in checkpoint.claims if claim.metric == metric and claim.printed]
    return printed[0] + ("*" if len(printed) > 1 else "") if printed else ""
