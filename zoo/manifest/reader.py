"""The manifest: `zoo.yaml` read once, checked whole, and turned into typed records.

Behind `load_manifest` nobody sees YAML again and everybody may trust the types. A wrong file is refused with
all its faults at once, each with its line.
"""

from __future__ import annotations

import difflib
import logging
import math
import re
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
import yaml

from ...evaluate.data.datasets import OWN_FOLDER, DatasetSpec
from ...evaluate.limits import (
    DEFAULT_IGNORED,
    Breach,
    class_breaches,
    colour_breaches,
    ignore_breach,
    pair_breaches,
    scale_breaches,
    value_map_breaches,
    window_breach,
)
from ...evaluate.protocol import EvalProtocol, Positive
from ...evaluate.regular_files import read_document, text_of
from ...reports.metrics import MetricName
from ..files.urls import shown_text
from .yaml_nodes import YamlLimitError, compose, root_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import nn

PACKAGED = Path(__file__).resolve().parents[2] / "zoo.yaml"
"""The default manifest, beside the four folders both in a checkout and in an installed wheel."""
VERSION = 1
LISTED = 20
"""Known names in one message."""
HINTED = 50
"""Faults of a file that tell the known name nearest to an unknown one."""
ACCURACY_METRICS = ("miou", "miou_ms_flip", "miou_flip")

# `expected` completes "expected ..." where a value does not match; patterns also go into the JSON Schema.
Identifier = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
        extra={"expected": "a name of letters, digits and . _ + - (it becomes a folder of the cache)"},
    ),
]
Printed = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]+(\.[0-9]+)?$",
        extra={"expected": 'a plain decimal number in quotes, such as "78.70"'},
    ),
]
Date = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", extra={"expected": 'a date in quotes, such as "2021-10-13"'}
    ),
]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://", extra={"expected": "an http or https URL"})]
Sha256 = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}$", extra={"expected": "64 hexadecimal digits in quotes"})
]
Sha256Prefix = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{8}$", extra={"expected": "8 hexadecimal digits in quotes"})
]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published page in one of its states."""

    title: str
    publisher: str
    url: Url | None = None
    revision: str = ""
    """Commit, tag or branch, in the publisher's words."""
    date: Date | None = None
    """When this state was published."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a claim stands, or, where nothing is printed, where it would stand."""

    document: str
    """A key of the manifest's documents."""
    section: str
    row: Positive
    """Counted from 1 within the section's table."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number that authors print about a checkpoint, or one that they conspicuously do not."""

    metric: MetricName
    printed: Printed | None
    """The figure as printed, decimals and all, without a percent sign; None where the source has none."""
    protocol: str | None = None
    """A key of the manifest's protocols; an accuracy without one means nothing."""
    device: str | None = None
    """The device the authors name: `V100`."""
    batch: Positive | None = None
    """Images a device and step, of a training memory."""
    crop: tuple[Positive, Positive] | None = None
    """Training crop (height, width) in pixels, of a training memory."""
    source: Source | None = None
    date: Date | None = None
    """When this figure was first listed, where its authors printed several over time."""
    supersedes: Printed | None = None
    """The earlier figure that this one replaced."""
    note: str | None = None
    """What a reader must know; the reason where nothing is printed."""


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint's file."""

    urls: tuple[Url, ...]
    """Places of the same file, tried in order."""
    sha256: Sha256 | None = None
    sha256_prefix: Sha256Prefix | None = None
    """The eight digits in mmsegmentation's file names."""
    layout: Literal["mmseg", "ssseg"]
    """Whose names its keys have."""


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine a checkpoint was trained on."""

    gpus: Positive
    batch_per_gpu: Positive


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another document that carries the same row."""

    document: str
    section: str
    row: Positive
    blank: tuple[MetricName, ...] = ()
    """Metrics whose cells are empty there."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one forward pass takes, counted by `models.trace.cost` and recounted by a test."""

    size: tuple[Positive, Positive]
    """Network input (height, width) of the single-scale protocol on a typical image, or one window's."""
    gflops: float
    """10^9 operations, a multiply-add being two; attention included."""
    peak_activations_mib: float
    """Largest sum of live intermediate tensors in float32."""


class CheckpointEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published checkpoint as the file has it, with names where `Checkpoint` has the records."""

    id: Identifier
    aliases: tuple[Identifier, ...] = ()
    publisher: str
    method: str
    backbone: str
    """As printed: `R-50-D8`."""
    dataset: str
    """A key of the manifest's datasets."""
    crop: tuple[Positive, Positive]
    """Training crop (height, width) in pixels."""
    schedule: str
    """As printed: `40000` iterations, or `LR/POLICY/BS/EPOCH: ...`."""
    pretrain: str = ""
    """What the backbone was trained on before, as printed: `ImageNet-1k-224x224`; empty where nothing is."""
    train_eval_set: str = ""
    """Splits trained and evaluated on, as printed: `trainaug/val`; empty where nothing is."""
    architecture: dict[str, bool | int | float | str]
    """`builder` and the numbers it takes."""
    parameters: Positive | None = None
    """Trainable parameters, the auxiliary head's included."""
    cost: Cost | None = None
    weights: Weights
    log_urls: tuple[Url, ...] = ()
    config_urls: tuple[Url, ...] = ()
    training: Training | None = None
    claims: tuple[Claim, ...]
    listed_in: tuple[Listing, ...] = ()


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Fields that others refer to come first: they are read in this order."""

    version: Literal[1]
    documents: dict[str, Document] = {}
    datasets: dict[str, DatasetSpec]
    protocols: dict[str, EvalProtocol]
    checkpoints: tuple[CheckpointEntry, ...]


class Checkpoint(CheckpointEntry, frozen=True, kw_only=True):
    """A published checkpoint with everything needed to build, load and measure it."""

    dataset_spec: DatasetSpec
    protocols: dict[str, EvalProtocol]
    """Metric -> the protocol its claims name."""
    manifest: Path | None = None
    """The file it stands in; `zoo.lock` lies beside it."""

    @property
    def published(self) -> tuple[Claim, ...]:
        """The claims with a printed number."""
        return tuple(claim for claim in self.claims if claim.printed is not None)

    def protocol(self, metric: str) -> EvalProtocol:
        """How a metric of this checkpoint was measured.

        Raises:
            NoProtocol: no claim of this metric names a protocol.
        """
        try:
            return self.protocols[metric]
        except KeyError:
            known = ", ".join(self.protocols) or "none"
            raise NoProtocol(f"{self.id}: no protocol for {metric!r}; metrics with one: {known}") from None

    def build(self) -> nn.Module:
        """The architecture with random weights, in evaluation mode."""
        from ...models.build import build_model  # noqa: PLC0415  (torch, which `zoo list` need not pay)

        numbers: dict[str, Any] = dict(self.architecture)
        return build_model(**numbers)

    def load(self, path: str | Path | None = None, *, sha256: str = "") -> nn.Module:
        """The model with its published weights, in evaluation mode on the CPU.

        What the file held otherwise than publishers do is told by a warning of the log.

        Args:
            path: the weights file; None fetches it, or takes it from the cache.
            sha256: what the file was when it was checked, held against the bytes loaded; empty for nothing.

        Raises:
            FetchError: the file cannot be had, or is not the published one (`IntegrityError`).
            WeightsError: the file cannot be read, or its keys are not the architecture's.
        """
        from ...models.load.checkpoint_file import open_checkpoint  # noqa: PLC0415
        from ...models.load.weights import load_weights  # noqa: PLC0415

        if path is None:
            from ..fetch import fetch  # noqa: PLC0415

            path = fetch(self)
        model = self.build()
        content = open_checkpoint(path, sha256=sha256)
        missing = load_weights(model, content.state, layout=self.weights.layout, source=str(path))
        for note in (*content.notes, *missing):
            logging.getLogger("segbench").warning("%s: %s", self.id, note)
        return model.eval()


class NoProtocol(LookupError):  # noqa: N818  (named for what is the case, as LookupErrors are)
    """A checkpoint claims nothing that says how the metric is measured."""


class UnknownCheckpoint(KeyError):  # noqa: N818
    """No checkpoint has this id or alias; the message names the nearest ones."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.nearest = nearest(name, known)

    def __str__(self) -> str:
        hint = f", nearest are {', '.join(self.nearest)}" if self.nearest else ""
        return f"unknown checkpoint {self.name!r}{hint}; zoo list shows all"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in a manifest."""

    path: str
    """`checkpoints[3].claims[1]`; empty for the file as a whole."""
    line: int | None
    """Counted from 1; None where there is nothing to point at."""
    message: str


class ManifestError(Exception):
    """A manifest cannot be used; carries every fault of the file and prints one a line."""

    def __init__(self, path: Path, faults: Iterable[Fault]) -> None:
        self.path = path
        self.faults = tuple(faults)
        super().__init__("\n".join(self._line(fault) for fault in self.faults))

    def _line(self, fault: Fault) -> str:
        place = str(self.path) if fault.line is None else f"{self.path}:{fault.line}"
        return ": ".join(part for part in (place, fault.path, fault.message) if part)


class Manifest:
    """The checkpoints of a zoo in the file's order: iterate, count, look up by id or alias."""

    def __init__(self, path: Path, content: ManifestFile) -> None:
        replace = msgspec.structs.replace
        self.path = path
        self.documents = content.documents
        self.datasets = {name: replace(spec, name=name) for name, spec in content.datasets.items()}
        self.protocols = {name: replace(protocol, name=name) for name, protocol in content.protocols.items()}
        self._checkpoints = tuple(self._resolved(entry) for entry in content.checkpoints)
        self._by_name = {name: one for one in self._checkpoints for name in (one.id, *one.aliases)}

    def _resolved(self, entry: CheckpointEntry) -> Checkpoint:
        fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
        protocols = {claim.metric: self.protocols[claim.protocol] for claim in entry.claims if claim.protocol}
        dataset_spec = self.datasets[entry.dataset]
        return Checkpoint(**fields, dataset_spec=dataset_spec, protocols=protocols, manifest=self.path)

    def __getitem__(self, name: str) -> Checkpoint:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownCheckpoint(name, self._by_name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._checkpoints)

    def __len__(self) -> int:
        return len(self._checkpoints)

    def __repr__(self) -> str:
        return f"Manifest({str(self.path)!r}, {len(self)} checkpoints)"


def load_manifest(path: str | Path | None = None) -> Manifest:
    """Read and check a manifest; None means the packaged zoo.

    Raises:
        ManifestError: the file cannot be read, is no YAML, or says something wrong.
    """
    path = PACKAGED if path is None else Path(path)
    try:
        data = read_document(path)
        text_of(data)
    except OSError as error:
        advice = "name another file with --manifest, or leave it out for the packaged zoo"
        message = f"cannot read the manifest: {error.strerror or error}; {advice}"
        raise ManifestError(path, [Fault(path="", line=None, message=message)]) from error
    return Manifest(path, _parse(path, data))


class EntryLines(NamedTuple):
    """Where a checkpoint stands in its file, counted from 1."""

    entry: int
    claims: dict[tuple[str, str], int]
    """(metric, date or nothing) of a claim -> line of its printed figure."""


def claim_lines(path: str | Path) -> dict[str, EntryLines]:
    """The lines of every checkpoint of a manifest that `load_manifest` accepts, by id."""
    entries = _nodes(compose(read_document(Path(path))))["checkpoints"].value
    return {(nodes := _nodes(entry))["id"].value: _entry_lines(entry, nodes) for entry in entries}


def _entry_lines(entry: Any, nodes: dict[str, Any]) -> EntryLines:
    claims = [_nodes(claim) for claim in nodes["claims"].value]
    lines = {
        (claim["metric"].value, claim["date"].value if "date" in claim else ""): _line(claim["printed"])
        for claim in claims
    }
    return EntryLines(_line(entry), lines)


def _nodes(mapping: Any) -> dict[str, Any]:
    return {key.value: value for key, value in mapping.value}


def _line(node: Any) -> int:
    return node.start_mark.line + 1


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors that check and complete YAML."""
    schema = msgspec.json.schema(ManifestFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segbench zoo manifest",
        **schema,
    }


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` known names that look like `name`, best first: those it begins, then the similar ones."""
    names = list(known)
    begun = [other for other in names if name and other.startswith(name)]
    similar = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    return tuple(dict.fromkeys([*begun, *similar]))[:count]


def _parse(path: Path, data: bytes) -> ManifestFile:
    try:
        content, faults = _read(data)
    except yaml.YAMLError as error:
        raise ManifestError(path, [_yaml_fault(error)]) from error
    if faults:
        raise ManifestError(path, sorted(faults, key=lambda fault: fault.line or 0))
    return content


def _read(data: bytes) -> tuple[ManifestFile, list[Fault]]:
    """The file's content, which is good for nothing where there are faults."""
    # The C parser is ten times as fast; PyYAML built without it has the same class in Python.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        reader = _Reader(loader)
        return reader.read_file(root_node(loader, len(data))), reader.faults
    finally:
        loader.dispose()


def _yaml_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or error).split())
    message = reason if isinstance(error, YamlLimitError) else f"not valid YAML: {reason}"
    return Fault(path="", line=None if mark is None else mark.line + 1, message=message)


_BAD: Any = object()
"""Stands for a value that did not convert; its fault is on record."""


class _Found(NamedTuple):
    """The part of a record that converted, for the checks that types cannot express."""

    path: str
    node: yaml.MappingNode
    values: dict[str, Any]
    nodes: dict[str, yaml.Node]


class _Reader:
    """Walks composed YAML and record types side by side; collects faults instead of stopping at the first."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.faults: list[Fault] = []
        self.keys: dict[str, dict[str, None]] = {"documents": {}, "datasets": {}, "protocols": {}}
        """Path of a mapping -> its keys, faulty values' included, so that one fault does not cause others."""
        self.class_counts: dict[str, int] = {}
        """Path of a data set -> its number of classes."""
        self.flip_pairs: dict[str, tuple[tuple[int, int], ...]] = {}
        """Path of a protocol -> the classes that change places in its mirrored views."""
        self.taken: dict[str, str] = {}
        """Checkpoint id or alias -> path of the entry that has it."""

    def fault(self, path: str, node: yaml.Node, message: str) -> Any:
        """Put a fault on record; returns the value that stands for it."""
        self.faults.append(Fault(path=path, line=node.start_mark.line + 1, message=message))
        return _BAD

    def hints(self) -> bool:
        """Whether a fault may still tell the nearest known name: looking for it takes longer than reading does."""
        return len(self.faults) < HINTED

    def read_file(self, root: yaml.Node | None) -> ManifestFile:
        """The whole file from its root node, None for a file without content."""
        if root is None:
            self.faults.append(
                Fault(path="", line=None, message=f"the file is empty; it begins with version: {VERSION}")
            )
            return _BAD
        if not isinstance(root, yaml.MappingNode):
            expected = ", ".join(_fields(ManifestFile))
            return self.fault(
                "", root, f"expected a mapping with {expected} at the top level, found {_text(root)}"
            )
        version = next((value for key, value in root.value if key.value == "version"), None)
        if version is not None and (version.tag, version.value) != ("tag:yaml.org,2002:int", str(VERSION)):
            # Another version's keys would be a list of faults that are none.
            message = f"version {_text(version)} is not supported, this segbench reads version {VERSION}"
            return self.fault("version", version, message)
        return self.read(root, ManifestFile, "")

    def read(self, node: yaml.Node, kind: Any, path: str) -> Any:
        """A node as a value of type `kind`, or `_BAD` with its faults on record."""
        kind, optional = _without_none(kind)
        if optional and node.tag == "tag:yaml.org,2002:null":
            return None
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._record(node, kind, path)
        if get_origin(kind) is dict:
            return self._mapping(node, kind, path)
        if _is_walked_sequence(kind):
            return self._sequence(node, get_args(kind)[0], path)
        return self._leaf(node, kind, path)

    def _record(self, node: yaml.Node, kind: type[msgspec.Struct], path: str) -> Any:
        fields = _fields(kind)
        if not isinstance(node, yaml.MappingNode):
            return self.fault(path, node, f"expected a mapping with {', '.join(fields)}, found {_text(node)}")
        before = len(self.faults)
        nodes = self._known_entries(node, fields, path)
        read = {
            name: self.read(nodes[name], field.type, f"{path}.{name}" if path else name)
            for name, field in fields.items()
            if name in nodes
        }
        for name, field in fields.items():
            if field.required and name not in nodes:
                self.fault(path, node, f"missing key {name!r}")
        if check := _CHECKS.get(kind):
            values = {name: value for name, value in read.items() if value is not _BAD}
            check(self, _Found(path, node, values, nodes))
        return kind(**read) if len(self.faults) == before else _BAD

    def _known_entries(
        self, node: yaml.MappingNode, fields: dict[str, Any], path: str
    ) -> dict[str, yaml.Node]:
        entries = self._entries(node, path)
        for name, (key, _) in entries.items():
            if name not in fields:
                self.fault(path, key, _unknown("key", name, fields))
        return {name: value for name, (_, value) in entries.items() if name in fields}

    def _entries(self, node: yaml.MappingNode, path: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key text -> key and value; the first of equal keys counts."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(path, key, f"expected text as a key, found {_text(key)}")
            elif key.value in entries:
                first = entries[key.value][0].start_mark.line + 1
                self.fault(path, key, f"duplicate key {key.value!r}, first on line {first}")
            else:
                entries[key.value] = (key, value)
        return entries

    def _mapping(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            self.keys.pop(path, None)  # what refers to it is not to blame
            return self.fault(path, node, f"expected a mapping, found {_text(node)}")
        entries = self._entries(node, path)
        self.keys[path] = dict.fromkeys(entries)
        key_kind, value_kind = get_args(kind)
        found: dict[Any, Any] = {}
        for name, (key, value) in entries.items():
            read = self._leaf(key, key_kind, path)
            if read in found and read is not _BAD:
                self.fault(path, key, f"{name} is the same key as an earlier one")
            found[read] = self.read(value, value_kind, f"{path}.{name}")
        return found

    def _sequence(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self.fault(path, node, f"expected a list, found {_text(node)}")
        return tuple(self.read(item, kind, f"{path}[{index}]") for index, item in enumerate(node.value))

    def _leaf(self, node: yaml.Node, kind: Any, path: str) -> Any:
        strange = next(_other_to_yaml(node, kind), None)
        if strange is not None:
            return self.fault(path, *strange)
        try:
            value = self.loader.construct_object(node, deep=True)
        except ValueError as error:  # PyYAML lets `2021-13-45` through to `datetime.date`
            return self.fault(path, node, f"not a value: {_text(node):.60} ({error})")
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `$")
            if place:  # a part of the value is meant, not the value
                part, part_kind = _part(node, kind, place)
                return self.fault(path + place.rstrip("`"), part, _mismatch(part, part_kind, message))
            return self.fault(path, node, _mismatch(node, kind, message))


_INT, _FLOAT, _BOOL, _STR = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "str"))
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")


def _other_to_yaml(node: yaml.Node, kind: Any) -> Iterator[tuple[yaml.Node, str]]:
    """Scalars that YAML 1.1 takes for something else than a reader does, with what to write instead.

    Leading zeros make octal numbers of digits, colons sixtieths; `1e3` is a text, and `on` is true.
    """
    if not isinstance(node, yaml.ScalarNode):
        for child in _children(node):
            yield from _other_to_yaml(child, kind)
        return
    text = node.value
    if node.tag in (_INT, _FLOAT) and not _PLAIN_NUMBER.fullmatch(text):
        meant = (
            "no number that can be used"
            if text.lower().endswith((".inf", ".nan"))
            else "another number to YAML"
        )
        yield node, f"{text} is {meant}; write plain decimal digits, or put it in quotes where it is a text"
    elif node.tag == _FLOAT and not math.isfinite(float(text)):
        yield node, f"{text} is too large for a number"
    elif bool not in get_args(kind) or str not in get_args(kind):
        return  # one kind of value is expected, and msgspec holds to it
    elif node.tag == _BOOL and text.lower() not in ("true", "false"):
        yield (
            node,
            f"{text} is a truth value to YAML; write true or false, or put it in quotes where it is a text",
        )
    elif node.tag == _STR and not node.style and _PLAIN_NUMBER.fullmatch(text):
        yield (
            node,
            f"{text} is a text to YAML; write the number's digits, or put it in quotes where it is a text",
        )


def _children(node: yaml.Node) -> list[yaml.Node]:
    """The nodes of a list, or keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value)


def _part(node: yaml.Node, kind: Any, place: str) -> tuple[yaml.Node, Any]:
    """The node, and its type, that msgspec means by `[1][2]` within a list."""
    for index in map(int, re.findall(r"\[(\d+)\]", place)):
        kinds = get_args(kind)
        node, kind = node.value[index], kinds[0] if kinds[-1] is Ellipsis else kinds[index]
    return node, kind


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


@lru_cache
def _without_none(kind: Any) -> tuple[Any, bool]:
    """A type without `| None`, and whether it had that; other unions stay whole."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    others = [choice for choice in choices if choice is not type(None)]
    return (others[0], True) if len(choices) == 2 and len(others) == 1 else (kind, False)


@lru_cache
def _is_walked_sequence(kind: Any) -> bool:
    """True for lists of records and of texts with a pattern; plain arrays convert in one piece, which is faster."""
    if get_origin(kind) is not tuple or get_args(kind)[-1] is not Ellipsis:
        return False
    item = get_args(kind)[0]
    return (isinstance(item, type) and issubclass(item, msgspec.Struct)) or _expected(item) is not None


def _expected(kind: Any) -> str | None:
    """What a type with a pattern wants, in words."""
    extras = (meta.extra for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return next((extra["expected"] for extra in extras if extra), None)


def _mismatch(node: yaml.Node, kind: Any, message: str) -> str:
    """Why a node is refused where a value of type `kind` belongs."""
    if expected := _expected(kind):
        return f"expected {expected}, found {_text(node)}"
    if get_origin(kind) is Literal and isinstance(node, yaml.ScalarNode):
        return _unknown("value", node.value, [str(choice) for choice in get_args(kind)])
    if kind is str and isinstance(node, yaml.ScalarNode) and node.value:
        return f"expected text, found {_text(node)}: put it in quotes"
    return f"{_plain(message).partition(', got')[0]}, found {_text(node)}"


def _plain(message: str) -> str:
    """One of msgspec's messages in the manner of ours."""
    return message[:1].lower() + message[1:].replace("`", "")


def _unknown(what: str, name: str, known: Iterable[str], *, hinted: bool = True) -> str:
    if not hinted:
        return f"unknown {what} {name!r}"
    known = list(known)
    best = nearest(name, known, 1)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    listed = f"known are {', '.join(known[:LISTED]) or 'none'}{more}"
    return f"unknown {what} {name!r}, {f'nearest is {best[0]!r}' if best else listed}"


def _text(node: yaml.Node) -> str:
    """What stands in the file, so that `78.70` keeps its decimals and "78.70" its quotes."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    quoted = isinstance(node, yaml.ScalarNode) and node.style
    return shown_text(repr(node.value) if quoted else node.value or "nothing")


# What types cannot express. Each check sees the fields that converted, so that one fault hides no other.


def _fault_at(reader: _Reader, found: _Found, field: str, message: str) -> None:
    reader.fault(f"{found.path}.{field}", found.nodes.get(field, found.node), message)


def _check_reference(reader: _Reader, found: _Found, field: str, table: str) -> None:
    name, known = found.values.get(field), reader.keys.get(table)
    if name is not None and known is not None and name not in known:
        _fault_at(reader, found, field, _unknown(field, name, known, hinted=reader.hints()))


def _check_document_reference(reader: _Reader, found: _Found) -> None:
    _check_reference(reader, found, "document", "documents")


def _check_name(reader: _Reader, found: _Found) -> None:
    if found.values.get("name"):
        _fault_at(reader, found, "name", "leave it out: the key above is the name")


def _breaches_at(reader: _Reader, found: _Found, field: str, breaches: Iterable[Breach]) -> None:
    """Put breaches on record, each at its item of the field's list."""
    for where, message in breaches:
        node, path = found.nodes.get(field, found.node), f"{found.path}.{field}"
        if where is None:
            reader.fault(path, node, message)
        else:
            reader.fault(f"{path}[{where}]", node.value[where], message)


def _check_dataset(reader: _Reader, found: _Found) -> None:
    _check_name(reader, found)
    if found.path.removeprefix("datasets.").startswith(OWN_FOLDER):
        reader.fault(
            found.path, found.node, f"a data set's name cannot begin with {OWN_FOLDER!r}: own folders have it"
        )
    for field in ("image_suffix", "labels"):
        if field in found.values and not found.values[field]:
            _fault_at(reader, found, field, "expected something here, found nothing")
    classes = found.values.get("classes")
    if classes is None:
        return
    reader.class_counts[found.path] = len(classes)
    _breaches_at(reader, found, "classes", class_breaches(classes))
    _breaches_at(reader, found, "palette", colour_breaches(found.values.get("palette", ()), len(classes)))
    _check_categories(reader, found, classes)
    ignore_index = found.values.get("ignore_index") if "ignore_index" in found.nodes else DEFAULT_IGNORED
    if ignore_index is not None:
        _check_label_values(reader, found, len(classes), ignore_index)


def _check_categories(reader: _Reader, found: _Found, classes: tuple[str, ...]) -> None:
    first: dict[str, str] = {}
    known = set(classes)
    for category, members in (found.values.get("categories") or {}).items():
        for name in members:
            if name not in known:
                hint = _unknown("class", name, classes, hinted=reader.hints())
                _fault_at(reader, found, "categories", f"{category}: {hint}")
            elif name in first:
                _fault_at(
                    reader, found, "categories", f"{category}: class {name!r} is in {first[name]!r} already"
                )
            first.setdefault(name, category)


def _check_label_values(reader: _Reader, found: _Found, classes: int, ignore_index: int) -> None:
    """The ignored value and every form's values against the classes."""
    forms = [form for form in found.values.get("labels", ()) if form is not _BAD]
    reduced = any(form.reduce_zero for form in forms)
    if breach := ignore_breach(ignore_index, classes, reduce_zero=reduced):
        _fault_at(reader, found, "ignore_index", breach)
    for number, form in enumerate(found.values.get("labels", ())):
        if form is _BAD:
            continue
        path, node = f"{found.path}.labels[{number}]", found.nodes["labels"].value[number]
        if not form.suffix:
            reader.fault(
                f"{path}.suffix", node, "expected what the label files' names end with, found nothing"
            )
        if form.reduce_zero and form.value_map:
            reader.fault(path, node, "reduce_zero and value_map exclude each other; give 1 and up in the map")
        lines = {key.value: key for key, _ in _nodes(node)["value_map"].value} if form.value_map else {}
        for value, message in value_map_breaches(form.value_map, classes, ignore_index):
            reader.fault(f"{path}.value_map", lines.get(str(value), node), message)


def _check_protocol(reader: _Reader, found: _Found) -> None:
    _check_name(reader, found)
    values = found.values
    _breaches_at(
        reader, found, "scales", scale_breaches(values.get("scales", (1.0,)), values.get("base_scale"))
    )
    if values.get("window") and (breach := window_breach(values["window"])):
        reader.fault(f"{found.path}.window.stride", _nodes(found.nodes["window"])["stride"], breach)
    pairs = values.get("flip_pairs", ())
    reader.flip_pairs[found.path] = pairs
    _breaches_at(reader, found, "flip_pairs", pair_breaches(pairs))
    if pairs and not values.get("flip", "flip" in found.nodes):
        _fault_at(
            reader,
            found,
            "flip_pairs",
            "there are mirrored views with flip: true only; add it or leave these out",
        )


def _check_weights(reader: _Reader, found: _Found) -> None:
    urls, prefix = found.values.get("urls"), found.values.get("sha256_prefix")
    if urls == ():
        _fault_at(reader, found, "urls", "expected at least one URL, found none")
    if urls and prefix and not any(prefix in url for url in urls if url is not _BAD):
        _fault_at(reader, found, "sha256_prefix", f"{prefix!r} stands in none of the URLs")
    full = found.values.get("sha256")
    if full and prefix and not full.lower().startswith(prefix.lower()):
        _fault_at(reader, found, "sha256", f"does not begin with the prefix {prefix!r}")


def _check_claim(reader: _Reader, found: _Found) -> None:
    values = found.values
    _check_reference(reader, found, "protocol", "protocols")
    if "metric" not in values or "printed" not in values:
        return
    metric = values["metric"]
    if values["printed"] is None:
        if not values.get("note"):
            _fault_at(reader, found, "printed", "null needs a reason in 'note'")
        return
    if metric in ACCURACY_METRICS and "protocol" not in found.nodes:
        reader.fault(found.path, found.node, f"a printed {metric} needs a 'protocol'")
    if metric == "train_memory" and not {"batch", "crop"} <= found.nodes.keys():
        reader.fault(found.path, found.node, "a printed train_memory needs 'batch' and 'crop'")


def _check_entry(reader: _Reader, found: _Found) -> None:
    _check_reference(reader, found, "dataset", "datasets")
    _check_names(reader, found)
    _check_architecture(reader, found)
    _check_repeated_claims(reader, found)
    _check_pairs(reader, found)


def _check_names(reader: _Reader, found: _Found) -> None:
    for field, names in (("id", (found.values.get("id"),)), ("aliases", found.values.get("aliases", ()))):
        for name in names:
            if name is None or name is _BAD:
                continue
            if name in reader.taken:
                _fault_at(reader, found, field, f"{name!r} is taken by {reader.taken[name]}")
            reader.taken.setdefault(name, found.path)


def _check_architecture(reader: _Reader, found: _Found) -> None:
    architecture = found.values.get("architecture")
    if architecture is None:
        return
    for key in ("builder", "num_classes"):
        if key not in architecture:
            _fault_at(reader, found, "architecture", f"missing key {key!r}")
    outputs, dataset = architecture.get("num_classes"), found.values.get("dataset")
    classes = reader.class_counts.get(f"datasets.{dataset}")
    if outputs is not None and classes is not None and outputs != classes:
        _fault_at(
            reader,
            found,
            "architecture",
            f"num_classes is {outputs!r}, but data set {dataset!r} has {classes} classes",
        )


def _check_pairs(reader: _Reader, found: _Found) -> None:
    """The classes that a claim's protocol lets change places are classes of the data set."""
    classes = reader.class_counts.get(f"datasets.{found.values.get('dataset')}")
    for index, claim in enumerate(found.values.get("claims", ())):
        pairs = () if claim is _BAD else reader.flip_pairs.get(f"protocols.{claim.protocol}", ())
        breach = next(pair_breaches(pairs, classes), None) if classes else None
        if breach and max(map(max, pairs)) >= (classes or 0):
            node = _nodes(found.nodes["claims"].value[index])["protocol"]
            reader.fault(
                f"{found.path}.claims[{index}].protocol",
                node,
                f"{claim.protocol}: flip_pairs: {breach.message}",
            )


def _check_repeated_claims(reader: _Reader, found: _Found) -> None:
    """Claims of one metric are one figure and its revisions, measured once by one protocol."""
    first: dict[str, Claim] = {}
    printed: dict[str, set[str | None]] = {}
    for index, claim in enumerate(found.values.get("claims", ())):
        if claim is _BAD:
            continue
        earlier = printed.setdefault(claim.metric, set())
        fault = _repetition_fault(claim, first.setdefault(claim.metric, claim), earlier)
        if fault:
            node = found.nodes["claims"].value[index]
            reader.fault(f"{found.path}.claims[{index}]", node, fault)
        earlier.add(claim.printed)


def _repetition_fault(claim: Claim, first: Claim, earlier: set[str | None]) -> str:
    if claim.supersedes is not None and claim.supersedes not in earlier:
        return f"supersedes {claim.supersedes!r}, which no earlier {claim.metric} claim prints"
    if earlier and claim.supersedes is None:
        return f"a second {claim.metric} claim needs 'supersedes', the earlier figure"
    if claim.protocol != first.protocol:
        return f"another protocol than the first {claim.metric} claim's {first.protocol!r}"
    return ""


_CHECKS: dict[type[msgspec.Struct], Callable[[_Reader, _Found], None]] = {
    DatasetSpec: _check_dataset,
    EvalProtocol: _check_protocol,
    Source: _check_document_reference,
    Listing: _check_document_reference,
    Weights: _check_weights,
    Claim: _check_claim,
    CheckpointEntry: _check_entry,
}
