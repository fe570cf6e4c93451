"""Checkpoint files as they come: whole, cut short, hostile, or somebody else's."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from published import SSSEG_ISANET, SSSEG_ISNET, ssseg_architecture

from segbench.models import WeightsError, build_model, load_weights, read_checkpoint
from segbench.models.weights import _rename, convert_keys, key_table

if TYPE_CHECKING:
    from pathlib import Path

TINY = {"base_channels": 4, "stem_channels": 4, "channels": 8, "auxiliary_channels": 4}
STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.num_batches_tracked": torch.tensor(7)}


@pytest.fixture
def tiny():
    return build_model("isanet_mmseg", depth=50, num_classes=3, isa_channels=4, **TINY)


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


# Reading


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
                "expected a whole checkpoint; found 16 bytes that end too early or are no checkpoint "
                "(UnpicklingError). Delete the file and fetch it again."
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


# Renaming


@pytest.mark.parametrize("config", [SSSEG_ISANET[0], SSSEG_ISNET[0], "isnet_resnest101os8_lip"])
def test_the_ssseg_table_reads_both_ways(config):
    builder, numbers = ssseg_architecture(config)
    with torch.device("meta"):
        ours = list(build_model(builder, **numbers).state_dict())
    table = key_table("ssseg", ours)
    theirs = [_rename(key, table, to_publisher=True) for key in ours]
    assert not set(theirs) & set(ours)
    assert [_rename(key, key_table("ssseg", theirs)) for key in theirs] == ours


def test_two_keys_for_one_tensor_are_refused():
    state = dict.fromkeys(["backbone.stem", "backbone_net.stem"], torch.zeros(1))
    with pytest.raises(WeightsError, match="1 keys mean the same tensor as another in layout 'ssseg'"):
        convert_keys(state, "ssseg")


def test_an_unknown_layout_is_refused():
    with pytest.raises(WeightsError, match="expected one of mmseg, ssseg; found 'openseg'"):
        convert_keys({}, "openseg")


# Loading


def test_a_model_is_filled_completely(tiny):
    state = {key: torch.full_like(value, 3) for key, value in tiny.state_dict().items()}
    load_weights(tiny, state)
    assert all(bool((value == 3).all()) for value in tiny.state_dict().values())


def test_half_precision_is_cast_to_the_models(tiny):
    state = {
        key: value.half() if value.is_floating_point() else value for key, value in tiny.state_dict().items()
    }
    load_weights(tiny, state)
    assert {value.dtype for value in tiny.parameters()} == {torch.float32}


def test_a_model_on_the_meta_device_takes_the_tensors_over(tiny):
    with torch.device("meta"):
        model = build_model("isanet_mmseg", depth=50, num_classes=3, isa_channels=4, **TINY)
    load_weights(model, tiny.state_dict())
    images = torch.randn(1, 3, 33, 41)
    assert torch.equal(model(images), tiny(images))


def mismatch(model, state, **options) -> list[str]:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_weights(model, state, source="a.pth", **options)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "the model was touched"
    return str(error.value).splitlines()


def test_a_wrong_number_of_classes_is_recognised(tiny):
    other = build_model("isanet_mmseg", depth=50, num_classes=21, isa_channels=4, **TINY)
    assert mismatch(tiny, other.state_dict()) == [
        "a.pth: does not fit the model (layout 'mmseg')",
        (
            "  of another shape: 4 of 416 keys: decode_head.conv_seg.weight expected (3, 8, 1, 1), found (21, 8, 1, 1); "
            "decode_head.conv_seg.bias expected (3,), found (21,); "
            "auxiliary_head.conv_seg.weight expected (3, 4, 1, 1), found (21, 4, 1, 1); ..."
        ),
        "  The classifiers alone differ: build the model with num_classes=21.",
    ]


def test_another_architecture_is_told_in_the_publishers_names(tiny):
    """An ISNet file in sssegmentation's names, for an ISANet: no name of ours may appear."""
    numbers = {"backbone": "resnet50", "num_classes": 3, "transform_channels": 4, **TINY}
    theirs = build_model("isnet_ssseg", **numbers).state_dict()
    table = key_table("ssseg", theirs)
    state = {_rename(key, table, to_publisher=True): value for key, value in theirs.items()}
    model = build_model("isanet_ssseg", depth=50, num_classes=3, isa_channels=4, **TINY)
    first, missing, unknown, hint = mismatch(model, state, layout="ssseg")
    assert first == "a.pth: does not fit the model (layout 'ssseg')"
    assert missing == (
        "  missing in the file: 74 of 414 keys: in_conv.0.weight (8, 128, 3, 3); in_conv.1.weight (8,); "
        "in_conv.1.bias (8,); ..."
    )
    assert unknown == (
        "  unknown to the model: 98 of 438 keys: bottleneck.0.weight (8, 128, 3, 3); bottleneck.1.weight (8,); "
        "bottleneck.1.bias (8,); ..."
    )
    assert hint == (
        "  The file holds another architecture: compare builder, depth and widths with the publisher's config."
    )


def test_a_deeper_backbone_is_told(tiny):
    deeper = build_model("isanet_mmseg", depth=101, num_classes=3, isa_channels=4, **TINY)
    lines = mismatch(tiny, deeper.state_dict())
    assert lines[1].startswith("  unknown to the model: 306 of 722 keys: backbone.layer3.6.conv1.weight")


def test_an_integer_where_a_float_belongs_is_refused(tiny):
    state = tiny.state_dict() | {"decode_head.conv_seg.bias": torch.tensor([1, 2, 3])}
    assert mismatch(tiny, state)[1] == (
        "  of another shape: 1 of 416 keys: decode_head.conv_seg.bias expected (3,), found (3,) int64"
    )


def test_the_other_publishers_names_are_recognised():
    numbers = {"backbone": "resnet50", "num_classes": 3, "transform_channels": 4, **TINY}
    model = build_model("isnet_ssseg", **numbers)
    theirs = model.state_dict()
    table = key_table("ssseg", theirs)
    state = {_rename(key, table, to_publisher=True): value for key, value in theirs.items()}
    assert mismatch(model, state)[-1] == "  The keys are named as in layout 'ssseg': load with that one."


# The demo's checkpoints

DEMO = [
    (
        "isanet_r50-d8_w16_256x512_0.8k_streets_20261121_050000-af8a2d50.pth",
        "mmseg",
        "isanet_mmseg",
        {"depth": 50, "isa_channels": 64},
    ),
    (
        "isnet_resnet50os8_w16_streets.pth",
        "ssseg",
        "isnet_ssseg",
        {"backbone": "resnet50", "transform_channels": 64},
    ),
]


@pytest.mark.parametrize(("file", "layout", "builder", "numbers"), DEMO, ids=["isanet", "isnet"])
def test_demo_checkpoints_load(shared, file, layout, builder, numbers):
    width = {"base_channels": 16, "stem_channels": 32, "channels": 128, "auxiliary_channels": 64}
    path = shared / "demo/weights" / file
    state = read_checkpoint(path)
    model = build_model(builder, num_classes=8, **width, **numbers)
    load_weights(model, state, layout=layout, source=path.name)
    converted = convert_keys(state, layout)
    assert all(
        torch.equal(value, converted[key].to(value.dtype)) for key, value in model.state_dict().items()
    )
    assert model(torch.zeros(1, 3, 64, 96)).isfinite().all()


def test_importing_the_package_does_not_import_torch():
    code = "import sys, segbench.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
