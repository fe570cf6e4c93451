"""Pickles that cost their reader more than their bytes, and code, are told before anything is executed."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from contextlib import suppress

import pytest
import torch
import torch._weights_only_unpickler as torchs
from hypothesis import given
from hypothesis import strategies as st

from segbench.models.load.plain_pickle import (
    MAX_INSTRUCTIONS,
    MAX_ITEMS,
    MAX_TUPLE_DEPTH,
    CodeError,
    CutError,
    PickleError,
    walk,
)

START = b"\x80\x02"
UNFOLDS = f"a pickle whose tuples unfold to more than {MAX_ITEMS} items or are nested more than {MAX_TUPLE_DEPTH} deep"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def shared(levels: int) -> bytes:
    """A tuple of one tuple twice, of one tuple twice, ...: 2**levels items when unfolded."""
    return b"K\x01q\x00" + b"h\x00h\x00\x86q\x00" * levels


def archived(content: object) -> bytes:
    """The pickle within what `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch._C.PyTorchFileReader(file).get_record("data.pkl")


def test_what_torch_saves_is_walked_to_its_storages():
    weight = torch.zeros(4, 3)
    content = {
        "state_dict": OrderedDict(a=weight, b=weight[1:], c=torch.nn.Parameter(torch.zeros(5).half())),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"betas": (0.9, 0.999), "lr": 1e-3}]},
        "size": weight.shape,
    }
    assert walk(io.BytesIO(archived(content))).storages == {"0": 48, "1": 10}


def test_a_walk_ends_behind_its_pickle():
    file = io.BytesIO(pickle.dumps([1, "a"], 2) + pickle.dumps(7, 2))
    assert (walk(file).value, walk(file).value, file.read()) == ([1, "a"], 7, b"")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"}" + shared(60) + b"K\x01s.", UNFOLDS),
        (b"}(" + shared(60) + b"K\x01u.", UNFOLDS),
        (b"ccollections\nOrderedDict\n" + shared(60) + b"\x85R.", UNFOLDS),
        (b"ccollections\nOrderedDict\n]q\x00h\x00a\x85R.", UNFOLDS),
        (b"})" + b"\x85" * (MAX_TUPLE_DEPTH + 1) + b"K\x01s.", UNFOLDS),
        (
            b"]q\x00(" + b"K\x01" * 2000 + b"eccollections\nCounter\nq\x01" + b"h\x01h\x00\x85R" * 2000 + b".",
            UNFOLDS,
        ),
        (
            b"c_codecs\nencode\nq\x00" + text("a" * MAX_ITEMS) + b"q\x01" + text("latin1") + b"q\x02"
            + b"h\x00h\x01h\x02\x86R" * 3 + b".",
            "a pickle that turns the same text into bytes over and over",
        ),
        (b"N" * (MAX_INSTRUCTIONS + 1), f"a pickle of more than {MAX_INSTRUCTIONS} instructions"),
        (b"}(" + text("a") + b"N" + text("a") + b"Nu.", "a dictionary that has the key 'a' twice"),
        (
            b"ctorch._utils\n_rebuild_nested_tensor\n)R.",
            "a nested tensor, where the network has plain ones",
        ),
        (
            b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"J\xff\xff\xff\xfftQ.",
            "a pickle that names a storage in another form than torch's",
        ),
        (
            pickle.dumps({}, 4)[2:],
            (
                "a pickle with the instruction MEMOIZE of protocol 4, where torch reads its own of protocol 2 alone"
            ),
        ),
    ],
    ids=[
        "key", "keys", "argument", "list of itself", "depth", "one list for many", "encoded", "instructions", "twice",
        "nested", "negative", "protocol",
    ],
)  # fmt: skip
def test_what_would_take_more_than_its_bytes_is_refused(data, found):
    with pytest.raises(PickleError) as error:
        walk(io.BytesIO(START + data))
    assert (type(error.value), str(error.value)) == (PickleError, found)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R.", "builtins.bytearray"),
        (b"ctorch\nFloatTensor\nM\xff\xff\x85R.", "torch.FloatTensor"),
        (b"c_codecs\nencode\n" + text("a") + text("hex") + b"\x86R.", "_codecs.encode"),
        (b"cos\nsystem\n" + text("true") + b"\x85R.", "os.system"),
        (b"cos\nsystem\n)\x81.", "os.system"),
        (b"cbuiltins\ngetattr\nNN\x86R)R.", "a function that it makes by itself"),
    ],
)
def test_calls_of_anything_else_are_named(data, name):
    with pytest.raises(CodeError, match=f"^{name}$"):
        walk(io.BytesIO(START + data))


def test_a_pickle_cut_anywhere_is_seen():
    whole = archived({"a": torch.zeros(2), "meta": {"lr": 0.1}})
    for size in range(len(whole)):
        with pytest.raises(CutError):
            walk(io.BytesIO(whole[:size]))


@pytest.mark.slow
@given(st.binary(max_size=200), st.integers(0, 400))
def test_bytes_are_walked_or_refused(noise, at):
    whole = archived({"a": torch.zeros(2), "b": (1, [2.5, None])})
    data = whole[:at] + noise + whole[at + len(noise) :]
    with suppress(PickleError):
        assert walk(io.BytesIO(data)).storages is not None


def test_every_instruction_is_one_of_torchs():
    """Whatever torch's restricted reader comes to read in addition has to be thought about here first."""
    from segbench.models.load import plain_pickle

    names = {name for name in dir(torchs) if name.isupper() and isinstance(getattr(torchs, name), bytes)}
    assert set(plain_pickle._STEPS) <= names
