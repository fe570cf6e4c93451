"""Publishers' own documents as records: README tables, pages rendered from them, metafiles.

Tolerant of layout (widths, alignment, order of columns, links or none), strict about meaning: a cell that
should be a number and is none, or a results column nobody knows, is refused with its file and line rather
than skipped. `zoo audit` and `zoo import` read documents through here only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..reports.metrics import MetricName

Form = Literal["mmseg-readme", "mmseg-page", "mmseg-metafile-0.x", "mmseg-metafile-1.x", "ssseg-readme"]

MMSEG, SSSEG = "mmsegmentation", "sssegmentation"
METHODS = {"isanet": "ISANet", "isnet": "ISNet"}
"""Method folder in a URL -> the name in print, for tables without a method column (sssegmentation)."""
DATASETS = {
    "cityscapes": "cityscapes",
    "ade20k": "ade20k",
    "pascalvoc": "voc2012aug",
    "pascalvoc2012": "voc2012aug",
    "pascalvoc2012aug": "voc2012aug",
    "cocostuff10k": "cocostuff10k",
    "lip": "lip",
}
"""Letters and digits of a heading -> the manifest's name of the data set."""

_FIGURES: dict[str, MetricName] = {
    "mem (gb)": "train_memory",
    "inf time (fps)": "fps",
    "miou": "miou",
    "miou(ms+flip)": "miou_ms_flip",
    "miou(flip)": "miou_flip",
}
_FACTS = {"method", "backbone", "crop size", "lr schd", "schedule", "device", "config", "download"}
_UNUSED = {"pretrain", "train/eval set"}
STATED = {
    "pretrain": "pretraining",
    "train/eval set": "train/eval set",
    "Training Data": "training data",
    "Training Resources": "training resources",
    "hardware": "hardware of the timing",
    "mode": "precision of the timing",
    "batch size": "batch of the timing",
}
"""Column or metafile key -> what `SourceRow.stated` and messages call it."""
_MEMORY_FIELDS = ("memory (GB)", "Training Memory (GB)", "Memory (GB)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LINK = re.compile(r"\[(cfg|config|model|log)\]\((\S+?)\)")
_HEADER_OF_A_PAGE = "Method |"


class SourceError(Exception):
    """A document cannot be read: one message with file and line."""


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a table or one model of a metafile, as its document has it."""

    line: int
    """Counted from 1."""
    section: str
    """Heading of the table, or the metafile's data set; empty where a page lost its headings."""
    row: int
    """Counted from 1 within the section."""
    method: str = ""
    backbone: str = ""
    dataset: str = ""
    """The manifest's name of the section's data set; empty where the heading names none."""
    crop: tuple[int, int] | None = None
    """Training crop (height, width) in pixels."""
    schedule: str = ""
    figures: dict[str, str | None] = {}
    """Metric -> figure as printed, without a percent sign; None for an empty cell, absent without a column."""
    blank_cells: int = 0
    """Empty cells of the row, links included."""
    device: str = ""
    weights_url: str = ""
    log_url: str = ""
    config: str = ""
    """URL or path of the configuration."""
    name: str = ""
    """The model's name in a metafile."""
    resolution: tuple[int, int] | None = None
    """What a metafile calls the resolution of its inference time."""
    milliseconds: str = ""
    """A metafile's inference time in ms an image, as printed."""
    batch: int | None = None
    """Images a step over all devices, in a 1.x metafile."""
    stated: dict[str, str] = {}
    """What else the row says of itself, as printed: field as messages call it -> text (see `STATED`)."""
    lines: dict[str, int] = {}
    """Metric or field -> its own line, where that is not `line`."""

    def line_of(self, field: str) -> int:
        """The line where a metric or field of this row stands."""
        return self.lines.get(field, self.line)


class SourceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed document."""

    path: str
    """As given, for messages."""
    form: Form
    publisher: str
    rows: tuple[SourceRow, ...]
    fields: dict[str, tuple[str, int]] = {}
    """A metafile's way of saying things: concept -> its key or form, and the first line of it."""


def read_source(path: Path) -> SourceDocument:
    """Parse a document; its form is recognised by what it contains.

    Raises:
        SourceError: the file cannot be read, has no known form, or says something that cannot be understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: cannot read the document: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: expected text in UTF-8, found byte {error.start} to be none") from error
    if re.search(r"^\s*\"?Models\"?\s*:", text, re.MULTILINE):
        return _read_metafile(str(path), text)
    if any(line.strip() == _HEADER_OF_A_PAGE for line in text.splitlines()):
        return _read_page(str(path), text)
    return _read_markdown(str(path), text)


def dataset_of(heading: str) -> str:
    """The manifest's name of the data set that a heading means; empty for another one."""
    return DATASETS.get(re.sub(r"[^a-z0-9]", "", heading.casefold()), "")


# --- Markdown ---------------------------------------------------------------------------------------


def _read_markdown(path: str, text: str) -> SourceDocument:
    tables = [table for table in _tables(path, text) if table.is_results]
    if not tables:
        raise SourceError(
            f"{path}: expected a results table (with Backbone and mIoU columns) or a metafile with Models, found neither"
        )
    ours = [table.header for table in tables]
    publisher = MMSEG if all("lr schd" in header for header in ours) else SSSEG
    form: Form = "mmseg-readme" if publisher == MMSEG else "ssseg-readme"
    rows = [row for table in tables for row in table.rows()]
    return SourceDocument(path=path, form=form, publisher=publisher, rows=tuple(rows))


class _Table:
    """One Markdown table with the heading above it."""

    def __init__(self, path: str, section: str, header: list[str], line: int) -> None:
        self.path, self.section, self.line = path, section, line
        self.header = [re.sub(r"\s+", " ", name).casefold() for name in header]
        self.body: list[tuple[int, list[str]]] = []
        self.first_row = 1
        """Number of the first row: above 1 where a section has several tables."""

    @property
    def is_results(self) -> bool:
        return "backbone" in self.header and any(name.startswith("miou") for name in self.header)

    def rows(self) -> Iterator[SourceRow]:
        for name in self.header:
            if name not in _FACTS | _UNUSED and not all(part in _FIGURES for part in name.split("/")):
                raise SourceError(f"{self.path}:{self.line}: unknown column {name!r} in the results table")
        for number, (line, cells) in enumerate(self.body, start=self.first_row):
            if len(cells) != len(self.header):
                raise SourceError(
                    f"{self.path}:{line}: expected {len(self.header)} cells, found {len(cells)}"
                )
            yield self._row(number, line, dict(zip(self.header, cells, strict=True)))

    def _row(self, number: int, line: int, cells: dict[str, str]) -> SourceRow:
        place = f"{self.path}:{line}"
        links = {kind: url for cell in cells.values() for kind, url in _LINK.findall(cell)}
        figures: dict[str, str | None] = {}
        for name, cell in cells.items():
            if name not in _FACTS | _UNUSED:
                figures |= _figures(place, name, cell)
        return SourceRow(
            line=line,
            section=self.section,
            row=number,
            method=cells.get("method", "") or _method_of(links.get("model", "")),
            backbone=cells["backbone"],
            dataset=dataset_of(self.section),
            crop=_size(place, cells.get("crop size", "")),
            schedule=cells.get("lr schd") or cells.get("schedule", ""),
            figures=figures,
            blank_cells=sum(not cell for cell in cells.values()),
            device=cells.get("device", ""),
            weights_url=links.get("model", ""),
            log_url=links.get("log", ""),
            config=links.get("config", links.get("cfg", "")),
            stated={STATED[name]: cells[name] for name in _UNUSED & cells.keys() if cells[name]},
        )


def _tables(path: str, text: str) -> Iterator[_Table]:
    """Every table with its heading; fenced code is no Markdown."""
    section, table, fenced = "", None, False
    last: dict[str, int] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if not fenced and line.startswith("#"):
            section = line.strip("# \t")
        if fenced or not line.lstrip().startswith("|"):
            if table is not None:
                last[section] = table.first_row + len(table.body) - 1
                yield table
            table = None
        elif table is None:
            table = _Table(path, section, _cells(line), number)
            table.first_row = last.get(section, 0) + 1
        elif not re.fullmatch(r"[|:\-\s]+", line):
            table.body.append((number, _cells(line)))
        elif len(table.body):
            raise SourceError(f"{path}:{number}: a second line of dashes within the table")
    if table is not None:
        yield table


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _figures(place: str, column: str, cell: str) -> dict[str, str | None]:
    """Metrics and printed texts of one cell; a column may hold two, as `mIoU/mIoU(ms+flip)`."""
    names = column.split("/")
    texts = cell.split("/") if cell else [""] * len(names)
    if len(texts) != len(names):
        raise SourceError(f"{place}: expected {len(names)} figures in column {column!r}, found {cell!r}")
    return {_FIGURES[name]: _figure(place, column, text) for name, text in zip(names, texts, strict=True)}


def _figure(place: str, column: str, text: str) -> str | None:
    text = text.strip().removesuffix("%").strip()
    if text in {"", "-", "–"}:
        return None
    if not _NUMBER.fullmatch(text):
        raise SourceError(f"{place}: expected a plain number in column {column!r}, found {text!r}")
    return text


def _size(place: str, text: str) -> tuple[int, int] | None:
    """`512x1024` or `(512,1024)` as (height, width)."""
    if not text:
        return None
    found = re.fullmatch(r"\(?(\d+)\s*[x,]\s*(\d+)\)?", text)
    if not found:
        raise SourceError(f"{place}: expected a size such as 512x1024, found {text!r}")
    return int(found[1]), int(found[2])


def _method_of(url: str) -> str:
    """Method of a file whose name begins with it, as sssegmentation's do."""
    stem = url.rsplit("/", 1)[-1].split("_", 1)[0]
    return METHODS.get(stem, stem)


# --- a README as documentation renders it ----------------------------------------------------------


def _read_page(path: str, text: str) -> SourceDocument:
    """One cell a line, each but the last followed by a bar; headings and link targets are gone."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == _HEADER_OF_A_PAGE]
    rows: list[SourceRow] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        rows += _page_table(path, lines, start, end)
    return SourceDocument(path=path, form="mmseg-page", publisher=MMSEG, rows=tuple(rows))


def _page_table(path: str, lines: list[str], start: int, end: int) -> list[SourceRow]:
    last = next((n for n in range(start, end) if lines[n].strip() == "download |"), None)
    if last is None:
        raise SourceError(f"{path}:{start + 1}: the table's header has no download column")
    table = _Table(
        path, "", [line.strip().removesuffix("|").strip() for line in lines[start : last + 1]], start + 1
    )
    width, position = len(table.header), last + 1
    while position + width <= end and lines[position].rstrip().endswith("|"):
        cells = [line.strip().removesuffix("|").strip() for line in lines[position : position + width]]
        table.body.append((position + 1, cells))
        position += width
    return list(table.rows())


# --- metafiles --------------------------------------------------------------------------------------


def _read_metafile(path: str, text: str) -> SourceDocument:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise SourceError(f"{where}: not valid YAML: {getattr(error, 'problem', error)}") from error
    finally:
        loader.dispose()
    file = _Node(path, root)
    models = file.get("Models")
    if models is None or not isinstance(models.node, yaml.SequenceNode):
        raise SourceError(f"{path}: expected a list of Models")
    counts: dict[str, int] = {}
    rows = [_model(_Node(path, node), counts) for node in models.node.value]
    old = all(
        isinstance(_Node(path, node).need("Results").node, yaml.SequenceNode) for node in models.node.value
    )
    return SourceDocument(
        path=path,
        form="mmseg-metafile-0.x" if old else "mmseg-metafile-1.x",
        publisher=MMSEG,
        rows=tuple(rows),
        fields=_field_forms(file, _Node(path, models.node.value[0])) if rows else {},
    )


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

    def need(self, *keys: str) -> _Node:
        found = self.get(*keys)
        if found is None:
            raise SourceError(f"{self.path}:{self.line}: expected the key {' or '.join(map(repr, keys))}")
        return found

    def first(self) -> _Node:
        """The first item of a list, anything else as it is."""
        if isinstance(self.node, yaml.SequenceNode) and self.node.value:
            return _Node(self.path, self.node.value[0])
        return self

    def optional(self, *keys: str) -> str:
        found = self.get(*keys)
        return found.text if found else ""


def _model(model: _Node, counts: dict[str, int]) -> SourceRow:
    meta, result = model.need("Metadata"), model.need("Results").first()
    section, metrics = result.need("Dataset").text, result.need("Metrics")
    found: dict[str, _Node | None] = {
        "miou": metrics.get("mIoU"),
        "miou_ms_flip": metrics.get("mIoU(ms+flip)"),
        "train_memory": meta.get(*_MEMORY_FIELDS),
    }
    name = model.need("Name")
    timing = meta.get("inference time (ms/im)")
    speed = timing.first() if timing else None
    architecture = meta.get("Architecture")
    crop, schedule = _named_crop_and_schedule(name.text)
    stated = _stated(meta, speed)
    batch = meta.get("Batch Size")
    counts[section] = counts.get(section, 0) + 1
    place = f"{model.path}:{model.line}"
    return SourceRow(
        line=name.line,
        section=section,
        row=counts[section],
        method=METHODS.get(model.optional("In Collection").casefold(), model.optional("In Collection")),
        backbone=meta.optional("backbone") or (architecture.first().text if architecture else ""),
        dataset=dataset_of(section),
        crop=_size(place, meta.optional("crop size")) or crop,
        schedule=meta.optional("lr schd") or schedule,
        figures={metric: _figure(place, metric, node.text) for metric, node in found.items() if node},
        device=speed.optional("hardware") if speed else _device(meta.optional("Training Resources")),
        weights_url=model.optional("Weights"),
        log_url=model.optional("Training log", "Training Log"),
        config=model.optional("Config"),
        name=name.text,
        resolution=_size(place, speed.optional("resolution")) if speed else None,
        milliseconds=speed.optional("value") if speed else "",
        batch=int(batch.text) if batch and batch.text.isdigit() else None,
        stated={name: node.text for name, node in stated.items()},
        lines={metric: node.line for metric, node in found.items() if node}
        | ({"fps": speed.need("value").line, "resolution": speed.line} if speed else {})
        | {name: node.line for name, node in stated.items()}
        | {name: node.line for name, node in _own_lines(model, meta, result).items() if node},
    )


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
    crop = re.search(r"[_-](\d+)x(\d+)(?:[_-]|$)", name)
    schedule = re.search(r"[_-](\d+)k[_-]", name)
    return (int(crop[1]), int(crop[2])) if crop else None, f"{schedule[1]}000" if schedule else ""


def _device(resources: str) -> str:
    found = re.search(r"\b[A-Z]\d{2,4}\b", resources)
    return found[0] if found else ""


def _field_forms(file: _Node, model: _Node) -> dict[str, tuple[str, int]]:
    """How this metafile words what other versions word differently."""
    meta, results = model.need("Metadata"), model.need("Results")
    keys = {key.value: key.start_mark.line + 1 for key, _ in meta.node.value}
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
