"""A small zoo of a network that is not ours: a file of builders, weights, a manifest and eight pictures."""

import numpy as np
import torch
from PIL import Image

CLASSES = ("floor", "wall", "lamp")
TINY = '''\
"""One layer that tells classes by colour."""

from torch import nn


def tiny(*, num_classes: int, bias: bool = True) -> nn.Module:
    """Scores of a pixel from its own colour."""
    return nn.Conv2d(3, num_classes, 1, bias=bias)
'''
MANIFEST = """\
version: 1
datasets:
  pictures:
    title: Pictures
    split: all images
    image_count: 8
    roots: [pictures]
    images: images
    image_suffix: .png
    labels: [{folder: labels, suffix: .png}]
    classes: [floor, wall, lamp]
protocols:
  whole: {base_scale: null, description: once}
checkpoints:
  - id: own
    publisher: me
    method: Tiny
    backbone: none
    dataset: pictures
    crop: [8, 8]
    schedule: "1"
    architecture: {builder: tiny, num_classes: 3}
    weights: {urls: [https://example.org/own.pth]}
    claims: [{metric: miou, printed: "100.00", protocol: whole}]
"""


def tiny_weights():
    """Weights that make scene's red floor, green wall and blue lamp score highest."""
    return {"weight": torch.eye(3)[:, :, None, None].clone(), "bias": torch.zeros(3)}


def own_zoo(root, source=TINY, manifest=MANIFEST):
    """Write builders, weights, manifest and pictures below `root`; every pixel's label is its strongest channel."""
    (root / "tiny.py").write_text(source, encoding="utf-8")
    (root / "zoo.yaml").write_text(manifest, encoding="utf-8")
    torch.save(tiny_weights(), root / "own.pth")
    data = root / "data" / "pictures"
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    for number in range(8):
        labels = random.integers(0, len(CLASSES), (8, 8), dtype=np.uint8)
        pixels = np.zeros((8, 8, 3), np.uint8)
        np.put_along_axis(pixels, labels[:, :, None].astype(np.intp), 255, axis=2)
        Image.fromarray(pixels).save(data / "images" / f"{number}.png")
        Image.fromarray(labels).save(data / "labels" / f"{number}.png")


def verify_arguments(root, *more):
    """What follows `zoo` to measure it, all files of the run below `root`."""
    places = ["--evidence", root / "evidence.sqlite", "--ledger", root / "ledger.jsonl"]
    given = ["--manifest", root / "zoo.yaml", "--data-root", root / "data", "--file", root / "own.pth"]
    return ["verify", *map(str, (*given, *places)), "-q", *map(str, more)]
