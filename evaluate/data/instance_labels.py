"""Label maps of annotations that are objects' outlines, made once: COCO's, with an extra's rasteriser.

COCO names an object's category and draws it, as polygons or, for crowds, as runs of pixels. torchvision's reference
script (`references/segmentation/coco_utils.py`: `FilterAndRemapCocoCategories`, `ConvertCocoPolysToMask`) makes labels
of it image by image: 0 where nothing is, the category's class where one object is, 255 where objects overlap. Here the
same labels become files, so that everything that reads label files reads them.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .datasets import DatasetError, DatasetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from .datasets import InstanceLabels


def missing_labels(spec: DatasetSpec, root: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Images without a label file in the first form, each with its objects that count.

    Args:
        spec: of a data set with `made_of`.
        root: its folder.

    Raises:
        DatasetError: the annotations cannot be read.
    """
    source = _source(spec)
    path = root / source.annotations
    try:
        content = json.loads(path.read_bytes())
        images = {int(one["id"]): one for one in content["images"]}
        objects = sorted(content["annotations"], key=lambda one: int(one["image_id"]))
        counting = [one for one in objects if int(one["category_id"]) in source.categories]
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot read the annotations: {error.strerror or error}; {spec.how_to_get}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: no annotations in COCO's form ({type(error).__name__}: {error}); copy it again"
        ) from error
    of_image = {key: list(found) for key, found in groupby(counting, key=lambda one: int(one["image_id"]))}
    return [
        (image, of_image.get(key, []))
        for key, image in images.items()
        if not _label_path(spec, root, image).exists()
    ]


def make_labels(
    spec: DatasetSpec,
    root: Path,
    images: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]],
    write: Callable[[Path, Image.Image], None],
) -> None:
    """A label file for each image.

    Args:
        spec: of a data set with `made_of`.
        root: its folder.
        images: of `missing_labels`.
        write: puts a picture into a file, whole or not at all.

    Raises:
        DatasetError: pycocotools is not installed, or an object cannot be drawn.
    """
    source, ignore = _source(spec), spec.ignore_index
    for image, objects in images:
        try:
            size = int(image["height"]), int(image["width"])
            labels = drawn(objects, size, source.categories, ignore)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DatasetError(
                f"{root / source.annotations}: image {image.get('id')}: {type(error).__name__}: {error}"
            ) from error
        write(_label_path(spec, root, image), Image.fromarray(labels))


def drawn(
    objects: list[dict[str, Any]], size: tuple[int, int], categories: dict[int, int], ignore: int
) -> NDArray[np.uint8]:
    """H x W labels of objects: 0 where none is, `ignore` where several overlap.

    Args:
        objects: in COCO's form, of these categories only.
        size: (height, width).
        categories: COCO's category -> class index.
        ignore: the label of overlaps.

    Raises:
        DatasetError: pycocotools is not installed.
    """
    try:
        from pycocotools import (  # pyright: ignore[reportMissingModuleSource]  # noqa: PLC0415  (an extra)
            mask,
        )
    except ModuleNotFoundError as error:
        raise DatasetError(
            "outlines are drawn by pycocotools, which is not installed here; pip install 'segbench[coco]'"
        ) from error
    labels = np.zeros(size, np.uint8)
    covered = np.zeros(size, np.uint16)
    for one in objects:
        runs = mask.frPyObjects(one["segmentation"], *size)
        inside = mask.decode(runs)
        inside = inside.any(axis=2) if inside.ndim == 3 else inside.astype(bool)
        labels[inside] = np.maximum(labels[inside], categories[int(one["category_id"])])
        covered += inside
    labels[covered > 1] = ignore
    return labels


def _label_path(spec: DatasetSpec, root: Path, image: dict[str, Any]) -> Path:
    form = spec.labels[0]
    return root / form.folder / (str(image["file_name"]).removesuffix(spec.image_suffix) + form.suffix)


def _source(spec: DatasetSpec) -> InstanceLabels:
    if spec.made_of is None:
        raise DatasetError(f"{spec.title}: its labels are files of its own; there is nothing to make them of")
    return spec.made_of
