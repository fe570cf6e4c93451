"""Which types of parts there are, and which of an architecture's are not built yet; torch is not needed to know.

A part's type is the name of a module of its room: a file put there is found by itself.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib import import_module
from pkgutil import get_data, iter_modules
from typing import TYPE_CHECKING, Any

from . import builders
from .adapters import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

ROOMS = {"backbone": "backbones", "neck": "necks", "head": "heads", "auxiliary": "heads", "builder": "nets"}
"""Key of an architecture -> the folder that its types are modules of."""

_AMPLIFYING = frozenset({"cc", "dnl", "pidnet"})
"""Types of parts behind which rounding grows: another order of additions moves recorded scores by more than 1e-3 of their
deviation (CCNet on ResNet-101 by 5e-3, DNLNet on it by 1.2e-3, PIDNet-M by 1e-2), so that their networks are neither folded
nor computed by tiles (`load.folding`, `load.winograd`)."""


def known_types(key: str) -> list[str]:
    """The types that a key of an architecture may have: the modules of its room."""
    return sorted(_known(key))


def _known(key: str) -> frozenset[str]:
    return _modules(tuple(_room(key).__path__))


@lru_cache(maxsize=len(ROOMS))
def _room(key: str) -> ModuleType:
    return import_module(f".{ROOMS[key]}", __package__)


@lru_cache(maxsize=64)
def _modules(folders: tuple[str, ...]) -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(folders))


def own_builders() -> list[str]:
    """The builders' names that are ours."""
    return sorted({*_named(), *LIBRARIES, *known_types("builder")})


def is_own(builder: str) -> bool:
    """Whether a builder of this name is one of ours."""
    return builder in own_builders()


@lru_cache(maxsize=1)
def _named() -> tuple[str, ...]:
    """Of `named`, which needs torch to be imported: its public functions, read in its source."""
    source = get_data(__package__ or "", "named.py") or b""
    functions = (one.name for one in ast.parse(source).body if isinstance(one, ast.FunctionDef))
    return tuple(name for name in functions if not name.startswith("_"))


def unbuilt_parts(architecture: Mapping[str, Any]) -> list[str]:
    """The parts of an architecture that nobody here builds, as `head SANHead`; none where all are there.

    Args:
        architecture: A row's: `backbone`, `head` and so on, or `builder`.
    """
    if (name := architecture.get("builder")) is not None:
        is_known = name in own_builders() or builders.is_offered(str(name))
        return [] if is_known else [f"builder {name}"]
    keys = [key for key in ROOMS if key in architecture]
    found = [f"{key} {kind}" for key in keys for kind in _types(architecture[key]) if kind not in _known(key)]
    return list(dict.fromkeys(found))


def amplifies_rounding(architecture: Mapping[str, Any]) -> bool:
    """Whether a network's scores depend on the order of additions by more than its recordings allow.

    Args:
        architecture: A row's.
    """
    return any(
        kind in _AMPLIFYING for key in ROOMS if key in architecture for kind in _types(architecture[key])
    )


def _types(record: Any) -> Iterator[str]:
    """The types within a part's record, or a list of them; K-Net's head holds another."""
    for one in record if isinstance(record, list | tuple) else [record]:
        if isinstance(one, dict):
            yield str(one.get("type", "without a type"))
            yield from (kind for value in one.values() if isinstance(value, dict) for kind in _types(value))
