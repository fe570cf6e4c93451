"""Publishers' names turned into ours, and models filled completely or not at all."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from published import SSSEG_ISANET, SSSEG_ISNET, ssseg_architecture

from segbench.models import WeightsError, build_model, load_weights, read_checkpoint
from segbench.models.load.layouts import publisher_names
from segbench.models.load.weights import convert_keys
from segbench.zoo.demo import STREETS

TINY = {"base_channels": 4, "stem_channels": 4, "channels": 8, "auxiliary_channels": 4}


@pytest.fixture
def tiny():
    return build_model("isanet_mmseg", depth=50, num_classes=3, isa_channels=4, **TINY)


# Renaming


@pytest.mark.parametrize("config", [SSSEG_ISANET[0], SSSEG_ISNET[0], "isnet_resnest101os8_lip"])
def test_names_read_both_ways(config):
    """Ours to theirs gives every name of the publisher once; a state dict under those comes back under ours."""
    builder, numbers = ssseg_architecture(config)
    with torch.device("meta"):
        model = build_model(builder, **numbers)
    ours, names = model.state_dict(), publisher_names(model, "ssseg")
    assert not set(names.values()) & set(ours)
    assert list(convert_keys(in_their_names(ours, names), "ssseg", model)) == list(ours)


def in_their_names(state, names):
    return {names[key]: value for key, value in state.items()}


def test_two_keys_for_one_tensor_are_refused(tiny):
    ours, theirs = (f"{backbone}.stem.0.weight" for backbone in ("backbone", "backbone_net"))
    with pytest.raises(WeightsError) as error:
        convert_keys(dict.fromkeys([ours, theirs], torch.zeros(1)), "ssseg", tiny)
    assert str(error.value) == (
        "expected one key for each tensor; found two keys that mean one tensor in layout 'ssseg': "
        "'backbone.stem.0.weight' and 'backbone_net.stem.0.weight'. Nothing tells which of them the publisher evaluated: "
        "save the state dict with those alone and use that."
    )


def test_an_unknown_layout_is_refused(tiny):
    with pytest.raises(WeightsError, match="expected one of mmseg, plain, ssseg, author; found 'openseg'"):
        convert_keys({}, "openseg", tiny)


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


def test_two_values_for_a_tensor_of_several_names_are_refused():
    """ERFNet's activation is one module that stands in each block four times: the last name's value would be taken."""
    parts = {
        "backbone": {"type": "erfnet", "activation": "prelu"},
        "head": {"type": "fcn", "channels": 8, "in_index": 0, "num_convs": 1, "concat_input": False},
    }
    model = build_model(**parts, num_classes=3, align_corners=False)
    with torch.device("meta"):
        unfilled = build_model(**parts, num_classes=3, align_corners=False)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    assert load_weights(model, state) == ()
    state["backbone.encoder.2.convs_layers.4.weight"] += 1
    for network in (model, unfilled):
        with pytest.raises(WeightsError) as refused:
            load_weights(network, state, source="a.pth")
        assert str(refused.value) == (
            "a.pth: expected one value for the tensor that the network has under several names; found others under "
            "'backbone.encoder.2.act.weight', 'backbone.encoder.2.convs_layers.1.weight', "
            "'backbone.encoder.2.convs_layers.4.weight' and 1 more. Nothing tells which of them the publisher evaluated: use "
            "the file that the publisher offers for testing."
        )


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
    isnet = build_model("isnet_ssseg", **numbers)
    state = in_their_names(isnet.state_dict(), publisher_names(isnet, "ssseg"))
    model = build_model("isanet_ssseg", depth=50, num_classes=3, isa_channels=4, **TINY)
    first, missing, unknown, hint = mismatch(model, state, layout="ssseg")
    assert first == "a.pth: does not fit the model (layout 'ssseg')"
    assert missing == (
        "  missing in the file: 64 of 402 keys: decoder.1.weight (3, 8, 1, 1); decoder.1.bias (3,); "
        "in_conv.0.weight (8, 128, 3, 3); ..."
    )
    assert unknown == (
        "  unknown to the model: 100 of 438 keys: decoder_stage2.1.weight (3, 8, 1, 1); decoder_stage2.1.bias (3,); "
        "bottleneck.0.weight (8, 128, 3, 3); ..."
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
    state = in_their_names(model.state_dict(), publisher_names(model, "ssseg"))
    assert mismatch(model, state)[-1] == "  The keys are named as in layout 'ssseg': load with that one."


def renamed(state, before, after):
    return {key.replace(before, after, 1): value for key, value in state.items()}


def without(state, *parts):
    return {key: value for key, value in state.items() if not any(part in key for part in parts)}


def reshaped(state, key, shape):
    return state | {key: state[key].reshape(shape)}


NOTHING_STANDS = (
    "Nothing in the file stands for what is missing: use the file that the publisher offers for testing."
)
WHOLE = (
    "The whole model is in the file; whether the publisher's network uses what stands beside it, nothing here tells: compare "
    "builder and depth with the publisher's config."
)
AS_MANY = (
    "Shapes alone differ, with as many values in each: nothing tells in which order these lie; save the state dict from the "
    "publisher's own model."
)


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
                "What is missing and what is unknown have the same shapes, one for one: where they are the same tensors, "
                "rename the keys to those of the layout."
            ),
        ),
        (
            lambda state: state | {"decode_head.conv_seg.bias": torch.tensor([1, 2, 3])},
            "Types alone differ: whole numbers stand where floats belong, or floats where numbers do.",
        ),
        (
            lambda state: without(state, "layer4.2"),
            NOTHING_STANDS,
        ),
        (lambda state: without(state, "layer1.0.bn1.bias"), NOTHING_STANDS),
        (lambda state: without(state, "running_", "auxiliary"), NOTHING_STANDS),
        (lambda state: state | {"decode_head.scale": torch.ones(8)}, WHOLE),
        (lambda state: state | {"projector.weight": torch.ones(9, 8, 1, 1)}, WHOLE),
        (
            lambda state: (
                without(state, "stem.0.weight")
                | {
                    "backbone.stem.0.weight_orig": state["backbone.stem.0.weight"],
                    "backbone.stem.0.weight_u": torch.ones(2),
                }
            ),
            "Why these names differ, nothing here tells: compare them with the publisher's config and program.",
        ),
        (
            lambda state: {f"ema_{key.replace('.', '_')}": value for key, value in state.items()},
            (
                "The file holds averaged weights alone, under the names that mmcv's EMAHook gives them: swap them in with "
                "the publisher's program, where the claims are about them, and save the state dict."
            ),
        ),
        (
            lambda state: state | {f"model.{key}": value for key, value in state.items()},
            (
                "The model's names stand in the file 2 times, bare and behind 'model.': nothing tells which of these networks "
                "the publisher evaluated; save that one's state dict alone with torch.save and use that."
            ),
        ),
        (
            lambda state: {
                f"{name}.{key}": value
                for key, value in without(state, "auxiliary").items()
                for name in ("slow", "fast")
            },
            (
                "The model's names stand in the file 2 times, behind 'fast.' and behind 'slow.': nothing tells which of these "
                "networks the publisher evaluated; save that one's state dict alone with torch.save and use that."
            ),
        ),
        (lambda state: reshaped(state, "decode_head.conv_seg.weight", (-1,)), AS_MANY),
        (lambda state: reshaped(state, "backbone.stem.1.running_var", (1, -1, 1, 1)), AS_MANY),
        (
            lambda state: state | {"decode_head.conv_seg.weight": torch.ones(24, 2)},
            (
                "The classifiers alone differ, in more than one number of classes: use the file that the publisher offers for "
                "testing."
            ),
        ),
    ],
    ids=[
        "part",
        "prefix",
        "names",
        "types",
        "lacking",
        "bias",
        "statistics",
        "scale",
        "projector",
        "spectral",
        "averages",
        "bare and prefixed",
        "two prefixes",
        "flat",
        "broadcast",
        "no classifier",
    ],
)
def test_another_architecture_is_said_only_where_it_is_known(tiny, change, hint):
    assert mismatch(tiny, change(tiny.state_dict()))[-1] == f"  {hint}"


def test_what_no_evaluation_looks_at_may_be_missing_and_is_told(tiny):
    state = without(tiny.state_dict(), "num_batches_tracked", "auxiliary_head")
    assert load_weights(tiny, state) == (
        "num_batches_tracked of 67 norms is not in the file; evaluation does not use it.",
        "The auxiliary head is not in the file; evaluation never runs it.",
    )


def test_what_may_be_missing_does_not_hide_what_may_not(tiny):
    lines = mismatch(tiny, without(tiny.state_dict(), "num_batches_tracked", "auxiliary", "stem.4.bias"))
    assert lines[1] == "  missing in the file: 1 of 341 keys: backbone.stem.4.bias (2,)"


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
    converted = convert_keys(state, layout, model)
    assert all(
        torch.equal(value, converted[key].to(value.dtype)) for key, value in model.state_dict().items()
    )
    assert model(torch.zeros(1, 3, 64, 96)).isfinite().all()


def test_importing_the_package_does_not_import_torch():
    code = "import sys, segbench.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
