"""Verdicts as JUnit XML, which every CI system shows: one case a claim.

A refuted claim is a failure; a claim without a figure on one of the sides is skipped, with its reason. The form is
that of Jenkins' junit-10.xsd, whose `file` and `line` say where a claim stands.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written, never parsed
from typing import TYPE_CHECKING

from .background import NO_BACKGROUND, Background, Place
from .metrics import METRICS
from .table import Footnotes, figure, tables
from .verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .table import Row, Table

SKIPPED = (
    Status.NOT_MEASURED,
    Status.NOT_PUBLISHED,
    Status.NOT_COMPARABLE,
    Status.SOURCE_INCONSISTENT,
)


def format_junit(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """One suite a table, one case a claim."""
    suites = [_suite(table, background) for table in tables(rows)]
    root = ET.Element(
        "testsuites", {"name": "zoo"} | _counts(verdict for row in rows for verdict in row.verdicts)
    )
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(table: Table, background: Background) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        {"name": _printable(table.heading)} | _counts(v for row in table.rows for v in row.verdicts),
    )
    if background.environments:
        properties = ET.SubElement(suite, "properties")
        for line in background.environments:
            ET.SubElement(properties, "property", name="environment", value=_printable(line))
    for row in table.rows:
        suite.extend(_case(table, verdict, background) for verdict in row.verdicts)
    return suite


def _counts(verdicts: Iterable[Verdict]) -> dict[str, str]:
    statuses = [verdict.status for verdict in verdicts]
    failures, skipped = statuses.count(Status.REFUTED), sum(status in SKIPPED for status in statuses)
    return {
        "tests": str(len(statuses)), "failures": str(failures), "errors": "0", "skipped": str(skipped),
    }  # fmt: skip


def _case(table: Table, verdict: Verdict, background: Background) -> ET.Element:
    name = f"{verdict.checkpoint} {METRICS[verdict.metric].title}" + f" ({verdict.date})" * bool(verdict.date)
    place = background.places.get((verdict.checkpoint, verdict.metric, verdict.date))
    case = ET.Element("testcase", {"name": name, "classname": _printable(table.heading)} | _place(place))
    said = f"{figure(verdict, Footnotes()).partition(' [')[0]}"
    reason = _printable(verdict.reason)
    if verdict.status is Status.REFUTED:
        failure = ET.SubElement(case, "failure", message=f"{said}: {reason}", type=verdict.status.value)
        failure.text = f"{place.file}:{place.line}: {said}: {reason}" if place else f"{said}: {reason}"
    elif verdict.status in SKIPPED:
        ET.SubElement(
            case, "skipped", message=f"{verdict.status.value}: {reason}" if reason else verdict.status.value
        )
    else:
        ET.SubElement(case, "system-out").text = said
    return case


def _place(place: Place | None) -> dict[str, str]:
    return {"file": place.file, "line": str(place.line)} if place else {}


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(max(letter, " ") for letter in text)
