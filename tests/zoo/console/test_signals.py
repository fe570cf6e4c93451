"""A signal that asks to end is told as Ctrl-C is; a second one ends at once."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from segbench.zoo import cli
from segbench.zoo.console import signals
from segbench.zoo.console.signals import Ended, told_signals


@pytest.fixture(autouse=True)
def nobody_else_decided():
    """Ray leaves a handler of its own for SIGTERM behind in a process of tests."""
    plain = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in plain.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_exit_code_is_the_shells_for_the_signal(monkeypatch, capsys, number, code):
    ended = SimpleNamespace(run=lambda _: os.kill(os.getpid(), number))
    monkeypatch.setattr(cli, "command", lambda _: ended)
    assert cli.main(["list"]) == code
    assert (
        capsys.readouterr().err == "zoo: interrupted; what was done is kept, run the same command to go on\n"
    )


def test_a_signal_that_somebody_ignores_stays_ignored():
    """As `nohup` does, so that a run outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with told_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with told_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_echo_of_the_first_signal_disturbs_nothing(monkeypatch):
    monkeypatch.setattr(signals.time, "monotonic", lambda: 0.0)
    with told_signals():
        with pytest.raises(Ended):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_signal_ends_at_once_and_without_a_traceback():
    code = """
import os, signal
from segbench.zoo.console import signals
signals.ECHO_SECONDS = -1
with signals.told_signals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        print("went on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "\nzoo: interrupted again; ended at once, what was stored is kept\n"
