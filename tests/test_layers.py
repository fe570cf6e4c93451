"""The picture of `docs` and CONTRIBUTING holds: imports go one way down, and cheap commands stay cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from segbench.zoo.cli import _command
from segbench.zoo.commands.shared.flags import _COMMANDS

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"models": set(), "evaluate": set(), "reports": set(), "zoo": {"models", "evaluate", "reports"}}


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    """Every import of our own code is relative and leads to a folder below."""
    for path in (ROOT / folder).rglob("*.py"):
        out = len(path.relative_to(ROOT).parts)  # the level that leads out of the folder
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == out:
                assert node.module, f"{path}:{node.lineno}"
                assert node.module.split(".")[0] in ALLOWED[folder], f"{path}:{node.lineno}"
            elif isinstance(node, ast.ImportFrom):
                assert node.level < out, f"{path}:{node.lineno}"
                assert node.level or not node.module.startswith("segbench"), f"{path}:{node.lineno}"


def test_only_the_command_line_knows_the_commands():
    """Modules beside and above `zoo/commands` never import from it."""
    commands = set((ROOT / "zoo" / "commands").rglob("*.py"))
    for path in set((ROOT / "zoo").rglob("*.py")) - commands - {ROOT / "zoo" / "cli.py"}:
        out = len(path.relative_to(ROOT).parts) - 1  # the level that leads to `zoo`
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == out and node.module:
                assert node.module.split(".")[0] not in {"commands", "cli"}, f"{path}:{node.lineno}"


def test_every_command_has_a_function():
    for name in _COMMANDS:
        assert callable(_command(name)), name


def test_packages_match_the_folders():
    """Every folder of code is installed."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for folder in ALLOWED:
        for path in (ROOT / folder).rglob("*.py"):
            package = ".".join(("segbench", *path.relative_to(ROOT).parent.parts))
            assert f'"{package}"' in declared


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
