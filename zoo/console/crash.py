"""What is said of an error that nobody foresaw: that it is segbench's fault, and how to report it."""

from __future__ import annotations

import platform
import traceback

PACKAGES = ("segbench", "torch", "numpy", "opencv-python-headless", "pillow", "msgspec", "PyYAML", "requests")
"""Whose versions a report needs."""


def crash_letter(error: BaseException, command: str) -> str:
    """The message, with the traceback at its end. Packages are not imported: they may be what broke."""
    lines = [
        f"internal error in zoo {command}: {type(error).__name__}: {error}",
        "This is a fault of segbench, not yours, and says nothing about any claim. What was stored before is kept.",
        "Please report it as an issue where you got segbench from, with the command and everything below:",
        versions(),
        "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    ]
    return "\n".join(lines).rstrip("\n")


def versions() -> str:
    """Python, system and packages in one line."""
    python = f"Python {platform.python_version()}, {platform.platform()}"
    return ", ".join([python, *(f"{name} {_version(name)}" for name in PACKAGES)])


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  (which only a crash needs)

    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
