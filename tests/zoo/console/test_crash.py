"""What nobody foresaw exits 70, is told as segbench's own fault, and can be reported."""

import importlib.metadata
from types import SimpleNamespace

import pytest

from segbench.zoo import cli


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
