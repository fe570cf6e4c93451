"""Ctrl-C and the signals that ask a process to end: told alike, and tidied up after alike."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .exit_codes import of_signal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ECHO_SECONDS = 0.5
"""A signal so soon after the first is the same wish: `timeout` sends SIGTERM to the process and to its group."""


class Ended(KeyboardInterrupt):
    """The process was asked to end by a signal; where nothing else is said, by Ctrl-C."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = of_signal(number)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What the process ends with."""
    return interrupt.exit_code if isinstance(interrupt, Ended) else Ended().exit_code


@contextmanager
def told_signals() -> Iterator[None]:
    """In the body the first of these signals raises `Ended`, a later one ends the process at once.

    What somebody else decided, as `nohup` did for SIGHUP, stays. Outside the main thread nothing changes: Python gives
    signals to no other.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        handler = _Handler()
        for number in _numbers():
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Handler:
    def __init__(self) -> None:
        self.first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.first is None:
            self.first = time.monotonic()
            raise Ended(number)
        if time.monotonic() - self.first > ECHO_SECONDS:
            # Whatever is written is whole or absent after any kill; what waits for a thread would wait on.
            os.write(2, b"\nzoo: interrupted again; ended at once, what was stored is kept\n")
            os._exit(128 + number)
