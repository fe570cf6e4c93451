"""mmsegmentation's metafiles, in their 0.x and 1.x forms, each model as a row."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from ...reports.metrics import METRICS
from ..files.whole_number import DIGITS
from ..files.yaml_nodes import YamlLimitError, compose
from .records import (
    STATED,
    CellError,
    Collection,
    SourceDocument,
    SourceError,
    SourceFault,
    SourceRow,
    count_of,
    figure_of,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INVENTOR = "mmsegmentation"
_MILLISECONDS = partial(figure_of, "inference time (ms/im)")
_MEMORY_FIELDS = ("memory (GB)", "Training Memory (GB)", "Memory (GB)")


def read_metafiles(path: str, text: str) -> list[SourceDocument]:
    """The models of a metafile as rows; one document for each of several metafiles in one file, as JSON may have.

    Raises:
        SourceError: it is no YAML, has no list of models, or a model lacks what every one has.
    """
    try:
        root = compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        what = "" if isinstance(error, YamlLimitError) else "not valid YAML: "
        raise SourceError(f"{where}: {what}{getattr(error, 'problem', error)}") from error
    found = list(_with_models(_Node(path, root)))
    if not found:
        raise SourceError(f"{path}: expected a list of Models")
    return [_metafile(path, file, models.node.value) for file, models in found]


def _with_models(file: _Node, depth: int = 2) -> Iterator[tuple[_Node, _Node]]:
    """The mapping that has a list of Models, or those within it, and the lists."""
    models = file.get("Models")
    if models is not None and isinstance(models.node, yaml.SequenceNode):
        yield file, models
    elif depth and isinstance(file.node, yaml.MappingNode):
        for _, value in file.node.value:
            yield from _with_models(_Node(file.path, value), depth - 1)


def _metafile(path: str, file: _Node, models: list[Any]) -> SourceDocument:
    rows, faults = _models(path, models)
    old = all(isinstance(_Node(path, node).need("Results").node, yaml.SequenceNode) for node in models)
    return SourceDocument(
        path=path,
        form="metafile-0.x" if old else "metafile-1.x",
        inventor=INVENTOR,
        publisher=INVENTOR,
        rows=tuple(rows),
        fields=_field_forms(file, _Node(path, models[0])) if rows else {},
        faults=tuple(faults),
        collections=tuple(_collections(file)),
    )


def _collections(file: _Node) -> Iterator[Collection]:
    """Those that say what their models were trained on."""
    for item in file.items("Collections"):
        meta = item.get("Metadata")
        datasets = (
            [one for one in meta.items("Training Data") if isinstance(one.node, yaml.ScalarNode)]
            if meta
            else []
        )
        if datasets:
            lines = {one.text: one.line for one in datasets}
            yield Collection(name=item.optional("Name"), line=item.line, datasets=lines)


def _models(path: str, nodes: list[Any]) -> tuple[list[SourceRow], list[SourceFault]]:
    """The models as rows; one with a value that cannot be understood is read without it."""
    faults: list[SourceFault] = []
    counts: dict[str, int] = {}
    return [_model(_Node(path, node), counts, faults) for node in nodes], faults


class _Node:
    """A YAML node with its file, for messages; mappings by key."""

    def __init__(self, path: str, node: Any) -> None:
        self.path, self.node = path, node

    @property
    def line(self) -> int:
        return self.node.start_mark.line + 1

    @property
    def text(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            raise SourceError(f"{self.path}:{self.line}: expected a single value")
        return self.node.value

    def get(self, *keys: str) -> _Node | None:
        """The value of the first of these keys that is there."""
        if not isinstance(self.node, yaml.MappingNode):
            return None
        found = {key.value: value for key, value in self.node.value if isinstance(key, yaml.ScalarNode)}
        return next((_Node(self.path, found[key]) for key in keys if key in found), None)

    def items(self, key: str) -> list[_Node]:
        """The items of a list by its key; none where there is no list."""
        found = self.get(key)
        is_list = found is not None and isinstance(found.node, yaml.SequenceNode)
        return [_Node(self.path, one) for one in found.node.value] if found and is_list else []

    def need(self, *keys: str) -> _Node:
        found = self.get(*keys)
        if found is None:
            raise SourceError(f"{self.path}:{self.line}: expected the key {' or '.join(map(repr, keys))}")
        return found

    def mapping(self) -> _Node:
        """Itself, where it has keys.

        Raises:
            SourceError: it is a list or a single value.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise SourceError(f"{self.path}:{self.line}: expected keys with their values")
        return self

    def key_lines(self) -> dict[str, int]:
        """Keys that are single values -> their lines."""
        keys = [key for key, _ in self.node.value if isinstance(key, yaml.ScalarNode)]
        return {key.value: key.start_mark.line + 1 for key in keys}

    def first(self) -> _Node:
        """The first item of a list, anything else as it is."""
        if isinstance(self.node, yaml.SequenceNode) and self.node.value:
            return _Node(self.path, self.node.value[0])
        return self

    def optional(self, *keys: str) -> str:
        found = self.get(*keys)
        return found.text if found else ""


def _model(model: _Node, counts: dict[str, int], faults: list[SourceFault]) -> SourceRow:
    meta, result = model.need("Metadata").mapping(), model.need("Results").first()
    section, metrics = result.need("Dataset").text, result.need("Metrics")
    found: dict[str, _Node | None] = {
        **{metric: metrics.get(one.title) for metric, one in METRICS.items() if metrics.get(one.title)},
        "train_memory": meta.get(*_MEMORY_FIELDS),
    }
    name = model.need("Name")
    timing = meta.get("inference time (ms/im)")
    speed = timing.first() if timing else None
    architecture = meta.get("Architecture")
    crop, schedule = _named_crop_and_schedule(name.text)
    stated = _stated(meta, speed)
    counts[section] = counts.get(section, 0) + 1
    return SourceRow(
        line=name.line,
        section=section,
        row=counts[section],
        method=model.optional("In Collection"),
        backbone=meta.optional("backbone") or (architecture.first().text if architecture else ""),
        crop=_understood(faults, meta.get("crop size"), size_of) or crop,
        schedule=meta.optional("lr schd") or schedule,
        figures={
            metric: _understood(faults, node, partial(figure_of, metric))
            for metric, node in found.items()
            if node
        },
        device=speed.optional("hardware") if speed else _device(meta.optional("Training Resources")),
        weights_url=model.optional("Weights"),
        log_url=model.optional("Training log", "Training Log"),
        config=model.optional("Config"),
        name=name.text,
        resolution=_understood(faults, speed.get("resolution"), size_of) if speed else None,
        milliseconds=_understood(faults, speed.get("value"), _MILLISECONDS) or "" if speed else "",
        batch=_understood(faults, meta.get("Batch Size"), count_of),
        stated={name: node.text for name, node in stated.items()},
        lines={metric: node.line for metric, node in found.items() if node}
        | ({"fps": speed.need("value").line, "resolution": speed.line} if speed else {})
        | {name: node.line for name, node in stated.items()}
        | {name: node.line for name, node in _own_lines(model, meta, result).items() if node},
    )


def _understood(faults: list[SourceFault], node: _Node | None, read: Callable[[str], Any]) -> Any:
    """A node's value, or None with the fault on record."""
    try:
        return read(node.text) if node else None
    except CellError as error:
        faults.append(SourceFault(line=node.line if node else 0, message=str(error)))
        return None


def _stated(meta: _Node, speed: _Node | None) -> dict[str, _Node]:
    """What a model says beside its figures: its training and the conditions of its timing."""
    found = {key: meta.get(key) for key in ("Training Data", "Training Resources")}
    found |= {key: speed.get(key) for key in ("hardware", "mode", "batch size")} if speed else {}
    return {STATED[key]: node.first() for key, node in found.items() if node}


def _own_lines(model: _Node, meta: _Node, result: _Node) -> dict[str, _Node | None]:
    """Where the facts that identify a model and its links stand."""
    architecture = meta.get("backbone", "Architecture")
    return {
        "weights": model.get("Weights"),
        "log": model.get("Training log", "Training Log"),
        "config": model.get("Config"),
        "batch": meta.get("Batch Size"),
        "dataset": result.get("Dataset"),
        "backbone": architecture.first() if architecture else None,
        "crop": meta.get("crop size"),
        "schedule": meta.get("lr schd"),
    }


def _named_crop_and_schedule(name: str) -> tuple[tuple[int, int] | None, str]:
    """What an mmsegmentation configuration's name says: 512x1024 and 40k, in either scheme."""
    crops = re.findall(rf"(?<=[_-])({DIGITS})x({DIGITS})(?=[_-]|$)", name)  # 384x384-pre is the backbone's
    schedule = re.search(r"[_-](\d+)k[_-]", name)
    return (int(crops[-1][0]), int(crops[-1][1])) if crops else None, f"{schedule[1]}000" if schedule else ""


def _device(resources: str) -> str:
    found = re.search(r"\b[A-Z]\d{2,4}\b", resources)
    return found[0] if found else ""


def _field_forms(file: _Node, model: _Node) -> dict[str, tuple[str, int]]:
    """How this metafile words what other versions word differently."""
    meta, results = model.need("Metadata").mapping(), model.need("Results")
    keys = meta.key_lines()
    memory = next((key for key in _MEMORY_FIELDS if key in keys), "")
    forms = {
        "results": ("a list" if isinstance(results.node, yaml.SequenceNode) else "a mapping", results.line)
    }
    if memory:
        forms["memory"] = (memory, keys[memory])
    if resources := meta.get("Training Resources"):
        forms["training resources"] = (resources.text, resources.line)
    for name, words in (("torch version", ("torch", "pytorch")), ("ms+flip protocol", ("scales", "flip"))):
        said = next((key for key in keys if any(word in key.casefold() for word in words)), "")
        forms[name] = ("present", keys[said]) if said else ("absent", model.line)
    collections = file.get("Collections")
    if collections and (collection := collections.first().get("Name")):
        forms["collection"] = (collection.text, collection.line)
    name = model.need("Name")
    forms["first model's name"] = (name.text, name.line)
    for key in ("crop size", "lr schd", "inference time (ms/im)"):
        forms[key] = ("present", keys[key]) if key in keys else ("absent", model.line)
    return forms
