"""Forms of publishers' tables: which columns, in which order, under which headings."""

from __future__ import annotations

import msgspec

from .metrics import METRICS


class Column(msgspec.Struct, frozen=True):
    """A column of facts about a row."""

    title: str
    """Heading, in the publisher's words."""
    field: str
    """A text field of `table.Row`."""


class LinkColumn(msgspec.Struct, frozen=True):
    """A column of links."""

    title: str
    """Heading, in the publisher's words."""
    links: tuple[tuple[str, str], ...]
    """Word that is linked, in the publisher's words, and the name of the link in `table.Row.links`."""


class MetricColumn(msgspec.Struct, frozen=True):
    """A column of numbers; several metrics in one are divided by a slash."""

    metrics: tuple[str, ...]
    words: str = ""
    """Heading, where that is not the metrics' own ones."""

    @property
    def title(self) -> str:
        """Heading."""
        return self.words or "/".join(METRICS[metric].title for metric in self.metrics)


AnyColumn = Column | LinkColumn | MetricColumn


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The form of one publisher's table."""

    columns: tuple[AnyColumn, ...]
    percent_sign: bool = False
    """Whether percentages are printed with their sign."""

    @property
    def names_method(self) -> bool:
        """False where the method is not a column and so belongs into the table's heading."""
        return any(isinstance(column, Column) and column.field == "method" for column in self.columns)

    def metrics(self) -> tuple[str, ...]:
        """Every metric that has a place in this form."""
        return tuple(
            metric for column in self.columns if isinstance(column, MetricColumn) for metric in column.metrics
        )


DEFAULT_FORM = Form(
    columns=(
        Column("Method", "method"),
        Column("Backbone", "backbone"),
        Column("Crop Size", "crop"),
        Column("Lr schd", "schedule"),
        MetricColumn(("train_memory",)),
        MetricColumn(("fps",)),
        Column("Device", "device"),
        MetricColumn(("miou",)),
        MetricColumn(("miou_ms_flip",)),
        LinkColumn("config", (("config", "config"),)),
        LinkColumn("download", (("model", "weights"), ("log", "log"))),
    )
)
"""Of whoever has no form of their own."""
