"""What can be claimed of a checkpoint: a file a quantity, each holding one `Quantity` as `QUANTITY`.

In comes the name that a claim has in the manifest, out comes how it is measured, judged and written. A file put here
is found by itself. Nothing here imports torch before something is measured, and nothing here prints.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from ...reports.metrics import register
from .quantity import Judged, Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Judged", "Quantity", "names", "quantities", "quantity_of", "register_all"]

SHARED = {"quantity", "counted"}
"""Modules here that hold no quantity of their own."""


@lru_cache(maxsize=1)
def quantities() -> tuple[Quantity, ...]:
    """Every quantity, in the order of a table's columns."""
    found = [one.name for one in iter_modules(__path__) if one.name not in SHARED]
    return tuple(
        sorted((import_module(f".{name}", __name__).QUANTITY for name in found), key=lambda one: one.rank)
    )


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, Quantity]:
    return {name: one for one in quantities() for name in one.metrics}


def quantity_of(metric: str) -> Quantity:
    """The quantity that a claim's metric is about.

    Raises:
        KeyError: no quantity has a metric of this name.
    """
    return _by_name()[metric]


def names(kind: type[Quantity]) -> tuple[str, ...]:
    """The metrics of all quantities of a kind, in the order of a table's columns."""
    return tuple(name for one in quantities() if isinstance(one, kind) for name in one.metrics)


def register_all() -> None:
    """Make the metrics of all quantities known to the reporter."""
    for one in quantities():
        register(one.metrics)
