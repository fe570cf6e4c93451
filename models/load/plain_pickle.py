"""A checkpoint's pickle, walked instruction by instruction before anybody executes one: plain data, and bounded?

torch's own restricted reader (`weights_only=True`) runs no foreign code, but it does what a pickle says with tuples,
dictionaries and the few functions it allows. A few hundred bytes suffice to have it hash a tuple of 2**60 items or
make a bytearray that fills the memory. This walk takes time and memory linear in the bytes, refuses whatever would
take the reader more, and knows the types of storages and the form of their names (pytorch, `torch/serialization.py`,
`persistent_id`). It runs nothing, imports nothing that a file names, and needs no torch.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

MAX_INSTRUCTIONS = 2_000_000
"""Of one pickle; a tensor takes 35, so that a network of 5,000 with its optimizer's state takes 500,000."""

MAX_ITEMS = 1_000_000
"""Items that a pickle's calls and dictionary keys may unfold to in all; a tensor takes 20."""

MAX_TUPLE_DEPTH = 100
"""Tuples within tuples where they are hashed or handed to a function; torch nests them three deep."""

ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1,
    "QUInt2x4Storage": 1, "UntypedStorage": 1,
}  # fmt: skip
"""Name of a storage's class in `torch` -> bytes an element."""

REMAINS = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    # A HistoryBuffer names its statistics as `getattr(HistoryBuffer, "mean")`.
    "builtins.getattr",
    "__builtin__.getattr",
    # Its histories are arrays, and mmcv's best score a number, of numpy 1 or 2.
    *(f"numpy.{core}.multiarray.{make}" for core in ("core", "_core") for make in ("_reconstruct", "scalar")),
    "numpy.ndarray",
    "numpy.dtype",
    # The training script's arguments, with paths among them.
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
)
"""What trainers are known to leave beside the weights (mmengine issues 1650 and 1655; `args` of many scripts)."""

_ODD_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch.serialization._get_layout": "a sparse tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a meta tensor, which has no values",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._tensor._rebuild_from_type_v2": "a tensor of a class of its own",
    "torch._utils._rebuild_parameter_with_state": "a parameter with attributes of its own",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device's own format",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of another device's own format",
}

_CALLED = {
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "__builtin__.set",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch.nn.parameter.Parameter",
    *REMAINS,
}
"""What a checkpoint's pickle calls, besides `_codecs.encode` for the bytes of arrays."""


class PickleError(Exception):
    """Why a pickle is not read: a part of a sentence, after "found"."""


class CutError(PickleError):
    """A pickle ends too early or has bytes that are no instructions."""


class CodeError(PickleError):
    """A pickle calls something that is neither data nor a tensor; the message is its name."""


class Pickle(NamedTuple):
    """What one pickle holds, as far as it matters here."""

    value: Any
    """Its object where that is a number, a string, or a list or tuple of such."""
    storages: dict[str, int]
    """Bytes of each storage that it names."""


def walk(file: BinaryIO) -> Pickle:
    """One pickle, from the file's position to just behind its end.

    Raises:
        PickleError: It is not what torch writes and reads, or beyond this module's limits.
        CutError: It is cut short or damaged.
        CodeError: It calls something.
    """
    machine = _Machine()
    try:
        _run(machine, file)
        return Pickle(machine.stack[-1], machine.storages)
    except PickleError:
        raise
    except Exception as error:  # damaged instructions raise whatever they happen to decode to
        raise CutError(f"a pickle that is cut short or damaged ({type(error).__name__})") from error


def _run(machine: _Machine, file: BinaryIO) -> None:
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count >= MAX_INSTRUCTIONS:
            raise PickleError(f"a pickle of more than {MAX_INSTRUCTIONS} instructions")
        step = _STEPS.get(opcode.name)
        if step is None:
            raise PickleError(
                f"a pickle with the instruction {opcode.name} of protocol {opcode.proto}, where torch reads "
                "its own of protocol 2 alone"
            )
        step(machine, argument)


class _Global(str):
    """`module.name` of something that a pickle names."""

    __slots__ = ()


class _Made:
    """What a call made: a tensor, a storage, an OrderedDict, or one of the remains."""


class _Keys(dict[str, None]):
    """A dictionary, by those of its keys that are strings."""

    items_count = 0
    """Its size, whatever its keys."""


class _Machine:
    """The reader's stack and memo; what is called and hashed is priced, not called and hashed."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """The stacks under each open mark."""
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, int] = {}
        self.items_left = MAX_ITEMS
        self.characters_left = MAX_ITEMS
        """What may be encoded: each string once, and some more than once."""

    def to_mark(self) -> list[Any]:
        """The items above the topmost mark, which are taken off with it."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def price(self, value: Any) -> None:
        """Count what `value` unfolds to, shared parts as often as they occur.

        Raises:
            PickleError: That is more than the pickle may have left, or nested too deeply.
        """
        waiting = [(value, 0)]
        while waiting:
            one, depth = waiting.pop()
            parts = len(one) if isinstance(one, (tuple, list)) else getattr(one, "items_count", 0)
            self.items_left -= 1 + parts
            if self.items_left < 0 or depth > MAX_TUPLE_DEPTH:
                raise PickleError(
                    f"a pickle whose tuples unfold to more than {MAX_ITEMS} items or are nested more than "
                    f"{MAX_TUPLE_DEPTH} deep"
                )
            if isinstance(one, (tuple, list)):
                waiting.extend((part, depth + 1) for part in one if isinstance(part, (tuple, list, _Keys)))

    def set_items(self, pairs: list[Any]) -> None:
        """Key, value, key, value into the dictionary on the stack."""
        target = self.stack[-1]
        for key in pairs[::2]:
            self.price(key)
            if isinstance(target, _Keys):
                target.items_count += 1
                if isinstance(key, str) and key in target:
                    raise PickleError(f"a dictionary that has the key {key[:100]!r} twice")
                if isinstance(key, str):
                    target[key] = None

    def call(self, function: Any, arguments: Any) -> Any:
        """What a call would give, where it is one that checkpoints make."""
        self.price(arguments)
        if not isinstance(function, _Global):
            raise CodeError("a function that it makes by itself")
        if function in _ODD_TENSORS:
            raise PickleError(f"{_ODD_TENSORS[function]}, where the network has plain ones")
        if function == "_codecs.encode" and arguments[1:] == ("latin1",):
            self.characters_left -= len(arguments[0])
            if self.characters_left < 0:
                raise PickleError("a pickle that turns the same text into bytes over and over")
        elif function not in _CALLED:
            raise CodeError(str(function))
        return _Keys() if function == "collections.OrderedDict" else _Made()

    def name_storage(self, identity: Any) -> Any:
        """Take in `("storage", class, key, device, number of elements[, view])`, torch's name of a storage."""
        kind, key, count = identity[1], identity[2], identity[4]
        if identity[0] != "storage" or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise PickleError("a pickle that names a storage in another form than torch's")
        item = ITEM_BYTES.get(kind.rpartition(".")[2])
        if item is None:
            raise PickleError(f"a storage of the unknown type {kind[:100]!r}")
        if self.storages.setdefault(key, count * item) != count * item:
            raise PickleError(f"a storage {key[:100]!r} of two sizes")
        return _Made()


# Instructions -----------------------------------------------------------------------------------------------


def _push(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _push_text(machine: _Machine, argument: str) -> None:
    machine.characters_left += len(argument)
    machine.stack.append(argument)


def _make(new: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(new())


def _mark(machine: _Machine, _: Any) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _tuple_to_mark(machine: _Machine, _: Any) -> None:
    items = machine.to_mark()
    machine.stack.append(tuple(items))


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return step


def _remember(machine: _Machine, argument: Any) -> None:
    machine.memo[argument] = machine.stack[-1]


def _recall(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[argument])


def _append(machine: _Machine, _: Any) -> None:
    _extend(machine, [machine.stack.pop()])


def _appends(machine: _Machine, _: Any) -> None:
    _extend(machine, machine.to_mark())


def _extend(machine: _Machine, items: list[Any]) -> None:
    if isinstance(machine.stack[-1], list):
        machine.stack[-1].extend(items)


def _set_item(machine: _Machine, _: Any) -> None:
    pair = machine.stack[-2:]
    del machine.stack[-2:]
    machine.set_items(pair)


def _set_items(machine: _Machine, _: Any) -> None:
    machine.set_items(machine.to_mark())


def _name(machine: _Machine, argument: str) -> None:
    machine.stack.append(_Global(argument.replace(" ", ".", 1)))


def _call(machine: _Machine, _: Any) -> None:
    function, arguments = machine.stack[-2:]
    machine.stack[-2:] = [machine.call(function, arguments)]


def _build(machine: _Machine, _: Any) -> None:
    machine.price(machine.stack.pop())


def _storage(machine: _Machine, _: Any) -> None:
    machine.stack.append(machine.name_storage(machine.stack.pop()))


def _nothing(_machine: _Machine, _: Any) -> None:
    pass


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"), _push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINSTRING"), _push_text),
    "NONE": _make(lambda: None),
    "NEWTRUE": _make(lambda: True),
    "NEWFALSE": _make(lambda: False),
    "EMPTY_TUPLE": _make(tuple),
    "EMPTY_LIST": _make(list),
    "EMPTY_DICT": _make(_Keys),
    "EMPTY_SET": _make(_Made),
    "MARK": _mark,
    "TUPLE": _tuple_to_mark,
    **{f"TUPLE{count}": _tuple_of(count) for count in (1, 2, 3)},
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _recall),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _name,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _call),
    "BUILD": _build,
    "BINPERSID": _storage,
    **dict.fromkeys(("PROTO", "STOP"), _nothing),
}  # fmt: skip
"""The instructions that torch's restricted reader knows."""
