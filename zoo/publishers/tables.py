"""Result tables of publishers' READMEs, as Markdown and as documentation renders it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...reports.metrics import METRICS
from .records import (
    BLANK,
    STATED,
    CellError,
    SourceDocument,
    SourceError,
    SourceFault,
    SourceRow,
    figure_of,
    quoted,
    size_of,
)
from .rules import Wording, inventor_of, wording_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..manifest.publisher import Publisher
    from .records import Form

_FACTS = {"method", "segmentor", "backbone", "crop size", "schedule", "device", "config", "download"}
_UNUSED = {"pretrain", "train/eval set"}
_LINK = re.compile(r"\[([^\[\]()]{1,40})\]\(([^\s)\[]+)\)")
HEADER_OF_A_PAGE = "Method |"
MOST_COLUMNS = 100
"""Of a results table; publishers' have up to twelve."""


def read_markdown(path: str, text: str, publishers: Mapping[str, Publisher]) -> SourceDocument:
    """Every results table of a README, whichever publisher's form it has.

    Raises:
        SourceError: there is none.
    """
    tables = [table for table in _tables(path, text, wording_of(publishers)) if table.is_results]
    if not tables:
        raise SourceError(
            f"{path}: expected a results table (with Backbone and accuracy columns) or a metafile with Models, found neither"
        )
    return _document(path, "readme", tables, publishers)


def _document(
    path: str, form: Form, tables: list[_Table], publishers: Mapping[str, Publisher]
) -> SourceDocument:
    for table in tables:
        _require_columns(path, table.line, len(table.header))
    rows = tuple(row for table in tables for row in table.rows())
    faults = tuple(fault for table in tables for fault in table.faults)
    inventor = inventor_of(set.intersection(*(set(table.titles) for table in tables)), publishers)
    return SourceDocument(
        path=path, form=form, inventor=inventor, publisher=inventor, rows=rows, faults=faults
    )


def _require_columns(path: str, line: int, count: int) -> None:
    """Refuse more than `MOST_COLUMNS`: every row is held against each of them."""
    if count > MOST_COLUMNS:
        raise SourceError(
            f"{path}:{line}: expected a results table of up to {MOST_COLUMNS} columns, found {count}"
        )


class _Table:
    """One table with the heading above it."""

    def __init__(
        self, section: str, header: list[str], line: int, wording: Wording, *, lines_a_cell: int = 0
    ) -> None:
        self.section, self.line = section, line
        self.lines_a_cell = lines_a_cell
        """1 where each cell has a line of its own, 0 where a row has one."""
        self.titles = [re.sub(r"\s+", " ", name).casefold() for name in header]
        self.header = [_in_words_of_ours(wording.columns.get(title, title)) for title in self.titles]
        """The titles in the words of this module."""
        self._links = wording.links
        self.body: list[tuple[int, list[str]]] = []
        self.first_row = 1
        """Number of the first row: above 1 where a section has several tables."""
        self.faults: list[SourceFault] = []
        """What could not be understood, once the rows are read."""

    @property
    def is_results(self) -> bool:
        return "backbone" in self.header and any(_is_accuracy(name) for name in self.header)

    def rows(self) -> Iterator[SourceRow]:
        self.faults = [
            SourceFault(
                line=self._line(self.line, name),
                message=f"unknown column {quoted(name)} in the results table",
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
        figures = (index for index, name in enumerate(self.header) if name not in _FACTS | _UNUSED)
        first_figure = next(figures, len(self.header))
        return dict(pairs[: min(odd, first_figure)])

    def _line(self, line: int, column: str) -> int:
        return line + self.lines_a_cell * self.header.index(column)

    def _row(self, number: int, line: int, cells: dict[str, str]) -> SourceRow:
        found = (pair for cell in cells.values() for pair in _LINK.findall(cell))
        links = {self._links[word]: url for word, url in found if word in self._links}
        figures: dict[str, str | None] = {}
        for name in cells.keys() - _FACTS - _UNUSED:
            if _is_known(name):
                figures |= self._read(line, name, _figures, name, cells[name], instead={})
        return SourceRow(
            line=line,
            section=self.section,
            row=number,
            method=cells.get("method", "") or _method_of(links),
            segmentor=cells.get("segmentor", ""),
            backbone=cells.get("backbone", ""),
            crop=self._read(line, "crop size", size_of, cells.get("crop size", ""), instead=None),
            schedule=cells.get("schedule", ""),
            figures={metric: figures[metric] for metric in METRICS if metric in figures},
            blank_cells=sum(cell in BLANK for cell in cells.values()),
            device=cells.get("device", ""),
            weights_url=links.get("weights", ""),
            log_url=links.get("log", ""),
            config=links.get("config", ""),
            stated={STATED[name]: cells[name] for name in _UNUSED & cells.keys() if cells[name] not in BLANK},
            lines=self._lines(line) if self.lines_a_cell else {},
        )

    def _read(self, line: int, column: str, read: Callable[..., Any], *arguments: str, instead: Any) -> Any:
        """A cell's value, or `instead` with the fault on record."""
        try:
            return read(*arguments)
        except CellError as error:
            self.faults.append(SourceFault(line=self._line(line, column), message=str(error)))
            return instead

    def _lines(self, line: int) -> dict[str, int]:
        """Metric or field -> line of its cell."""
        found = {field: self._line(line, name) for name in self.header for field in _fields_of(name)}
        return {field: own for field, own in found.items() if own != line}


def _metrics() -> dict[str, str]:
    """Heading in small letters -> metric."""
    return {metric.title.casefold(): name for name, metric in METRICS.items()}


def _in_words_of_ours(column: str) -> str:
    """A heading of metrics as ours are written: `miou/miou (ms+flip)` has a space more."""
    close = column.replace(" (", "(")
    return close if not _is_known(column) and _is_known(close) else column


def _is_accuracy(column: str) -> bool:
    names = [_metrics().get(part, "") for part in column.split("/")]
    return all(name and METRICS[name].unit == "%" for name in names)


def _fields_of(column: str) -> list[str]:
    """What `SourceRow.line_of` calls the contents of a column."""
    if column in _FACTS:
        return {"download": ["weights", "log"], "crop size": ["crop"]}.get(column, [column])
    return (
        [STATED[column]] if column in STATED else [_metrics().get(part, part) for part in column.split("/")]
    )


def _is_known(column: str) -> bool:
    return column in _FACTS | _UNUSED or all(part in _metrics() for part in column.split("/"))


def _fits(column: str, cell: str) -> bool:
    """Whether a cell looks like one of its column: figures are numbers, devices and backbones begin with a letter."""
    if column in {"method", "segmentor", "backbone", "device"}:
        return cell[:1].isalpha()
    if column == "schedule":
        return (
            cell.isdigit() or "/" in cell
        )  # iterations, or a recipe such as LR/POLICY/BS/EPOCH: 0.01/poly/16/60
    if not _is_known(column):
        return True
    try:
        if column == "crop size":
            return size_of(cell) is not None
        return column in _FACTS | _UNUSED or bool(_figures(column, cell))
    except CellError:
        return False


def _tables(path: str, text: str, wording: Wording) -> Iterator[_Table]:
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
            table = _Table(section, _cells(line), number, wording)
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
    texts = [plain] * len(names) if plain in BLANK else plain.split("/")
    if len(texts) != len(names):
        raise CellError(f"expected {len(names)} figures in column {column!r}, found {quoted(cell)}")
    return {_metrics()[name]: figure_of(column, text) for name, text in zip(names, texts, strict=True)}


def _plain(cell: str) -> str:
    """A cell without bold or italic type and without marks of footnotes."""
    unmarked = re.sub(r"<sup>[^<]*</sup>|\[\^[^\[\]]*\]", "", cell)
    return re.sub(r"\*\*|__|</?(?:b|i|em|strong)>|[*†‡]", "", unmarked).strip()


def _method_of(links: Mapping[str, str]) -> str:
    """Method of a page that has no column for it: the configuration's folder, else what the weights' name begins with."""
    folder = re.search(r"/configs/([^/]+)/[^/]+$", links.get("config", ""))
    return folder[1] if folder else links.get("weights", "").rsplit("/", 1)[-1].split("_", 1)[0]


# --- a README as documentation renders it ----------------------------------------------------------


def read_page(path: str, text: str, publishers: Mapping[str, Publisher]) -> SourceDocument:
    """One cell a line, each but the last followed by a bar; headings and link targets are gone."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == HEADER_OF_A_PAGE]
    pairs = zip(starts, [*starts[1:], len(lines)], strict=True)
    wording = wording_of(publishers)
    tables = [_page_table(path, lines, start, end, wording) for start, end in pairs]
    return _document(path, "page", tables, publishers)


def _page_table(path: str, lines: list[str], start: int, end: int, wording: Wording) -> _Table:
    last = next((n for n in range(start, end) if lines[n].strip() == "download |"), None)
    if last is None:
        raise SourceError(f"{path}:{start + 1}: the table's header has no download column")
    _require_columns(path, start + 1, last + 1 - start)
    header = [line.strip().removesuffix("|").strip() for line in lines[start : last + 1]]
    table = _Table("", header, start + 1, wording, lines_a_cell=1)
    position = last + 1
    while position < end and lines[position].rstrip().endswith("|"):
        near = lines[position : min(end, position + 2 * len(header))]
        length = _row_length(near, len(header))
        cells = [line.strip().removesuffix("|").strip() for line in lines[position : position + length]]
        table.body.append((position + 1, cells))
        position += length
    return table


def _row_length(lines: list[str], width: int) -> int:
    """Cells of the row that begins here: up to the next row of the method where one is due, else the table's width."""
    again = next((number for number, line in enumerate(lines) if number and line == lines[0]), width)
    return again if again < 2 * width else min(width, len(lines))
