"""The `zoo` command: a module a subcommand (`commands`), errors to one message and an exit code.

Exit codes: 0 all fine; 1 a claim was refuted or is worse; 2 usage; 3 could not measure; 4 integrity; 5 nothing
selected; 6 a claim is gone; 130 interrupted. Data go to stdout, progress and messages to stderr. torch is
imported only by the commands that need it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

from .commands.answer import CANNOT_MEASURE, INTEGRITY, INTERRUPTED, OK, CommandError, fail
from .fetch import FetchError, IntegrityError
from .manifest import ManifestError, UnknownCheckpoint
from .parser import USAGE, build_parser
from .selection import SelectionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

MODULES = {
    "list": "listing",
    "show": "listing",
    "schema": "listing",
    "check-weights": "weights",
    "convert": "weights",
    "audit": "claims",
    "import": "claims",
    "export": "claims",
}
"""Command -> its module in `commands`, where it is not one of its own name."""
PLAINER = {"→": "->", "–": "-", "…": "...", "\N{MULTIPLICATION SIGN}": "x", "±": "+-"}
"""Sign -> what is written where an encoding lacks it; any other becomes a question mark."""


def main(argv: Sequence[str] | None = None) -> int:  # noqa: PLR0911  (one way out a kind of error)
    """Run one command and return its exit code; never a traceback for a user's mistake."""
    _write_in_any_encoding(sys.stdout)
    arguments = build_parser().parse_args(argv)
    try:
        code = _command(arguments.command)(arguments)
        sys.stdout.flush()
    except CommandError as error:
        return fail(str(error), error.exit_code)
    except (ManifestError, UnknownCheckpoint, SelectionError) as error:
        return fail(str(error), USAGE)
    except IntegrityError as error:
        return fail(str(error), INTEGRITY)
    except FetchError as error:
        return fail(str(error), CANNOT_MEASURE)
    except KeyboardInterrupt:
        return fail("interrupted; what was done is kept, run the same command to go on", INTERRUPTED)
    except BrokenPipeError:
        # `zoo list | head`: the reader has what it wanted; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _write_in_any_encoding(stream: TextIO) -> None:
    """Signs that the stream's encoding lacks, as on an old console, become others rather than an error."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        codecs.register_error("plainer", _plainer)
        stream.reconfigure(errors="plainer")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(PLAINER.get(sign, "?") for sign in lost), error.end


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """A command's function; what it needs is imported only now."""
    module = import_module(f".commands.{MODULES.get(name, name)}", __package__)
    return getattr(module, f"run_{name.replace('-', '_')}")
