"""Hugging Face transformers' semantic segmentation networks as a builder (the extra `segbench[transformers]`).

`{builder: transformers, model: SegformerForSemanticSegmentation, config: FOLDER, num_classes: 150}`: a class of the library by
name and a folder with its `config.json`, or the name of a repository that is in the Hub's cache; nothing is fetched. Keys are the
library's own (layout `plain`). Mask classifiers (MaskFormer, Mask2Former, OneFormer) give class times mask scores, as their image
processors' `post_process_semantic_segmentation` makes them before it resizes them to the image.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from . import AdapterError, missing_library

if TYPE_CHECKING:
    from types import ModuleType

_KINDS = ("ForSemanticSegmentation", "ForUniversalSegmentation", "ForInstanceSegmentation")
_MASKS_SIZE = {"Mask2FormerForUniversalSegmentation": (384, 384)}
"""Class -> (height, width) that its image processor brings masks to before classes are weighed with them; others leave them."""
_TASK = "the task is semantic"
"""What OneFormer is told (its processor)."""


def build(*, model: str, config: str, num_classes: int) -> nn.Module:
    """The library's network with random weights; nothing is fetched.

    Args:
        model: A class of the library, such as `SegformerForSemanticSegmentation`.
        config: A folder with `config.json`, or a repository in the Hub's cache.
        num_classes: Channels of the scores; the configuration has to have as many labels.

    Raises:
        AdapterError: The library is not installed, knows no such class, or the configuration is not there or not the class's.
    """
    library = _library()
    kind = getattr(library, model, None) if model.endswith(_KINDS) else None
    if kind is None:
        raise AdapterError(
            f"transformers: model: transformers {library.__version__} has no class {model!r} for semantic segmentation; "
            f"expected one such as SegformerForSemanticSegmentation, whose name ends in {', '.join(_KINDS)}"
        )
    numbers = _read(library.AutoConfig, config)
    if not isinstance(numbers, kind.config_class):
        raise AdapterError(
            f"transformers: config: {config} is a {type(numbers).__name__}, {model} takes a {kind.config_class.__name__}"
        )
    if numbers.num_labels != num_classes:
        raise AdapterError(
            f"transformers: config: {config} has {numbers.num_labels} labels, the row {num_classes} classes"
        )
    network: nn.Module = kind(numbers)
    network.training_only = ("auxiliary_head",)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    if model.startswith("OneFormer"):
        network.register_forward_pre_hook(
            partial(_with_task, _task(library, config, numbers)), with_kwargs=True
        )
    network.register_forward_hook(partial(_scores, _MASKS_SIZE.get(model)))
    return network


def files(numbers: dict[str, Any]) -> list[Path]:
    """What else than the library and a row's numbers says which network it is: the configuration's files.

    Raises:
        AdapterError: see `build`.
    """
    _library()
    folder = Path(numbers.get("config", ""))
    if folder.is_dir():
        return sorted(path for path in folder.glob("*.json") if path.name != "model.safetensors.index.json")
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = try_to_load_from_cache(str(numbers.get("config", "")), "config.json")
    return [Path(found)] if isinstance(found, str) else []


def _library() -> ModuleType:
    try:
        import transformers  # pyright: ignore[reportMissingImports]  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise missing_library("transformers") from error
    return transformers


def _read(reader: Any, config: str) -> Any:
    """A configuration or tokenizer of local files."""
    try:
        return reader.from_pretrained(config, local_files_only=True)
    except Exception as error:  # the library raises whatever it meets
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdapterError(
            f"transformers: config: nothing to read at {config} ({said[:200]}); give a folder with config.json, or fetch the "
            f"repository before: hf download {config} --exclude '*.bin' '*.safetensors'"
        ) from error


def _task(library: ModuleType, config: str, numbers: Any) -> Tensor:
    """What OneFormer is asked for, as (1, length) tokens."""
    tokenizer = _read(library.AutoTokenizer, config)
    length = numbers.task_seq_len
    tokens = tokenizer(_TASK, padding="max_length", max_length=length, truncation=True)["input_ids"]
    return torch.tensor([tokens], device="cpu")


def _with_task(
    task: Tensor, network: nn.Module, images: tuple[Tensor], given: dict[str, Any]
) -> tuple[tuple[Tensor], dict[str, Any]]:
    del network
    tokens = task.to(images[0].device).expand(len(images[0]), -1)
    return images, {**given, "task_inputs": tokens}


def _scores(size: tuple[int, int] | None, network: nn.Module, images: tuple[Tensor], output: Any) -> Tensor:
    """(N, C, h, w): the logits, or each class's masks weighed with the queries' classes, without the one for nothing."""
    del network, images
    if getattr(output, "logits", None) is not None:
        return output.logits
    masks = output.masks_queries_logits
    if size is not None:
        masks = interpolate(masks, size=size, mode="bilinear", align_corners=False)
    classes = output.class_queries_logits.softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", classes, masks.sigmoid())
