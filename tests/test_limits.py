"""docs/limits.md says what is so: each value is the code's, each test exists, and no limit of the code is left out."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/limits.md"
FOLDERS = ("zoo", "models", "evaluate", "reports")
UNITS = {"": 1, " KiB": 1 << 10, " MiB": 1 << 20, " GiB": 1 << 30}
LIMIT = re.compile(r"(MAX|MOST|LARGEST|LONGEST|DEEPEST)(_[A-Z_]+)?|[A-Z][A-Z_]*_LIMIT(_[A-Z]+)?")
OF_OUR_OWN = {
    "evaluate.suspects.diagnosis.MOST": "a share of the time that all candidates would take",
    "evaluate.inference.pipeline.MOST_IMAGES_ON_CORES": "how much is computed at once",
    "models.trace.caching_allocator.SMALL_LIMIT": "a rule of torch's allocator",
    "models.load.health.LARGEST_VARIANCE": "what is doubted in a network's numbers; nothing is refused",
    "zoo.commands.audit.MOST": "how many findings of a kind are shown, which is said",
    "zoo.commands.plan.MOST_COUNTED": "how much is counted without being asked to, which is said",
    "zoo.measuring.probe.MOST_PIXELS": "how large a picture of ours a speed is tried on",
    "zoo.commands.compare.MOST_IMAGES": "how many of the changed images are shown, which is said",
    "zoo.engines.ray_cluster.LARGEST_SLICE": "how much work one task has",
    "zoo.measuring.speed.LARGEST_BATCH": "where a sweep over batch sizes ends",
}
"""Constants that are called like limits and bound nothing that comes from elsewhere."""


def rows():
    """(limit, name, test) of every row."""
    cells = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [
        (row[1].strip(), row[2].strip(" `"), row[4].strip(" `"))
        for row in cells
        if len(row) == 5 and row[2].strip().startswith("`")
    ]


def constant(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"segbench.{module}"), attribute)


def value(text, kind):
    """What a cell says: a size, a number, or the members of a tuple."""
    if kind is tuple:
        return tuple(int(part) if part.isdigit() else part for part in text.split(", "))
    number, unit = re.fullmatch(r"([0-9,]+)( [KMG]iB)?", text).groups()
    return int(number.replace(",", "")) * UNITS[unit or ""]


@pytest.mark.parametrize(("text", "name"), [row[:2] for row in rows()])
def test_a_limit_is_what_the_page_says(text, name):
    assert value(text, type(constant(name))) == constant(name)


@pytest.mark.parametrize("test", sorted({row[2] for row in rows()}))
def test_the_test_that_holds_a_limit_exists(test):
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_limit_is_left_out():
    found = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')}.{target.id}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and LIMIT.fullmatch(target.id)
    }
    assert found - {row[1] for row in rows()} == set(OF_OUR_OWN)
