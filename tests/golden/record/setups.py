"""What both recorders of mmsegmentation run, how the trees of files look, and how results are stored.

Base scales, windows and scale ratios are smaller than published, so that a test takes a second.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parents[1]
sys.path.append(str(HERE.parent / "support"))
import weights_rule  # noqa: E402

# setup: dataset layout, 1.x configuration, 0.x configuration, base scale, sliding window
SETUPS = {
    "city_whole": ("cityscapes", "4xb2-40k_cityscapes-512x1024", "512x1024_40k_cityscapes", (160, 80), None),
    "city_slide": (
        "cityscapes",
        "4xb2-40k_cityscapes-769x769",
        "769x769_40k_cityscapes",
        (145, 73),
        {"mode": "slide", "crop_size": (49, 65), "stride": (33, 43)},
    ),
    "ade": ("ade", "4xb4-80k_ade20k-512x512", "512x512_80k_ade20k", (320, 80), None),
    "voc": ("voc", "4xb4-20k_voc12aug-512x512", "512x512_20k_voc12aug", (320, 80), None),
}
RATIOS = {"single": (1.0,), "msflip": (0.5, 0.75, 1.25)}
# layout: images, labels, their suffixes, the list of the split
LAYOUTS = {
    "cityscapes": ("leftImg8bit/val", "gtFine/val", "_leftImg8bit.png", "_gtFine_labelTrainIds.png", None),
    "ade": ("images/validation", "annotations/validation", ".jpg", ".png", None),
    "voc": ("JPEGImages", "SegmentationClass", ".jpg", ".png", "ImageSets/Segmentation/val.txt"),
}
CLOSE = {"scores": 2e-3, "probabilities": 2e-4}
"""Gaps that rounding may close: twice what another build of torch moves scores or probabilities by."""
PICTURE = "b"
PICTURES = ("a", "b", "c")


def fill(model):
    weights_rule.fill(model)
    return model.eval()


def write_tree(root, layout):
    images, labels, image_suffix, label_suffix, split = LAYOUTS[layout]
    pictures, values = np.load(HERE / "pictures.npz"), np.load(HERE / "labels.npz")
    for name in PICTURES:
        image, label = root / images / f"{name}{image_suffix}", root / labels / f"{name}{label_suffix}"
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        if image_suffix == ".jpg":
            image.write_bytes(pictures[f"{name}|jpg"].tobytes())
        else:
            Image.fromarray(pictures[name][..., ::-1]).save(image)
        Image.fromarray(values[f"{layout}|{name}"]).save(label)
    if split:
        (root / split).parent.mkdir(parents=True)
        (root / split).write_text("\n".join(PICTURES) + "\n")


def stored_prediction(scores):
    """Label map, every fourth score, and the gap between the two best classes up to 0.01, of C x H x W scores."""
    best = np.sort(scores, axis=0)[-2:]
    step = 2.0**-17
    return {
        "pred": scores.argmax(axis=0).astype(np.uint8),
        "score_s4": (np.round(scores[:, ::4, ::4].astype(np.float64) / step) * step).astype(np.float32),
        "margin": np.minimum(best[1] - best[0], 0.01).astype(np.float16),
    }


def undecided(scores, kind):
    """For each class, the pixels at which it is one of the two best and these are within rounding of each other."""
    order = np.argsort(scores, axis=0)[-2:]
    best = np.take_along_axis(scores, order, axis=0)
    return np.bincount(order[:, best[1] - best[0] < CLOSE[kind]].reshape(-1), minlength=len(scores))


def save(name, arrays, facts):
    np.savez_compressed(HERE / "mmseg" / f"{name}.npz", **arrays)
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in facts.items())
    (HERE / "mmseg" / f"{name}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
