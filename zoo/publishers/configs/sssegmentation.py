"""sssegmentation's configurations as records.

Facts: what a test does is `inference` (`forward`: whole images or windows; `tta`: scales, mirrored views, and whether
probabilities or scores are averaged) and the `Resize` and `Normalize` of `dataset.test` (1.7.0, `ssseg/test.py` and
`modules/models/segmentors/base/base.py`); which classes change places in mirrored views stands in the training's
`RandomFlip`. Pixels are turned to RGB before they are normalised, whatever a configuration says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....evaluate.protocol import EvalProtocol
from ..records import SourceError
from .published_config import PublishedConfig, Release
from .ssseg_files import Settings, Unknown, read_bases, read_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NETWORK = ("backbone", "head", "auxiliary", "norm_cfg", "act_cfg", "align_corners")
_OF_TRAINING = {"loss_cfg", "pretrained", "pretrained_model_path", "update_cfg", "train", "drop_path_rate"}
"""Keys of a part that decide nothing of a network that is tested."""
_FIXED = {"views": "tensor", "upsampling": "one-step", "normalisation": "float64 multiplication"}
"""Of every test of this publisher."""


def read_folder(folder: Path, revision: str) -> Release:
    """All configurations of `ssseg/configs`, each method's in a folder of its own.

    Raises:
        SourceError: there are none, or one cannot be read.
    """
    bases = read_bases(folder / "_base_")
    found = {}
    for path in sorted(folder.glob("[!_]*/[!_]*.py")):
        config = read_config(path, bases)
        tests = [config.settings, *config.quoted.values()]
        name = path.relative_to(folder).with_suffix("").as_posix()
        found[name] = published_config(config.settings, tests, str(path))
    if not found:
        raise SourceError(f"{folder}: expected configurations (METHOD/*.py), found none")
    return Release(publisher="sssegmentation", revision=revision, configs=found)


def published_config(settings: Settings, tests: Iterable[Settings], place: str = "") -> PublishedConfig:
    """What resolved settings say.

    Args:
        settings: The network's and the training's.
        tests: The settings once more for every way to test the weights, the first one first.
        place: What messages call the file.

    Raises:
        SourceError: something asked for would have to be computed.
    """
    protocols: dict[str, EvalProtocol] = {}
    for test in tests:
        protocol = _protocol(test)
        kind = "second" if len(protocol.scales) > 1 else "mirrored" if protocol.flip else "single"
        protocols.setdefault(kind, protocol)
    own = {"segmentor": settings["type"], "classes": settings["num_classes"]}
    own |= {"fastfcn_segmentor": settings["segmentor"]} if "segmentor" in settings else {}
    network = own | {key: _without_training(settings.get(key)) for key in _NETWORK}
    for unknown in _unknown(network):
        raise SourceError(f"{place}: expected a plain value in the network, found {unknown}")
    crops = [step["crop_size"] for name, step in _steps(settings, "train") if name == "RandomCrop"]
    return PublishedConfig(
        network=network,
        dataset=settings["dataset"]["type"],
        crop=tuple(crops[0]) if crops else None,
        mixed_precision="fp16_cfg" in settings,
        **protocols,  # type: ignore[arg-type]
    )


def _without_training(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_training(one) for key, one in value.items() if key not in _OF_TRAINING}
    return [_without_training(one) for one in value] if isinstance(value, list) else value


def _unknown(value: Any) -> list[Unknown]:
    """What of a value is not known."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for one in value for found in _unknown(one)]
    return [value] if isinstance(value, Unknown) else []


def _protocol(settings: Settings) -> EvalProtocol:
    """How one way of testing goes."""
    forward, views = settings["inference"]["forward"], settings["inference"]["tta"]
    steps = dict(_steps(settings, "test"))
    fields: dict[str, Any] = {
        **_FIXED,
        "base_scale": steps["Resize"]["output_size"],
        "keep_ratio": steps["Resize"]["keep_ratio"],
        "mean": steps["Normalize"]["mean"],
        "std": steps["Normalize"]["std"],
        "scales": views["multiscale"],
        "flip": views["flip"],
        "align_corners": settings["align_corners"],
    }
    if forward["mode"] == "slide":
        fields["window"] = {"crop": forward["cropsize"], "stride": forward["stride"]}
    if views["use_probs_before_resize"]:
        fields |= {"average": "probabilities", "softmax_at": "window"}
    else:
        fields["average"] = "scores"
    if views["flip"]:
        flips = [step for name, step in _steps(settings, "train") if name == "RandomFlip"]
        fields["flip_pairs"] = flips[0].get("fixed_seg_target_pairs") or []
    return msgspec.convert(fields, EvalProtocol)


def _steps(settings: Settings, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and numbers of what is done to a picture; of several data sets joined, the first one's."""
    dataset = settings["dataset"]
    if dataset["type"] == "MultipleDataset":
        dataset = next(iter(dataset[kind].values()))
    return [(name, numbers) for name, numbers in dataset[kind]["data_pipelines"]]
