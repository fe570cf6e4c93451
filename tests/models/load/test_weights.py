"""Publishers' names turned into ours, and models filled completely or not at all."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from published import SSSEG_ISANET, SSSEG_ISNET, ssseg_architecture

from segbench.models import WeightsError, build_model, load_weights, read_checkpoint
from segbench.models.load.weights import _rename, convert_keys, key_table
from segbench.zoo.demo import STREETS

TINY = {"base_channels": 4, "stem_channels": 4, "channels": 8, "auxiliary_channels": 4}


@pytest.fixture
def tiny():
    return build_model("isanet_mmseg", depth=50, num_classes=3, isa_channels=4, **TINY)


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
    with pytest.raises(WeightsError) as error:
        convert_keys(state, "ssseg")
    assert str(error.value) == (
        "expected one key for each tensor; found two keys that mean one tensor in layout 'ssseg': 'backbone.stem' and "
        "'backbone_net.stem'. Nothing tells which of them the publisher evaluated: save the state dict with those "
        "alone and use that."
    )


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


def renamed(state, before, after):
    return {key.replace(before, after, 1): value for key, value in state.items()}


def without(state, *parts):
    return {key: value for key, value in state.items() if not any(part in key for part in parts)}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (
            lambda state: without(state, "decode_head"),
            "Nothing of decode_head is in the file: it holds a part of the network, or names it otherwise.",
        ),
        (
            lambda state: (
                {f"wrapper.{key}": value for key, value in state.items()} | {"loss.w": torch.zeros(1)}
            ),
            "The model's names all stand in the file behind 'wrapper.': save them alone, without it.",
        ),
        (
            lambda state: renamed(state, "conv1", "first"),
            (
                "All weights have the model's shapes, under other names: the file comes from another program; rename its "
                "keys to those of the layout."
            ),
        ),
        (
            lambda state: state | {"decode_head.conv_seg.bias": torch.tensor([1, 2, 3])},
            "Types alone differ: whole numbers stand where floats belong, or floats where numbers do.",
        ),
        (
            lambda state: without(state, "layer4.2"),
            "The file lacks tensors that the model has: it holds a part of the network, or a smaller one.",
        ),
    ],
    ids=["part", "prefix", "names", "types", "lacking"],
)
def test_another_architecture_is_said_only_where_it_is_known(tiny, change, hint):
    assert mismatch(tiny, change(tiny.state_dict()))[-1] == f"  {hint}"


def test_what_no_evaluation_looks_at_may_be_missing_and_is_told(tiny):
    state = without(tiny.state_dict(), "num_batches_tracked", "auxiliary_head")
    assert load_weights(tiny, state) == (
        "num_batches_tracked of 67 norms is not in the file; evaluation does not use it.",
        "The auxiliary head is not in the file; evaluation never runs it.",
    )


def test_half_an_auxiliary_head_is_refused(tiny):
    lines = mismatch(tiny, without(tiny.state_dict(), "auxiliary_head.conv_seg"))
    assert lines[1].startswith("  missing in the file: 2 of 416 keys: auxiliary_head.conv_seg.weight")


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
def test_demo_checkpoints_load(file, layout, builder, numbers):
    width = {"base_channels": 16, "stem_channels": 32, "channels": 128, "auxiliary_channels": 64}
    path = STREETS / "weights" / file
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
