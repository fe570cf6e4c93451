"""One list of exit codes: what the pages say of them is what the program does."""

import re
from pathlib import Path

import pytest

from segbench.reports.verdict import Status, Verdict
from segbench.zoo.console.exit_codes import ExitCode, gravest, of_verdicts
from segbench.zoo.results.baseline import Change, Difference

ROOT = Path(__file__).resolve().parents[3]


def table(page, header):
    """Rows of the table whose first line is `header`, cells as text."""
    lines = iter((ROOT / page).read_text(encoding="utf-8").partition(f"| {header} |\n")[2].splitlines()[1:])
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_readme_has_every_code_with_its_meaning():
    meanings = {}
    for code in ExitCode:
        meanings.setdefault(code.meaning, []).append(str(int(code)))
    told = [[", ".join(codes), meaning] for meaning, codes in meanings.items()]
    assert table("README.md", "code | meaning") == told


def test_the_page_about_ci_has_the_code_of_every_change():
    found = {word: int(code) for word, _, code in table("docs/ci.md", "word | what happened | exit code")}
    assert found == {
        change.value: Difference(
            checkpoint="c", metric="miou", date="", change=change, before=None, after=None
        ).exit_code
        for change in Change
    }


def test_pages_name_no_other_codes():
    """`exit 4`, `exits 1`, `exit code 2`: each is one of the list."""
    said = [
        int(code)
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for code in re.findall(r"[Ee]xits?(?: code)?(?: is)? (\d+)", page.read_text(encoding="utf-8"))
    ]
    assert said
    assert set(said) <= set(ExitCode)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 5),
        ([Status.REPRODUCED], 0),
        ([Status.REPRODUCED, Status.DRIFT, Status.NOT_PUBLISHED, Status.NOT_COMPARABLE], 0),
        ([Status.SOURCE_INCONSISTENT], 0),
        ([Status.REPRODUCED, Status.NOT_MEASURED], 3),
        ([Status.NOT_MEASURED, Status.REFUTED, Status.REPRODUCED], 1),
    ],
)
def test_the_worst_verdict_decides_the_exit_code(statuses, code):
    verdicts = [
        Verdict(checkpoint="c", metric="miou", published="1.0", measured=None, delta=None, status=status)
        for status in statuses
    ]
    assert of_verdicts(verdicts) == code


@pytest.mark.parametrize(
    ("codes", "code"), [([], 0), ([0, 3], 3), ([3, 6], 6), ([6, 3, 1], 1), ([1, 6, 4, 3, 0], 4)]
)
def test_the_gravest_code_is_the_one_that_needs_a_person_first(codes, code):
    """A wrong file before a wrong number, before a claim that is gone, before one that could not be measured."""
    assert gravest(codes) == code
