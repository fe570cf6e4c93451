"""Audit checks of documents against the configurations that they link: what trains is what the row says, or it is not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from ..publishers import rules
from ..publishers.file_names import dataset_in, stem
from .findings import Place
from .sources import config_path, finding
from .statements import spoken, statements, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..manifest.publisher import Publisher
    from ..publishers import SourceRow
    from ..publishers.configs import PublishedConfig, Release
    from .findings import AuditFinding
    from .sources import AuditSources
    from .statements import Statement

LINKED = {"config", "crop", "schedule", "backbone", "batch"}
"""Sources of a row that are held against its configuration: its columns and the configuration's own name."""
USUAL = 3
"""Configurations of a data set that make their class the usual one."""


def dead_configs(sources: AuditSources) -> Iterator[AuditFinding]:
    """Links to configurations that their release does not have in a folder that it has."""
    for document in sources.documents:
        release = sources.release_of(document)
        folders = {path.rpartition("/")[0] for path in release.configs} if release else set()
        for row in document.rows if release else ():
            assert release
            path = config_path(row.config)
            if path not in release.configs and path.rpartition("/")[0] in folders:
                what = f"{path}.py is no configuration of {release.revision}"
                places = (
                    Place(file=document.path, line=row.line_of(field)) for field in ("config", "weights")
                )
                yield finding("dead-config", _subject(sources, row), what, *places)


def _subject(sources: AuditSources, row: SourceRow) -> str:
    one = sources.checkpoint(row)
    return one.id if one else row.name or row.method


def configs_told_otherwise(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows whose configuration trains another network, data, crop, schedule or batch than the row or its name says."""
    usual = {one.revision: _usual_classes(one, sources.publishers) for one in sources.releases}
    for document in sources.documents:
        release = sources.release_of(document)
        publisher = rules.publisher_of(document, sources.publishers)
        for row in document.rows if release else ():
            assert release
            config = sources.config_of(document, row)
            if config is None:
                continue
            said = statements(row, document, publisher)
            for fact in told_of(sources, document, row):
                said.pop(fact, None)
            faults = list(_faults(config, said, usual[release.revision]))
            if faults:
                places = [Place(file=document.path, line=row.line_of(one)) for _, one in faults]
                what = f"{config_path(row.config)}.py of {release.revision} has {'; '.join(text for text, _ in faults)}"
                yield finding("config-differs", _subject(sources, row), what, *places)


def _faults(
    config: PublishedConfig, said: dict[str, list[Statement]], usual: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """What is wrong, and the field of the row for its line."""
    for fact, title, value in (
        ("crop", "crops of", f"{config.crop[0]}x{config.crop[1]}" if config.crop else ""),
        ("schedule", "iterations", f"{config.iterations / 1000:g}k" if config.iterations else ""),
        ("images a GPU", "images a GPU", str(config.batch_per_gpu or "")),
        ("backbone", "a backbone of depth", str(_depth(config.network.get("backbone")) or "")),
    ):
        for one in said.get(fact, ()):
            printed = re.search(r"\d+", one.value) if fact == "backbone" else None
            known = printed[0] if printed else one.value
            comparable = fact != "backbone" or one.value[:2] in ("R-", "S-")
            if value and comparable and one.source in LINKED and known != value:
                yield f"{title} {value}, {one.value} by {spoken(one.source)}", one.source
                break
    yield from _batch_fault(config, said)
    for one in said.get("data set", ()):
        if one.source == "config" and usual.get(one.value, config.dataset) != config.dataset:
            yield f"data set {config.dataset}, {usual[one.value]} in others of {one.value}", "config"


def _batch_fault(config: PublishedConfig, said: dict[str, list[Statement]]) -> Iterator[tuple[str, str]]:
    """A printed batch that is not the configuration's images a GPU times the row's GPUs."""
    gpus = next((int(one.value) for one in said.get("GPUs", ())), 0)
    batch = next((int(one.value) for one in said.get("images a step", ()) if one.source == "batch"), 0)
    images = config.batch_per_gpu or 0
    if gpus and batch and images and gpus * images != batch:
        yield f"{images} images a GPU, {batch} by {spoken('batch')} on {gpus} GPUs", "batch"


def _depth(part: Any) -> int | None:
    """Of the first network within a backbone that has one."""
    if not isinstance(part, dict):
        return None
    inner = (_depth(value) for value in part.values())
    return part.get("depth") or next((depth for depth in inner if depth), None)


def _usual_classes(release: Release, publishers: dict[str, Publisher]) -> dict[str, str]:
    """Word for a data set in names of configurations -> the class that most of those have."""
    words = publishers[release.publisher].file_words if release.publisher in publishers else {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path, config in release.configs.items():
        if word := dataset_in(stem(path), words):
            counts[word][config.dataset] += 1
    found = {word: count.most_common(1)[0] for word, count in counts.items()}
    return {word: name for word, (name, times) in found.items() if times >= USUAL}


CONFIG_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    dead_configs,
    configs_told_otherwise,
)
