"""The pages of `docs/extend`, followed by a new contributor in a copy of the code: their files, and nothing else, suffice."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .test_docs import blocks, pattern, python_shim, session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "extend").glob("*.md"))
CODE = ("zoo", "models", "evaluate", "reports")
KINDS = {"network", "protocol", "publisher", "data-set", "report-form"}
"""Pages that `make test` follows; what the others add is built, foretold and measured by the same commands."""


@pytest.fixture
def copy(tmp_path):
    """A folder that holds the code as the package `segbench`, and one to work in."""
    for folder in CODE:
        shutil.copytree(ROOT / folder, tmp_path / "segbench" / folder)  # what Python has compiled with it
    shutil.copy(ROOT / "zoo.yaml", tmp_path / "segbench")
    (tmp_path / "work").mkdir()
    return tmp_path


def environment(copy):
    """The copy comes before the installed package, and `zoo` is its command."""
    shim = python_shim(copy)
    program = "import sys; from segbench.zoo.cli import main; sys.exit(main())"
    (shim / "zoo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{program}\' "$@"\n', encoding="utf-8")
    (shim / "zoo").chmod(0o755)
    own = {
        "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(copy),
    }
    places = {
        "ZOO_HOME": str(copy / "home"),
        "ZOO_OFFLINE": "1",
        "ZOO_LOCK": str(copy / "zoo.lock"),
        "COLUMNS": "120",
    }
    return os.environ | own | places


def named_file(page, block):
    """The path in the line `File ...:` above a block; None where there is none."""
    above = [
        line for line in page.read_text(encoding="utf-8").splitlines()[: block.line - 2] if line.strip()
    ][-1:]
    found = re.fullmatch(r"(?:File|And) `([^`]+)`.*:", above[0]) if above else None
    return found and found[1]


@pytest.mark.parametrize(
    "page",
    [pytest.param(one, marks=[pytest.mark.golden] * (one.stem not in KINDS), id=one.stem) for one in PAGES],
)
def test_the_files_of_a_page_are_all_that_it_takes(page, copy):
    """Each file as printed, each setup by a shell, each session with the output shown."""
    variables, work = environment(copy), copy / "work"
    for block in blocks(page):
        text = "\n".join(block.lines) + "\n"
        if path := named_file(page, block):
            target = (copy / "segbench" if path.split("/")[0] in CODE else work) / path
            assert not target.exists(), f"{page.name}: {path} is there already"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        elif block.language == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=work, env=variables, check=True)
        for command in session(page, block) if block.language == "console" else ():
            done = subprocess.run(
                ["bash", "-c", command.text],
                cwd=work,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            assert re.fullmatch(pattern(command.output or ""), done.stdout), (
                f"{command}\n{done.stdout}{done.stderr}"
            )
