"""Verdicts as JUnit XML, which every CI system shows: one case a claim.

A refuted claim is a failure; a claim without a figure on one of the sides is skipped, with its reason. Against a stored
state the changes decide instead: what is worse or gone is a failure, what could not be measured any more an error. The
form is that of Jenkins' junit-10.xsd, whose `file` and `line` say where a claim stands.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written, never parsed
from typing import TYPE_CHECKING, NamedTuple

from .background import NO_BACKGROUND, Background, Place
from .media import xml_tree
from .metrics import METRICS
from .table import Footnotes, figure, tables
from .verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .background import ClaimChange
    from .table import Row

SKIPPED = (
    Status.NOT_MEASURED,
    Status.NOT_PUBLISHED,
    Status.NOT_COMPARABLE,
    Status.SOURCE_INCONSISTENT,
)
GONE = "gone since the stored state"
"""Heading of the claims that no table has any more."""


class Case(NamedTuple):
    """One claim and what became of it."""

    key: tuple[str, str, str]
    """Checkpoint, metric and the claim's date."""
    tag: str
    """`failure`, `error`, `skipped`, or `system-out` where it passed."""
    message: str
    kind: str = ""
    """The word for a fault: `refuted`, `worse`."""


def format_junit(rows: Sequence[Row], background: Background = NO_BACKGROUND) -> str:
    """One suite a table, one case a claim; claims that are gone have a suite of their own."""
    suites = _suites(rows, {change.key: change for change in background.changes or ()})
    root = ET.Element(
        "testsuites", {"name": "zoo"} | _counts([case for cases in suites.values() for case in cases])
    )
    root.extend(_suite(heading, cases, background) for heading, cases in suites.items())
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(xml_tree(root), encoding="unicode") + "\n"


def _suites(
    rows: Sequence[Row], changes: Mapping[tuple[str, str, str], ClaimChange]
) -> dict[str, list[Case]]:
    """Heading -> its cases."""
    suites = {
        table.heading: [_case(verdict, changes) for row in table.rows for verdict in row.verdicts]
        for table in tables(rows)
    }
    judged = {case.key for cases in suites.values() for case in cases}
    gone = [_changed(change) for key, change in changes.items() if key not in judged]
    return suites | ({GONE: gone} if gone else {})


def _case(verdict: Verdict, changes: Mapping[tuple[str, str, str], ClaimChange]) -> Case:
    key = (verdict.checkpoint, verdict.metric, verdict.date)
    said, change = figure(verdict, Footnotes()).partition(" [")[0], changes.get(key)
    if change is not None and change.outcome != "passed":
        return _changed(change)
    if change is None and verdict.status is Status.REFUTED:
        return Case(key, "failure", f"{said}: {verdict.reason}", verdict.status.value)
    if verdict.status in SKIPPED:
        return Case(key, "skipped", ": ".join(filter(None, [verdict.status.value, verdict.reason])))
    return Case(
        key, "system-out", said if change is None else f"{said}; against the stored state: {change.word}"
    )


def _changed(change: ClaimChange) -> Case:
    return Case(change.key, change.outcome, change.text, change.word)


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    tags = [case.tag for case in cases]
    return {
        "tests": str(len(tags)), "failures": str(tags.count("failure")), "errors": str(tags.count("error")),
        "skipped": str(tags.count("skipped")),
    }  # fmt: skip


def _suite(heading: str, cases: Sequence[Case], background: Background) -> ET.Element:
    suite = ET.Element("testsuite", {"name": heading} | _counts(cases))
    if background.environments:
        properties = ET.SubElement(suite, "properties")
        for line in background.environments:
            ET.SubElement(properties, "property", name="environment", value=line)
    suite.extend(_element(heading, case, background.places.get(case.key)) for case in cases)
    return suite


def _element(heading: str, case: Case, place: Place | None) -> ET.Element:
    checkpoint, metric, date = case.key
    name = f"{checkpoint} {METRICS[metric].title}" + f" ({date})" * bool(date)
    element = ET.Element("testcase", {"name": name, "classname": heading} | _place(place))
    message = case.message
    if case.tag == "system-out":
        ET.SubElement(element, "system-out").text = message
    elif case.tag == "skipped":
        ET.SubElement(element, "skipped", message=message)
    else:
        fault = ET.SubElement(element, case.tag, message=message, type=case.kind)
        fault.text = f"{place.file}:{place.line}: {message}" if place else message
    return element


def _place(place: Place | None) -> dict[str, str]:
    return {"file": place.file, "line": str(place.line)} if place else {}
