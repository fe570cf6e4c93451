"""Where things lie on the user's machine, and the other words of the environment that `zoo` listens to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...evaluate.regular_files import existing_form
from .named_files import expanded

if TYPE_CHECKING:
    from pathlib import Path

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class PlaceError(ValueError):
    """A variable of the environment says what cannot be."""


def check() -> None:
    """Refuse at the door what would be refused in the middle of the work.

    Raises:
        PlaceError: a variable says what cannot be.
    """
    for ask in (zoo_home, torch_checkpoints, data_root, lock_file, is_offline):
        ask()


def zoo_home() -> Path:
    """`ZOO_HOME`, else `segbench` in the user's cache folder."""
    return _path("ZOO_HOME") or _cache() / "segbench"


def torch_checkpoints() -> Path:
    """The folder in which `torch.hub` keeps checkpoints (`TORCH_HOME`), without importing torch."""
    return (_path("TORCH_HOME") or _cache() / "torch") / "hub" / "checkpoints"


def data_root() -> Path | None:
    """`ZOO_DATA_ROOT`, where set."""
    return _path("ZOO_DATA_ROOT")


def builders() -> list[str]:
    """`ZOO_BUILDERS`, where set: files and modules, separated as in `PATH`."""
    return [one for one in os.environ.get("ZOO_BUILDERS", "").split(os.pathsep) if one]


def lock_file() -> Path | None:
    """`ZOO_LOCK`, where set: the one lock file to read and write."""
    return _path("ZOO_LOCK")


def is_offline() -> bool:
    """Whether `ZOO_OFFLINE` forbids the network."""
    return _flag("ZOO_OFFLINE")


def _cache() -> Path:
    return _path("XDG_CACHE_HOME") or _expanded("HOME", "~/.cache")


def _path(variable: str) -> Path | None:
    """What a variable names; None where it is empty or not set."""
    text = os.environ.get(variable)
    return _expanded(variable, text) if text else None


def _expanded(variable: str, text: str) -> Path:
    try:
        return existing_form(expanded(text))
    except ValueError as error:
        raise PlaceError(f"{variable}: {text}: {error}") from error


def _flag(variable: str) -> bool:
    """One convention for every variable that says yes or no."""
    text = os.environ.get(variable, "").strip().lower()
    if text not in _YES + _NO:
        raise PlaceError(
            f"{variable}: expected {', '.join(_YES)} or {', '.join(_NO[:-1])}, found {os.environ[variable]!r}"
        )
    return text in _YES
