"""`zoo predict`: label maps and overlays of your own pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..console.exit_codes import ExitCode
from ..fetch import check_hash, fetch, given_weights
from ..files.named_files import named_path
from ..manifest import load_manifest
from .shared import flags
from .shared.answer import CommandError, json_text, write
from .shared.arguments import named_protocol, warn_of_program
from .shared.progress import byte_bar, picture_bar

if TYPE_CHECKING:
    import argparse

    import torch
    from torch import nn

    from ..manifest import Checkpoint


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to predict with, which pictures, and where their label maps go."""
    parser.add_argument("id", metavar="ID", help="the checkpoint to predict with")
    parser.add_argument(
        "images", nargs="+", type=named_path, metavar="IMAGE", help="pictures, or folders of them"
    )
    parser.add_argument(
        "--out",
        type=named_path,
        default=Path("predictions"),
        metavar="DIR",
        help="DIR/ID/labels and DIR/ID/overlays are written (default: predictions)",
    )
    flags.add_protocol(parser, "predict by another protocol than the one of the published mIoU")
    flags.add_device(parser)
    flags.add_precision(parser)
    flags.add_offline(parser)
    flags.add_quiet(parser)
    flags.add_manifest(parser)
    flags.add_builders(parser)
    flags.add_weights_file(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """A label map and an overlay of each picture; one that cannot be read or predicted does not stop the others."""
    from ...evaluate.inference.device import numerics, resolve_device
    from ..engines.own_pictures import PredictError, find_pictures, predict_pictures
    from ..measuring.own_code import network_trouble_named

    row = load_manifest(arguments.manifest)[arguments.id]
    protocol = named_protocol(arguments) or row.first_protocol()
    try:
        pictures = find_pictures(arguments.images, arguments.out / row.id)
    except PredictError as error:
        raise CommandError(str(error)) from error
    device = resolve_device(arguments.device)
    model = _ready(row, device, arguments)
    done = []
    with numerics(arguments.precision), network_trouble_named(row):
        made = predict_pictures(model, pictures, row.dataset_spec, protocol, arguments.out / row.id)
        for prediction in picture_bar(made, total=len(pictures), quiet=arguments.quiet):
            done.append(prediction)
            if prediction.fault:
                print(f"zoo: {prediction.fault}", file=sys.stderr)
            elif not arguments.json:
                write(f"{prediction.image}: {prediction.labels}, {prediction.overlay}")
    if arguments.json:
        write(json_text([msgspec.to_builtins(prediction) for prediction in done]))
    return ExitCode.CANNOT_MEASURE if any(prediction.fault for prediction in done) else ExitCode.OK


def _ready(row: Checkpoint, device: torch.device, arguments: argparse.Namespace) -> nn.Module:
    """The row's network with the weights of a file, or its published ones, fetched where they are not in the cache."""
    from ..measuring.network_form import form_of, ready

    if arguments.file:
        warn_of_program(arguments.file)
        path = given_weights(row, arguments.file)
        form = form_of(row, device.type, weights=path, precision=arguments.precision)
        return ready(row, path, device, form, check_hash(path, row.weights))
    row.require_built()
    with byte_bar(row.id, quiet=arguments.quiet) as progress:
        path = fetch(row, offline=arguments.offline or None, progress=progress)
    return ready(row, path, device, form_of(row, device.type, precision=arguments.precision))
