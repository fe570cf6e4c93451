"""The report as one HTML file that opens offline: tables that sort, plots inside, pictures inside."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .background import NO_BACKGROUND, Background, ClassFigures, Scene
from .forms import AnyColumn, Column, LinkColumn
from .media import html_value, jpeg_uri
from .metrics import METRICS
from .plots import (
    MARKER_NAMES,
    claim_name,
    class_plot,
    delta_plot,
    difference,
    memory_plot,
    speed_plot,
    spread_plot,
)
from .speed_shape import LEAST_ROWS, Shape, fit_shape
from .table import (
    ABSENT,
    ALWAYS_COUNTED,
    Footnotes,
    Row,
    Table,
    figure,
    left_out,
    legend,
    linked,
    shown_columns,
    summary,
    tables,
    unit_sign,
    without_column,
)
from .verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TEMPLATE = "report.html.j2"
DRAWN = 100
"""Claims or rows that one plot names: of more, it has those farthest off, and the tables have all."""
SERIES = 64
"""Rows of a plot of classes: as many as have a mark of their own."""


Item = TypeVar("Item")


class Figure(NamedTuple):
    """One claim in a cell."""

    text: str
    status: str
    note: str
    """Number of its footnote, or empty."""


class Cell(NamedTuple):
    """A table cell: words of the publisher, or claims."""

    text: str
    figures: tuple[Figure, ...]
    sort: str
    """What a column is sorted by: a number where there is one."""
    links: tuple[tuple[str, str], ...] = ()
    """The word that is shown of each link, and its address."""


class PageRow(NamedTuple):
    """One line of a table, with what the page's reader may choose rows by."""

    checkpoint: str
    facts: dict[str, str]
    """A row's `data-` attributes: name -> text; verdicts are parted by `|`."""
    cells: tuple[Cell, ...]


class PageTable(NamedTuple):
    """One table of the page."""

    heading: str
    titles: tuple[str, ...]
    rows: tuple[PageRow, ...]
    lines: tuple[str, ...]
    notes: tuple[str, ...]


class Drawing(NamedTuple):
    """One plot for two widths of a screen; the page shows the one that fits."""

    wide: str
    """Empty where the narrow one serves both."""
    narrow: str
    fault: str = ""
    """Why there is none."""


class Plot(NamedTuple):
    """A drawing with its words, and its numbers for those who do not see it."""

    title: str
    caption: str
    svg: Drawing
    header: tuple[str, ...]
    records: tuple[tuple[str, ...], ...]


def format_html(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """The whole page; nothing in it is fetched from anywhere."""
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415  (only this format needs it)

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = jpeg_uri
    return environment.get_template(TEMPLATE).render(
        background=background,
        title=background.title or "Published tables, measured again",
        summary=summary(rows),
        counts=_counts(rows),
        choices=_choices(rows),
        tables=[_page_table(table) for table in tables(rows)],
        plots=_plots(rows, background),
        legend=legend(rows, background),
        panels=("input", "truth", "prediction", "errors"),
        alt=_alt,
    )


def _counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    found = [verdict.status for row in rows for verdict in row.verdicts]
    return [(s.value, found.count(s)) for s in Status if s in ALWAYS_COUNTED or s in found]


CHOICES = {
    "publisher": "publisher",
    "method": "method",
    "dataset": "data set",
    "backbone": "backbone",
    "verdict": "verdict",
}
"""What rows are chosen by -> its word."""


def _choices(rows: Sequence[Row]) -> list[tuple[str, str, list[str]]]:
    """Name, word and values of each choice; none where there is nothing to choose."""
    facts = [_facts(row) for row in rows]
    found = [
        (name, word, sorted({value for one in facts for value in one[name].split("|") if value}))
        for name, word in CHOICES.items()
    ]
    return [one for one in found if len(one[2]) > 1] if len(rows) > 1 else []


def _facts(row: Row) -> dict[str, str]:
    accuracy = [verdict for verdict in row.verdicts if verdict.metric == "miou"]
    known = {
        "publisher": row.publisher,
        "method": row.method,
        "dataset": row.dataset,
        "backbone": row.backbone,
        "verdict": "|".join(dict.fromkeys(verdict.status.value for verdict in row.verdicts)),
        "miou": _sort_key(accuracy[-1:]),
        "gflops": f"{row.gflops:.1f}" if row.gflops else "",
        "parameters": f"{row.parameters / 1e6:.2f}" if row.parameters else "",
    }
    return {name: text for name, text in known.items() if text or name in CHOICES}


# --- tables -------------------------------------------------------------------------------------------


def _page_table(table: Table) -> PageTable:
    notes = Footnotes()
    columns = shown_columns(table)
    rows = tuple(
        PageRow(row.checkpoint, _facts(row), tuple(_cell(row, column, notes) for column in columns))
        for row in table.rows
    )
    lines = (*without_column(table, notes), *left_out(table))
    return PageTable(
        heading=table.heading,
        titles=tuple(column.title for column in columns),
        rows=rows,
        lines=lines,
        notes=tuple(line.partition("] ")[2] for line in notes.lines()),
    )


def _cell(row: Row, column: AnyColumn, notes: Footnotes) -> Cell:
    if isinstance(column, Column):
        text = getattr(row, column.field) or ABSENT
        return Cell(text, (), text)
    if isinstance(column, LinkColumn):
        links = tuple(linked(row, column))
        return Cell("" if links else ABSENT, (), "", links)
    verdicts = [v for metric in column.metrics for v in row.verdicts if v.metric == metric]
    figures = tuple(_figure(verdict, notes, unit_sign(row, verdict.metric)) for verdict in verdicts)
    return Cell(ABSENT if not figures else "", figures, _sort_key(verdicts))


def _figure(verdict: Verdict, notes: Footnotes, unit: str) -> Figure:
    mark = notes.mark(verdict.reason)
    text = figure(verdict, Footnotes(), unit)
    return Figure(text.rpartition(" [")[0] if mark else text, verdict.status.value, mark.strip(" []"))


def _sort_key(verdicts: Sequence[Verdict]) -> str:
    numbers = (v.published if v.measured is None else str(v.measured) for v in verdicts)
    return next((number for number in numbers if number is not None), "")


# --- plots --------------------------------------------------------------------------------------------


def _plots(rows: Sequence[Row], background: Background) -> list[Plot]:
    verdicts = [verdict for row in rows for verdict in row.verdicts]
    memory = [v for v in verdicts if v.metric == "train_memory" and v.delta is not None]
    plots = _delta_plots(verdicts, background)
    if memory:
        plots.append(_memory(memory))
    if shape := _shape(verdicts):
        plots.append(_speed(shape))
    return plots + _class_plots(background.classes)


def _delta_plots(verdicts: Sequence[Verdict], background: Background) -> list[Plot]:
    units: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.delta is not None:
            units.setdefault(METRICS[verdict.metric].unit, []).append(verdict)
    return [
        plot
        for number, (unit, group) in enumerate(units.items())
        for plot in (
            *([_spread(f"spread-{number}", unit, group)] if len(group) > DRAWN else ()),
            _deltas(f"delta-{number}", unit, group, background),
        )
    ]


def _farthest(items: Sequence[Item], distance: Callable[[Item], float]) -> tuple[list[Item], str]:
    """The items that a plot draws, in their order, and words for its caption where these are not all."""
    places = heapq.nlargest(DRAWN, range(len(items)), key=lambda place: distance(items[place]))
    words = f" Drawn are the {DRAWN} farthest off of {len(items)}." if len(items) > DRAWN else ""
    return [items[place] for place in sorted(places)], words


def _what(unit: str) -> str:
    return {"%": "Accuracy", "GB": "Training memory"}.get(unit, "Speed")


def _spread(name: str, unit: str, verdicts: Sequence[Verdict]) -> Plot:
    counts = Counter(verdict.status.value for verdict in verdicts)
    return Plot(
        title=f"{_what(unit)}: how many claims differ by how much",
        caption="One claim in a hundred lies farther off than the axis reaches; it counts in the outermost bar.",
        svg=_drawing(partial(spread_plot, verdicts), name),
        header=("Verdict", "Claims"),
        records=tuple((status, str(count)) for status, count in counts.items()),
    )


def _deltas(name: str, unit: str, verdicts: Sequence[Verdict], background: Background) -> Plot:
    verdicts, fewer = _farthest(verdicts, lambda verdict: abs(difference(verdict)))
    marks = ", ".join(f"{mark} = {status.value}" for status, mark in MARKER_NAMES.items())
    return Plot(
        title=f"{_what(unit)}: measured minus published",
        caption=f"The inner band (green) is what counts as reproduced, the outer one (yellow) as drift; {marks}.{fewer}",
        svg=_drawing(partial(delta_plot, verdicts, background.limits), name),
        header=("Claim", "Published", "Measured minus published", "Verdict"),
        records=tuple((claim_name(v), v.published or "", f"{v.delta:+g}", v.status.value) for v in verdicts),
    )


def _drawing(plot: Callable[..., str], name: str) -> Drawing:
    return _drawn(lambda: Drawing(plot(name), plot(f"{name}-narrow", narrow=True)))


def _drawn(draw: Callable[[], Drawing]) -> Drawing:
    """A drawing, or why it cannot be had: its numbers and the rest of the page stand without it."""
    try:
        return draw()
    except Exception as error:  # noqa: BLE001  (whatever a name or a number makes matplotlib throw)
        return Drawing("", "", f"This plot could not be drawn: {type(error).__name__}: {error}")


def _memory(verdicts: Sequence[Verdict]) -> Plot:
    verdicts, fewer = _farthest(verdicts, lambda verdict: abs(difference(verdict)))
    return Plot(
        title="Training memory: foretold against published",
        caption=f"On the line, the tracing of a training step gives what was printed. GB is MiB / 1000 here.{fewer}",
        svg=_drawing(partial(memory_plot, verdicts), "memory"),
        header=("Checkpoint", "Published, GB", "Foretold, GB"),
        records=tuple((v.checkpoint, v.published or "", f"{v.measured:.3f}") for v in verdicts),
    )


def _shape(verdicts: Sequence[Verdict]) -> Shape | None:
    """Of every printed and measured speed; where there are too few, none can be told."""
    both = {v.checkpoint: v for v in verdicts if v.metric == "fps" and v.published and v.measured}
    if len(both) < LEAST_ROWS:
        return None
    return fit_shape(
        {row: float(v.published or 0) for row, v in both.items()},
        {row: v.measured or 0 for row, v in both.items()},
    )


def _speed(shape: Shape) -> Plot:
    by_ratio = sorted(shape.ratio, key=lambda row: shape.ratio[row])
    rows, fewer = _farthest(by_ratio, lambda row: abs(math.log(shape.ratio[row])))
    drawn, odd = set(rows), set(shape.inconsistent)
    return Plot(
        title="Shape of the speed column",
        caption=f"1 is a row that fits the device's common factor; red rows contradict the rest of their column.{fewer}",
        svg=_drawing(partial(speed_plot, shape, rows), "speed"),
        header=("Checkpoint", "Over the common factor", "Fits"),
        records=tuple(
            (row, f"{ratio:.2f}", "no" if row in odd else "yes")
            for row, ratio in shape.ratio.items()
            if row in drawn
        ),
    )


def _class_plots(figures: Sequence[ClassFigures]) -> list[Plot]:
    grouped: dict[tuple[str, tuple[str, ...]], list[ClassFigures]] = {}
    for one in figures:
        grouped.setdefault((one.dataset, tuple(one.iou_percent)), []).append(one)
    return [
        Plot(
            title=f"IoU of every class, {dataset}",
            caption="One mark a measured row and class, from the run behind its mIoU."
            + (f" Drawn are the first {SERIES} of {len(rows)} rows." if len(rows) > SERIES else ""),
            svg=_drawn(partial(_class_drawing, group, f"classes-{number}")),
            header=("Class", *(one.checkpoint for one in group)),
            records=tuple(
                (name, *(_percent(one.iou_percent.get(name)) for one in group)) for name in classes
            ),
        )
        for number, ((dataset, classes), rows) in enumerate(grouped.items())
        for group in [rows[:SERIES]]
    ]


def _class_drawing(group: Sequence[ClassFigures], name: str) -> Drawing:
    return Drawing("", class_plot(group, name))


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


# --- pictures -----------------------------------------------------------------------------------------


def _alt(scene: Scene, panel: str) -> str:
    """What a picture shows, for those who do not see it."""
    classes = ", ".join(list(scene.classes)[:5])
    return {
        "input": f"The image {scene.image}",
        "truth": f"Labels of {scene.image}, mostly {classes}",
        "prediction": f"What {scene.checkpoint} predicts for {scene.image}",
        "errors": f"Pixels of {scene.image} predicted wrong: {scene.wrong_percent:.1f} % of the labelled ones",
    }[panel]
