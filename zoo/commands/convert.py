"""`zoo convert`: write a publisher's weights as safetensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..files.named_files import named_file
from ..manifest import load_manifest
from .shared import flags
from .shared.answer import write
from .shared.arguments import warn_of_unsafe

if TYPE_CHECKING:
    import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Whose file, which, and what to write."""
    parser.add_argument("id", metavar="ID", help="the checkpoint the file belongs to")
    parser.add_argument("file", type=named_file, metavar="FILE", help="the publisher's file")
    parser.add_argument("out", type=named_file, metavar="OUT", help="file to write, ending in .safetensors")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    flags.add_unsafe(parser)
    flags.add_manifest(parser)
    flags.add_builders(parser)


def run(arguments: argparse.Namespace) -> int:
    """A file that fits its row, without what is of no use for inference."""
    from ..weights.convert import convert

    row = load_manifest(arguments.manifest)[arguments.id]
    warn_of_unsafe(arguments)
    target = convert(row, arguments.file, arguments.out, force=arguments.force, unsafe=arguments.unsafe_load)
    write(f"{row.id}: {target}")
    return ExitCode.OK
