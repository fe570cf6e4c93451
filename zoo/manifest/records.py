"""The records of a manifest: what authors publish about a checkpoint, and the checkpoints of a zoo.

They know nothing of YAML. Behind them everybody may trust the types.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from ...evaluate.data.datasets import DatasetSpec
from ...evaluate.limits import MOST_IN_BATCH
from ...evaluate.protocol import EvalProtocol, Positive, Side
from .names import nearest
from .publisher import UNKNOWN_PUBLISHER, Publisher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import nn

    from ...models.builders import Code

VERSION = 1
NOT_BUILT = "not built yet"
"""What is said of a row whose network is not there, everywhere."""

# `expected` completes "expected ..." where a value does not match; patterns also go into the JSON Schema. Python's `$`
# lets a line break follow, JavaScript's does not: `$(?!\n)` is the end in both.
Identifier = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$(?!\n)",
        extra={"expected": "a name of letters, digits and . _ + - (it becomes a folder of the cache)"},
    ),
]
MetricName = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*\Z", extra={"expected": "a metric's name"})
]
Printed = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,30})?$(?!\n)",
        extra={"expected": 'a plain decimal number in quotes, such as "78.70"'},
    ),
]
Date = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$(?!\n)",
        extra={"expected": 'a date in quotes, such as "2021-10-13"'},
    ),
]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://", extra={"expected": "an http or https URL"})]
Sha256 = Annotated[
    str,
    msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}$(?!\n)", extra={"expected": "64 hexadecimal digits in quotes"}),
]
Sha256Prefix = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{8}$(?!\n)", extra={"expected": "8 hexadecimal digits in quotes"})
]

Batch = Annotated[int, msgspec.Meta(ge=1, le=MOST_IN_BATCH)]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published page in one of its states."""

    title: str
    publisher: str
    url: Url | None = None
    revision: str = ""
    """Commit, tag or branch, in the publisher's words."""
    date: Date | None = None
    """When this state was published."""


EARLIER_FILE = "of an earlier file, -{}.pth"
"""What the note of a figure says whose file was replaced, with the eight digits in that file's name."""
_EARLIER_FILE = re.compile(re.escape(EARLIER_FILE).replace(r"\{\}", "([0-9a-f]{8})"))


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
    """A key of `reports.metrics.METRICS`."""
    printed: Printed | None
    """The figure as printed, decimals and all, without a percent sign; None where the source has none."""
    protocol: str | None = None
    """A key of the manifest's protocols; an accuracy without one means nothing."""
    device: str | None = None
    """The device the authors name: `V100`."""
    batch: Batch | None = None
    """Images a device and step, of a training memory."""
    crop: tuple[Side, Side] | None = None
    """Training crop (height, width) in pixels, of a training memory."""
    source: Source | None = None
    date: Date | None = None
    """When this figure was first listed, where its authors printed several over time."""
    supersedes: Printed | None = None
    """The earlier figure that this one replaced."""
    note: str | None = None
    """What a reader must know; the reason where nothing is printed."""

    @property
    def earlier_file(self) -> str:
        """The first eight digits of the SHA-256 of the file that the figure is of, where the row's was replaced since; else empty."""
        found = _EARLIER_FILE.search(self.note or "")
        return found[1] if found else ""


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint's file."""

    urls: tuple[Url, ...]
    """Places of the same file, tried in order."""
    sha256: Sha256 | None = None
    sha256_prefix: Sha256Prefix | None = None
    """The eight digits in mmsegmentation's file names."""
    layout: str = "plain"
    """Whose names its keys have: one of `models.load.layouts`; plain: the network's own."""


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine a checkpoint was trained on, and what else its memory depends on."""

    gpus: Positive
    batch_per_gpu: Batch
    optimizer: Identifier = "SGD"
    """By torch's name; SGD has momentum."""
    mixed_precision: bool = False


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another document that carries the same row."""

    document: str
    section: str
    row: Positive
    blank: tuple[MetricName, ...] = ()
    """Metrics whose cells are empty there."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one forward pass takes, counted by `models.trace.cost` and recounted by a test."""

    size: tuple[Side, Side]
    """Network input (height, width) of the first protocol on a typical image, or one window's; else the training crop."""
    gflops: float
    """10^9 operations, a multiply-add being two; attention included."""
    peak_activations_mib: float
    """Largest sum of live intermediate tensors in float32."""


Number = bool | int | float | str
Part = dict[str, Number | list[int] | dict[str, Number | list[int]]]
"""A part of a network: its `type` and its numbers, of which one may be a part within it."""


class CheckpointEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published checkpoint as the file has it, with names where `Checkpoint` has the records."""

    id: Identifier
    aliases: tuple[Identifier, ...] = ()
    publisher: str
    method: str
    segmentor: str = ""
    """As printed, where the method is a backbone's, or goes with several segmentors; empty where nothing is."""
    backbone: str
    """As printed: `R-50-D8`."""
    dataset: str
    """A key of the manifest's datasets."""
    crop: tuple[Side, Side]
    """Training crop (height, width) in pixels."""
    schedule: str
    """As printed: `40000` iterations, or `LR/POLICY/BS/EPOCH: ...`."""
    pretrain: str = ""
    """What the backbone was trained on before, as printed: `ImageNet-1k-224x224`; empty where nothing is."""
    train_eval_set: str = ""
    """Splits trained and evaluated on, as printed: `trainaug/val`; empty where nothing is."""
    architecture: dict[str, Number | Part | list[Part]]
    """`backbone`, `head` and what else `models.build.compose` takes, or `builder` and the numbers it takes."""
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
    publishers: dict[str, Publisher] = {}
    protocols: dict[str, EvalProtocol]
    checkpoints: tuple[CheckpointEntry, ...]


class Publishers(msgspec.Struct, frozen=True, kw_only=True):
    """What other manifests need of the packaged one."""

    publishers: dict[str, Publisher]


class Checkpoint(CheckpointEntry, frozen=True, kw_only=True):
    """A published checkpoint with everything needed to build, load and measure it."""

    dataset_spec: DatasetSpec
    protocols: dict[str, EvalProtocol]
    """Metric -> the protocol its claims name."""
    publisher_data: Publisher = UNKNOWN_PUBLISHER
    """What is known of its publisher."""
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

    def unbuilt(self) -> list[str]:
        """The parts of its network that nobody here builds, as `head SANHead`; needs no torch."""
        from ...models.rooms import unbuilt_parts  # noqa: PLC0415  (which no reading of a manifest needs)

        return unbuilt_parts(self.architecture)

    def first_protocol(self) -> EvalProtocol:
        """How its first accuracy is measured, by which it is timed and shown too: mIoU's where it claims one.

        Raises:
            NoProtocol: no claim names a protocol.
        """
        named = [claim.metric for claim in self.claims if claim.protocol]
        return self.protocol(named[0] if named else "miou")

    @property
    def not_built(self) -> str:
        """`not built yet`, with the parts of its network that nobody here builds; empty where all are there.

        A builder that is missing has a letter of its own, where it is asked for.
        """
        parts = [part for part in self.unbuilt() if not part.startswith("builder ")]
        return f"{NOT_BUILT}: {', '.join(parts)}" if parts else ""

    def require_built(self) -> None:
        """Refuse a row whose network is not there, before anything is fetched for it.

        Raises:
            ArchitectureError: a part of its network is not built yet.
        """
        if self.not_built:
            from ...models.builders import ArchitectureError  # noqa: PLC0415

            raise ArchitectureError(f"{self.id}: {self.not_built}")

    def build(self) -> nn.Module:
        """The architecture with random weights, in evaluation mode.

        Raises:
            ArchitectureError: nothing can be built of it: a part is not built yet, there is no such builder, or one fails.
        """
        from ...models.build import build_model  # noqa: PLC0415  (torch, which `zoo list` need not pay)

        self.require_built()
        numbers: dict[str, Any] = dict(self.architecture)
        return build_model(**numbers)

    def code(self) -> Code | None:
        """What its network's code is where it is not ours; None where it is.

        Raises:
            ArchitectureError: the builder cannot be had.
        """
        from ...models.adapters import library_code  # noqa: PLC0415
        from ...models.builders import code_of  # noqa: PLC0415
        from ...models.rooms import is_own  # noqa: PLC0415

        name = self.architecture.get("builder")
        if name is None:
            return None
        return library_code(str(name), self.architecture) if is_own(str(name)) else code_of(str(name))

    def load(self, path: str | Path, *, sha256: str = "") -> nn.Module:
        """The model with its published weights, in evaluation mode on the CPU.

        What the file held otherwise than publishers do is told by a warning of the log.

        Args:
            path: the weights file, or an export, which is the network by itself; `segbench.zoo.fetch.fetch` brings it, or finds it in the cache.
            sha256: what the file was when it was checked, held against the bytes loaded; empty for nothing.

        Raises:
            ArchitectureError: see `build`; or an export cannot be run here.
            WeightsError: the file cannot be read, or its keys are not the architecture's.
        """
        from ...models.adapters import is_export, load_export  # noqa: PLC0415
        from ...models.load.checkpoint_file import TWO_SETS, open_checkpoint  # noqa: PLC0415
        from ...models.load.weights import load_weights  # noqa: PLC0415

        if is_export(Path(path)):
            return load_export(Path(path), sha256=sha256)
        model = self.build()
        content = open_checkpoint(path, sha256=sha256)
        missing = load_weights(model, content.state, layout=self.weights.layout, source=str(path))
        second = (
            [f"{content.second_set!r} lies beside the weights. {TWO_SETS}."] if content.second_set else []
        )
        for note in (*content.notes, *second, *missing):
            logging.getLogger("segbench").warning("%s: %s", self.id, note)
        return model.eval()


class NoProtocol(LookupError):  # noqa: N818  (named for what is the case, as LookupErrors are)
    """A checkpoint claims nothing that says how the metric is measured."""


class UnknownCheckpoint(KeyError):  # noqa: N818
    """No checkpoint has this id or alias, or several share it; the message names these or the nearest ones, methods too."""

    def __init__(
        self, name: str, known: Iterable[str], methods: Iterable[str] = (), sharing: Sequence[str] = ()
    ) -> None:
        """`sharing`: ids of the rows to which their publisher gives this one name."""
        super().__init__(name)
        self.name = name
        self.sharing = sharing
        self.nearest = (*nearest(name, methods, 2, likeness=0.7), *nearest(name, known))[:3]

    def __str__(self) -> str:
        if len(self.sharing) > 1:
            return f"{self.name!r} is its publisher's name of several checkpoints; name one: {', '.join(self.sharing)}"
        hint = f", nearest are {', '.join(self.nearest)}" if self.nearest else ""
        return f"unknown checkpoint {self.name!r}{hint}; zoo list shows all"


def _stem(url: str) -> str:
    return url.rpartition("/")[2].rpartition(".")[0]


class Manifest:
    """The checkpoints of a zoo in the file's order: iterate, count, look up by id or alias."""

    def __init__(
        self, path: Path, content: ManifestFile, publishers: Mapping[str, Publisher] | None = None
    ) -> None:
        """`publishers` are those that are known without the manifest; its own come first."""
        replace = msgspec.structs.replace
        self.path = path
        self.documents = content.documents
        self.publishers = {**(publishers or {}), **content.publishers}
        self.datasets = {name: replace(spec, name=name) for name, spec in content.datasets.items()}
        self.protocols = {name: replace(protocol, name=name) for name, protocol in content.protocols.items()}
        self._checkpoints = tuple(self._resolved(entry) for entry in content.checkpoints)
        self._by_name = {name: one for one in self._checkpoints for name in (one.id, *one.aliases)}

    def _resolved(self, entry: CheckpointEntry) -> Checkpoint:
        fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
        protocols = {claim.metric: self.protocols[claim.protocol] for claim in entry.claims if claim.protocol}
        dataset_spec = self.datasets[entry.dataset]
        publisher = self.publishers.get(entry.publisher, UNKNOWN_PUBLISHER)
        return Checkpoint(
            **fields,
            dataset_spec=dataset_spec,
            protocols=protocols,
            publisher_data=publisher,
            manifest=self.path,
        )

    def __getitem__(self, name: str) -> Checkpoint:
        try:
            return self._by_name[name]
        except KeyError:
            sharing = [
                one.id for one in self._checkpoints if any(_stem(url) == name for url in one.config_urls)
            ]
            raise UnknownCheckpoint(name, self._by_name, self.methods(), sharing) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def methods(self) -> list[str]:
        """The rows' methods, each once, in the manifest's order."""
        return list(dict.fromkeys(one.method for one in self._checkpoints))

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._checkpoints)

    def __len__(self) -> int:
        return len(self._checkpoints)

    def __repr__(self) -> str:
        return f"Manifest({str(self.path)!r}, {len(self)} checkpoints)"
