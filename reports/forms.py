"""The publishers' own table forms: which columns, in which order, under which headings."""

from __future__ import annotations

import msgspec

from .metrics import METRICS


class Column(msgspec.Struct, frozen=True):
    """A column of facts about a row."""

    title: str
    """Heading, in the publisher's words."""
    field: str
    """A text field of `table.Row`."""


class MetricColumn(msgspec.Struct, frozen=True):
    """A column of numbers; several metrics in one are divided by a slash."""

    metrics: tuple[str, ...]

    def title(self) -> str:
        """Heading: the metrics' own ones."""
        return "/".join(METRICS[metric].title for metric in self.metrics)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The form of one publisher's table."""

    columns: tuple[Column | MetricColumn, ...]

    @property
    def names_method(self) -> bool:
        """False where the method is not a column and so belongs into the table's heading."""
        return any(isinstance(column, Column) and column.field == "method" for column in self.columns)

    def metrics(self) -> tuple[str, ...]:
        """Every metric that has a place in this form."""
        return tuple(
            metric for column in self.columns if isinstance(column, MetricColumn) for metric in column.metrics
        )


MMSEGMENTATION = Form(
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
    )
)
_SSSEGMENTATION = (
    Column("Backbone", "backbone"),
    Column("Crop Size", "crop"),
    Column("Schedule", "schedule"),
)
SSSEGMENTATION_ISANET = Form(columns=(*_SSSEGMENTATION, MetricColumn(("miou",))))
# LIP has the mirrored view as its second number, all other data sets six or five scales as well.
SSSEGMENTATION_ISNET = Form(columns=(*_SSSEGMENTATION, MetricColumn(("miou", "miou_ms_flip", "miou_flip"))))

FORMS: dict[tuple[str, str], Form] = {
    ("sssegmentation", "ISANet"): SSSEGMENTATION_ISANET,
    ("sssegmentation", "ISNet"): SSSEGMENTATION_ISNET,
}
"""By (publisher, method)."""


def form_of(publisher: str, method: str) -> Form:
    """A publisher's form; mmsegmentation's for whoever has none of their own."""
    return FORMS.get((publisher, method), MMSEGMENTATION)
