"""Flags that several commands share, and what a flag's text may be. Runs nothing."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from ....reports.tolerance import Tolerance
from ...files import places
from ...files.named_files import named_file, named_path

_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
DEFAULT_LEDGER = Path("results/measurements.jsonl")
MOST = 10**9
"""Of whatever is counted: no machine has more, and no library takes more."""


def add_selection(command: argparse.ArgumentParser) -> None:
    """Which rows: ids and globs, `--where`, `--manifest`."""
    command.add_argument(
        "ids", nargs="*", metavar="ID", help="ids, aliases, methods or globs; all where none is given"
    )
    command.add_argument(
        "--where", default="", metavar="EXPR", help="such as 'dataset=ade20k backbone=R-50* miou>42'"
    )
    add_manifest(command)


def add_manifest(command: argparse.ArgumentParser) -> None:
    """`--manifest`."""
    command.add_argument(
        "--manifest", type=named_file, metavar="FILE", help="another zoo.yaml than the packaged one"
    )


def add_builders(command: argparse.ArgumentParser) -> None:
    """`--builders`, on every command that builds networks."""
    command.add_argument(
        "--builders",
        action="append",
        default=[],
        metavar="FILE_OR_MODULE",
        help="code of your own that builds networks; it is run (also ZOO_BUILDERS); may be repeated",
    )


def add_weights_file(command: argparse.ArgumentParser) -> None:
    """`--file`, where one row is chosen."""
    command.add_argument(
        "--file",
        type=named_file,
        metavar="FILE",
        help="the chosen ID's weights, wherever they lie (default: the cache's), or the network as .onnx or .pt2",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """`--json`."""
    command.add_argument("--json", action="store_true", help="print JSON")


def add_offline(command: argparse.ArgumentParser) -> None:
    """`--offline`."""
    command.add_argument("--offline", action="store_true", help="use the cache only (also ZOO_OFFLINE=1)")


def add_dry_run(command: argparse.ArgumentParser) -> None:
    """`--dry-run`."""
    command.add_argument("--dry-run", action="store_true", help="say what would be done and stop")


def add_quiet(command: argparse.ArgumentParser, what: str = "no progress bars") -> None:
    """`--quiet`."""
    command.add_argument("-q", "--quiet", action="store_true", help=what)


def add_talk(command: argparse.ArgumentParser) -> None:
    """`--quiet`, and `--verbose` for verdicts as they come."""
    add_quiet(command)
    command.add_argument(
        "-v", "--verbose", action="store_true", help="say each verdict on stderr as it is known"
    )


def add_device(command: argparse.ArgumentParser) -> None:
    """`--device`, where a CPU will do."""
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def add_precision(command: argparse.ArgumentParser) -> None:
    """`--precision` of a prediction."""
    command.add_argument(
        "--precision", default="fp32", choices=["fp32", "tf32"], help="fp32 is the claims' own"
    )


def add_precisions(command: argparse.ArgumentParser) -> None:
    """`--precision` of a measurement."""
    command.add_argument(
        "--precision",
        default="fp32",
        choices=["fp32", "tf32", "fp16", "bf16"],
        help="any but fp32 is a measurement of its own, not the claim's",
    )


def add_protocol(command: argparse.ArgumentParser, purpose: str) -> None:
    """`--protocol`, for a purpose that the help tells."""
    command.add_argument("--protocol", metavar="NAME", help=purpose)


def add_data_root(command: argparse.ArgumentParser) -> None:
    """`--data-root`."""
    command.add_argument(
        "--data-root",
        type=named_path,
        default=places.data_root(),
        metavar="DIR",
        help="data sets (also ZOO_DATA_ROOT)",
    )


def add_folder(command: argparse.ArgumentParser) -> None:
    """`--folder`: the user's own data."""
    command.add_argument(
        "--folder",
        type=named_path,
        metavar="DIR",
        help="your own data instead: a folder with images/, labels/ (index PNGs) and classes.txt",
    )


def add_places(command: argparse.ArgumentParser) -> None:
    """Where counts and measurements are stored."""
    command.add_argument(
        "--evidence", type=named_file, metavar="FILE", help="per-image counts (default: in ZOO_HOME)"
    )
    add_ledger(command)


def add_ledger(command: argparse.ArgumentParser) -> None:
    """`--ledger`."""
    command.add_argument(
        "--ledger",
        type=named_file,
        default=DEFAULT_LEDGER,
        metavar="FILE",
        help=f"measurements (default: {DEFAULT_LEDGER})",
    )


def add_tolerance(command: argparse.ArgumentParser) -> None:
    """`--tolerance`: one band in place of the publishers'."""
    command.add_argument(
        "--tolerance",
        type=_tolerance,
        metavar="POINTS",
        help="call a difference up to POINTS reproduced and a larger one refuted",
    )


def _tolerance(text: str) -> Tolerance:
    try:
        return Tolerance.of(_number(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected points from 0 on, such as 0.1, found {text!r}") from error


def add_unsafe(command: argparse.ArgumentParser) -> None:
    """`--unsafe-load`."""
    command.add_argument(
        "--unsafe-load",
        action="store_true",
        help="unpickle without restriction: runs whatever code the file contains; only for files you trust",
    )


def count(text: str) -> int:
    """At least one."""
    return whole_number(text, 1)


def whole_number(text: str, least: int = 0) -> int:
    """A whole number of ASCII digits."""
    is_number = text.isascii() and text.isdigit()
    if is_number and (len(text) > len(str(MOST)) or int(text) > MOST):
        raise argparse.ArgumentTypeError(f"expected a whole number up to {MOST}, found {short(text)}")
    if not is_number or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, found {short(text)}")
    return int(text)


def positive_number(text: str, what: str = "a number") -> float:
    """Finite and above 0."""
    number = _number(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"expected {what} above 0, such as 60, found {text!r}")
    return number


def distance(text: str) -> float:
    """Finite and not below 0."""
    number = _number(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"expected 0 or a number above it, such as 0.05, found {text!r}")
    return number


def _number(text: str) -> float:
    """NaN for what is no finite number in plain digits: Python takes `1_0` for 10, and digits of any script."""
    number = float(text) if _PLAIN_NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan


def short(text: str) -> str:
    """A user's text as a message quotes it."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
