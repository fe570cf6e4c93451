"""Rows that measure on the user's own folder instead of their data set."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import msgspec

from ...evaluate.data.folder import CLASSES, folder_spec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ...evaluate.data.datasets import DatasetSpec
    from ..manifest import Checkpoint


class DataMisfit(ValueError):  # noqa: N818
    """A checkpoint's network knows other classes than the data; the message says how many each."""


def on_folder(rows: Iterable[Checkpoint], folder: Path) -> list[Checkpoint]:
    """Rows that measure on the user's own folder; their claims stay what they are.

    Classes of other names are a warning in the log, once for each data set of the rows.

    Raises:
        DatasetError: the folder cannot be described.
        DataMisfit: a row's network has another number of classes, or the same ones in another order.
    """
    spec = folder_spec(folder)
    fitted, told = [], set()
    for row in rows:
        known = row.architecture.get("num_classes", len(row.dataset_spec.classes))
        if known != len(spec.classes):
            raise DataMisfit(
                f"{folder / CLASSES}: {len(spec.classes)} classes, but {row.id} predicts the {known} of "
                f"{row.dataset_spec.title}; list its classes in its order, and ignore what your labels lack"
            )
        other = _other_names(spec, row, folder / CLASSES)
        if other and row.dataset not in told:
            told.add(row.dataset)
            logging.getLogger("segbench").warning("%s: %s", folder / CLASSES, other)
        fitted.append(msgspec.structs.replace(row, dataset=spec.name, dataset_spec=spec))
    return fitted


def _other_names(spec: DatasetSpec, row: Checkpoint, place: Path) -> str:
    """How the folder's class names differ from the row's, letter case and punctuation apart; empty where not."""
    here, there = ([_plain(name) for name in one.classes] for one in (spec, row.dataset_spec))
    differing = [index for index, names in enumerate(zip(here, there, strict=False)) if len(set(names)) > 1]
    if not differing:
        return ""
    first = differing[0]
    example = f"class {first} is {spec.classes[first]!r} here and {row.dataset_spec.classes[first]!r} there"
    if sorted(here) == sorted(there):
        raise DataMisfit(
            f"{place}: the classes of {row.id} in another order: {example}; sort the lines as there, and "
            "the label values with them"
        )
    return f"{len(differing)} of {len(here)} names differ from those of {row.id}, {example}: make sure that they mean the same"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
