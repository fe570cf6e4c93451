"""Checkpoint files as they come: whole, cut short, hostile, or with training's remains inside."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open

from segbench.models import WeightsError, read_checkpoint
from segbench.models.load.checkpoint_file import MAX_FILE_BYTES, open_checkpoint, write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.num_batches_tracked": torch.tensor(7)}


def saved(path: Path, content: object, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


class Touches:
    """Unpickled by a careless reader, it leaves a file behind, by way of a shell."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


class Executes(Touches):
    """The same by way of Python's own `exec`."""

    def __reduce__(self):
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"model": STATE},
        {"model": STATE, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "cur_epoch": 3},
        {"meta": {"CLASSES": ("road", "car"), "iter": 800}, "state_dict": STATE},
        {"meta": {}, "state_dict": {f"module.{key}": value for key, value in STATE.items()}},
    ],
    ids=["bare", "ssseg", "ssseg-training", "mmseg", "module-prefix"],
)
def test_every_published_form_is_read(tmp_path, content, zipped):
    path = saved(tmp_path / "a.pth", content, _use_new_zipfile_serialization=zipped)
    state = read_checkpoint(path)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.skipif(torch.__version__ < "2.7", reason="torch cannot be told both names of numpy's scalar")
@pytest.mark.parametrize("number", [np.float64(0.7), np.float32(0.7), np.int64(7)])
def test_numpy_numbers_in_meta_are_harmless(tmp_path, number):
    content = {"meta": {"hook_msgs": {"best_score": number}}, "state_dict": STATE}
    assert read_checkpoint(saved(tmp_path / "a.pth", content)).keys() == STATE.keys()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "expected a checkpoint; found an empty file. Delete it and fetch it again."),
        (
            b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
            (
                "expected a checkpoint; found a web page or an XML message (a login page, or a server's error). "
                "Delete it and fetch it again."
            ),
        ),
        (
            b'{"error": "rate limit"}',
            "expected a checkpoint; found a JSON message (a server's error). Delete it and fetch it again.",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            (
                "expected a checkpoint; found a Git LFS pointer (the file itself was never fetched). "
                "Delete it and fetch it again."
            ),
        ),
        (
            b"PK\x03\x04 and no more",
            (
                "expected a whole checkpoint; found 16 bytes that end too early or are no checkpoint "
                "(File is not a zip file). Delete the file and fetch it again."
            ),
        ),
        (
            b"\x89PNG\r\n\x1a\n picture",
            (
                "expected a checkpoint; found a file that begins with 89 50 4e 47 0d 0a 1a 0a. "
                "Delete it and fetch it again."
            ),
        ),
    ],
    ids=["empty", "html", "json", "lfs", "zip-head", "png"],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, found):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        read_checkpoint(path)
    assert str(error.value) == f"{path}: {found}"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, zipped, share):
    path = saved(tmp_path / "a.pth", {"x": torch.zeros(5000)}, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(
        WeightsError, match=r"expected a whole checkpoint; found \d+ bytes that end too early"
    ):
        read_checkpoint(path)


def test_a_file_larger_than_any_checkpoint_is_refused_unread(tmp_path):
    """Of the 16 GiB of zeros that its size promises, the disk holds none."""
    path = tmp_path / "model.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    os.truncate(path, MAX_FILE_BYTES + 1)
    with pytest.raises(
        WeightsError, match=r"expected at most 17179869184 bytes; found 17179869185\. Do not use"
    ):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "no.pth", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(WeightsError) as error:
            read_checkpoint(path)
        assert str(error.value) == f"{path}: cannot be read: {reason}"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(("kind", "wanted"), [(Touches, r"\w+\.system"), (Executes, r"\S*exec")])
def test_code_in_a_file_is_named_and_never_runs(tmp_path, kind, wanted, zipped):
    marker = tmp_path / "marker"
    content = {"state_dict": STATE, "meta": kind(marker)}
    path = saved(tmp_path / "a.pth", content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError,
        match=rf"expected nothing but tensors and plain values; found a reference to {wanted}, "
        "which reading the file would run. It was not run.",
    ):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("kind", [Touches, Executes])
def test_the_hostile_files_would_have_worked(tmp_path, kind):
    """Without this, the test above could pass for want of an attack."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(kind(marker)))
    assert marker.exists()


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    path = saved(tmp_path / "a.pth", {"x": torch.zeros(1_000_000)})
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for record in source.infolist():
            target.writestr(record.filename, source.read(record))
    path.write_bytes(packed.getvalue())
    with pytest.raises(WeightsError, match=r"found records of 40\d+ bytes packed into it"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "optimizer": {}}, "a dictionary of 'epoch', 'optimizer'"),
        ({}, "a dictionary of nothing"),
        ({"state_dict": {}}, "a dictionary of 'state_dict'"),
        ({"model": {"a": 1.0}}, "a dictionary of 'model'"),
        ([1, 2], "list"),
    ],
)
def test_a_file_without_state_dict_is_named(tmp_path, content, found):
    path = saved(tmp_path / "a.pth", content)
    with pytest.raises(WeightsError) as error:
        read_checkpoint(path)
    assert str(error.value) == (
        f"{path}: expected a state dict, bare or under 'state_dict' or 'model'; found {found}. "
        "Use the file the publisher offers for testing."
    )


def test_it_is_told_what_lies_beside_the_weights_and_in_what(tmp_path):
    content = {"meta": {}, "state_dict": STATE, "optimizer": {}, "ema_state_dict": {}}
    modern = open_checkpoint(saved(tmp_path / "a.pth", content))
    legacy = open_checkpoint(saved(tmp_path / "b.pth", STATE, _use_new_zipfile_serialization=False))
    assert (modern.container, modern.beside) == ("zip", ("meta", "optimizer", "ema_state_dict"))
    assert (legacy.container, legacy.beside) == ("legacy pickle", ())


def test_a_tensor_larger_than_its_file_is_refused(tmp_path):
    """One stored number, viewed as four terabytes: harmless until somebody copies it."""
    path = saved(tmp_path / "a.pth", {"x": torch.zeros(1).expand(10**12)})
    with pytest.raises(WeightsError, match="found x of 4000000000000 bytes"):
        read_checkpoint(path)


# Training's remains


class HistoryBuffer:
    """Pickles as mmengine's does: arrays, and its statistics as methods of the class."""

    def __init__(self) -> None:
        self._log_history = np.array([0.5, 0.25])
        self._count_history = np.array([1, 1])
        self._max_length = 1000000

    def mean(self) -> float:
        return float(self._log_history.mean())

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"statistics_methods": {"mean": HistoryBuffer.mean}}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


@pytest.fixture
def mmengine(monkeypatch):
    """A module that stands for mmengine's while a file is written, and is gone when it is read."""
    name = "mmengine.logging.history_buffer"
    for part in ("mmengine", "mmengine.logging", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    sys.modules[name].HistoryBuffer = HistoryBuffer
    monkeypatch.setattr(HistoryBuffer, "__module__", name)
    monkeypatch.setattr(HistoryBuffer.mean, "__module__", name)
    return monkeypatch


@pytest.fixture
def mmengine_file(tmp_path, mmengine):
    content = {
        "meta": {"best_score": np.float64(0.7), "palette": np.zeros((3, 3), np.uint8)},
        "state_dict": STATE,
        "message_hub": {"log_scalars": {"train/loss": HistoryBuffer()}, "resumed_keys": {}},
    }
    path = saved(tmp_path / "mmengine.pth", content)
    mmengine.undo()
    return path


@pytest.mark.skipif(torch.__version__ < "2.7", reason="torch cannot be told names of stand-ins")
def test_mmengines_history_is_passed_over(mmengine_file):
    content = open_checkpoint(mmengine_file)
    assert content.state.keys() == STATE.keys()
    assert content.beside == ("meta", "message_hub")
    assert "mmengine" not in sys.modules


def test_the_history_is_none_that_torch_would_read_by_itself(mmengine_file):
    """Without this, the test above could pass for want of an obstacle."""
    with pytest.raises(pickle.UnpicklingError, match=r"numpy\._?core"):
        torch.load(mmengine_file, weights_only=True)
    with zipfile.ZipFile(mmengine_file) as archive:
        pickled = archive.read("mmengine/data.pkl")
    assert all(name in pickled for name in (b"HistoryBuffer", b"getattr", b"_reconstruct", b"ndarray"))


class Reaches:
    """Asks for an attribute of an allowed name and calls what it gets."""

    def __reduce__(self):
        return np.dtype.newbyteorder, (np.dtype("f8"), "<")


def test_no_attribute_of_an_allowed_name_can_be_called(tmp_path):
    path = saved(tmp_path / "a.pth", {"state_dict": STATE, "meta": Reaches()})
    with pytest.raises(WeightsError, match="found a reference to a function that it makes by itself, which"):
        read_checkpoint(path)


# Unsafe


def test_only_unsafe_loading_runs_code(tmp_path):
    marker = tmp_path / "marker"
    path = saved(tmp_path / "a.pth", {"state_dict": STATE, "meta": Touches(marker)})
    assert read_checkpoint(path, unsafe=True).keys() == STATE.keys()
    assert marker.exists()


def test_unsafe_loading_names_what_is_not_installed(mmengine_file):
    with pytest.raises(WeightsError, match=r"needs something that is not installed here .*mmengine"):
        read_checkpoint(mmengine_file, unsafe=True)


def test_unsafe_loading_refuses_damaged_files_too(tmp_path):
    path = saved(tmp_path / "a.pth", STATE)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(WeightsError, match="expected a whole checkpoint; found 200 bytes"):
        read_checkpoint(path, unsafe=True)


# safetensors


def test_safetensors_come_back_as_they_went(tmp_path):
    shared = torch.arange(6.0)
    state = STATE | {
        "transposed": shared.reshape(2, 3).T,
        "b": shared,
        "c": shared,
        "half": shared.bfloat16(),
    }
    path = tmp_path / "a.safetensors"
    write_safetensors(state, path, {"source": "a.pth"})
    content = open_checkpoint(path)
    assert (content.container, content.beside) == ("safetensors", ())
    assert content.state.keys() == state.keys()
    assert all(torch.equal(content.state[key], state[key]) for key in state)
    assert all(content.state[key].dtype == state[key].dtype for key in state)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "source": "a.pth"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_safetensors_cut_short_are_refused(tmp_path, share):
    path = tmp_path / "a.safetensors"
    write_safetensors({"x": torch.zeros(500)}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError, match=r"expected a whole checkpoint; found .*header"):
        read_checkpoint(path)


def test_an_existing_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("precious")
    with pytest.raises(WeightsError) as error:
        write_safetensors(STATE, path)
    assert str(error.value) == (
        f"{path}: exists already and was left as it is; choose another name or overwrite it"
    )
    assert path.read_text() == "precious"
    write_safetensors(STATE, path, overwrite=True)
    assert read_checkpoint(path).keys() == STATE.keys()


def test_others_may_read_what_was_written(tmp_path):
    (tmp_path / "plain").touch()
    write_safetensors(STATE, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "no folder" / "a.safetensors"
    with pytest.raises(WeightsError, match=r"a\.safetensors: cannot be written: .*No such file"):
        write_safetensors(STATE, path)
