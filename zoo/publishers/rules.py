"""What no table says: architectures, protocols and recipes that follow from a publisher's conventions.

The same rules made the packaged zoo.yaml. mmsegmentation: configs/_base_/datasets and tools/test.py of 0.18;
sssegmentation: ssseg/configs/isanet, ssseg/configs/isnet and their commented-out multi-scale settings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..files.whole_number import DIGITS
from . import SourceError

if TYPE_CHECKING:
    from . import SourceDocument, SourceRow

MMSEG_GPUS = 4
MMSEG_IMAGES_PER_GPU = {"cityscapes": 2, "ade20k": 4, "voc2012aug": 4}
"""mmsegmentation 0.x `samples_per_gpu`, for tables whose configuration names do not say it."""
SSSEG_SETS = {"voc2012aug": "trainaug/val", "cocostuff10k": "train/test"}
"""Train/Eval Set of sssegmentation's tables (docs/modelzoo), where it is not `train/val`."""
SETTINGS_RECORDED = "2023-11-22"
"""Since then sssegmentation's ISNet configurations hold their multi-scale settings."""
NOT_RECORDED = "its settings were not recorded; the protocol is the one configured since"
FROM_MS = "the metafile gives it in ms an image"
RELABELLED = "the 2021 header says ms+flip; the authors renamed the column to flip on 2022-09-10"


def is_ssseg(document: SourceDocument) -> bool:
    """True for documents in sssegmentation's form."""
    return document.form == "ssseg-readme"


def architecture(document: SourceDocument, row: SourceRow, classes: int) -> dict[str, Any]:
    """Builder and its numbers, for the two publishers' ISANet and sssegmentation's ISNet.

    Raises:
        SourceError: no builder has this method with this backbone.
    """
    place = f"{document.path}:{row.line}"
    found = re.fullmatch(r"([RS])-(50|101)-D8", row.backbone)
    kind = (row.method, "ssseg" if is_ssseg(document) else "mmseg")
    if not found or kind not in {("ISANet", "mmseg"), ("ISANet", "ssseg"), ("ISNet", "ssseg")}:
        raise SourceError(
            f"{place}: no builder for {row.method:.60} {row.backbone:.60} of {document.publisher}; "
            "builders are ISANet of both publishers and ISNet of sssegmentation, with R-50, R-101 or S-101"
        )
    family, depth = {"R": "resnet", "S": "resnest"}[found[1]], int(found[2])
    if row.method == "ISANet" and family == "resnet":
        return {"builder": f"isanet_{kind[1]}", "depth": depth, "num_classes": classes}
    numbers: dict[str, bool | int | float | str] = {"builder": "isnet_ssseg", "backbone": f"{family}{depth}"}
    numbers["num_classes"] = classes
    # sssegmentation's LIP configurations alone use the shortcut and LeakyReLU.
    return numbers | ({"shortcut": True, "activation": "leaky_relu"} if row.dataset == "lip" else {})


def protocol(document: SourceDocument, row: SourceRow, metric: str) -> str | None:
    """Name of the test protocol behind an accuracy; None for other metrics."""
    if not metric.startswith("miou"):
        return None
    if not is_ssseg(document):
        return _mmseg_base(row) + ("-ms-flip" if metric == "miou_ms_flip" else "")
    if metric == "miou":
        size = row.dataset if row.dataset in {"cityscapes", "lip"} else "2048x512"
        return f"ssseg-{size}-whole"
    upright = row.backbone == "R-101-D8"
    if row.dataset == "cityscapes":
        return f"ssseg-cityscapes-slide-{'1024x512-ms-flip-scores' if upright else '512x1024-ms-flip-probs'}"
    if row.dataset == "lip":
        return "ssseg-lip-whole-flip-scores"
    scores = row.dataset == "cocostuff10k" and row.backbone.startswith("R")
    return f"ssseg-{row.dataset}-whole-ms-flip-{'scores' if scores else 'probs'}"


def _mmseg_base(row: SourceRow) -> str:
    """The 769x769 rows are tested by windows of their crop, all others whole."""
    if row.dataset != "cityscapes":
        return "mmseg-2048x512-whole"
    return "mmseg-cityscapes-slide-769x769" if row.crop == (769, 769) else "mmseg-cityscapes-whole"


def stated_conditions(document: SourceDocument, row: SourceRow) -> dict[str, str]:
    """What a publisher's rows state of their training and timing: field as `SourceRow.stated` calls it -> text.

    mmsegmentation times one image at a time in float32 (0.18 `tools/benchmark.py`).
    """
    if not is_ssseg(document):
        return {"precision of the timing": "FP32", "batch of the timing": "1"}
    return {"train/eval set": SSSEG_SETS.get(row.dataset, "train/val")}


def images_per_gpu(row: SourceRow, config: str) -> tuple[int, int] | None:
    """GPUs and images a GPU, from a 1.x configuration name (`4xb2`), else mmsegmentation's 0.x default."""
    found = re.search(rf"_({DIGITS})xb({DIGITS})-", config)
    if found:
        return int(found[1]), int(found[2])
    images = MMSEG_IMAGES_PER_GPU.get(row.dataset)
    return (MMSEG_GPUS, images) if images else None


def absence(document: SourceDocument, row: SourceRow, metric: str) -> str:
    """Why a figure is not printed."""
    if row.milliseconds and metric == "fps":
        return f"{FROM_MS}, too few digits for a figure in fps"
    if metric in row.figures:
        return "the cell is blank"
    if is_ssseg(document) and metric == "miou_ms_flip":
        return f"{document.publisher} publishes no ms+flip number for {row.method}, and configures none"
    words = {"train_memory": "memory", "fps": "speed"}.get(metric, "such figure")
    whose = "the metafile has no" if "metafile" in document.form else f"{document.publisher} prints no"
    return f"{whose} {words} for any row"
