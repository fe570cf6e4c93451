"""`examples/espnet_camvid`: published numbers from published weights on published images, by the command line alone.

Expected figures are of the authors' own network, loader and transforms, run apart over the same 233 images.
"""

import json
from pathlib import Path

import pytest
import torch

from segbench.zoo import load_manifest
from segbench.zoo.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/espnet_camvid"
ROW, WEIGHTS = "espnet_p2_q8_camvid", "espnet_p_2_q_8_camvid.pth"
MIOU, CLASS_AVERAGE = 55.6492, 68.3025
IOU = [90.83, 70.35, 26.83, 92.87, 76.03, 61.80, 30.91, 13.37, 72.88, 34.29, 41.98, 25.67]
IGNORED = "void: {classes: [11], pixels: labels ignored}"
WRONG = {
    "mean-over-12": (53.15, {"void: {classes: [11], pixels: counted}": "void: null"}),
    "void-labels-ignored": (57.18, {"void: {classes: [11], pixels: counted}": IGNORED}),
    "void-dropped": (59.76, {"pixels: counted": "pixels: dropped"}),
    "void-channel-removed": (
        57.26,
        {"void: {classes: [11], pixels: counted}": f"score_channels: 11\n    {IGNORED}"},
    ),
    "rgb": (27.30, {"channels: BGR": "channels: RGB"}),
}
"""Name of a protocol -> mIoU recorded for it, and what it says otherwise than the published one."""
RESCORED = {"mean-over-12", "void-labels-ignored", "void-dropped"}
NAMED = {
    "rgb": "channels swapped",
    "void-labels-ignored": "void labels ignored",
    "mean-over-12": "void averaged",
}


@pytest.fixture(scope="module")
def zoo(photographs, tmp_path_factory):
    """A function from a command's name and flags to its exit code and JSON, all on one file of evidence."""
    weights = photographs / "real" / WEIGHTS
    if not weights.is_file():
        pytest.skip(f"published weights that the repository does not hold: {weights}")
    folder = tmp_path_factory.mktemp("espnet")
    manifest = folder / "zoo.yaml"
    manifest.write_text(with_wrong_rules((EXAMPLE / "zoo.yaml").read_text("utf-8")), "utf-8")
    common = [
        "--manifest", manifest, "--builders", EXAMPLE / "espnet.py", "--file", weights, "--data-root", photographs,
        "--evidence", folder / "evidence.sqlite", "--ledger", folder / "ledger.jsonl", "--offline", "-q",
    ]  # fmt: skip

    def run(command, *flags):
        out = folder / "out.json"
        code = main([command, ROW, *map(str, [*common, "--out", out, *flags])])
        return code, json.loads(out.read_text("utf-8"))

    def measured(metric, protocol):
        lines = (folder / "ledger.jsonl").read_text("utf-8").splitlines()
        found = [
            one for one in map(json.loads, lines) if (one["metric"], one["protocol"]) == (metric, protocol)
        ]
        return found[-1]

    run.measured = measured
    return run


def with_wrong_rules(text):
    """The example's manifest with a protocol for each wrong rule."""
    begin, end = text.index("  espnet-camvid:\n"), text.index("\ncheckpoints:")
    published = text[begin:end]
    protocols = [published]
    for name, (_, changes) in WRONG.items():
        changed = published.replace("espnet-camvid", name)
        for old, new in changes.items():
            assert old in changed
            changed = changed.replace(old, new)
        protocols.append(changed)
    return text[:begin] + "".join(protocols) + text[end:]


@pytest.fixture(scope="module")
def verified(zoo):
    """The outcome of `zoo verify`, run once."""
    return zoo("verify")


@pytest.mark.slow
def test_both_published_numbers_are_reproduced(zoo, verified):
    code, told = verified
    assert code == 0
    verdicts = [(one["metric"], one["published"], one["status"]) for one in told]
    assert verdicts == [("miou", "55.64", "reproduced"), ("macc", "68.30", "reproduced")]
    miou, macc = (zoo.measured(metric, "espnet-camvid") for metric in ("miou", "macc"))
    assert miou["value"] == pytest.approx(MIOU, abs=0.01)
    assert macc["value"] == pytest.approx(CLASS_AVERAGE, abs=0.01)
    assert list(miou["details"]["iou_percent"].values()) == pytest.approx(IOU, abs=0.01)
    assert miou["details"]["void_classes"] == ["void"]
    assert (miou["image_count"], miou["new_images"], macc["new_images"]) == (233, 233, 0)


@pytest.mark.slow
@pytest.mark.golden
def test_a_wrong_rule_gives_the_number_recorded_for_it(zoo, verified):
    """Those that score the same label maps otherwise predict no image again."""
    assert verified[0] == 0
    status, numbers, predicted = {}, {}, {}
    for name in WRONG:
        code, told = zoo("verify", "--protocol", name, "--metric", "miou")
        found = zoo.measured("miou", name)
        status[name], numbers[name], predicted[name] = (
            (code, told[0]["status"]),
            found["value"],
            found["new_images"],
        )
    assert status == dict.fromkeys(WRONG, (0, "not comparable"))
    assert numbers == pytest.approx({name: number for name, (number, _) in WRONG.items()}, abs=0.01)
    assert predicted == {name: 0 if name in RESCORED else 233 for name in WRONG}


@pytest.mark.slow
@pytest.mark.golden
def test_a_wrong_rule_is_named_from_its_number(zoo, verified):
    assert verified[0] == 0
    told = {name: zoo("diagnose", "--images", 32, "--value", f"{WRONG[name][0]:.2f}") for name in NAMED}
    assert {name: (code, answer["explanations"]) for name, (code, answer) in told.items()} == {
        name: (0, [named]) for name, named in NAMED.items()
    }


def test_the_network_has_the_published_tensors(importable):
    """189 tensors of 358,193 numbers, batch counters apart; scores come at the input's size."""
    importable(EXAMPLE)
    from espnet import espnet

    with torch.device("meta"):
        state = espnet(num_classes=12).state_dict()
    published = [value for name, value in state.items() if not name.endswith("num_batches_tracked")]
    assert (len(published), sum(value.numel() for value in published)) == (189, 358_193)
    scores = espnet(num_classes=5, p=1, q=1).eval()(torch.zeros(2, 3, 16, 24))
    assert scores.shape == (2, 5, 16, 24)


def test_the_manifest_says_what_is_published():
    row = load_manifest(EXAMPLE / "zoo.yaml")[ROW]
    assert [(claim.metric, claim.printed) for claim in row.claims] == [("miou", "55.64"), ("macc", "68.30")]
    spec = row.dataset_spec
    assert (spec.image_count, len(spec.classes), spec.classes[11]) == (233, 12, "void")
    counts = {
        name: one.image_count for name, one in load_manifest().datasets.items() if one.title == "CamVid"
    }
    assert counts == {"camvid-train": 367, "camvid-val": 101, "camvid-test": 233}
