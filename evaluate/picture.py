"""Label maps as files and pictures: palette PNGs for programs, overlays with a legend for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torchvision.utils import draw_segmentation_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data.datasets import Colour
    from .pixels import Labels, Pixels

OPACITY = 0.55
"""Of class colours over the photograph."""
_MOST_COLOURS = 256
_LEGEND_ROW_SHARE = 1 / 24
_LEGEND_ROW_PIXELS = (12, 40)


def colour_map(count: int) -> tuple[Colour, ...]:
    """Pascal VOC's colours for `count` classes: an index's bits, taken three at a time, from the top bit down.

    For data sets without a palette of their own (the VOC2012 development kit, `VOClabelcolormap.m`).
    """
    return tuple(_voc_colour(index) for index in range(count))


def _voc_colour(index: int) -> Colour:
    red = green = blue = 0
    for place in range(7, -1, -1):
        red |= (index & 1) << place
        green |= (index >> 1 & 1) << place
        blue |= (index >> 2 & 1) << place
        index >>= 3
    return red, green, blue


def palette_image(labels: Labels, palette: Sequence[Colour]) -> Image.Image:
    """Labels (H, W) as a picture whose pixels are class indices: indexed with RGB colours, or 16-bit grey.

    A palette has room for 256 colours; indices of more classes are kept and their colours left out.
    """
    if len(palette) > _MOST_COLOURS:
        return Image.fromarray(labels.astype(np.uint16))  # mode I;16
    picture = Image.fromarray(labels.astype(np.uint8))  # mode L
    picture.putpalette(np.array(palette, dtype=np.uint8).tobytes())
    return picture


def coloured(labels: Labels, palette: Sequence[Colour]) -> Image.Image:
    """Labels (H, W) in their classes' RGB colours; what is no class is black."""
    table = np.array([*palette, (0, 0, 0)], dtype=np.uint8)
    return Image.fromarray(table[np.where((labels >= 0) & (labels < len(palette)), labels, len(palette))])


def class_shares(labels: Labels, classes: Sequence[str]) -> dict[str, float]:
    """Class name -> share of the pixels (0 to 1), of the classes that occur, largest first."""
    counts = np.bincount(labels.reshape(-1), minlength=len(classes))
    order: list[int] = sorted(np.flatnonzero(counts).tolist(), key=lambda index: -counts[index])
    return {classes[index]: float(counts[index] / labels.size) for index in order}


def overlay(image: Pixels, labels: Labels, classes: Sequence[str], palette: Sequence[Colour]) -> Image.Image:
    """The photograph under its class colours, with a legend of the classes that occur below it.

    Args:
        image: H x W x 3, BGR uint8.
        labels: (H, W) class indices.
        classes: class names.
        palette: RGB colours, one a class.
    """
    present = np.unique(labels)
    photograph = torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1])).permute(2, 0, 1)
    masks = torch.from_numpy(labels[None] == present[:, None, None])
    colours = [palette[index] for index in present]
    painted = draw_segmentation_masks(photograph, masks, alpha=OPACITY, colors=colours)
    picture = Image.fromarray(painted.permute(1, 2, 0).numpy())
    colour_of = dict(zip(classes, palette, strict=True))
    entries = [
        (colour_of[name], f"{name} {100 * share:.1f} %")
        for name, share in class_shares(labels, classes).items()
    ]
    return _with_legend(picture, entries)


def _with_legend(picture: Image.Image, entries: Sequence[tuple[Colour, str]]) -> Image.Image:
    low, high = _LEGEND_ROW_PIXELS
    row = min(max(round(picture.width * _LEGEND_ROW_SHARE), low), high)
    font = ImageFont.load_default(size=round(row * 0.6))
    column = row + max(round(font.getlength(text)) for _, text in entries) + row
    columns = max(1, picture.width // column)
    lines = -(-len(entries) // columns)
    width = max(picture.width, column)
    sheet = Image.new("RGB", (width, picture.height + row * lines + row // 2), "white")
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for index, (colour, text) in enumerate(entries):
        left, top = index % columns * column, picture.height + row // 4 + index // columns * row
        draw.rectangle(
            [left + row // 4, top + row // 5, left + row, top + row * 4 // 5], fill=colour, outline="black"
        )
        draw.text((left + row * 1.25, top + row / 2), text, fill="black", font=font, anchor="lm")
    return sheet
