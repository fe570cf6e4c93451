"""The workflow and `docs/ci.md`: valid YAML, and commands that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from segbench.zoo.baseline import GONE_CODE, Change
from segbench.zoo.parser import build_parser

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
DOCUMENT = ROOT / "docs/ci.md"


def commands(text):
    """Every `zoo ...` of a shell line or a code span."""
    found = re.findall(r"(?:^|run: |`)(zoo (?:verify|report|demo) [^`\n]*)", text, re.MULTILINE)
    return [command for command in found if "..." not in command]


FOUND = [
    pytest.param(command, id=f"{path.name}: {command}")
    for path in (WORKFLOW, DOCUMENT)
    for command in commands(path.read_text(encoding="utf-8"))
]


def test_there_are_commands_to_check():
    assert len(FOUND) >= 8


@pytest.mark.parametrize("command", FOUND)
def test_documented_commands_are_understood(command):
    arguments = build_parser().parse_args(shlex.split(command, comments=True)[1:])
    assert arguments.command in {"verify", "report", "demo"}


def test_the_workflow_runs_everything():
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    run = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for part in (
        "make test",
        "make lint types",
        "zoo report --check results/README.md",
        "zoo audit",
        "zoo demo",
    ):
        assert part in run


def test_the_snippet_is_a_workflow():
    (snippet,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippet.splitlines()) == 10
    assert yaml.safe_load(snippet)["jobs"]["verify"]["steps"][-1]["run"].startswith("zoo report")


def test_every_change_has_its_line():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"| {change.value} |" in text for change in Change)
    assert re.search(rf"\| gone \|[^|]*\| {GONE_CODE} \|", text)
