"""The `zoo` command: a module a subcommand (`commands`), errors to one message and an exit code.

What the process ends with: `console.exit_codes`. Data go to stdout, progress and messages to stderr. torch is imported
only by the commands that need it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..models.builders import BuilderError, use
from ..reports.media import terminal_streams
from .commands import build_parser, command
from .commands.shared.answer import CommandError, fail
from .console.crash import crash_letter
from .console.exit_codes import ExitCode
from .console.signals import exit_code, told_signals
from .console.streams import answers_alone, lasting_streams, write_trouble
from .files import places

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORESEEN = {
    "evaluate.data.datasets.DatasetError": ExitCode.CANNOT_MEASURE,
    "evaluate.evidence.file.EvidenceError": ExitCode.CANNOT_MEASURE,
    "evaluate.inference.device.DeviceError": ExitCode.CANNOT_MEASURE,
    "models.builders.ArchitectureError": ExitCode.CANNOT_MEASURE,
    "models.input_size.InputSizeError": ExitCode.CANNOT_MEASURE,
    "models.load.weights.WeightsError": ExitCode.INTEGRITY,
    "reports.ledger.LedgerError": ExitCode.CANNOT_MEASURE,
    "zoo.engines.local.EngineError": ExitCode.CANNOT_MEASURE,
    "zoo.engines.own_pictures.PredictError": ExitCode.CANNOT_MEASURE,
    "zoo.fetch.download.FetchError": ExitCode.CANNOT_MEASURE,
    "zoo.fetch.download.IntegrityError": ExitCode.INTEGRITY,
    "zoo.files.places.PlaceError": ExitCode.USAGE,
    "zoo.manifest.faults.ManifestError": ExitCode.USAGE,
    "zoo.measuring.folder_rows.DataMisfit": ExitCode.USAGE,
    "zoo.manifest.records.UnknownCheckpoint": ExitCode.USAGE,
    "zoo.manifest.selection.SelectionError": ExitCode.USAGE,
    "zoo.publishers.import_rows.EditError": ExitCode.USAGE,
    "zoo.publishers.records.SourceError": ExitCode.USAGE,
    "zoo.measuring.terms.NotMeasured": ExitCode.CANNOT_MEASURE,
    "zoo.measuring.speed.NoSpeed": ExitCode.CANNOT_MEASURE,
    "zoo.results.stored_series.UnknownSeries": ExitCode.NOTHING_SELECTED,
}
"""Errors whose message is all that a user needs -> what the process ends with; by name, since most come with torch."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never a traceback for a user's mistake.

    What it prints may hold text of others, which neither a screen nor the log of a job is to obey.
    """
    with lasting_streams() as output, terminal_streams(), told_signals():
        try:
            code = _run(sys.argv[1:] if argv is None else argv)
        except KeyboardInterrupt as interrupt:
            message = "interrupted; what was done is kept, run the same command to go on"
            code = fail(message, exit_code(interrupt))
        except SystemExit as leaving:  # the parser's, after help or a usage error: its words may be lost too
            if not isinstance(leaving.code, int):
                raise
            code = leaving.code
        if trouble := write_trouble(output):
            code = fail(
                f"stdout: cannot write all of the answer: {trouble}; run the command again",
                code or ExitCode.USAGE,
            )
        return code


def _run(argv: Sequence[str]) -> int:
    """The command's exit code; every error but an interrupt has become its message."""
    name = "itself"
    try:
        places.check()
        arguments = build_parser(argv).parse_args(argv)
        name = arguments.command
        if not hasattr(arguments, "builders"):
            return command(name).run(arguments)
        with answers_alone():
            _use_builders([*places.builders(), *arguments.builders])
            return command(name).run(arguments)
    except CommandError as error:
        return fail(str(error), error.exit_code)
    except MemoryError:
        message = "not enough memory; free some, or let the command do less at once (--workers, --batch)"
        return fail(message, ExitCode.CANNOT_MEASURE)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (libraries in Rust raise what is no Exception)
        if (code := _foreseen(error)) is not None:
            return fail(str(error), code)
        return fail(crash_letter(error, name), ExitCode.INTERNAL)


def _foreseen(error: BaseException) -> ExitCode | None:
    """By the nearest of its classes; None where nobody foresaw it."""
    ours = __name__.removesuffix("zoo.cli")
    names = (f"{kind.__module__}.{kind.__qualname__}".removeprefix(ours) for kind in type(error).__mro__)
    return next((_FORESEEN[name] for name in names if name in _FORESEEN), None)


def _use_builders(references: Sequence[str]) -> None:
    """Let code of these files and modules build networks in this process."""
    try:
        use(references)
    except BuilderError as error:
        raise CommandError(f"--builders {error}", ExitCode.USAGE) from error
