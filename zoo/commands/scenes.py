"""`zoo report --pictures`: images with truth, prediction and errors, predicted on the spot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...evaluate.predict.device import DeviceError, resolve_device
from ..console.exit_codes import ExitCode
from ..results.pictures import scenes
from .shared.answer import CommandError
from .shared.arguments import format_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ...reports.background import Scene
    from ..manifest import Checkpoint
    from ..measuring.measurement import Measurement


def made_scenes(
    chosen: Iterable[Checkpoint], measured: Iterable[Measurement], arguments: argparse.Namespace
) -> list[Scene]:
    """`zoo report --pictures`: a few images of every row whose mIoU was measured."""
    if format_name(arguments) != "html":
        raise CommandError("--pictures belongs to --format html", ExitCode.USAGE)
    names = {record.checkpoint for record in measured if record.metric == "miou"}
    try:
        device = resolve_device(arguments.device)
    except DeviceError as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    rows = [checkpoint for checkpoint in chosen if checkpoint.id in names]
    found = list(scenes(rows, arguments.pictures, arguments.data_root, device))
    absences = (
        [one for one in found if isinstance(one, str)]
        if rows
        else ["no pictures: no row has a measured mIoU"]
    )
    if absences and arguments.check:
        raise CommandError(
            f"--check {arguments.check}: cannot be compared for want of its pictures: {absences[0]}",
            ExitCode.CANNOT_MEASURE,
        )
    for absence in absences:
        print(f"zoo: warning: {absence}", file=sys.stderr)
    return [one for one in found if not isinstance(one, str)]
