"""The workflow and `docs/ci.md`: valid YAML, and commands that the command line takes."""

import re
import shlex
from pathlib import Path

import full_zoo
import pytest
import yaml

from segbench.zoo.commands import build_parser
from segbench.zoo.console.exit_codes import ExitCode
from segbench.zoo.results.baseline import Change, compare, read_state

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
DOCUMENT = ROOT / "docs/ci.md"


def commands(text):
    """Every `zoo ...` of a shell line or a code span."""
    found = re.findall(r"(?:^|run: |`)(zoo (?:verify|report|demo|audit) [^`\n]*)", text, re.MULTILINE)
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
    assert arguments.command in {"verify", "report", "demo", "audit"}


def test_the_workflow_runs_everything():
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    run = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for part in (
        "make test",
        "make lint types",
        "zoo report --check results/tables",
        "zoo audit --fail-on error",
        "--metric train_memory --ledger new.jsonl --baseline results/baseline.json",
        "zoo demo",
    ):
        assert part in run


def test_no_step_is_left_out_where_a_command_is_missing():
    """A guard around a command hides the day on which it is renamed."""
    assert not re.search(r"--help|\|\| true|continue-on-error", WORKFLOW.read_text(encoding="utf-8"))


def test_the_stored_state_of_the_zoo_is_what_its_ledger_says():
    """Every figure, and every printed one as the manifest has it today; `zoo verify` wrote both files."""
    manifest = full_zoo.ZOO
    before, now = (
        read_state(ROOT / "results" / name, manifest) for name in ("baseline.json", "measurements.jsonl")
    )
    memory = [claim for claim in now.claims if claim.metric == "train_memory"]
    found = compare(before, memory)
    assert len(found) == len(manifest)
    assert {one.change for one in found} == {Change.UNCHANGED}
    assert sum(one.after is not None for one in found) == 16


def test_the_snippet_is_a_workflow():
    (snippet,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippet.splitlines()) == 10
    assert yaml.safe_load(snippet)["jobs"]["verify"]["steps"][-1]["run"].startswith("zoo report")


def test_every_change_has_its_line():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"| {change.value} |" in text for change in Change)
    assert re.search(rf"\| gone \|[^|]*\| {ExitCode.GONE:d} \|", text)
