"""The picture of CONTRIBUTING holds: imports run down, rooms stay small, and cheap commands stay cheap."""

import ast
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from segbench.zoo import commands
from segbench.zoo.cli import _FORESEEN
from segbench.zoo.commands import _READING_ORDER, build_parser, command, command_names

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"models": set(), "evaluate": set(), "reports": set(), "zoo": {"models", "evaluate", "reports"}}
ROOMS = {
    "models": [
        ["load", "input_size"],
        ["layers"],
        ["transformer"],
        ["backbones", "heads", "necks", "nets"],
        ["named"],
        ["segmentor", "builders"],
        ["adapters"],
        ["rooms"],
        ["build"],
        ["trace"],
    ],
    "evaluate": [
        ["limits", "regular_files"],
        ["protocol"],
        ["geometry", "data"],
        ["pixels"],
        ["count", "picture"],
        ["data.check", "evidence", "inference"],
        ["accuracy", "speed", "suspects"],
        ["scoring"],
    ],
    "zoo": [
        ["console", "files"],
        ["manifest"],
        ["fetch"],
        ["publishers", "weights", "measuring"],
        ["quantities"],
        ["results", "engines", "audit"],
        ["verify"],
        ["runs", "demo"],
        ["commands.shared"],
        ["commands"],
        ["cli"],
    ],
}
"""Folder -> its rooms and lone modules from the ground up; those of one floor know nothing of each other."""
ONE_FILE_A_THING = {"zoo/commands", "models/heads", "models/backbones", "models/necks", "models/nets"}
MOST_FLAT = {"zoo": 4, "models": 8, "evaluate": 8, "reports": 14}
"""Modules beside the folders, `__init__.py` not counted."""
MOST_MODULES = 14
MOST_FUNCTION_LINES = 45
MOST_CLASS_LINES = 200


@cache
def modules():
    """Dotted name -> path of every module of ours; a package by its own name."""
    found = {}
    for folder in ALLOWED:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name):
    """(line, level, module that is meant) of every relative import within a module, those for types included."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, node.level, full if full in modules() else base


def room(name):
    """The room or lone module of a folder that a module belongs to; empty for a folder's own door."""
    folder, _, rest = name.partition(".")
    known = {one for floor in ROOMS[folder] for one in floor}
    parts = rest.split(".")
    return next((one for n in (2, 1) if (one := ".".join(parts[:n])) in known), rest)


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    """Every import of our own code is relative and leads to a folder below."""
    for name, path in modules().items():
        if name.split(".")[0] != folder:
            continue
        out = len(path.relative_to(ROOT).parts)  # the level that leads out of the folder
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.level == out:
                assert node.module, f"{path}:{node.lineno}"
                assert node.module.split(".")[0] in ALLOWED[folder], f"{path}:{node.lineno}"
            elif isinstance(node, ast.ImportFrom):
                assert node.level < out, f"{path}:{node.lineno}"
                assert node.level or not node.module.startswith("segbench"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("folder", ROOMS)
def test_no_import_runs_up(folder):
    """From a room to itself and to lower floors, for types and within functions too."""
    floors = {one: number for number, floor in enumerate(ROOMS[folder]) for one in floor}
    for name, path in modules().items():
        if name.split(".")[0] != folder or name == folder:
            continue
        here = room(name)
        assert here in floors, (
            f"{path.relative_to(ROOT)}: {here} is no room of {folder}; give it a floor above"
        )
        for line, _, target in imports(name):
            if target.split(".")[0] != folder:
                continue
            there = room(target)
            place = f"{path.relative_to(ROOT)}:{line}: {here} imports {there or folder}"
            assert there == here or floors.get(there, len(floors)) < floors[here], place


def test_no_circles():
    """No module imports, by whatever way, one that imports it."""
    graph = {name: {target for _, _, target in imports(name)} - {name} for name in modules()}
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done or name not in graph:
            return
        path.append(name)
        for target in sorted(graph[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


def test_rooms_stay_small():
    for folder in {path.parent for path in modules().values()}:
        here = str(folder.relative_to(ROOT))
        count = sum(path.parent == folder and path.name != "__init__.py" for path in modules().values())
        if here not in ONE_FILE_A_THING:
            assert count <= MOST_FLAT.get(here, MOST_MODULES), f"{here} has {count} modules"


def code_lines(node, lines):
    """Lines of a definition that are neither blank, comment nor docstring."""
    inside = set(range(node.lineno, node.end_lineno + 1))
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Expr)
            and isinstance(part.value, ast.Constant)
            and isinstance(part.value.value, str)
        ):
            inside -= set(range(part.lineno, part.end_lineno + 1))
    texts = (lines[number - 1].strip() for number in inside)
    return sum(bool(text) and not text.startswith("#") for text in texts)


def test_functions_and_classes_stay_small():
    for path in modules().values():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                most = MOST_CLASS_LINES if isinstance(node, ast.ClassDef) else MOST_FUNCTION_LINES
                count = code_lines(node, lines)
                assert count <= most, (
                    f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {count} lines of code"
                )


def test_no_room_hides_a_name_of_its_door():
    """What a package offers by name is never a module of it as well: whoever imports that first would get the module."""
    for name, path in modules().items():
        if path.name != "__init__.py":
            continue
        offered = {
            element.value
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Assign)
            and any(getattr(one, "id", "") == "__all__" for one in node.targets)
            for element in node.value.elts
        }
        assert not {one for one in offered if f"{name}.{one}" in modules()}, path.relative_to(ROOT)


def test_a_command_is_one_file():
    """Its flags and its run; no command leans on another, and the help's order names none that is not there."""
    assert set(_READING_ORDER) <= set(command_names())
    for name in command_names():
        module = command(name)
        assert callable(module.add_flags), name
        assert callable(module.run), name
        nearby = [target for _, level, target in imports(module.__name__.partition(".")[2]) if level == 1]
        assert all(target.startswith("zoo.commands.shared") for target in nearby), name


def test_a_new_command_is_one_new_file(monkeypatch, tmp_path):
    """It stands in the help, after the others, and is found by its name."""
    (tmp_path / "new_one.py").write_text(
        '"""`zoo new-one`: does a thing."""\n\n\ndef add_flags(parser):\n    parser.add_argument("--deep")\n'
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(commands.pkgutil, "get_data", lambda _, name: (tmp_path / name).read_bytes())
    assert command_names()[-1] == "new-one"
    assert commands.summary("new-one") == "does a thing"
    assert build_parser(["new-one", "--deep", "x"]).parse_args(["new-one", "--deep", "x"]).deep == "x"


def test_every_foreseen_error_is_one():
    for name in _FORESEEN:
        module, _, kind = name.rpartition(".")
        error = getattr(importlib.import_module(f"segbench.{module}"), kind)
        assert (error.__module__, error.__qualname__) == (f"segbench.{module}", kind), name
        assert issubclass(error, Exception), name


def test_packages_match_the_folders():
    """Every folder of code is installed."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for path in modules().values():
        package = ".".join(("segbench", *path.relative_to(ROOT).parent.parts))
        assert f'"{package}"' in declared


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--json"],
        ["show", "isanet_r50-d8_512x1024_40k_cityscapes"],
        ["fetch", "--dry-run"],
        ["audit"],
        ["export"],
        ["plan", "--tflops", "10"],
        ["schema"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_cheap_commands_never_import_torch(arguments):
    """list, show, fetch and the help start without torch, cv2 and pandas."""
    assert_light("from segbench.zoo.cli import main; code = main(sys.argv[1:])", *arguments)


def test_the_help_of_every_command_is_cheap():
    """Flags are declared by modules that import what is heavy only where they run."""
    assert_light("from segbench.zoo.commands import build_parser; build_parser(); code = 0")


def assert_light(program, *arguments):
    program = (
        f"import sys; {program};"
        "heavy = {'torch', 'cv2', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
