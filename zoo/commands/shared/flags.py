"""The `zoo` command line as argparse sees it: subcommands, flags, defaults. Runs nothing."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ....reports.metrics import METRICS
from ....reports.tolerance import Tolerance
from ...console.exit_codes import ExitCode
from ...files import places
from ...files.named_files import named_file, named_path
from ...quantities import quantity_of

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_LEDGER = Path("results/measurements.jsonl")
FORMAT_NAMES = ("text", "md", "csv", "json", "html", "junit")
SUFFIXES = {".md": "md", ".csv": "csv", ".json": "json", ".html": "html", ".xml": "junit", ".txt": "text"}
"""Of a file -> the format it is written in where none is named."""


class _Parser(argparse.ArgumentParser):
    """Usage errors as one message with the way to the help; without the command it needs, the help itself."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As argparse has it, which calls it for the commands of a command too."""
        if self._subparsers is not None and not (sys.argv[1:] if args is None else args):
            self.print_help(sys.stderr)
            self.exit(ExitCode.USAGE)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"zoo: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="zoo", description="Does a published segmentation checkpoint do what its table says?"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, (summary, add_arguments) in _COMMANDS.items():
        description = summary[0].upper() + summary[1:] + "."
        add_arguments(commands.add_parser(name, help=summary, description=description))
    return parser


# --- one function a command: what it takes ------------------------------------------------------------


def _list(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    _add_json(command)


def _show(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    _add_json(command)
    command.add_argument("--protocol", action="store_true", help="print the test protocols in words")


def _fetch(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    _add_fetching(command)
    _add_downloading(command)
    _add_cache_tasks(command)
    _add_json(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")


def _verify(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    _add_fetching(command)
    _add_weights_file(command)
    _add_measuring(command)
    _add_parts(command)
    _add_tables(command)
    _add_baseline(command)
    _add_talk(command)


def _plan(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument(
        "--gpus", type=_count, default=1, metavar="N", help="devices that share the work (default: 1)"
    )
    command.add_argument(
        "--on", metavar="NAME", help="the device whose measurements count (default: the ledger's last)"
    )
    command.add_argument(
        "--tflops",
        type=_positive,
        metavar="N",
        help="10^12 operations a second to reckon with where the ledger has no measurement",
    )
    _add_ledger(command)
    _add_json(command)


def _evidence(command: argparse.ArgumentParser) -> None:
    tasks = command.add_subparsers(dest="task", required=True, metavar="TASK", parser_class=_Parser)
    for name, (summary, add_arguments) in _EVIDENCE_TASKS.items():
        task = tasks.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        add_arguments(task)
        task.add_argument(
            "--evidence", type=named_file, metavar="FILE", help="the evidence file (default: in ZOO_HOME)"
        )
        _add_json(task)


def _add_series(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "series", nargs="*", metavar="SERIES", help="beginning of a series' name, or a checkpoint or glob"
    )


def _evidence_show(command: argparse.ArgumentParser) -> None:
    _add_series(command)
    command.add_argument(
        "--scores", action="store_true", help="compute the numbers again from the stored counts"
    )


def _evidence_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=named_file, metavar="FILE", help="evidence file to write")
    _add_series(command)
    command.add_argument("--force", action="store_true", help="replace FILE where it exists")


def _evidence_merge(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        type=named_file,
        metavar="FILE",
        help="evidence files to take over; they stay as they are",
    )


def _evidence_prune(command: argparse.ArgumentParser) -> None:
    _add_series(command)
    command.add_argument(
        "--older", type=_positive, metavar="DAYS", help="only series not written to for so many days"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be deleted and stop")


_EVIDENCE_TASKS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "list": ("every series with what is there of it", _add_series),
    "show": ("everything known of a series; with --scores its number, from the counts alone", _evidence_show),
    "export": ("write series into a file of their own, for others", _evidence_export),
    "merge": ("take over other files' counts; contradictions are refused", _evidence_merge),
    "prune": ("delete series, by name or by age", _evidence_prune),
}


def _memory(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument("--batch", type=_count, metavar="N", help="images a device (default: as published)")
    command.add_argument(
        "--crop", type=_size, metavar="HxW", help="height and width in pixels (default: as published)"
    )
    command.add_argument("--classes", type=_count, metavar="N", help="classes (default: the data set's)")
    command.add_argument(
        "--breakdown", action="store_true", help="the parts of each peak, as for a single row"
    )
    command.add_argument(
        "--fits", type=_gib, metavar="GIB", help="say whether a card of GIB GiB is large enough"
    )
    command.add_argument("--measure", action="store_true", help="train two steps on the device as well")
    command.add_argument("--device", default="cuda", help="for --measure: cuda or cuda:N (default: cuda)")
    _add_ledger(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    _add_json(command)


def _speed(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument("--device", default="cuda", help="cpu, cuda or cuda:N (default: cuda)")
    _add_data_root(command)
    command.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="time only N images, which is no published figure's protocol",
    )
    _add_precisions(command)
    command.add_argument("--compile", action="store_true", help="torch.compile: a measurement of its own")
    command.add_argument(
        "--channels-last", action="store_true", help="memory format: a measurement of its own"
    )
    batches = command.add_mutually_exclusive_group()
    batches.add_argument(
        "--batch",
        type=_count,
        default=1,
        metavar="N",
        help="images at once, halved while memory is short: a measurement of its own",
    )
    batches.add_argument("--sweep", action="store_true", help="batch 1, 2, 4, ... while memory lasts")
    _add_ledger(command)
    _add_json(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")


def _report(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument(
        "--definitions",
        action="store_true",
        help="print what other libraries' definitions of mIoU make of the same counts",
    )
    command.add_argument(
        "--check",
        type=named_file,
        metavar="FILE",
        help="write nothing; exit 1 with the difference where FILE is not what --out would write",
    )
    command.add_argument(
        "--pictures",
        type=_count,
        metavar="N",
        help="html: N images of each measured row, where weights and data are at hand",
    )
    _add_data_root(command)
    _add_device(command)
    command.add_argument(
        "--evidence",
        type=named_file,
        metavar="FILE",
        help="compute the numbers from stored counts, not the ledger",
    )
    _add_ledger(command)
    _add_tolerance(command)
    _add_tables(command)


def _predict(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="the checkpoint to predict with")
    command.add_argument(
        "images", nargs="+", type=named_path, metavar="IMAGE", help="pictures, or folders of them"
    )
    command.add_argument(
        "--out",
        type=named_path,
        default=Path("predictions"),
        metavar="DIR",
        help="DIR/ID/labels and DIR/ID/overlays are written (default: predictions)",
    )
    _add_protocol(command, "predict by another protocol than the one of the published mIoU")
    _add_device(command)
    _add_precision(command)
    command.add_argument("--offline", action="store_true", help="use the cache only (also ZOO_OFFLINE=1)")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    _add_manifest(command)
    _add_json(command)


def _diagnose(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="the checkpoint whose number is off")
    command.add_argument(
        "--metric",
        default="miou",
        choices=list(quantity_of("miou").metrics),
        help="which of its numbers (default: miou)",
    )
    command.add_argument(
        "--value",
        type=_printed_value,
        metavar="NUMBER",
        help="the number to be explained, such as another tool's (default: the published one)",
    )
    command.add_argument(
        "--images",
        type=_count,
        default=20,
        metavar="N",
        help="try the mistakes on N images spread over the data set (default: 20)",
    )
    command.add_argument("--offline", action="store_true", help="use the cache only (also ZOO_OFFLINE=1)")
    _add_device(command)
    _add_precision(command)
    _add_data_root(command)
    _add_places(command)
    _add_manifest(command)
    command.add_argument(
        "--out", type=named_path, metavar="FILE", help="write the answer there instead of to stdout"
    )
    _add_json(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")


def _printed_value(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) > 100:
        raise argparse.ArgumentTypeError(f"expected a percentage such as 71.92, found {text!r}")
    return text


MOST = 10**9
"""Of whatever is counted: no machine has more, and no library takes more."""


def _whole(text: str, least: int = 0) -> int:
    is_number = text.isascii() and text.isdigit()
    if is_number and (len(text) > len(str(MOST)) or int(text) > MOST):
        raise argparse.ArgumentTypeError(f"expected a whole number up to {MOST}, found {_short(text)}")
    if not is_number or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, found {_short(text)}")
    return int(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _count(text: str) -> int:
    return _whole(text, 1)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    try:
        return _count(height), _count(width)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"expected height x width in pixels, such as 512x1024, found {_short(text)}"
        ) from error


def _gib(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise argparse.ArgumentTypeError(f"expected the card's GiB, such as 24, found {text!r}")
    return size


def _demo(command: argparse.ArgumentParser) -> None:
    _add_device(command)
    _add_tables(command)
    _add_talk(command)
    command.add_argument(
        "--keep", type=named_path, metavar="DIR", help="keep weights, evidence and ledger in DIR"
    )


def _doctor(command: argparse.ArgumentParser) -> None:
    _add_manifest(command)
    _add_data_root(command)
    _add_json(command)


def _data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="data sets of the manifest; all where none is given"
    )
    _add_manifest(command)
    _add_data_root(command)
    _add_folder(command)
    command.add_argument("--full", action="store_true", help="read every pixel instead of a sample's")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    _add_json(command)


def _check_weights(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument(
        "--file", type=named_file, help="a file to examine as the chosen ID's, instead of the cache's"
    )
    _add_unsafe(command)
    _add_json(command)


def _convert(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="the checkpoint the file belongs to")
    command.add_argument("file", type=named_file, metavar="FILE", help="the publisher's file")
    command.add_argument("out", type=named_file, metavar="OUT", help="file to write, ending in .safetensors")
    command.add_argument("--force", action="store_true", help="replace OUT where it exists")
    _add_unsafe(command)
    _add_manifest(command)


def _schema(command: argparse.ArgumentParser) -> None:
    del command  # takes nothing


# --- groups of flags that commands share --------------------------------------------------------------


def _audit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source",
        action="append",
        default=[],
        type=named_path,
        metavar="FILE",
        help="a publisher's README table or metafile to compare with; may be repeated",
    )
    command.add_argument(
        "--fail-on",
        choices=("error", "warning", "note"),
        help="exit 1 where a finding is at least as grave (default: exit 0 whatever is found)",
    )
    command.add_argument(
        "--strict",
        dest="fail_on",
        action="store_const",
        const="warning",
        help="the same as --fail-on warning",
    )
    command.add_argument(
        "--format", default="text", choices=("text", "md"), help="of the findings (default: text)"
    )
    _add_json(command)
    _add_manifest(command)


def _import(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", type=named_path, metavar="FILE", help="a README with result tables, or a metafile"
    )
    command.add_argument(
        "--into",
        type=named_file,
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


def _export(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    command.add_argument(
        "--format", default="model-index", choices=("model-index", "csv"), help="default: model-index"
    )
    command.add_argument(
        "--ledger", type=named_file, metavar="FILE", help="add the measured values of this ledger"
    )
    command.add_argument("--out", type=named_path, metavar="FILE", help="write there instead of to stdout")


def _add_manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--manifest", type=named_file, metavar="FILE", help="another zoo.yaml than the packaged one"
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


def _add_downloading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-j", "--jobs", type=_count, default=1, metavar="N", help="files at once (default: 1)"
    )
    command.add_argument("--with-logs", action="store_true", help="training logs and configs too")
    command.add_argument(
        "--update-lock",
        action="store_true",
        help="accept other bytes than zoo.lock records, and record them, where no hash is published",
    )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for each step of an answer, its whole head or the next of its body (default: 60)",
    )
    command.add_argument(
        "--tries", type=_count, default=5, metavar="N", help="attempts in a row without progress (default: 5)"
    )


def _add_cache_tasks(command: argparse.ArgumentParser) -> None:
    tasks = command.add_mutually_exclusive_group()
    for name, summary in (
        ("list", "show what the cache holds of the chosen rows"),
        ("verify", "hash every fetched file again; exit 4 where one is damaged"),
        ("prune", "delete what belongs to no row, partial and wrong files; see --dry-run"),
        ("check-links", "ask for every URL of the chosen rows; exit 1 where a claim's evidence is gone"),
    ):
        tasks.add_argument(
            f"--{name}", dest="task", action="store_const", const=name, default=None, help=summary
        )


MAX_TIMEOUT_SECONDS = 86_400
"""A day: no server is silent for longer, and no clock of the system's overflows."""


def _seconds(text: str) -> float:
    seconds = _positive(text, "seconds")
    if seconds > MAX_TIMEOUT_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected seconds above 0 and up to {MAX_TIMEOUT_SECONDS}, such as 60, found {text!r}"
        )
    return seconds


def _positive(text: str, what: str = "a number") -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected {what} above 0, such as 60, found {text!r}")
    return number


def _add_talk(command: argparse.ArgumentParser) -> None:
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    command.add_argument(
        "-v", "--verbose", action="store_true", help="say each verdict on stderr as it is known"
    )


def _add_measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--metric", action="append", default=[], choices=list(METRICS), help="judge only this claim"
    )
    _add_protocol(command, "measure under another protocol of the manifest")
    _add_device(command)
    _add_precisions(command)
    _add_loading(command)
    _add_data_root(command)
    _add_folder(command)
    _add_places(command)
    _add_tolerance(command)


def _add_weights_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--file",
        type=named_file,
        metavar="FILE",
        help="the chosen ID's weights, wherever they lie (default: the cache's)",
    )


def _add_baseline(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline",
        type=named_file,
        metavar="FILE",
        help="count only what changed since FILE, a ledger or a saved baseline: exit 1 worse, 6 gone, 3 lost",
    )
    command.add_argument(
        "--save-baseline",
        type=named_file,
        metavar="FILE",
        help="write what the claims are today, for --baseline",
    )


def _add_parts(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit", type=_count, metavar="N", help="the pinned subset of N images; never called a reproduction"
    )
    command.add_argument(
        "--shard", type=_shard, metavar="I/N", help="predict only the I-th of N slices of the images"
    )
    command.add_argument(
        "--until-sure",
        action="store_true",
        help="stop a claim once no prediction of its remaining images can change its verdict",
    )
    command.add_argument(
        "--engine", default="local", choices=["local", "ray"], help="where to predict (default: local)"
    )
    command.add_argument(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="a Ray cluster, or auto for this node's (default: one of this machine's cores and GPUs)",
    )


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    try:
        shard = _count(index), _count(count)
    except argparse.ArgumentTypeError:
        shard = 1, 0
    if shard[0] > shard[1]:
        raise argparse.ArgumentTypeError(
            f"expected I/N with I from 1 to N, such as 2/4, found {_short(text)}"
        )
    return shard


def _add_places(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--evidence", type=named_file, metavar="FILE", help="per-image counts (default: in ZOO_HOME)"
    )
    _add_ledger(command)


def _add_protocol(command: argparse.ArgumentParser, purpose: str) -> None:
    command.add_argument("--protocol", metavar="NAME", help=purpose)


def _add_loading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        type=_whole,
        metavar="N",
        help="images at once on the CPU, each on its share of the cores (default: up to 4), "
        "or threads that make images ready for a GPU (default: 2); 0: one after the other",
    )
    command.add_argument(
        "--batch",
        type=_count,
        default=1,
        metavar="N",
        help="windows, mirrored views and images of one size that run at once (default: 1, as published; "
        "more may change last bits)",
    )
    command.add_argument(
        "--kernel",
        default="tiles",
        choices=["tiles", "triton"],
        help="what makes label maps (default: tiles); triton: one kernel on a CUDA device, which no GPU has run yet",
    )


def _add_precision(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--precision", default="fp32", choices=["fp32", "tf32"], help="fp32 is the claims' own"
    )


def _add_precisions(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--precision",
        default="fp32",
        choices=["fp32", "tf32", "fp16", "bf16"],
        help="any but fp32 is a measurement of its own, not the claim's",
    )


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def _add_data_root(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-root",
        type=named_path,
        default=places.data_root(),
        metavar="DIR",
        help="data sets (also ZOO_DATA_ROOT)",
    )


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--folder",
        type=named_path,
        metavar="DIR",
        help="your own data instead: a folder with images/, labels/ (index PNGs) and classes.txt",
    )


def _add_ledger(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ledger",
        type=named_file,
        default=DEFAULT_LEDGER,
        metavar="FILE",
        help=f"measurements (default: {DEFAULT_LEDGER})",
    )


def _add_tolerance(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tolerance",
        type=_tolerance,
        metavar="POINTS",
        help="call a difference up to POINTS reproduced and a larger one refuted",
    )


def _tolerance(text: str) -> Tolerance:
    try:
        return Tolerance.of(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected points from 0 on, such as 0.1, found {text!r}") from error


def _add_tables(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format", choices=FORMAT_NAMES, help="of the tables (default: text, or as --out's suffix says)"
    )
    command.add_argument(
        "--out", type=named_path, metavar="FILE", help="write the tables there instead of to stdout"
    )
    _add_json(command)


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "list": ("published checkpoints with their printed numbers", _list),
    "show": ("everything known of a checkpoint: claims, protocols, links", _show),
    "fetch": ("bring weights, verified, into the cache", _fetch),
    "verify": ("measure by the published protocols and judge the claims", _verify),
    "memory": ("training memory, foretold on any machine; by default of every row that prints one", _memory),
    "speed": ("images a second by the publisher's protocol; by default of every row that prints it", _speed),
    "report": ("print the tables again from the ledger", _report),
    "plan": ("how long a verification will take, from measured speeds", _plan),
    "evidence": ("the stored counts: list, show, export, merge, prune", _evidence),
    "predict": ("label maps and overlays of your own pictures", _predict),
    "diagnose": ("find the known mistake that explains a number", _diagnose),
    "demo": ("reproduce the embedded demo zoo on this machine", _demo),
    "doctor": ("what this machine can measure, and what is missing", _doctor),
    "data": ("whether data sets are whole and what they should be", _data),
    "check-weights": ("examine weights files without any data set", _check_weights),
    "convert": ("write a publisher's weights as safetensors", _convert),
    "audit": ("check the claims against their sources and against reason", _audit),
    "import": ("make manifest entries of a publisher's table or metafile", _import),
    "export": ("claims as a model card's model-index or as CSV", _export),
    "schema": ("JSON Schema of zoo.yaml, for editors", _schema),
}
"""Name -> one line of help, and what adds its arguments."""
