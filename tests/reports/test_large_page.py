"""A page of many rows: every figure is in its tables, and its plots have no more marks than a small page's."""

import re

import html5lib
import pytest

from segbench.reports.background import Background, ClassFigures
from segbench.reports.html import DRAWN, SERIES, format_html
from segbench.reports.table import Row
from segbench.reports.tolerance import Tolerance
from segbench.reports.verdict import judge

pytestmark = pytest.mark.slow

FIGURES = {"miou": ("76.63", 0.01), "train_memory": ("9.0", 0.01), "fps": ("9.0", 0.01)}


def row(number):
    """A row whose figures are the farther off the later it stands."""
    name = f"r{number:04}"
    verdicts = tuple(
        judge(checkpoint=name, metric=metric, printed=printed, measured=float(printed) + step * number, tolerance=Tolerance())
        for metric, (printed, step) in FIGURES.items()
    )  # fmt: skip
    return Row(
        checkpoint=name, publisher="me", dataset="Streets", method="ISANet", backbone="R-50", crop="256x512",
        schedule="800", device="V100", verdicts=verdicts,
    )  # fmt: skip


def page(count):
    classes = tuple(
        ClassFigures(checkpoint=f"r{number:04}", dataset="Streets", iou_percent={"road": 92.5, "pole": 7.0})
        for number in range(count)
    )
    return format_html([row(number) for number in range(count)], Background(title="Many", classes=classes))


@pytest.fixture(scope="module")
def large():
    return page(4 * DRAWN)


@pytest.fixture(scope="module")
def half_as_large():
    return page(2 * DRAWN)


def test_every_row_is_in_a_table_and_the_page_is_valid(half_as_large):
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(half_as_large)
    named = {one.get("title") for one in tree.iterfind(".//tbody[@role]/tr/th")}
    assert named == {f"r{number:04}" for number in range(2 * DRAWN)}


def test_plots_have_as_many_marks_whatever_the_number_of_rows(large, half_as_large):
    def marks(text):
        return sum(
            len(re.findall(r"<(?:use|path|text|rect)\b", svg))
            for svg in re.findall(r"(?s)<svg.*?</svg>", text)
        )

    assert marks(large) <= 1.1 * marks(half_as_large)


def test_a_plot_that_leaves_claims_out_says_so_and_has_the_farthest(large):
    told = f"Drawn are the {DRAWN} farthest off of {4 * DRAWN}."
    assert large.count(told) == 5  # three differences, memory, speed
    assert f"Drawn are the first {SERIES} of {4 * DRAWN} rows." in large
    accuracy = large[large.index("<h3") :].split("<figure")[1]
    assert "Accuracy: measured minus published" in accuracy
    assert set(re.findall(r"r\d{4}(?= mIoU)", accuracy)) == {
        f"r{number:04}" for number in range(3 * DRAWN, 4 * DRAWN)
    }


def test_a_small_page_draws_every_claim_and_no_spread():
    small = page(DRAWN)
    assert "farthest off" not in small
    assert "how many claims differ" not in small
