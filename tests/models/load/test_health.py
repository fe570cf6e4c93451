"""Identity and sanity of weights, and the canary."""

from __future__ import annotations

import pytest
import torch

from segbench.models import build_model
from segbench.models.load.checkpoint_file import read_checkpoint, write_safetensors
from segbench.models.load.health import (
    WeightsFinding,
    canary,
    canary_image,
    content_digest,
    findings,
    rounded,
)

STATE = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "bn.running_var": torch.tensor([1.0, 5.6e-45]),  # of a dead channel, as published files have them
    "bn.num_batches_tracked": torch.tensor(7),
}


def build():
    torch.manual_seed(0)
    tiny = {"base_channels": 4, "stem_channels": 4, "channels": 8, "auxiliary_channels": 4}
    return build_model("isanet_mmseg", depth=50, num_classes=3, isa_channels=4, **tiny)


@pytest.fixture
def tiny():
    return build()


# Content


def test_the_container_and_the_order_do_not_change_the_content(tmp_path):
    torch.save({"meta": {"iter": 3}, "state_dict": STATE}, tmp_path / "a.pth")
    torch.save(STATE, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    write_safetensors(STATE, tmp_path / "c.safetensors")
    digests = {content_digest(read_checkpoint(path)) for path in tmp_path.iterdir()}
    assert digests == {content_digest(dict(reversed(STATE.items())))}


@pytest.mark.parametrize(
    "change",
    [
        {"a.weight": torch.arange(6.0).reshape(3, 2)},
        {"a.weight": torch.arange(6.0).reshape(2, 3).double()},
        {"a.weight": torch.arange(6.0).reshape(2, 3).nextafter(torch.tensor(9.0))},
        {"b.weight": torch.zeros(0)},
    ],
    ids=["shape", "type", "last bit", "name"],
)
def test_whatever_differs_changes_the_content(change):
    assert content_digest(STATE | change) != content_digest(STATE)


def test_a_transposed_view_counts_by_its_values():
    values = torch.arange(6.0).reshape(2, 3)
    assert content_digest({"a": values.T}) == content_digest({"a": values.T.contiguous()})


# Values


def test_sound_weights_have_no_findings(tiny):
    trained = {
        key: value * 0.9 if key.endswith("running_var") else value for key, value in tiny.state_dict().items()
    }
    assert findings(STATE) == findings(trained) == []


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "float16"), (torch.bfloat16, "bfloat16")])
def test_floats_of_16_bits_are_told(dtype, name):
    (found,) = rounded({key: value.to(dtype) for key, value in STATE.items()} | {"wide": torch.ones(1)})
    assert (found.what, found.gravity) == ("rounded", "warning")
    assert found.meaning == (
        f"{len(STATE)} of {len(STATE) + 1} tensors of floats are stored in {name}; the network runs in float32, and where "
        "the publisher's file has float32 its scores are others."
    )
    assert list(rounded(STATE)) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_dead_channels_variance_is_zero_in_16_bits(dtype):
    halves = {key: value.to(dtype) for key, value in STATE.items()}
    assert halves["bn.running_var"].tolist() == [1, 0]
    assert findings(halves) == []
    (lost,) = findings(halves | {"bn.running_var": torch.zeros(2, dtype=dtype)})
    assert lost.what == "BatchNorm variance of zero"


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("a.weight", [float("nan"), 1.0], ("NaN in the weights", "error", "1 value in 1 tensor: a.weight. ")),
        (
            "a.weight",
            [float("-inf")] * 2,
            ("infinity in the weights", "error", "2 values in 1 tensor: a.weight. "),
        ),
        ("bn.running_var", [1, -1e-9], ("negative BatchNorm variance", "error", "1 value in 1 tensor: bn.")),
        ("bn.running_var", [0.0, 0.0], ("BatchNorm variance of zero", "error", "2 values in 1 tensor: bn.")),
        ("bn.running_var", [1, 1e9], ("absurd BatchNorm variance", "error", "1 value in 1 tensor: bn.")),
        ("a.weight", [[0.0, 0.0]], ("weights all zero", "error", "1 tensor: a.weight. ")),
        ("bn.weight", [0.0, 0.0], ("scales all zero", "warning", "1 tensor: bn.weight. ")),
    ],
)
def test_bad_values_are_told_with_their_place(key, values, expected):
    (finding,) = findings(STATE | {key: torch.tensor(values)})
    assert (finding.what, finding.gravity) == expected[:2]
    assert finding.meaning.startswith(expected[2])


def test_norms_that_training_never_touched_are_told(tiny):
    (finding,) = findings(tiny.state_dict())
    assert (finding.what, finding.gravity) == ("norms untouched", "warning")
    assert finding.meaning == (
        "68 of 68 norms, 'backbone.stem.1', 'backbone.stem.4', 'backbone.stem.7' and 65 more, have a running mean of 0 "
        "and a variance of 1 in every channel, as before training."
    )


def test_the_first_names_are_shown_and_all_are_counted():
    state = {f"{letter}.weight": torch.tensor([float("nan")] * 2) for letter in "abcde"}
    assert findings(state) == [
        WeightsFinding(
            what="NaN in the weights",
            gravity="error",
            meaning="10 values in 5 tensors: a.weight, b.weight, c.weight, .... "
            "No score made with them means anything. What made it so, the values do not tell: compare with another copy of "
            "the file.",
        )
    ]


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_values_that_no_evaluation_reads_spoil_no_score(value):
    bad = {"aux.weight": torch.tensor([value, 1.0]), "aux.running_var": torch.tensor([-1.0])}
    found = findings(STATE | bad, idle=frozenset(bad))
    assert {(finding.gravity, finding.meaning.partition(". ")[2]) for finding in found} == {
        (
            "warning",
            "That is in the auxiliary head, which evaluation never runs: no score depends on it. Do not train from this file.",
        )
    }
    assert len(found) == 2
    assert {finding.gravity for finding in findings(STATE | bad)} == {"error"}


# Canary


def test_the_canary_does_not_depend_on_threads(tiny):
    before, digests = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        digests.append(canary(tiny))
    torch.set_num_threads(before)
    assert digests[0] == digests[1]


def test_the_canarys_rounding_keeps_far_from_arithmetics_errors(tiny):
    """The distance of every score to the next boundary of rounding, against float64's 1e-12."""
    with torch.inference_mode():
        steps = tiny.double()(canary_image()) / 1e-3
    assert (0.5 - (steps - steps.round()).abs()).min() > 1e-7


def test_the_canary_tells_weights_apart_and_leaves_the_model_alone(tiny):
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    first = canary(tiny)
    after = tiny.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert {value.dtype for value in tiny.parameters()} == {torch.float32}
    assert canary(build()) == first
    tiny.decode_head.conv_seg.bias.data[0] += 0.01
    assert canary(tiny) != first


def test_the_canary_names_scores_that_are_not_finite(tiny):
    tiny.decode_head.conv_seg.bias.data[0] = float("nan")
    assert canary(tiny) == "not finite"


def test_the_canarys_image_is_exact():
    image = canary_image()
    assert image.shape == (1, 3, 64, 96)
    assert torch.equal(image, image.float().double())
    assert torch.equal(image * 64, (image * 64).round())
    assert (image.min(), image.max()) == (-2.0, 1.96875)
