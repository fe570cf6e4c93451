"""What no table says: architectures, protocols and recipes, by the rules in a publisher's data."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...reports.metrics import metric_of
from ..files.whole_number import DIGITS
from ..manifest import Training
from ..manifest.publisher import UNKNOWN_PUBLISHER, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..manifest.publisher import Publisher
    from .records import SourceDocument, SourceRow


def publisher_of(document: SourceDocument, publishers: Mapping[str, Publisher]) -> Publisher:
    """Whose form a document has, and so whose rules its rows follow."""
    return publishers.get(document.inventor, UNKNOWN_PUBLISHER)


def rule_of(publisher: Publisher, row: SourceRow) -> Rule:
    """All rules that fit a row as one, later ones over earlier ones."""
    found = Rule()
    for rule in publisher.rules:
        if all(fnmatchcase(_text(row, field), glob) for field, glob in rule.when.items()):
            found = Rule(
                **{name: _over(getattr(found, name), getattr(rule, name)) for name in Rule.__struct_fields__}
            )
    return found


def _over(earlier: Any, later: Any) -> Any:
    """A later rule's value on top of an earlier one's; mappings within are merged too."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        return {**earlier, **{key: _over(earlier.get(key), value) for key, value in later.items()}}
    return earlier if later is None else later


def _text(row: SourceRow, field: str) -> str:
    if field == "crop":
        return f"{row.crop[0]}x{row.crop[1]}" if row.crop else ""
    return getattr(row, field)


def architecture(rule: Rule, classes: int) -> dict[str, Any] | None:
    """The network's composition, or a builder and its numbers; None where the rules give none."""
    if not {"builder", "head"} & rule.architecture.keys():
        return None
    return {**rule.architecture, "num_classes": classes}


def images_per_gpu(publisher: Publisher, rule: Rule, config: str) -> Training | None:
    """GPUs and images a GPU, from a configuration's name (`4xb2`), else the publisher's usual ones; None for unknown."""
    found = re.search(rf"_({DIGITS})xb({DIGITS})-", config)
    if found:
        return Training(gpus=int(found[1]), batch_per_gpu=int(found[2]))
    if publisher.gpus and rule.images_per_gpu:
        return Training(gpus=publisher.gpus, batch_per_gpu=rule.images_per_gpu)
    return None


def figures_of(row: SourceRow, rule: Rule) -> dict[str, str | None]:
    """The row's figures under the metric that they are, whatever the column's heading says."""
    return {rule.read_as.get(metric, metric): text for metric, text in row.figures.items()}


def absence(document: SourceDocument, row: SourceRow, rule: Rule, metric: str) -> str:
    """Why a figure is not printed."""
    if row.milliseconds and metric == "fps":
        return f"{row.milliseconds} ms an image are too few digits for a figure in fps"
    if metric in row.figures:
        return "the cell is blank"
    if metric in rule.absent:
        words = {"{publisher}": document.publisher, "{method}": row.method}
        return re.sub(r"\{[a-z]+\}", lambda match: words.get(match[0], match[0]), rule.absent[metric])
    words = {"train_memory": "memory", "fps": "speed"}
    others = any(one.milliseconds if metric == "fps" else one.figures.get(metric) for one in document.rows)
    if document.is_metafile and others:
        return "nothing is printed for this row"
    whose = "the metafile has no" if document.is_metafile else f"{document.publisher} prints no"
    return f"{whose} {words.get(metric, 'such figure')} for any row"


def named(document: SourceDocument, publishers: Mapping[str, Publisher]) -> tuple[SourceRow, ...]:
    """A document's rows with the data sets and methods that their headings and file names mean to its publisher."""
    own = publishers.get(document.inventor, UNKNOWN_PUBLISHER)
    headings = known_headings(publishers) | known_headings({document.inventor: own})
    return tuple(
        msgspec.structs.replace(
            row,
            dataset=_evaluated_on(dataset_of(row.section, headings), row, own),
            method=own.methods.get(row.method.casefold(), row.method),
        )
        for row in document.rows
    )


def _evaluated_on(dataset: str, row: SourceRow, publisher: Publisher) -> str:
    """The data set whose split a row is evaluated on, where its publisher evaluates on several."""
    split = row.stated.get("train/eval set", "").rpartition("/")[2].strip()
    return publisher.splits.get(dataset, {}).get(split, dataset)


def known_headings(publishers: Mapping[str, Publisher]) -> dict[str, str]:
    """Letters and digits of every publisher's headings -> the manifest's name of the data set."""
    return {
        _letters(heading): name
        for publisher in publishers.values()
        for name, headings in publisher.headings.items()
        for heading in headings
    }


def dataset_of(heading: str, headings: Mapping[str, str]) -> str:
    """The manifest's name of the data set that a heading means; empty for another one."""
    return headings.get(_letters(heading), "")


def _letters(heading: str) -> str:
    return re.sub(r"[^a-z0-9]", "", heading.casefold())


class Wording(NamedTuple):
    """What publishers call columns and links, in small letters."""

    columns: dict[str, str]
    """Title -> the word for it in `tables`."""
    links: dict[str, str]
    """Word that is linked -> `weights`, `log` or `config`."""


_COLUMNS = {"crop": "crop size", "train_eval_set": "train/eval set"}
"""Field of a report's row -> the word for its column, where that is another."""


def wording_of(publishers: Mapping[str, Publisher]) -> Wording:
    """The columns and links of all publishers' tables."""
    columns: dict[str, str] = {}
    links: dict[str, str] = {}
    for column in (one for who in publishers.values() for table in who.tables for one in table.columns):
        links |= column.links
        if column.title and column.metrics:
            columns[column.title.casefold()] = "/".join(
                metric_of(name).title.casefold() for name in column.metrics
            )
        elif column.links:
            columns[column.title.casefold()] = (
                "config" if set(column.links.values()) == {"config"} else "download"
            )
        elif column.field:
            columns[column.title.casefold()] = _COLUMNS.get(column.field, column.field)
    return Wording(columns, links)


def inventor_of(titles: set[str], publishers: Mapping[str, Publisher]) -> str:
    """Whose form a table has: the publisher of whose columns it has most, and of equals has the fewest others.

    Args:
        titles: the table's headings, in small letters.
        publishers: name -> its data.
    """
    fits: dict[str, tuple[int, int]] = {}
    for name, publisher in publishers.items():
        for table in publisher.tables:
            columns = {column.title.casefold() for column in table.columns if column.title}
            fits[name] = max(fits.get(name, (0, -99)), (len(columns & titles), -len(columns)))
    return max(fits, key=lambda name: fits[name], default="")
