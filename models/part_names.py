"""Which parts of networks there are, by name: told without torch, so that a list can say what is built.

A part is a module of one of the `ROOMS`; whole networks have a builder's name beside.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib import import_module
from pkgutil import get_data, iter_modules
from typing import TYPE_CHECKING

from . import builders
from .adapters import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOMS = {"backbone": "backbones", "neck": "necks", "head": "heads", "auxiliary": "heads", "builder": "nets"}
"""Key of an architecture -> the folder that its types are modules of."""


def known_types(key: str) -> list[str]:
    """The types that a key of an architecture may have: the modules of its room."""
    room = import_module(f".{ROOMS[key]}", __package__)
    return sorted(module.name for module in iter_modules(room.__path__))


def own_builders() -> list[str]:
    """The builders' names that are ours."""
    return sorted({*_named(), *LIBRARIES, *known_types("builder")})


@lru_cache(maxsize=1)
def _named() -> tuple[str, ...]:
    """Of `named`, which needs torch to be imported: its public functions, read in its source."""
    source = get_data(__package__ or "", "named.py") or b""
    functions = (one.name for one in ast.parse(source).body if isinstance(one, ast.FunctionDef))
    return tuple(name for name in functions if not name.startswith("_"))


def missing_parts(architecture: Mapping[str, object]) -> tuple[str, ...]:
    """Parts that an architecture names and nobody here builds, each as `head Mask2Former`; none where all are built.

    Args:
        architecture: A row's: `backbone`, `head` and so on, or `builder`.
    """
    if (name := architecture.get("builder")) is not None:
        is_known = name in own_builders() or builders.is_offered(str(name))
        return () if is_known else (f"builder {name}",)
    if not {"backbone", "head"} <= architecture.keys():
        return ("network",)
    types = {key: _types_of(key) for key in ROOMS}
    return tuple(
        dict.fromkeys(
            f"{key} {part}"
            for key in ROOMS
            for part in _parts(architecture.get(key))
            if part not in types[key]
        )
    )


@lru_cache(maxsize=len(ROOMS))
def _types_of(key: str) -> frozenset[str]:
    return frozenset(known_types(key))


def _parts(records: object) -> Iterator[str]:
    """The types of a part, or of a list of parts."""
    for record in records if isinstance(records, list | tuple) else [records]:
        if isinstance(record, dict) and "type" in record:
            yield str(record["type"])
