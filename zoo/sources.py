"""Publishers' own documents as records: README tables, pages rendered from them, metafiles.

Tolerant of layout (widths, alignment, order of columns, links or none, bold type, marks of footnotes), strict about
meaning: a cell that should be a number and is none, or a results column nobody knows, is a fault with its line. It
ends an import; an audit tells it and goes on with the rest. Both read documents through here only.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
_BLANK = {"", "-", "–", "—"}
_ORDER = tuple(_FIGURES.values())
_LINK = re.compile(r"\[(cfg|config|model|log)\]\((\S+?)\)")
_HEADER_OF_A_PAGE = "Method |"


class SourceError(Exception):
    """A document cannot be read: one message with file and line."""


class SourceFault(msgspec.Struct, frozen=True, kw_only=True):
    """A place that cannot be understood; the rest of the document is read without it."""

    line: int
    """Counted from 1."""
    message: str


class _CellError(Exception):
    """A cell cannot be understood; its reader knows the line."""


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
    faults: tuple[SourceFault, ...] = ()


def read_source(path: Path, *, tolerant: bool = False) -> SourceDocument:
    """Parse a document; its form is recognised by what it contains.

    Args:
        path: the file.
        tolerant: whether what cannot be understood is put on record in `faults` instead of raised.

    Raises:
        SourceError: the file cannot be read, has no known form, or, unless tolerant, says something that cannot be
            understood.
    """
    document = _read(path)
    if document.faults and not tolerant:
        first = min(document.faults, key=lambda fault: fault.line)
        raise SourceError(f"{document.path}:{first.line}: {first.message}")
    return document


def _read(path: Path) -> SourceDocument:
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
    return _document(path, form, publisher, tables)


def _document(path: str, form: Form, publisher: str, tables: list[_Table]) -> SourceDocument:
    rows = tuple(row for table in tables for row in table.rows())
    faults = tuple(fault for table in tables for fault in table.faults)
    return SourceDocument(path=path, form=form, publisher=publisher, rows=rows, faults=faults)


class _Table:
    """One table with the heading above it."""

    def __init__(self, section: str, header: list[str], line: int, *, lines_a_cell: int = 0) -> None:
        self.section, self.line = section, line
        self.lines_a_cell = lines_a_cell
        """1 where each cell has a line of its own, 0 where a row has one."""
        self.header = [re.sub(r"\s+", " ", name).casefold() for name in header]
        self.body: list[tuple[int, list[str]]] = []
        self.first_row = 1
        """Number of the first row: above 1 where a section has several tables."""
        self.faults: list[SourceFault] = []
        """What could not be understood, once the rows are read."""

    @property
    def is_results(self) -> bool:
        return "backbone" in self.header and any(name.startswith("miou") for name in self.header)

    def rows(self) -> Iterator[SourceRow]:
        self.faults = [
            SourceFault(
                line=self._line(self.line, name), message=f"unknown column {name!r} in the results table"
            )
            for name in self.header
            if not _is_known(name)
        ]
        for number, (line, cells) in enumerate(self.body, start=self.first_row):
            yield self._row(number, line, self._named(line, cells))

    def _named(self, line: int, cells: list[str]) -> dict[str, str]:
        """Column -> cell; of a row with a cell too many or too few, only those that certainly are their column's.

        Nobody can tell which figure is missing or too much: such a row keeps what stands before its figures.
        """
        pairs = list(zip(self.header, cells, strict=False))
        if len(cells) == len(self.header):
            return dict(pairs)
        odd = next((index for index, pair in enumerate(pairs) if not _fits(*pair)), len(pairs) - 1)
        message = f"expected {len(self.header)} cells, found {len(cells)}"
        self.faults.append(SourceFault(line=line + self.lines_a_cell * odd, message=message))
        first_figure = next(index for index, name in enumerate(self.header) if name not in _FACTS | _UNUSED)
        return dict(pairs[: min(odd, first_figure)])

    def _line(self, line: int, column: str) -> int:
        return line + self.lines_a_cell * self.header.index(column)

    def _row(self, number: int, line: int, cells: dict[str, str]) -> SourceRow:
        links = {kind: url for cell in cells.values() for kind, url in _LINK.findall(cell)}
        figures: dict[str, str | None] = {}
        for name in cells.keys() - _FACTS - _UNUSED:
            if _is_known(name):
                figures |= self._read(line, name, _figures, name, cells[name], instead={})
        return SourceRow(
            line=line,
            section=self.section,
            row=number,
            method=cells.get("method", "") or _method_of(links.get("model", "")),
            backbone=cells.get("backbone", ""),
            dataset=dataset_of(self.section),
            crop=self._read(line, "crop size", _size, cells.get("crop size", ""), instead=None),
            schedule=cells.get("lr schd") or cells.get("schedule", ""),
            figures=dict(sorted(figures.items(), key=lambda figure: _ORDER.index(figure[0]))),
            blank_cells=sum(cell in _BLANK for cell in cells.values()),
            device=cells.get("device", ""),
            weights_url=links.get("model", ""),
            log_url=links.get("log", ""),
            config=links.get("config", links.get("cfg", "")),
            stated={STATED[name]: cells[name] for name in _UNUSED & cells.keys() if cells[name]},
            lines=self._lines(line) if self.lines_a_cell else {},
        )

    def _read(self, line: int, column: str, read: Callable[..., Any], *arguments: str, instead: Any) -> Any:
        """A cell's value, or `instead` with the fault on record."""
        try:
            return read(*arguments)
        except _CellError as error:
            self.faults.append(SourceFault(line=self._line(line, column), message=str(error)))
            return instead

    def _lines(self, line: int) -> dict[str, int]:
        """Metric or field -> line of its cell."""
        found = {field: self._line(line, name) for name in self.header for field in _fields_of(name)}
        return {field: own for field, own in found.items() if own != line}


def _fields_of(column: str) -> list[str]:
    """What `SourceRow.line_of` calls the contents of a column."""
    if column in _FACTS:
        return {"download": ["weights", "log"], "crop size": ["crop"], "lr schd": ["schedule"]}.get(
            column, [column]
        )
    return [STATED[column]] if column in STATED else [_FIGURES.get(part, part) for part in column.split("/")]


def _is_known(column: str) -> bool:
    return column in _FACTS | _UNUSED or all(part in _FIGURES for part in column.split("/"))


def _fits(column: str, cell: str) -> bool:
    """Whether a cell looks like one of its column: figures are numbers, devices and backbones begin with a letter."""
    if column in {"method", "backbone", "device"}:
        return cell[:1].isalpha()
    if column == "lr schd":
        return cell.isdigit()
    try:
        if column == "crop size":
            return _size(cell) is not None
        return column in _FACTS | _UNUSED or bool(_figures(column, cell))
    except _CellError:
        return False


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
            table = _Table(section, _cells(line), number)
            table.first_row = last.get(section, 0) + 1
        elif not re.fullmatch(r"[|:\-\s]+", line):
            table.body.append((number, _cells(line)))
        elif table.body:
            raise SourceError(f"{path}:{number}: a second line of dashes within the table")
    if table is not None:
        yield table


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _figures(column: str, cell: str) -> dict[str, str | None]:
    """Metrics and printed texts of one cell; a column may hold two, as `mIoU/mIoU(ms+flip)`."""
    names = column.split("/")
    plain = _plain(cell)
    texts = [plain] * len(names) if plain in _BLANK else plain.split("/")
    if len(texts) != len(names):
        raise _CellError(f"expected {len(names)} figures in column {column!r}, found {cell!r}")
    return {_FIGURES[name]: _figure(column, text) for name, text in zip(names, texts, strict=True)}


def _plain(cell: str) -> str:
    """A cell without bold or italic type and without marks of footnotes."""
    unmarked = re.sub(r"<sup>[^<]*</sup>|\[\^[^\]]*\]", "", cell)
    return re.sub(r"\*\*|__|</?(?:b|i|em|strong)>|[*†‡]", "", unmarked).strip()


def _figure(column: str, text: str) -> str | None:
    text = text.strip().removesuffix("%").strip()
    if text in _BLANK:
        return None
    if not _NUMBER.fullmatch(text):
        raise _CellError(f"expected a plain number in column {column!r}, found {text!r}")
    return text


def _size(text: str) -> tuple[int, int] | None:
    """`512x1024` or `(512,1024)` as (height, width)."""
    if not text:
        return None
    found = re.fullmatch(r"\(?(\d+)\s*[x,]\s*(\d+)\)?", text)
    if not found:
        raise _CellError(f"expected a size such as 512x1024, found {text!r}")
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
    pairs = zip(starts, [*starts[1:], len(lines)], strict=True)
    return _document(
        path, "mmseg-page", MMSEG, [_page_table(path, lines, start, end) for start, end in pairs]
    )


def _page_table(path: str, lines: list[str], start: int, end: int) -> _Table:
    last = next((n for n in range(start, end) if lines[n].strip() == "download |"), None)
    if last is None:
        raise SourceError(f"{path}:{start + 1}: the table's header has no download column")
    header = [line.strip().removesuffix("|").strip() for line in lines[start : last + 1]]
    table = _Table("", header, start + 1, lines_a_cell=1)
    position = last + 1
    while position < end and lines[position].rstrip().endswith("|"):
        length = _row_length(lines[position:end], len(header))
        cells = [line.strip().removesuffix("|").strip() for line in lines[position : position + length]]
        table.body.append((position + 1, cells))
        position += length
    return table


def _row_length(lines: list[str], width: int) -> int:
    """Cells of the row that begins here: up to the next row of the method where one is due, else the table's width."""
    again = next((number for number, line in enumerate(lines) if number and line == lines[0]), width)
    return again if again < 2 * width else min(width, len(lines))


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
    rows, faults = _models(path, models.node.value)
    old = all(
        isinstance(_Node(path, node).need("Results").node, yaml.SequenceNode) for node in models.node.value
    )
    return SourceDocument(
        path=path,
        form="mmseg-metafile-0.x" if old else "mmseg-metafile-1.x",
        publisher=MMSEG,
        rows=tuple(rows),
        fields=_field_forms(file, _Node(path, models.node.value[0])) if rows else {},
        faults=tuple(faults),
    )


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


def _model(model: _Node, counts: dict[str, int], faults: list[SourceFault]) -> SourceRow:
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
    return SourceRow(
        line=name.line,
        section=section,
        row=counts[section],
        method=METHODS.get(model.optional("In Collection").casefold(), model.optional("In Collection")),
        backbone=meta.optional("backbone") or (architecture.first().text if architecture else ""),
        dataset=dataset_of(section),
        crop=_understood(faults, meta.get("crop size"), _size) or crop,
        schedule=meta.optional("lr schd") or schedule,
        figures={
            metric: _understood(faults, node, partial(_figure, metric))
            for metric, node in found.items()
            if node
        },
        device=speed.optional("hardware") if speed else _device(meta.optional("Training Resources")),
        weights_url=model.optional("Weights"),
        log_url=model.optional("Training log", "Training Log"),
        config=model.optional("Config"),
        name=name.text,
        resolution=_understood(faults, speed.get("resolution"), _size) if speed else None,
        milliseconds=speed.optional("value") if speed else "",
        batch=int(batch.text) if batch and batch.text.isdigit() else None,
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
    except _CellError as error:
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
