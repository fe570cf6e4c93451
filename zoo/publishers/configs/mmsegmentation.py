"""mmsegmentation's configurations, of its 0.x and its 1.x releases, as records.

Facts: what a test does is `data.test.pipeline` and `--aug-test` in 0.x (0.30.0, tools/test.py), `test_dataloader`,
`model.data_preprocessor` and `tta_pipeline` in 1.x (1.2.2, tools/test.py); `model.test_cfg` and the last decode head's
`align_corners` in both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from ....evaluate.protocol import EvalProtocol
from ..records import SourceError
from .published_config import PublishedConfig, Release
from .python_config import read_config

if TYPE_CHECKING:
    from pathlib import Path

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""What `--aug-test` of 0.x puts in, whatever a configuration says."""
_PARTS = ("backbone", "neck", "decode_head", "auxiliary_head")
_ENCODERS = ("image_encoder", "text_encoder", "encoder_resolution")
"""What a network of images and texts has for a backbone, and the scale of the images that the first sees."""
_OF_TRAINING = re.compile(
    r"loss|init_cfg|pretrained|drop_path|drop_rate|sampler|train_cfg|with_cp|assigner|test_cfg"
)
"""Keys of a part that decide nothing of a network that is tested."""
_SHOWN = {"LoadImageFromFile", "LoadAnnotations", "PackSegInputs", "RandomFlip", "ImageToTensor", "Collect"}
"""Steps of a test that change no pixel, or what the number of views says already."""


class _Unmet(Exception):  # noqa: N818  (no error: a test that no protocol of ours describes)
    """Says what the test does that our protocols have no field for."""


def read_folder(folder: Path, revision: str) -> Release:
    """All configurations below a folder, as the wheels of both ages have them.

    Args:
        folder: `mmseg/.mim/configs` of a wheel, `configs` of the repository.
        revision: What the release is called.

    Raises:
        SourceError: there are none, or one cannot be read.
    """
    found, is_old = {}, False
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if "_base_" in path.parts:
            continue
        values = read_config(path)
        if isinstance(values.get("model"), dict):
            found[name] = published_config(values)
            is_old = is_old or "data" in values
    if not found:
        raise SourceError(f"{folder}: expected configurations (*.py with a model), found none")
    age = "0.x" if is_old else "1.x"
    return Release(publisher="mmsegmentation", revision=revision, age=age, configs=found)


def published_config(values: dict[str, Any]) -> PublishedConfig:
    """What a resolved configuration says."""
    model = values["model"]
    is_old = "data" in values
    loader = values.get("data" if is_old else "train_dataloader") or {}
    test = (loader.get("test") if is_old else (values.get("test_dataloader") or {}).get("dataset")) or {}
    protocols: dict[str, Any]
    try:
        protocols = (
            _old_protocols(model, test) if is_old else _new_protocols(model, test, values.get("tta_pipeline"))
        )
    except _Unmet as unmet:
        protocols = {"unmet": str(unmet)}
    wrapper = values.get("optim_wrapper") or {}
    # 1.x's own files still name one beside the wrapper, whose own is the one that trains
    optimizer = wrapper.get("optimizer") or values.get("optimizer") or {}
    half = values.get("fp16") is not None or "Fp16" in str(values.get("optimizer_config"))
    return PublishedConfig(
        network=_network(model),
        dataset=str(test.get("type", "")),
        crop=_crop(loader),
        iterations=(values.get("runner" if is_old else "train_cfg") or {}).get("max_iters"),
        batch_per_gpu=loader.get("samples_per_gpu" if is_old else "batch_size"),
        optimizer=optimizer.get("type", "SGD"),
        mixed_precision=half or "Amp" in str(wrapper.get("type")),
        **protocols,
    )


def _crop(loader: Any) -> tuple[int, int] | None:
    """Of the training's RandomCrop, however deep data sets of data sets have it."""
    if isinstance(loader, dict):
        if loader.get("type") == "RandomCrop" and isinstance(size := loader.get("crop_size"), list):
            return size[0], size[1]
        loader = [value for key, value in loader.items() if key not in ("val", "test")]
    inner = (_crop(one) for one in loader) if isinstance(loader, list) else ()
    return next((crop for crop in inner if crop), None)


# --- the network ------------------------------------------------------------------------------------------


def _network(model: dict[str, Any]) -> dict[str, Any]:
    last = _last(model.get("decode_head"))
    classes = last if "num_classes" in last else last.get("kernel_generate_head", {})
    segmentor = {} if model["type"] == "EncoderDecoder" else {"segmentor": model["type"]}
    encoders = {key: model[key] for key in _ENCODERS if key in model}
    model = {**model, "backbone": encoders or model.get("backbone")}
    return {
        **segmentor,
        **{key: _without_training(model.get(key)) for key in _PARTS},
        "num_classes": classes.get("num_classes", 0),
        "align_corners": last.get("align_corners", False),
    }


def _last(head: Any) -> dict[str, Any]:
    return (head[-1] if isinstance(head, list) else head) or {}


def _without_training(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_training(one) for key, one in value.items() if not _OF_TRAINING.search(str(key))
        }
    return [_without_training(one) for one in value] if isinstance(value, list) else value


# --- the protocols ----------------------------------------------------------------------------------------


def _old_protocols(model: dict[str, Any], test: dict[str, Any]) -> dict[str, EvalProtocol]:
    views = next((step for step in test.get("pipeline", ()) if step.get("type") == "MultiScaleFlipAug"), None)
    if views is None:
        raise _Unmet("its test has no MultiScaleFlipAug")
    fields: dict[str, Any] = {"base_scale": views["img_scale"], **_of_model(model)}
    for step in views["transforms"]:
        fields |= _step(step)
    return {"single": _protocol(fields), "second": _protocol(fields | {"scales": RATIOS, "flip": True})}


def _new_protocols(model: dict[str, Any], test: dict[str, Any], tta: Any) -> dict[str, EvalProtocol]:
    processor = model.get("data_preprocessor") or {}
    fields = {**_of_model(model), **_normalisation(processor, processor.get("bgr_to_rgb", False))}
    padding = processor.get("test_cfg") or {}
    if padding.keys() - {"size_divisor"}:
        raise _Unmet(f"its test pads to {padding}")
    fields |= padding
    several = dict(fields)
    for step in test.get("pipeline", ()):
        fields |= _step(step)
    if "base_scale" not in fields:
        raise _Unmet("its test has no Resize")
    found = {"single": _protocol(fields)}
    views = next((step for step in tta or () if step.get("type") == "TestTimeAug"), None)
    if views:
        resizes = [step for step in views["transforms"][0] if step.get("type") == "Resize"]
        ratios = [step["scale_factor"] for step in resizes if "scale_factor" in step]
        several |= {"base_scale": None, "scales": ratios, "flip": True, "views": "image_scale"}
        again = [
            steps[0] for steps in views["transforms"] if steps and steps[0].get("type") == "ResizeToMultiple"
        ]
        several |= _multiples(again[0]) if again else {}
        found["second"] = _protocol(several)
    return found


def _step(step: dict[str, Any]) -> dict[str, Any]:
    """Fields of a protocol that a step of the test pipeline sets.

    Raises:
        _Unmet: none can.
    """
    kind = step.get("type")
    if kind == "Normalize":
        return _normalisation(step, step.get("to_rgb", True))
    if kind == "Resize":
        given = {"keep_ratio": step.get("keep_ratio", True)}
        return given | ({"base_scale": step["scale"]} if "scale" in step else {})
    if kind in _SHOWN:
        return {}
    if (
        kind == "ResizeShortestEdge"
    ):  # as mmcv rounds, the same as fitting in the longest side by the shortest
        shortest = step["scale"]
        side = min(shortest) if isinstance(shortest, list) else shortest
        return {"base_scale": [step["max_size"], side]}
    if kind == "ResizeToMultiple":
        return _multiples(step)
    raise _Unmet(f"its test has a step {kind}")


def _multiples(step: dict[str, Any]) -> dict[str, Any]:
    """Of `ResizeToMultiple`, whose own defaults are 32 and bilinear.

    Raises:
        _Unmet: the second resize is another than the first.
    """
    if step.get("interpolation", "bilinear") not in (None, "bilinear"):
        raise _Unmet(f"its test resizes a second time by {step['interpolation']} interpolation")
    return {"resize_divisor": step.get("size_divisor", 32)}


def _normalisation(said: dict[str, Any], to_rgb: Any) -> dict[str, Any]:
    numbers = {key: said[key] for key in ("mean", "std") if key in said}
    return {**numbers, "channels": "RGB" if to_rgb else "BGR"}


def _of_model(model: dict[str, Any]) -> dict[str, Any]:
    """The window, and the corners of resizes."""
    test = model.get("test_cfg") or {}
    mode = test.get("mode", "whole")
    if mode not in ("whole", "slide"):
        raise _Unmet(f"its test mode is {mode}")
    window = {"window": {"crop": test["crop_size"], "stride": test["stride"]}} if mode == "slide" else {}
    return {"align_corners": bool(_last(model.get("decode_head")).get("align_corners", False)), **window}


def _protocol(fields: dict[str, Any]) -> EvalProtocol:
    return msgspec.convert(fields, EvalProtocol)
