"""The `zoo` command line as argparse sees it: subcommands, flags, defaults. Runs nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ..reports.metrics import METRICS
from ..reports.verdict import Tolerance
from . import places

USAGE = 2
DEFAULT_LEDGER = Path("results/measurements.jsonl")
FORMAT_NAMES = ("text", "md", "csv", "json")


class _Parser(argparse.ArgumentParser):
    """Usage errors as one message with the way to the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"zoo: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="zoo", description="Does a published segmentation checkpoint do what its table says?"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    command = _command(commands, "list", "published checkpoints with their printed numbers")
    _add_selection(command)
    _add_json(command)

    command = _command(commands, "show", "everything known of a checkpoint: claims, protocols, links")
    _add_selection(command)
    _add_json(command)
    command.add_argument("--protocol", action="store_true", help="print the test protocols in words")

    command = _command(commands, "fetch", "bring weights, verified, into the cache")
    _add_selection(command)
    _add_fetching(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")

    command = _command(commands, "verify", "measure by the published protocols and judge the claims")
    _add_selection(command)
    _add_fetching(command)
    _add_measuring(command)
    _add_tables(command)
    _add_talk(command)

    command = _command(commands, "report", "print the tables again from the ledger")
    _add_selection(command)
    _add_ledger(command)
    _add_tables(command)

    command = _command(commands, "demo", "reproduce the embedded demo zoo on this machine")
    _add_device(command)
    _add_tables(command)
    _add_talk(command)
    command.add_argument("--keep", type=Path, metavar="DIR", help="keep weights, evidence and ledger in DIR")

    command = _command(commands, "doctor", "what this machine can measure, and what is missing")
    _add_manifest(command)
    _add_data_root(command)
    _add_json(command)

    command = _command(commands, "check-weights", "examine weights files without any data set")
    _add_selection(command)
    command.add_argument(
        "--file", type=Path, help="a file to examine as the chosen ID's, instead of the cache's"
    )
    _add_unsafe(command)
    _add_json(command)

    command = _command(commands, "convert", "write a publisher's weights as safetensors")
    command.add_argument("id", metavar="ID", help="the checkpoint the file belongs to")
    command.add_argument("file", type=Path, metavar="FILE", help="the publisher's file")
    command.add_argument("out", type=Path, metavar="OUT", help="file to write, ending in .safetensors")
    command.add_argument("--force", action="store_true", help="replace OUT where it exists")
    _add_unsafe(command)
    _add_manifest(command)

    _add_audit(_command(commands, "audit", "check the claims against their sources and against reason"))

    _add_import(_command(commands, "import", "make manifest entries of a publisher's table or metafile"))
    _add_export(_command(commands, "export", "claims as a model card's model-index or as CSV"))

    _command(commands, "schema", "JSON Schema of zoo.yaml, for editors")
    return parser


def _command(
    commands: argparse._SubParsersAction[_Parser], name: str, summary: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")


def _add_audit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a publisher's README table or metafile to compare with; may be repeated",
    )
    command.add_argument("--strict", action="store_true", help="exit 1 where there is an error or a warning")
    command.add_argument(
        "--format", default="text", choices=("text", "md"), help="of the findings (default: text)"
    )
    _add_json(command)
    _add_manifest(command)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="a README with result tables, or a metafile")
    command.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="add to this manifest, or begin it, instead of printing YAML",
    )
    command.add_argument("--document", default="", metavar="KEY", help="name of FILE among the documents")
    command.add_argument(
        "--publisher", default="", help="who published it, where that is not the form's inventor"
    )
    command.add_argument("--url", metavar="URL", help="where it is published")
    command.add_argument("--date", metavar="YYYY-MM-DD", help="when this state of it was published")
    command.add_argument(
        "--listed",
        metavar="YYYY-MM-DD",
        help="when figures that replace others were first listed (default: --date)",
    )
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="rows whose weights file name fits; may be repeated",
    )


def _add_export(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument(
        "--format", default="model-index", choices=("model-index", "csv"), help="default: model-index"
    )
    command.add_argument("--ledger", type=Path, metavar="FILE", help="add the measured values of this ledger")
    command.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to stdout")


def _add_manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--manifest", type=Path, metavar="FILE", help="another zoo.yaml than the packaged one"
    )


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "ids", nargs="*", metavar="ID", help="ids, aliases or globs; all where none is given"
    )
    command.add_argument(
        "--where", default="", metavar="EXPR", help="such as 'dataset=ade20k backbone=R-50*'"
    )
    _add_manifest(command)


def _add_unsafe(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--unsafe-load",
        action="store_true",
        help="unpickle without restriction: runs whatever code the file contains; only for files you trust",
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_fetching(command: argparse.ArgumentParser) -> None:
    command.add_argument("--offline", action="store_true", help="use the cache only (also ZOO_OFFLINE=1)")
    command.add_argument("--dry-run", action="store_true", help="say what would be done and stop")


def _add_talk(command: argparse.ArgumentParser) -> None:
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    command.add_argument(
        "-v", "--verbose", action="store_true", help="say each verdict on stderr as it is known"
    )


def _add_measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--metric", action="append", default=[], choices=list(METRICS), help="judge only this claim"
    )
    command.add_argument("--protocol", metavar="NAME", help="measure under another protocol of the manifest")
    _add_device(command)
    command.add_argument(
        "--precision", default="fp32", choices=["fp32", "tf32"], help="fp32 is the claims' own"
    )
    _add_data_root(command)
    command.add_argument(
        "--evidence", type=Path, metavar="FILE", help="per-image counts (default: in ZOO_HOME)"
    )
    _add_ledger(command)


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def _add_data_root(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-root",
        type=Path,
        default=places.data_root(),
        metavar="DIR",
        help="data sets (also ZOO_DATA_ROOT)",
    )


def _add_ledger(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ledger",
        type=Path,
        default=DEFAULT_LEDGER,
        metavar="FILE",
        help=f"measurements (default: {DEFAULT_LEDGER})",
    )
    command.add_argument(
        "--tolerance",
        type=_tolerance,
        default=Tolerance(),
        metavar="POINTS",
        help="call a difference up to POINTS reproduced and a larger one refuted",
    )


def _tolerance(text: str) -> Tolerance:
    try:
        return Tolerance.of(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected points from 0 on, such as 0.1; found {text!r}") from error


def _add_tables(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format", default="text", choices=FORMAT_NAMES, help="of the tables (default: text)"
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="write the tables there instead of to stdout"
    )
    _add_json(command)
