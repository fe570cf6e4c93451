"""The publishers' own tables again, with our figure, the difference and a verdict in every cell.

Every formatter takes rows and returns a string; nothing is printed here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from .background import NO_BACKGROUND, Background, Origin
from .forms import DEFAULT_FORM, AnyColumn, Column, Form, LinkColumn, MetricColumn
from .media import csv_text, json_value, markdown, markdown_line, markdown_link, one_line, visible
from .metrics import METRICS
from .verdict import Status, Verdict, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

ABSENT = "–"
"""Cell of a figure that is not published."""
WIDTH = 120
"""Columns that the lines below a text table may take."""

MEANINGS: dict[Status, str] = {
    Status.REPRODUCED: "our figure agrees with the printed one",
    Status.DRIFT: "our figure is near the printed one, but farther off than a repeated run should be",
    Status.REFUTED: "our figure contradicts the printed one",
    Status.NOT_PUBLISHED: "the source prints no figure",
    Status.NOT_MEASURED: "we have no figure, for the reason given",
    Status.NOT_COMPARABLE: "both figures are there, but were taken under different conditions",
    Status.SOURCE_INCONSISTENT: "the sources contradict each other",
}
ALWAYS_COUNTED = (Status.REPRODUCED, Status.DRIFT, Status.REFUTED)
"""In the summary even where there are none."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint's line in its publisher's table; every text as the publisher writes it."""

    checkpoint: str
    publisher: str
    dataset: str
    """The data set's title."""
    method: str
    segmentor: str = ""
    """Where the method is a backbone's, or goes with several."""
    backbone: str
    crop: str
    """Training crop, `height x width` in pixels: `512x1024`."""
    schedule: str
    pretrain: str = ""
    train_eval_set: str = ""
    """Splits: `trainaug/val`."""
    device: str = ""
    """What speed and memory were published for; empty where nothing was."""
    section: str = ""
    """The data set's heading in the publisher's document, where that is known."""
    parameters: int | None = None
    gflops: float | None = None
    """Of one forward pass of the data set's typical image, or of one window."""
    links: dict[str, str] = {}
    """`weights`, `log` and `config` -> address, as far as known."""
    form: Form = DEFAULT_FORM
    """Of the publisher's table."""
    verdicts: tuple[Verdict, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that share a heading and a form."""

    heading: str
    form: Form
    rows: tuple[Row, ...]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the formats that people read."""

    style: str
    """tabulate's name of the table format."""
    heading: str
    """With `{}` for the words."""
    line: str
    """Divides the figures of one metric within a cell."""
    slash: str
    """Divides the metrics of one cell."""
    item: str = ""
    """Begins each line of a list below a table."""
    words: Callable[[str], str] = visible
    """Makes words of others harmless."""
    line_words: Callable[[str], str] = visible
    """The same for words that begin a line."""
    link: Callable[[str, str], str] | None = None
    """Of a word and an address; None where a format has no room for links."""
    width: int | None = None
    """Where lines below a table are wrapped."""


TEXT = Layout(style="simple", heading="{}", line="\n", slash=" /\n", width=WIDTH)
MARKDOWN = Layout(
    style="github",
    heading="### {}",
    line="<br>",
    slash=" / ",
    item="- ",
    words=markdown,
    line_words=markdown_line,
    link=markdown_link,
)


class Footnotes:
    """Numbers reasons from 1 in the order they are met; equal reasons share a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """` [n]`, or nothing where there is no reason."""
        words = " ".join(reason.split())
        if not words:
            return ""
        return f" [{self._numbers.setdefault(words, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        """`[n] reason`, one a line."""
        return [f"[{number}] {reason}" for reason, number in self._numbers.items()]


def format_text(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """Tables for a terminal."""
    return _document(rows, TEXT, background)


def format_markdown(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """Tables in GitHub's Markdown, with a title where the background has one."""
    title = f"# {markdown(background.title)}\n\n{note_text(background.note)}\n\n" if background.title else ""
    return title + _document(rows, MARKDOWN, background)


def format_csv(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """One line a claim with the fields of `format_json`; what is absent is empty."""
    return csv_text(RECORD_FIELDS, [_record(row, verdict, background) for row, verdict in _claims(rows)])


def format_json(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """A list with one object a claim; what is absent is null.

    `measured` is unrounded; `rounded` is it as the publisher would print it, and `delta` is `rounded` minus
    `published`. Up to `reproduced_up_to` a difference is reproduced, up to `drift_up_to` it is drift.
    """
    records = [
        {name: json_value(value) for name, value in _record(row, verdict, background).items()}
        for row, verdict in _claims(rows)
    ]
    return msgspec.json.format(msgspec.json.encode(records), indent=2).decode() + "\n"


FORMATS: dict[str, Callable[[Sequence[Row], Background], str]] = {
    "text": format_text,
    "md": format_markdown,
    "csv": format_csv,
    "json": format_json,
}
"""Name on the command line -> formatter."""


# --- tables that people read ------------------------------------------------------------------------


def _document(rows: Sequence[Row], layout: Layout, background: Background) -> str:
    parts = [_table_text(table, layout) for table in tables(rows)]
    return "\n\n".join([*parts, *_explanations(rows, layout, background)]) + "\n"


def explanations(rows: Sequence[Row], background: Background) -> str:
    """What stands below a Markdown document's tables: verdicts, bands, environments, and the summary."""
    return "\n\n".join(_explanations(rows, MARKDOWN, background))


def _explanations(rows: Sequence[Row], layout: Layout, background: Background) -> list[str]:
    parts = []
    for title, lines in (
        (
            "Verdicts",
            [f"{word}: {meaning}" for word, meaning in legend(rows, background, whole=layout is MARKDOWN)],
        ),
        ("Bands", background.bands),
        ("Figures", background.environments),
    ):
        heading = layout.heading.format(title) if lines and background is not NO_BACKGROUND else ""
        parts += [heading, _list(lines, layout)]
    return [part for part in (*parts, summary(rows)) if part]


def tables(rows: Sequence[Row]) -> list[Table]:
    """Rows sorted into their publishers' tables, in the order in which each first appears."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(_heading(row), []).append(row)
    return [
        Table(heading=heading, form=group[0].form, rows=tuple(group)) for heading, group in grouped.items()
    ]


def _heading(row: Row) -> str:
    named = row.form.names_method
    return f"{row.publisher if named else f'{row.publisher} {row.method}'}, {row.section or row.dataset}"


def _table_text(table: Table, layout: Layout) -> str:
    notes = Footnotes()
    body = _frame(table, layout, notes).to_markdown(index=False, tablefmt=layout.style, disable_numparse=True)
    below = [*without_column(table, notes), *left_out(table, links=bool(layout.link)), *notes.lines()]
    return "\n\n".join(
        part
        for part in (layout.heading.format(layout.words(table.heading)), body, _list(below, layout))
        if part
    )


def _frame(table: Table, layout: Layout, notes: Footnotes) -> DataFrame:
    """The table's cells; footnotes are numbered row by row as a reader meets them."""
    import pandas as pd  # noqa: PLC0415  (half a second that `zoo list` need not pay)

    columns = shown_columns(table, links=bool(layout.link))
    cells = [[_cell(row, column, layout, notes) for column in columns] for row in table.rows]
    return pd.DataFrame(cells, columns=pd.Index([column.title for column in columns]), dtype=object)


def shown_columns(table: Table, *, links: bool = True) -> list[AnyColumn]:
    """The form's columns that have something to show; numbers that the form has no place for come last."""
    present = _metrics(table.rows)
    columns = [
        MetricColumn(tuple(metric for metric in column.metrics if metric in present))
        if isinstance(column, MetricColumn)
        else column
        for column in table.form.columns
        if links or not isinstance(column, LinkColumn)
    ]
    extra = [MetricColumn((metric,)) for metric in _extra_metrics(table) if _has_number(table, metric)]
    return [column for column in columns if _has_entry(table, column)] + extra


def _has_entry(table: Table, column: AnyColumn) -> bool:
    if isinstance(column, MetricColumn):
        return bool(column.metrics)
    if isinstance(column, LinkColumn):
        return any(name in row.links for row in table.rows for _, name in column.links)
    return any(getattr(row, column.field) for row in table.rows)


def left_out(table: Table, *, links: bool = True) -> list[str]:
    """One line on the publisher's columns that say nothing about a figure and are not shown."""
    facts = [column for column in table.form.columns if not isinstance(column, MetricColumn)]
    unknown = [column.title for column in facts if not _has_entry(table, column)]
    told = [f"{', '.join(unknown)} (nothing known)"] if unknown else []
    if not links:
        linking = [c.title for c in facts if isinstance(c, LinkColumn) and c.title not in unknown]
        told += [f"{', '.join(linking)} (links: --format md or html)"] if linking else []
    return [f"Columns left out: {', '.join(told)}"] if told else []


def _metrics(rows: Sequence[Row]) -> list[str]:
    """Metrics with a verdict, in the order of `METRICS`."""
    judged = {verdict.metric for row in rows for verdict in row.verdicts}
    return [metric for metric in METRICS if metric in judged]


def _extra_metrics(table: Table) -> list[str]:
    return [metric for metric in _metrics(table.rows) if metric not in table.form.metrics()]


def _has_number(table: Table, metric: str) -> bool:
    verdicts = [verdict for row in table.rows for verdict in row.verdicts if verdict.metric == metric]
    return any(verdict.published is not None or verdict.measured is not None for verdict in verdicts)


def without_column(table: Table, notes: Footnotes) -> list[str]:
    """One line on the metrics that neither the publisher's form nor we have a number for."""
    told = []
    for metric in _extra_metrics(table):
        if not _has_number(table, metric):
            reasons = dict.fromkeys(
                v.reason for row in table.rows for v in row.verdicts if v.metric == metric
            )
            told.append(METRICS[metric].title + "".join(notes.mark(reason) for reason in reasons))
    return [f"Not published: {', '.join(told)}"] if told else []


def _cell(row: Row, column: AnyColumn, layout: Layout, notes: Footnotes) -> str:
    if isinstance(column, Column):
        return layout.words(getattr(row, column.field) or ABSENT)
    if isinstance(column, LinkColumn):
        shown = [layout.link(word, address) for word, address in linked(row, column)] if layout.link else []
        return r" \| ".join(shown) or ABSENT
    return layout.slash.join(_figures(row, metric, layout, notes) for metric in column.metrics)


def linked(row: Row, column: LinkColumn) -> list[tuple[str, str]]:
    """Word and address of every link that a row has in a column."""
    return [(word, row.links[name]) for word, name in column.links if name in row.links]


def _figures(row: Row, metric: str, layout: Layout, notes: Footnotes) -> str:
    """What there is to say of one metric: one claim, or each of several that were published over time."""
    unit = unit_sign(row, metric)
    verdicts = [verdict for verdict in row.verdicts if verdict.metric == metric]
    return layout.line.join(figure(verdict, notes, unit) for verdict in verdicts) or ABSENT


def unit_sign(row: Row, metric: str) -> str:
    """`%` where the row's publisher prints the sign of a percentage."""
    printed = METRICS[metric].unit == "%" and row.form.percent_sign
    return "%" if printed else ""


def figure(verdict: Verdict, notes: Footnotes, unit: str = "") -> str:
    """One claim in a cell: `78.49 → 78.51 (+0.02) reproduced`, or `78.49 not measured [1]`.

    `unit` is the sign that follows figures, as in `76.99%`.
    """
    published = ABSENT if verdict.published is None else f"{verdict.published}{unit}"
    if verdict.date:
        published += f" ({verdict.date})"
    mark = notes.mark(verdict.reason)
    if verdict.measured is None:
        return f"{published} {verdict.status.value}{mark}"
    measured = f"{rounded(verdict.measured, verdict.metric)}{unit}"
    return f"{published} → {measured}{_delta(verdict)} {verdict.status.value}{mark}"


def _delta(verdict: Verdict) -> str:
    return "" if verdict.delta is None else f" ({verdict.delta:+.{METRICS[verdict.metric].decimals}f})"


def legend(
    rows: Sequence[Row], background: Background = NO_BACKGROUND, *, whole: bool = True
) -> list[tuple[str, str]]:
    """What the verdicts mean: those that occur, or every one of a `whole` document, which has a title."""
    used = {verdict.status for _, verdict in _claims(rows)}
    limit = {Status.REPRODUCED: f", within {background.own_limit}"} if background.own_limit else {}
    return [
        (status.value, meaning + limit.get(status, ""))
        for status, meaning in MEANINGS.items()
        if status in used or (whole and background.title)
    ]


def summary(rows: Sequence[Row]) -> str:
    """`2 claims of 1 checkpoint: 2 reproduced, 0 drift, 0 refuted`."""
    statuses = [verdict.status for _, verdict in _claims(rows)]
    absent = statuses.count(Status.NOT_PUBLISHED)
    counts = ", ".join(
        f"{statuses.count(status)} {status.value}"
        for status in Status
        if status is not Status.NOT_PUBLISHED and (status in ALWAYS_COUNTED or status in statuses)
    )
    checkpoints = _counted(len({row.checkpoint for row in rows}), "checkpoint")
    more = f"; {_counted(absent, 'figure')} not published" if absent else ""
    return f"{_counted(len(statuses) - absent, 'claim')} of {checkpoints}: {counts}{more}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _list(lines: Sequence[str], layout: Layout) -> str:
    return "\n".join(_wrapped(layout.item + layout.line_words(line), layout.width) for line in lines)


def _wrapped(line: str, width: int | None) -> str:
    """Continued under the first word of a footnote; paths and addresses stay whole."""
    if width is None:
        return line
    indent = " " * (line.index("] ") + 2 if line.startswith("[") else 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def note_text(note: str) -> str:
    """Below the title; a command between backticks stays one."""
    parts = note.split("`")
    return "".join(f"`{one_line(part)}`" if place % 2 else markdown(part) for place, part in enumerate(parts))


# --- tables that programs read ----------------------------------------------------------------------


_ROW_FIELDS = ("checkpoint", "publisher", "dataset", "method", "backbone", "crop", "schedule")
_VERDICT_FIELDS = (
    "metric",
    "published",
    "measured",
    "rounded",
    "delta",
    "status",
    "reason",
    "images",
    "date",
)
RECORD_FIELDS = [
    *_ROW_FIELDS, *_VERDICT_FIELDS, "reproduced_up_to", "drift_up_to", *Origin.__struct_fields__,
]  # fmt: skip
"""Of a claim in CSV and JSON, in their order."""


def _claims(rows: Sequence[Row]) -> list[tuple[Row, Verdict]]:
    return [(row, verdict) for row in rows for verdict in row.verdicts]


def _record(row: Row, verdict: Verdict, background: Background) -> dict[str, str | float | None]:
    key = (verdict.checkpoint, verdict.metric, verdict.date)
    near, far = background.limits.get(key, (None, None))
    origin = background.origins.get(key) if verdict.measured is not None else None
    return {
        **{name: getattr(row, name) for name in _ROW_FIELDS},
        **{name: getattr(verdict, name, None) for name in _VERDICT_FIELDS},
        "rounded": None if verdict.measured is None else float(rounded(verdict.measured, verdict.metric)),
        "status": verdict.status.value,
        "reproduced_up_to": near,
        "drift_up_to": far,
        **{name: getattr(origin, name, None) for name in Origin.__struct_fields__},
    }
