"""What is known of a publisher of checkpoints, as data: its tables, limits, names, and the rules its rows follow."""

from __future__ import annotations

from typing import Any

import msgspec

from ...evaluate.protocol import Positive
from ...reports.forms import DEFAULT_FORM, AnyColumn, Column, Form, LinkColumn, MetricColumn
from ...reports.tolerance import Tolerance


class TableColumn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column of a publisher's table: a fact of a row, metrics divided by a slash, or links."""

    title: str = ""
    """Heading; that of its metrics where there are some and it is empty."""
    field: str = ""
    """A text field of `reports.table.Row`."""
    metrics: tuple[str, ...] = ()
    links: dict[str, str] = {}
    """Word that is linked -> `weights`, `log` or `config`."""


class TableForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of the tables of some methods."""

    methods: tuple[str, ...] = ()
    """Whose tables they are; empty for all that no other form names."""
    columns: tuple[TableColumn, ...]
    percent_sign: bool = False
    """Whether percentages are printed with their sign."""


class MemoryUnit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The unit that a publisher's maintainers name for their memory column."""

    unit: str
    """`GiB`, `GB` or `MiB / 1000`."""
    source: str
    """Where they name it."""


RULED = ("method", "backbone", "dataset", "crop")
"""Fields of a row that a rule may ask for."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a publisher's rows have in common that no table of its says."""

    when: dict[str, str] = {}
    """Field of a row (`method`, `backbone`, `dataset`, `crop` as 512x1024) -> the glob it fits; all have to."""
    architecture: dict[str, Any] = {}
    protocols: dict[str, str] = {}
    """Metric -> name of the protocol behind it."""
    images_per_gpu: Positive | None = None
    """Of the training, where a configuration's name does not say it."""
    states: dict[str, str] = {}
    """What such rows state of their training or timing, where they do -> the text."""
    read_as: dict[str, str] = {}
    """Metric of a column -> the metric that its figures are."""
    notes: dict[str, str] = {}
    """Metric -> what a reader must know of a figure that is read as another than its column says."""
    absent: dict[str, str] = {}
    """Metric -> why it is not printed; `{publisher}` and `{method}` stand for the row's."""


class Unrecorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures whose settings a publisher did not record at first."""

    before: str
    """The day on which it began to."""
    metrics: tuple[str, ...]
    note: str


class Publisher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who publishes checkpoints, and how."""

    prefix: str = ""
    """Begins the names of its documents in a manifest; the publisher's own name where empty."""
    layout: str = "plain"
    """Whose names the keys of its weights files have: one of `models.load.layouts`."""
    tables: tuple[TableForm, ...] = ()
    tolerance: Tolerance | None = None
    """Limits of its accuracies, where it states its own."""
    memory_unit: MemoryUnit | None = None
    methods: dict[str, str] = {}
    """Method in file names and metafiles, in small letters -> as tables print it."""
    headings: dict[str, tuple[str, ...]] = {}
    """Data set -> the headings of its tables."""
    splits: dict[str, dict[str, str]] = {}
    """Data set -> split that a row is evaluated on, as printed behind the slash -> the data set of that split."""
    file_words: dict[str, tuple[str, ...]] = {}
    """Data set -> its words in file names."""
    gpus: Positive | None = None
    """Devices of a training, where a configuration's name does not say it."""
    unrecorded: Unrecorded | None = None
    rules: tuple[Rule, ...] = ()
    """All that fit a row hold, later ones over earlier ones."""

    def form(self, method: str) -> Form:
        """The form of a method's table."""
        named = (table for table in self.tables if method in table.methods)
        others = (table for table in self.tables if not table.methods)
        table = next(named, None) or next(others, None)
        if table is None:
            return DEFAULT_FORM
        return Form(columns=tuple(map(_column, table.columns)), percent_sign=table.percent_sign)


UNKNOWN_PUBLISHER = Publisher()


def _column(column: TableColumn) -> AnyColumn:
    if column.metrics:
        return MetricColumn(column.metrics, column.title)
    return (
        LinkColumn(column.title, tuple(column.links.items()))
        if column.links
        else Column(column.title, column.field)
    )
