"""Torch's files of before 1.6, walked without executing a single instruction: are they whole?

Such a file is five pickles (magic number, protocol version, the writer's system, the object, the keys of its
storages), then for each key eight bytes with the number of elements and the elements themselves (pytorch,
`torch/serialization.py`, `_legacy_save`). Nothing says how long it is, but the object names each storage's type, so
the length follows.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}  # fmt: skip
"""Name of a storage's class in `torch` -> bytes an element."""


class LegacyError(Exception):
    """Why a file is no whole legacy checkpoint."""

    def __init__(self, message: str, *, is_short: bool = False) -> None:
        super().__init__(message)
        self.is_short = is_short
        """True where more bytes could mend it."""


def require_whole(path: Path) -> None:
    """Walk a legacy file to its end.

    Raises:
        LegacyError: it is cut short, is longer than it says, or is no checkpoint of torch.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if _walk(file)[0] != MAGIC_NUMBER:
            raise LegacyError("a pickle that does not begin with torch's magic number")
        _walk(file)  # protocol version
        _walk(file)  # the writer's system
        storages = _walk(file)[1]
        keys = _walk(file)[0]
        end = _end_of_storages(file, storages, keys)
    if end != size:
        message = f"a legacy pickle of {size} bytes whose storages end at byte {end}"
        raise LegacyError(message, is_short=size < end)


def _end_of_storages(file: BinaryIO, storages: dict[str, int], keys: Any) -> int:
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise LegacyError("a legacy pickle whose list of storages does not agree with its object")
    for key in keys:
        head = file.read(8)
        if len(head) < 8:
            raise LegacyError("a legacy pickle that is cut short among its storages", is_short=True)
        file.seek(int.from_bytes(head, "little") * storages[key], 1)
    return file.tell()


class _Mark:
    """Where a tuple or list begins on the stack."""


class _Global(str):
    """A class that a pickle names."""

    __slots__ = ()


def _walk(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """What one pickle makes, as far as it is numbers, strings, tuples and lists; and the storages it names.

    The storages are key -> bytes an element.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    storages: dict[str, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            _step(opcode, argument, stack, memo, storages)
    except LegacyError:
        raise
    except Exception as error:  # damaged instructions raise whatever they happen to decode to
        raise LegacyError(f"a legacy pickle that is cut short or damaged ({error})", is_short=True) from error
    return (stack[-1] if stack else None), storages


def _step(  # noqa: C901, PLR0912  (one case an instruction)
    opcode: pickletools.OpcodeInfo,
    argument: Any,
    stack: list[Any],
    memo: dict[Any, Any],
    storages: dict[str, int],
) -> None:
    name = opcode.name
    if name == "STOP":
        return
    if name == "MARK":
        stack.append(_Mark)
    elif "PUT" in name:
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif "GET" in name:
        stack.append(memo[argument])
    elif name == "GLOBAL":
        stack.append(_Global(argument))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_Global(f"{module} {attribute}"))
    elif name in ("TUPLE", "LIST"):
        stack.append((tuple if name == "TUPLE" else list)(_to_mark(stack)))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(name[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name in ("APPEND", "APPENDS"):
        items = _to_mark(stack) if name == "APPENDS" else [stack.pop()]
        if isinstance(stack[-1], list):
            stack[-1].extend(items)
    elif name == "BINPERSID":
        _note_storage(stack.pop(), storages)
        stack.append(None)
    else:
        _apply(opcode, argument, stack)


def _apply(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> None:
    """Any other instruction, by its effect on the stack: what it makes is its argument, or of no interest."""
    before = [one.name for one in opcode.stack_before]
    if "mark" in before:
        _to_mark(stack)
        before = before[: before.index("mark")]
    if before:
        del stack[-len(before) :]
    stack.extend([argument] * len(opcode.stack_after))


def _to_mark(stack: list[Any]) -> list[Any]:
    """The items above the topmost mark, which are taken off with it."""
    at = len(stack) - 1 - stack[::-1].index(_Mark)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _note_storage(identity: Any, storages: dict[str, int]) -> None:
    """Take in `("storage", class, key, device, number of elements, view)`, torch's name of a storage."""
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        return  # `("module", ...)`: a class with its source
    kind = str(identity[1]).rpartition(" ")[2]
    if kind not in ITEM_BYTES:
        raise LegacyError(f"a legacy pickle with a storage of unknown type {kind[:60]!r}")
    storages[str(identity[2])] = ITEM_BYTES[kind]
