"""`zoo import`: make manifest entries of a publisher's table or metafile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..files.named_files import named_file, named_path
from ..publishers.configs import Configs, read_configs
from ..publishers.import_file import Request, import_file
from .shared.answer import Data, require_file_place, write, write_file

if TYPE_CHECKING:
    import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The document, what is known of it, and where its rows go."""
    parser.add_argument(
        "file", type=named_path, metavar="FILE", help="a README with result tables, or a metafile"
    )
    parser.add_argument(
        "--into",
        type=named_file,
        metavar="FILE",
        help="add to this manifest, or begin it, instead of printing YAML",
    )
    parser.add_argument(
        "--configs",
        type=named_path,
        action="append",
        default=[],
        metavar="PATH",
        help="its publisher's configurations, a folder or what was kept of one: networks, protocols and batches come from "
        "them; may be repeated, the oldest release first",
    )
    parser.add_argument("--document", default="", metavar="KEY", help="name of FILE among the documents")
    parser.add_argument(
        "--publisher", default="", help="who published it, where that is not the form's inventor"
    )
    parser.add_argument("--url", metavar="URL", help="where it is published")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="when this state of it was published")
    parser.add_argument(
        "--listed",
        metavar="YYYY-MM-DD",
        help="when figures that replace others were first listed (default: --date)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="rows whose weights file name fits; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Manifest entries of a publisher's table."""
    request = Request(
        key=arguments.document,
        publisher=arguments.publisher,
        url=arguments.url,
        date=arguments.date,
        listed=arguments.listed,
        only=tuple(arguments.only),
    )
    require_file_place("--into", arguments.into)
    configs = Configs([read_configs(path) for path in arguments.configs])
    result = import_file(arguments.file, request, arguments.into, configs)
    if arguments.into is None:
        write(Data(result.text))
    else:
        for path, data in result.files.items():
            write_file(path, data.decode())
        write(f"{arguments.into}: {result.summary}")
    if result.left_out:
        print(f"zoo: left out of new entries, being in no table: {result.left_out}", file=sys.stderr)
    return ExitCode.OK
