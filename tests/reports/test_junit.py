"""JUnit XML as CI systems read it: the whole text of a small report, and the schema's rules on a large one."""

import xml.etree.ElementTree as ET
from textwrap import dedent

from segbench.reports.background import Background, ClaimChange, Place
from segbench.reports.junit import format_junit
from segbench.reports.table import Row
from segbench.reports.tolerance import Tolerance
from segbench.reports.verdict import judge

# Jenkins' junit-10.xsd: element -> attributes it must have, attributes it may have, children in any order.
SHAPE = {
    "testsuites": ({"name"}, {"tests", "failures", "errors", "skipped"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, set(), {"properties", "testcase"}),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "testcase": ({"name", "classname"}, {"file", "line"}, {"skipped", "error", "failure", "system-out"}),
    "error": ({"message", "type"}, set(), set()),
    "failure": ({"message", "type"}, set(), set()),
    "skipped": ({"message"}, set(), set()),
    "system-out": (set(), set(), set()),
}


def row(*claims):
    verdicts = [
        judge(checkpoint="a", metric=metric, printed=printed, measured=value, tolerance=Tolerance(), **more)
        for metric, printed, value, more in claims
    ]
    return Row(
        checkpoint="a", publisher="mmsegmentation", dataset="Streets <1>", method="ISANet", backbone="R-50-D8",
        crop="256x512", schedule="800", verdicts=tuple(verdicts),
    )  # fmt: skip


ROW = row(
    ("miou", "76.63", 76.43, {}),
    ("miou_ms_flip", "78.23", 78.23, {"date": "2021-10-13"}),
    ("train_memory", "9.0", None, {"reason": 'no "trace"\x1b here'}),
    ("fps", None, None, {}),
)


def shape_faults(element):
    must, may, children = SHAPE[element.tag]
    faults = [f"{element.tag} lacks {name}" for name in must - set(element.attrib)]
    faults += [f"{element.tag} has {name}" for name in set(element.attrib) - must - may]
    faults += [f"{element.tag} holds {child.tag}" for child in element if child.tag not in children]
    return faults + [fault for child in element if child.tag in children for fault in shape_faults(child)]


def test_one_case_a_claim_with_its_line():
    background = Background(
        environments=("1 x mIoU: cpu",), places={("a", "miou", ""): Place(file="zoo.yaml", line=12)}
    )
    assert "\n" + format_junit([ROW], background) == dedent("""
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="zoo" tests="4" failures="1" errors="0" skipped="2">
          <testsuite name="mmsegmentation, Streets &lt;1&gt;" tests="4" failures="1" errors="0" skipped="2">
            <properties>
              <property name="environment" value="1 x mIoU: cpu" />
            </properties>
            <testcase name="a mIoU" classname="mmsegmentation, Streets &lt;1&gt;" file="zoo.yaml" line="12">
              <failure message="76.63 → 76.43 (-0.20) refuted: differs by more than 0.155 points: 0.15 and half a unit of the last printed digit" type="refuted">zoo.yaml:12: 76.63 → 76.43 (-0.20) refuted: differs by more than 0.155 points: 0.15 and half a unit of the last printed digit</failure>
            </testcase>
            <testcase name="a mIoU(ms+flip) (2021-10-13)" classname="mmsegmentation, Streets &lt;1&gt;">
              <system-out>78.23 (2021-10-13) → 78.23 (+0.00) reproduced</system-out>
            </testcase>
            <testcase name="a Mem (GB)" classname="mmsegmentation, Streets &lt;1&gt;">
              <skipped message="not measured: no &quot;trace&quot;\\u001b here" />
            </testcase>
            <testcase name="a Inf time (fps)" classname="mmsegmentation, Streets &lt;1&gt;">
              <skipped message="not published" />
            </testcase>
          </testsuite>
        </testsuites>
        """)


def test_the_shape_is_the_common_schemas():
    assert shape_faults(ET.fromstring(format_junit([ROW, row(("miou", "1.0", 1.0, {}))]))) == []


def change(metric, word, outcome, checkpoint="a", date=""):
    return ClaimChange(
        checkpoint=checkpoint, metric=metric, date=date, word=word, text=f"{metric}: {word}", outcome=outcome
    )


def test_against_a_stored_state_the_changes_decide():
    """A claim refuted as it always was passes; worse and gone fail, a figure that was lost is an error."""
    changes = (
        change("miou", "unchanged", "passed"),
        change("miou_ms_flip", "worse", "failure", date="2021-10-13"),
        change("train_memory", "could not measure", "error"),
        change("fps", "unchanged", "passed"),
        change("miou", "gone", "failure", checkpoint="b"),
    )
    background = Background(places={("b", "miou", ""): Place(file="zoo.yaml", line=3)}, changes=changes)
    text = format_junit([ROW], background)
    assert shape_faults(ET.fromstring(text)) == []
    assert "\n" + text == dedent("""
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="zoo" tests="5" failures="2" errors="1" skipped="1">
          <testsuite name="mmsegmentation, Streets &lt;1&gt;" tests="4" failures="1" errors="1" skipped="1">
            <testcase name="a mIoU" classname="mmsegmentation, Streets &lt;1&gt;">
              <system-out>76.63 → 76.43 (-0.20) refuted; against the stored state: unchanged</system-out>
            </testcase>
            <testcase name="a mIoU(ms+flip) (2021-10-13)" classname="mmsegmentation, Streets &lt;1&gt;">
              <failure message="miou_ms_flip: worse" type="worse">miou_ms_flip: worse</failure>
            </testcase>
            <testcase name="a Mem (GB)" classname="mmsegmentation, Streets &lt;1&gt;">
              <error message="train_memory: could not measure" type="could not measure">train_memory: could not measure</error>
            </testcase>
            <testcase name="a Inf time (fps)" classname="mmsegmentation, Streets &lt;1&gt;">
              <skipped message="not published" />
            </testcase>
          </testsuite>
          <testsuite name="gone since the stored state" tests="1" failures="1" errors="0" skipped="0">
            <testcase name="b mIoU" classname="gone since the stored state" file="zoo.yaml" line="3">
              <failure message="miou: gone" type="gone">zoo.yaml:3: miou: gone</failure>
            </testcase>
          </testsuite>
        </testsuites>
        """)
