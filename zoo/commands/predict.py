"""`zoo predict`: label maps of one's own pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ...evaluate.predict.device import DeviceError, numerics, resolve_device
from ...models.load.weights import WeightsError
from ..console.exit_codes import ExitCode
from ..engines.own_pictures import PredictError, find_pictures, predict_pictures
from ..fetch import fetch
from ..manifest import load_manifest
from .shared.answer import CommandError, json_text, write
from .shared.arguments import named_protocol
from .shared.progress import byte_bar, picture_bar

if TYPE_CHECKING:
    import argparse

    from torch import nn

    from ..manifest import Checkpoint


def run_predict(arguments: argparse.Namespace) -> int:
    """`zoo predict ID IMAGE…`: label maps and overlays of one's own pictures."""
    row = load_manifest(arguments.manifest)[arguments.id]
    protocol = named_protocol(arguments) or row.protocol("miou")
    try:
        pictures = find_pictures(arguments.images, arguments.out / row.id)
        device = resolve_device(arguments.device)
    except PredictError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    except DeviceError as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    model = _loaded(row, arguments).to(device)
    done = []
    try:
        with numerics(arguments.precision):
            made = predict_pictures(model, pictures, row.dataset_spec, protocol, arguments.out / row.id)
            for prediction in picture_bar(made, total=len(pictures), quiet=arguments.quiet):
                done.append(prediction)
                if prediction.fault:
                    print(f"zoo: {prediction.fault}", file=sys.stderr)
                elif not arguments.json:
                    write(f"{prediction.image}: {prediction.labels}, {prediction.overlay}")
    except PredictError as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    if arguments.json:
        write(json_text([msgspec.to_builtins(prediction) for prediction in done]))
    return ExitCode.CANNOT_MEASURE if any(prediction.fault for prediction in done) else ExitCode.OK


def _loaded(row: Checkpoint, arguments: argparse.Namespace) -> nn.Module:
    """The row's model with its published weights, fetched where they are not in the cache."""
    with byte_bar(row.id, quiet=arguments.quiet) as progress:
        path = fetch(row, offline=arguments.offline or None, progress=progress)
    try:
        return row.load(path)
    except WeightsError as error:
        raise CommandError(str(error), ExitCode.INTEGRITY) from error
