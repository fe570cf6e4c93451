"""Pages in the publishers' forms, written from a manifest: what `zoo audit` and `zoo import` read."""

from __future__ import annotations

from typing import Any

import yaml

from segbench.evaluate.geometry import view_size

TITLES = {"cityscapes": "Cityscapes", "ade20k": "ADE20K", "voc2012aug": "Pascal VOC 2012 + Aug"}

SETS = {"voc2012aug": "trainaug/val", "cocostuff10k": "train/test"}


def printed(row, metric, *, latest=True):
    figures = [claim.printed for claim in row.claims if claim.metric == metric and claim.printed]
    return (figures[-1] if latest else figures[0]) if figures else ""


def crop(row):
    return f"{row.crop[0]}x{row.crop[1]}"


def sections(zoo, publisher, method):
    """(section, rows) in the manifest's order."""
    found: dict[str, list] = {}
    for row in zoo:
        if (row.publisher, row.method) == (publisher, method):
            found.setdefault(row.claims[0].source.section, []).append(row)
    return found.items()


def mmseg_readme(zoo):
    lines = []
    for section, rows in sections(zoo, "mmsegmentation", "ISANet"):
        lines += [f"### {section}", ""]
        lines += [
            "| Method | Backbone | Crop Size | Lr schd | Mem (GB) | Inf time (fps) | Device | mIoU | mIoU(ms+flip) | config | download |"
        ]
        lines += ["| --- | --- | --- | --- | --: | --- | --- | --- | --: | --: | --- |"]
        for row in rows:
            cells = [row.method, row.backbone, crop(row), row.schedule]
            cells += [printed(row, "train_memory"), printed(row, "fps"), "V100"]
            cells += [printed(row, "miou"), printed(row, "miou_ms_flip"), f"[config]({row.config_urls[0]})"]
            cells += [f"[model]({row.weights.urls[0]}) \\| [log]({row.log_urls[0]})"]
            lines += [f"| {' | '.join(cells)} |"]
        lines += [""]
    return "\n".join(lines)


def ssseg_readme(zoo, method, *, latest=True):
    """Today's page; with `latest` False the figures and links of 2021."""
    lines = []
    for section, rows in sections(zoo, "sssegmentation", method):
        second = {"ISANet": "", "ISNet": "/mIoU(flip)" if section == "LIP" and latest else "/mIoU(ms+flip)"}[
            method
        ]
        lines += [f"#### {section}", ""]
        lines += [
            f"| Backbone | Crop Size | Schedule | Train/Eval Set | mIoU{second} | Download |",
            "| :-: " * 6 + "|",
        ]
        for row in rows:
            more = printed(row, "miou_ms_flip", latest=latest) or printed(row, "miou_flip")
            figures = f"{printed(row, 'miou')}%" + (f"/{more}%" if second else "")
            index = 0 if latest else -1
            links = [("cfg", row.config_urls[0])] if latest else []
            links += [("model", row.weights.urls[index]), ("log", row.log_urls[index])]
            download = " &#124; ".join(f"[{name}]({url})" for name, url in links)
            cells = [
                row.backbone,
                crop(row),
                row.schedule,
                SETS.get(row.dataset, "train/val"),
                figures,
                download,
            ]
            lines += [f"| {' | '.join(cells)} |"]
        lines += [""]
    return "\n".join(lines)


def metafile(zoo, version="0.18", *, timed=None):
    """An mmsegmentation metafile; numbers are floats there. `timed` pastes a size for the first row's."""
    rows = [row for row in zoo if row.publisher == "mmsegmentation"]
    models = [_model(row, version, timed if index == 0 else None) for index, row in enumerate(rows)]
    collection = {"Name": "isanet" if version == "0.18" else "ISANet"}
    return yaml.safe_dump({"Collections": [collection], "Models": models}, sort_keys=False)


def _model(row, version, timed) -> dict[str, Any]:
    height, width = timed or view_size(row.dataset_spec.typical_size, row.protocol("miou"), 1.0)
    result = {
        "Task": "Semantic Segmentation",
        "Dataset": TITLES[row.dataset],
        "Metrics": {
            "mIoU": float(printed(row, "miou")),
            "mIoU(ms+flip)": float(printed(row, "miou_ms_flip")),
        },
    }
    memory = {"0.18": "memory (GB)", "0.30": "Training Memory (GB)", "1.2": "Memory (GB)"}[version]
    timing = {"value": round(1000 / float(printed(row, "fps")), 2), "hardware": "V100"}
    timing |= {"batch size": 1, "mode": "FP32", "resolution": f"({height},{width})"}
    links = {"Weights": row.weights.urls[0]}
    if version == "1.2":
        links["Training log"] = row.log_urls[0]
        meta = {"Architecture": [row.backbone, "ISANet"], "Training Resources": "4x V100 GPUS"}
        meta |= {"Training Data": TITLES[row.dataset]}
        meta |= {"Batch Size": row.training.gpus * row.training.batch_per_gpu}
    else:
        meta = {
            "backbone": row.backbone,
            "crop size": f"({row.crop[0]},{row.crop[1]})",
            "lr schd": int(row.schedule),
        }
        meta |= {"inference time (ms/im)": [timing]}
    meta[memory] = float(printed(row, "train_memory"))
    name = row.aliases[0] if version == "1.2" else row.id
    results: Any = result if version == "1.2" else [result]
    return (
        {"Name": name, "In Collection": "ISANet", "Metadata": meta, "Results": results}
        | {"Config": f"configs/isanet/{name}.py"}
        | links
    )
