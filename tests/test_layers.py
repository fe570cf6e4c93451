"""The picture of `docs` and CONTRIBUTING holds: imports go one way down, and cheap commands stay cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"models": set(), "evaluate": set(), "reports": set(), "zoo": {"models", "evaluate", "reports"}}


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    """Every import of our own code is relative and leads to a folder below."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2:
                assert node.module, f"{path}:{node.lineno}"
                assert node.module.split(".")[0] in ALLOWED[folder], f"{path}:{node.lineno}"
            elif isinstance(node, ast.ImportFrom):
                assert node.level < 2, f"{path}:{node.lineno}"
                assert node.level or not node.module.startswith("segbench"), f"{path}:{node.lineno}"


def test_packages_match_the_folders():
    """Every folder of code is installed; the four stay flat, so none can be forgotten."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for folder in ALLOWED:
        assert f'"segbench.{folder}"' in declared
        nested = {path.parent for path in (ROOT / folder).rglob("*.py")} - {ROOT / folder}
        assert not nested


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--json"],
        ["show", "isanet_r50-d8_512x1024_40k_cityscapes"],
        ["fetch", "--dry-run"],
        ["audit"],
        ["export"],
    ],
    ids=" ".join,
)
def test_cheap_commands_never_import_torch(arguments):
    """list, show and fetch start without torch, cv2 and pandas."""
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'cv2', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
