"""`zoo data`: whether data sets are whole and what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...evaluate.data.datasets import DatasetError
from ...evaluate.data.folder import folder_spec
from ..data import UnknownDataset, chosen_specs, data_records, data_text, examine, exit_code
from ..manifest import load_manifest
from .answer import CANNOT_MEASURE, CommandError, json_text, write
from .parser import USAGE

if TYPE_CHECKING:
    import argparse


def run_data(arguments: argparse.Namespace) -> int:
    """`zoo data`: whether the data sets are whole and what they should be."""
    if arguments.folder and arguments.names:
        raise CommandError("name data sets of the manifest or give --folder, not both", USAGE)
    try:
        if arguments.folder:
            specs, root = [folder_spec(arguments.folder)], arguments.folder
        else:
            specs, root = (
                chosen_specs(load_manifest(arguments.manifest), arguments.names),
                arguments.data_root,
            )
    except UnknownDataset as error:
        raise CommandError(str(error), USAGE) from error
    except DatasetError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    reports = list(examine(specs, root, full=arguments.full, quiet=arguments.quiet))
    write(json_text(data_records(reports)) if arguments.json else data_text(reports))
    return exit_code(reports, named=bool(arguments.names or arguments.folder))
