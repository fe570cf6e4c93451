"""What nobody foresaw exits 70, is told as segbench's own fault, and can be reported."""

import importlib.metadata
from types import SimpleNamespace

import pytest

from segbench.evaluate.evidence import EvidenceError
from segbench.models.load.weights import WeightsError
from segbench.zoo import cli
from segbench.zoo.files.places import PlaceError


class Panic(BaseException):
    """As libraries written in Rust raise it."""


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError("too deep"), ImportError("no torch"), Panic("rust")]
)
def test_a_crash_is_no_verdict(monkeypatch, capsys, error):
    def crash(_):
        raise error

    monkeypatch.setattr(cli, "command", lambda _: SimpleNamespace(run=crash))
    assert cli.main(["list"]) == 70
    told = capsys.readouterr().err
    assert told.startswith(f"zoo: internal error in zoo list: {type(error).__name__}: {error}\n")
    assert "This is a fault of segbench, not yours, and says nothing about any claim." in told
    assert f"segbench {importlib.metadata.version('segbench')}" in told
    assert "Traceback (most recent call last):" in told


def test_want_of_memory_is_nobodys_fault(monkeypatch, capsys):
    def crash(_):
        raise MemoryError

    monkeypatch.setattr(cli, "command", lambda _: SimpleNamespace(run=crash))
    assert cli.main(["list"]) == 3
    assert capsys.readouterr().err.startswith("zoo: not enough memory; ")


class DamagedFileError(EvidenceError):
    """A kind of it that the table of codes does not name."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WeightsError("a.pth: torn"), 4),
        (DamagedFileError("e.sqlite: torn"), 3),
        (PlaceError("ZOO_HOME: empty"), 2),
    ],
)
def test_a_foreseen_error_is_its_message_whichever_command_meets_it(monkeypatch, capsys, error, code):
    """By its nearest class: a place that cannot be used is a kind of FetchError, and is usage all the same."""

    def fail(_):
        raise error

    monkeypatch.setattr(cli, "command", lambda _: SimpleNamespace(run=fail))
    assert cli.main(["list"]) == code
    assert capsys.readouterr().err == f"zoo: {error}\n"
