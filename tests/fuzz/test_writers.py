"""Whatever the text is, each medium's own reader finds it again, and nothing of it acts."""

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET

import html5lib
import msgspec
import pytest
from bounds import bounded, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import HOSTILE

from segbench.reports import media
from segbench.reports.formats import FORMATS
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest
from segbench.zoo.results.answers import Answers, answering, judge_ledger, report_row
from segbench.zoo.results.background import background

pytestmark = pytest.mark.slow

_TOKENS = st.sampled_from(
    [token.decode("utf-8", "surrogatepass" if b"\xed" in token else "replace") for token in HOSTILE]
)
_SIGNS = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("=+-@|`$<>&#:*_[]()!\\\n\r\t\x1b\u202e"),
    max_size=40,
)
TEXT = st.lists(_TOKENS | _SIGNS, max_size=3).map("".join)


def acts(line):
    """Whether a line has a sign that a terminal obeys or that hides."""
    return any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in line)


@settings(max_examples=examples(300))
@given(TEXT)
def test_a_terminal_is_told_nothing(text):
    """No control character but the end of a line, and no line is a runner's command."""
    with bounded():
        shown = media.terminal(text)
    for line in shown.split("\n"):
        assert not acts(line)
        assert not line.lstrip().startswith(("::", "##[", "##vso["))


@settings(max_examples=examples(300))
@given(TEXT, TEXT, TEXT)
def test_an_annotation_is_one_line_with_its_own_command(file, title, text):
    """A runner reads properties up to the next `::`; none of the texts adds one there."""
    with bounded():
        line = media.annotation(file, 7, title, text)
    found = re.fullmatch(r"::error file=([^,:]*),line=7,title=([^,:]*)::(.*)", line)
    assert found
    assert not acts(line)


@settings(max_examples=examples(300))
@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": st.none() | st.floats() | TEXT}), max_size=3))
def test_a_spreadsheet_gets_as_many_cells_and_no_formula(records):
    """Cells that begin as formulas are numbers."""
    with bounded():
        read = list(csv.reader(io.StringIO(media.csv_text(("a", "b"), records))))
    assert read[0] == ["a", "b"]
    assert [len(row) for row in read[1:]] == [2] * len(records)
    for record, row in zip(records, read[1:], strict=True):
        if row[0].lstrip().startswith(("=", "+", "-", "@")):
            assert re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", row[0].strip()), record


@settings(max_examples=examples(300))
@given(TEXT, TEXT)
def test_xml_is_read_back(attribute, text):
    """Texts come back with what cannot be in XML written out."""
    root = ET.Element("a", {"b": attribute})
    root.text = text
    with bounded():
        written = ET.tostring(media.xml_tree(root), encoding="utf-8")
    assert ET.fromstring(written).get("b") == media.visible(attribute)


@settings(max_examples=examples(300))
@given(TEXT)
def test_a_markdown_cell_is_one_cell(text):
    """No end of line, and no bar or backtick that GitHub would read."""
    with bounded():
        cell = media.markdown(text)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(\\\\)*[|`]", cell)
    assert "<" not in cell


@pytest.fixture(scope="module")
def demo():
    """The demo's zoo, whose rows take other people's words below."""
    return load_manifest(STREETS / "zoo.yaml")


def _check(name, page):
    if name == "csv":
        assert len({len(row) for row in csv.reader(io.StringIO(page))}) == 1
    elif name == "json":
        json.loads(page)
    elif name == "junit":
        ET.fromstring(page.encode())
    elif name == "html":
        document = html5lib.parse(page, namespaceHTMLElements=False)
        assert not [one for one in document.iter("img") if one.get("onerror")]
        assert {one.get("src") for one in document.iter("script")} <= {None}


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_of_hostile_rows_is_read_by_its_mediums_own_reader(demo, name):
    """Method, backbone, schedule, data set and notes come from elsewhere."""

    @settings(max_examples=examples(6 if name == "html" else 40))
    @given(st.lists(TEXT, min_size=5, max_size=5))
    def report(words):
        method, backbone, schedule, title, note = words
        rows = []
        for row, verdicts in judge_ledger(demo, Answers([])):
            spec = msgspec.structs.replace(row.dataset_spec, title=title)
            named = msgspec.structs.replace(
                row, method=method, backbone=backbone, schedule=schedule, dataset_spec=spec
            )
            told = [msgspec.structs.replace(one, reason=note) for one in verdicts]
            rows.append(report_row(named, told))
        with bounded():
            page = FORMATS[name](rows, background(list(demo), answering(demo, Answers([]))))
        _check(name, page)

    report()
