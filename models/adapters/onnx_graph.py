"""What an ONNX file says of itself, told from its bytes: no library is needed, and nothing beside it is read.

Numbers of fields are those of the format's `onnx.proto3` (github.com/onnx/onnx), the encoding is protobuf's
(protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSIDE = {
    "model": {7: "main graph", 20: "training info", 25: "function"},
    "training info": {1: "graph", 2: "graph"},
    "main graph": {1: "node", 5: "tensor", 12: "output", 15: "sparse tensor"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}  # fmt: skip
"""Message -> number of each field that holds messages -> what those are; the others hold nothing that is asked for."""
_BOOL = 9
"""`data_type` of a tensor of truth values."""
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT_BYTES = 10
SHOWN = 3


class Facts(NamedTuple):
    """What is known of a file before it is run."""

    graphs: int
    """Main graphs: one in a sound file."""
    outputs: list[str]
    elsewhere: list[str]
    """Files that its tensors lie in."""
    training: list[str]
    """Its nodes in their training form, by operator and first output."""


class _Malformed(ValueError):  # noqa: N818  (named for what is the case)
    """The bytes are no protobuf message, or not a whole one."""


def require_sound(data: bytes, source: str) -> None:
    """Refuse a file whose number would be of something else than its bytes, or of one output of several.

    Args:
        data: The whole file.
        source: Names it.

    Raises:
        ExportError: It is no ONNX file; its weights lie in others; it has several outputs, or none; it is in training form.
    """
    if not data:
        raise ExportError(f"{source}: expected an ONNX file, found an empty one")
    try:
        facts = examined(data)
    except _Malformed:
        raise ExportError(
            f"{source}: expected an ONNX file, found bytes that are none, or not a whole one; export or copy it again"
        ) from None
    if not facts.graphs:
        raise ExportError(f"{source}: expected an ONNX file, found no graph in it")
    if facts.elsewhere:
        raise ExportError(
            f"{source}: its weights lie in {_listed(facts.elsewhere)}, which its hash says nothing of; export it as one file: "
            "torch.onnx.export(..., external_data=False), or onnx.save(onnx.load(FILE), ONE_FILE)"
        )
    if len(facts.outputs) != 1:
        raise ExportError(
            f"{source}: expected one output, scores (N, C, h, w); found {len(facts.outputs)}: "
            f"{', '.join(facts.outputs) or 'none'}; export a network that gives its scores alone"
        )
    if facts.training:
        raise ExportError(
            f"{source}: exported in training form: {_listed(facts.training)}; such scores depend on the other images of a "
            "batch, or on chance: export it again after model.eval()"
        )


def examined(data: bytes) -> Facts:
    """The facts of a file's bytes.

    Raises:
        _Malformed: They are no protobuf message.
    """
    facts = Facts(0, [], [], [])
    dropouts: list[tuple[str, str]] = []
    off = {""}
    for kind, message in _messages(data):
        if kind == "main graph":
            facts = facts._replace(graphs=facts.graphs + 1)
        elif kind == "output":
            facts.outputs.append(_text(message, 1))
        elif kind == "tensor":
            facts.elsewhere.extend(_locations(message))
            if _is_false(message):
                off.add(_text(message, 8))
        elif kind == "node":
            inputs, outputs, operator = _texts(message, 1), _texts(message, 2), _text(message, 4)
            name = f"{operator} ({next(iter(outputs), '')})"
            if operator == "BatchNormalization" and _trains(message, outputs):
                facts.training.append(name)
            elif operator == "Dropout" and len(inputs) > 2:
                dropouts.append((name, inputs[2]))
            elif operator == "Constant" and any(_is_false(tensor) for tensor in _constants(message)):
                off.update(outputs)
    facts.training.extend(name for name, switch in dropouts if switch not in off)
    return facts


def _listed(names: list[str]) -> str:
    once = list(dict.fromkeys(names))
    return ", ".join(once[:SHOWN]) + (f" and {len(once) - SHOWN} more" if len(once) > SHOWN else "")


def _trains(node: memoryview, outputs: list[str]) -> bool:
    """Whether a BatchNormalization takes the images' own statistics: `training_mode`, or, before operator set 14, outputs for them."""
    modes = [
        value
        for attribute in _several(node, 5)
        if _text(attribute, 1) == "training_mode"
        for number, value in _fields(attribute)
        if number == 3
    ]
    return any(modes) or len(list(filter(None, outputs))) > 1


def _constants(node: memoryview) -> Iterator[memoryview]:
    for attribute in _several(node, 5):
        yield from _several(attribute, 5)


def _is_false(tensor: memoryview) -> bool:
    """Whether it is truth values, all false."""
    fields = list(_fields(tensor))
    values = [bytes(value) if isinstance(value, memoryview) else value for number, value in fields if number in (5, 9)]  # fmt: skip
    is_set = any(any(value) if isinstance(value, bytes) else value for value in values)
    return (2, _BOOL) in fields and not is_set


def _locations(tensor: memoryview) -> Iterator[str]:
    """The file that a tensor's values lie in; `data_location` says that they do."""
    if not any(number == 14 and value for number, value in _fields(tensor)):
        return
    entries = {_text(entry, 1): _text(entry, 2) for entry in _several(tensor, 13)}
    yield entries.get("location") or "a file without a name"


# Protobuf ----------------------------------------------------------------------------------------------------


def _messages(data: bytes) -> Iterator[tuple[str, memoryview]]:
    """Every message that is looked at, with what it is; held in a list, since graphs lie in graphs."""
    waiting = [("model", memoryview(data))]
    while waiting:
        kind, message = waiting.pop()
        yield kind, message
        inside = _INSIDE.get(kind, {})
        found = [
            (inside[number], value)
            for number, value in _fields(message)
            if number in inside and isinstance(value, memoryview)
        ]
        waiting += reversed(found)


def _several(message: memoryview, number: int) -> Iterator[memoryview]:
    for found, value in _fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def _texts(message: memoryview, number: int) -> list[str]:
    return [bytes(value).decode(errors="replace") for value in _several(message, number)]


def _text(message: memoryview, number: int) -> str:
    return next(reversed(_texts(message, number)), "")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; a view of what has a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length = _FIXED_BYTES.get(key & 7)
        if key & 7 == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message) or not key >> 3:
            raise _Malformed
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A whole number and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + _VARINT_BYTES]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise _Malformed
