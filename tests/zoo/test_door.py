"""Inputs after public bug reports, measured to the number that is right: the demo's ISANet on the first four scenes."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.measuring.measurement import Measurement

pytestmark = pytest.mark.slow

DEMO = "isanet_r50-d8_w16_256x512_0.8k_streets"
WEIGHTS = next((STREETS / "weights").glob("isanet*.pth"))
CLASSES = ["road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car"]
RIGHT = 75.23
"""mIoU of the four scenes as they are."""
RIGHT_WITHOUT = 74.23
"""The same with every class but the first ignored in the second scene's label."""


@pytest.fixture
def scenes(tmp_path):
    """The first four scenes as an own folder."""
    for kind, source, suffix in (("images", "images/val", ".jpg"), ("labels", "annotations/val", ".png")):
        (tmp_path / "own" / kind).mkdir(parents=True)
        for number in range(4):
            shutil.copy(STREETS / source / f"street_{number:03d}{suffix}", tmp_path / "own" / kind)
    (tmp_path / "own/classes.txt").write_text("\n".join(CLASSES))
    return tmp_path / "own"


def miou(folder, name, weights, *place):
    """What `zoo verify` measures, in percent and rounded as printed."""
    options = ["--metric", "miou", "--file", weights, "--ledger", folder / "ledger.jsonl", "--offline", "-q"]
    main([str(one) for one in ("verify", name, *place, *options)])
    (record,) = ledger.read(folder / "ledger.jsonl", Measurement)
    return round(record.value, 2)


def test_a_label_made_smaller_and_what_tools_left_change_nothing(scenes):
    """A lossless optimiser stores 0 and 255 as 1 bit; Jupyter and Synology keep copies beside the images."""
    label = scenes / "labels/street_001.png"
    with Image.open(label) as picture:
        values = np.where(np.array(picture) == 0, 0, 255).astype(np.uint8)
    Image.fromarray(values).convert("1", dither=Image.Dither.NONE).save(label, bits=1)
    for folder, suffix in (("images", ".jpg"), ("labels", ".png")):
        for copies in (".ipynb_checkpoints", "@eaDir", "__MACOSX/images"):
            (scenes / folder / copies).mkdir(parents=True)
            shutil.copy(scenes / folder / f"street_000{suffix}", scenes / folder / copies)
    found = miou(scenes, DEMO, WEIGHTS, "--manifest", STREETS / "zoo.yaml", "--folder", scenes)
    assert found == RIGHT_WITHOUT


def test_300_classes_are_measured(scenes):
    """The demo's eight classes are the last of 300, in labels of 16 bits; no other is ever predicted."""
    offset = 300 - len(CLASSES)
    for path in (scenes / "labels").glob("*.png"):
        with Image.open(path) as picture:
            values = np.array(picture).astype(np.uint16)
        Image.fromarray(np.where(values == 255, 65535, values + offset).astype(np.uint16)).save(path)
    checkpoint = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
    for key, tensor in checkpoint["state_dict"].items():
        if ".conv_seg." in key:
            fill = 0.0 if tensor.ndim > 1 else -1e4
            wider = torch.full((300, *tensor.shape[1:]), fill)
            wider[offset:] = tensor
            checkpoint["state_dict"][key] = wider
    torch.save(checkpoint, scenes / "wide.pth")
    manifest = yaml.safe_load((STREETS / "zoo.yaml").read_text(encoding="utf-8"))
    (spec,) = manifest["datasets"].values()
    spec |= {
        "image_count": 4,
        "roots": [],
        "images": "images",
        "labels": [{"folder": "labels", "suffix": ".png"}],
        "classes": [f"class {number}" for number in range(300)],
        "ignore_index": 65535,
    }
    for key in ("palette", "id_list", "categories"):
        spec.pop(key, None)
    manifest["checkpoints"] = [row for row in manifest["checkpoints"] if row["id"] == DEMO]
    row = manifest["checkpoints"][0]
    row["architecture"]["num_classes"] = 300
    row["weights"] = {"urls": ["https://example.org/wide.pth"], "layout": "mmseg"}
    (scenes / "zoo.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    found = miou(scenes, DEMO, scenes / "wide.pth", "--manifest", scenes / "zoo.yaml", "--data-root", scenes)
    assert found == RIGHT
