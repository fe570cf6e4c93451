"""The `zoo` command: a module a subcommand (`commands`), errors to one message and an exit code.

What the process ends with: `console.exit_codes`. Data go to stdout, progress and messages to stderr. torch is imported
only by the commands that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..reports.media import terminal_streams
from .commands.shared.answer import CommandError, fail
from .commands.shared.flags import build_parser
from .console.crash import crash_letter
from .console.exit_codes import ExitCode
from .console.signals import exit_code, told_signals
from .console.streams import lasting_streams, write_trouble
from .fetch import FetchError, IntegrityError
from .files import places
from .manifest import ManifestError, UnknownCheckpoint
from .manifest.selection import SelectionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

MODULES = {
    "show": "list",
    "schema": "list",
    "convert": "check_weights",
    "import": "audit",
    "export": "audit",
}
"""Command -> its module in `commands`, where it is not one of its own name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never a traceback for a user's mistake.

    What it prints may hold text of others, which neither a screen nor the log of a job is to obey.
    """
    with lasting_streams() as output, terminal_streams(), told_signals():
        try:
            code = _run(argv)
        except KeyboardInterrupt as interrupt:
            message = "interrupted; what was done is kept, run the same command to go on"
            code = fail(message, exit_code(interrupt))
        except (
            SystemExit
        ) as leaving:  # the parser's, after help or a usage error: its words may be lost as well
            if not isinstance(leaving.code, int):
                raise
            code = leaving.code
        if trouble := write_trouble(output):
            code = fail(
                f"stdout: cannot write all of the answer: {trouble}; run the command again",
                code or ExitCode.USAGE,
            )
        return code


def _run(argv: Sequence[str] | None) -> int:  # noqa: PLR0911  (one way out a kind of error)
    """The command's exit code; every error but an interrupt has become its message."""
    name = "itself"
    try:
        places.check()
        arguments = build_parser().parse_args(argv)
        name = arguments.command
        return _command(name)(arguments)
    except CommandError as error:
        return fail(str(error), error.exit_code)
    except (places.PlaceError, ManifestError, UnknownCheckpoint, SelectionError) as error:
        return fail(str(error), ExitCode.USAGE)
    except IntegrityError as error:
        return fail(str(error), ExitCode.INTEGRITY)
    except FetchError as error:
        return fail(str(error), ExitCode.CANNOT_MEASURE)
    except MemoryError:
        message = "not enough memory; free some, or let the command do less at once (--workers, --batch)"
        return fail(message, ExitCode.CANNOT_MEASURE)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (libraries in Rust raise what is no Exception)
        return fail(crash_letter(error, name), ExitCode.INTERNAL)


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """A command's function; what it needs is imported only now."""
    module = import_module(f".commands.{MODULES.get(name, name.replace('-', '_'))}", __package__)
    return getattr(module, f"run_{name.replace('-', '_')}")
