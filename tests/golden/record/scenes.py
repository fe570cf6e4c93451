"""Pictures and labels that the publishers' programs are run on: the demo's street scenes in other sizes.

Run with segbench's own environment, before the others: it writes `pictures.npz`, `labels.npz` and the JPEG files.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HERE = Path(__file__).parents[1]
STREETS = HERE.parents[1] / "zoo/streets"
SIZES = {  # width, height: whole eighths, odd numbers, upright, and a width that 192x96 makes odd
    "a": ("street_000", (256, 128)),
    "b": ("street_005", (179, 101)),
    "c": ("street_004", (120, 160)),
    "d": ("street_008", (256, 144)),
}


def scene(name):
    source, size = SIZES[name]
    picture = cv2.imread(str(STREETS / f"images/val/{source}.jpg"))
    label = np.array(Image.open(STREETS / f"annotations/val/{source}.png"))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.resize(label, size, interpolation=0)


def spread(label, step, wide, classes):
    """Labels of more classes: each of the eight becomes `wide` in columns of 16 pixels; the last class in a corner."""
    columns = np.arange(label.shape[1])[None] // 16 % wide
    values = np.where(label == 255, 255, label.astype(int) * step + columns)
    values[:6, :10] = classes - 1
    return values.astype(np.uint8)


def main():
    pictures, labels = {}, {}
    for name in SIZES:
        pictures[name], label = scene(name)
        labels[f"cityscapes|{name}"] = spread(label, 2, 3, 19)
        labels[f"voc|{name}"] = spread(label, 2, 4, 21)
        ade = spread(label, 18, 6, 150)
        labels[f"ade|{name}"] = np.where(ade == 255, 0, ade + 1).astype(np.uint8)
        jpeg = cv2.imencode(".jpg", pictures[name], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        pictures[f"{name}|jpg"] = jpeg.reshape(-1)
    np.savez_compressed(HERE / "pictures.npz", **pictures)
    np.savez_compressed(HERE / "labels.npz", **labels)


if __name__ == "__main__":
    main()
