"""What a row's entry needs that its document does not say: from its configuration, else from its publisher's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...reports.metrics import METRICS
from ..files.whole_number import DIGITS
from ..manifest import Training
from . import rules
from .configs.protocol_names import ProtocolNames, described
from .file_names import stem, undated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...evaluate.data.datasets import DatasetSpec
    from ..manifest.publisher import Publisher
    from .configs.published_config import Configs, Found, PublishedConfig
    from .records import SourceDocument, SourceRow


_TESTS = {"miou_flip": "mirrored", "miou_ms_flip": "second"}
"""Metric -> the test of a configuration that it is printed for, where that is not the one of a single view."""


class Known(NamedTuple):
    """What an import knows besides documents."""

    datasets: Mapping[str, DatasetSpec]
    """The zoo's, whose classes give a network's outputs."""
    configs: Configs
    names: ProtocolNames
    """The zoo's protocols, to which configurations add."""


class RowFacts(NamedTuple):
    """What is known of one row."""

    row: SourceRow
    """The row, with data set, crop and schedule where only its configuration or a file's name has them."""
    architecture: dict[str, Any] | None
    """None where nobody knows the network."""
    protocols: dict[str, str]
    """Metric -> protocol."""
    unmet: str = ""
    """Why an accuracy has no protocol that has none."""
    training: Training | None = None


def facts_of(document: SourceDocument, row: SourceRow, publisher: Publisher, known: Known) -> RowFacts:
    """What is known of a row by its configuration, else by the rules of its form's inventor."""
    found = known.configs.find(document.inventor, undated(row.weights_url), row.config or row.name)
    if found is not None:
        return _by_configuration(document, row, publisher, known, found)
    rule = rules.rule_of(publisher, row)
    spec = known.datasets.get(row.dataset)
    return RowFacts(
        row=row,
        architecture=rules.architecture(rule, len(spec.classes)) if spec else None,
        protocols=rule.protocols,
        training=rules.images_per_gpu(publisher, rule, row.config or row.name),
    )


def _by_configuration(
    document: SourceDocument, row: SourceRow, publisher: Publisher, known: Known, found: Found
) -> RowFacts:
    config, name = found.config, found.path.rpartition("/")[2]
    row = _completed(row, publisher, name)
    row = msgspec.structs.replace(
        row, crop=row.crop or config.crop, schedule=row.schedule or str(config.iterations or "")
    )
    gpus = _gpus(row, name, config.batch_per_gpu) or publisher.gpus
    return RowFacts(
        row=row,
        architecture=found.architecture,
        protocols=_protocols(row, found, publisher.prefix or document.inventor, known.names),
        unmet=config.unmet or "its configuration has no such test",
        training=_training(gpus, config),
    )


def _protocols(row: SourceRow, found: Found, prefix: str, names: ProtocolNames) -> dict[str, str]:
    """Metric -> protocol of the row's accuracies, each by the test that its column means."""
    protocols = {}
    for metric in (name for name, text in row.figures.items() if text):
        one = METRICS[metric]
        test = getattr(found.config, _TESTS.get(metric, "single"))
        if "protocol" in one.claim_needs and test:
            description = described(test, f"{found.release.publisher} {found.release.age}".strip())
            protocols[metric] = names.name(test, prefix, description)
    return protocols


def _training(gpus: int | None, config: PublishedConfig) -> Training | None:
    """None where nobody says on how many GPUs, or with how many images each."""
    if not gpus or not config.batch_per_gpu:
        return None
    return Training(
        gpus=gpus,
        batch_per_gpu=config.batch_per_gpu,
        optimizer=config.optimizer,
        mixed_precision=config.mixed_precision,
    )


def _gpus(row: SourceRow, name: str, batch: int | None) -> int | None:
    """GPUs of a training: the 4 of `4xb2` or `4x2` in its configuration's name, else what the row states."""
    in_name = re.search(rf"_({DIGITS})xb?{batch}[-_]", name)
    stated = re.match(rf"({DIGITS})x ", row.stated.get("training resources", ""))
    found = in_name or stated
    return int(found[1]) if found else None


def _completed(row: SourceRow, publisher: Publisher, name: str) -> SourceRow:
    """A row whose heading names no data set, with the one that its configuration, else its file, is named after."""
    names = (name, stem(row.config), undated(row.weights_url))
    found = next(filter(None, (_dataset_in(one, publisher) for one in names)), "")
    return msgspec.structs.replace(row, dataset=row.dataset or found)


def _dataset_in(name: str, publisher: Publisher) -> str:
    """The data set whose word stands in a name, the longest of several; empty where none does."""
    text = f"_{name.replace('-', '_')}_"
    words = [
        (len(word), dataset)
        for dataset, all_words in publisher.file_words.items()
        for word in all_words
        if f"_{word.replace('-', '_')}_" in text
    ]
    return max(words)[1] if words else ""
