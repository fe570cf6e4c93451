"""README.md and docs/ say what is so: commands, outputs, tables, links."""

import argparse
import functools
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import NamedTuple

import cv2
import full_zoo
import publisher_pages
import pytest
import torch

from segbench.evaluate import EvalProtocol
from segbench.reports.metrics import METRICS
from segbench.reports.table import MEANINGS
from segbench.reports.tolerance import DEFAULT
from segbench.zoo.cli import main
from segbench.zoo.commands import build_parser
from segbench.zoo.console.exit_codes import of_status
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest
from segbench.zoo.publishers.configs import Release, release_bytes

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
WALK_THROUGH = DOCS / "your-own.md"
OTHER_PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "benchmarks/README.md"]
DEMO_ROW = "isanet_r50-d8_w16_256x512_0.8k_streets"

VARIABLES = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_TMPDIR": "demo", "first": "node1", "ZOO_HOME": "demo"}
"""Shell variables of documented scripts -> something they may stand for."""

NO_GPU = "no CUDA device"
NO_DATA = "neither weights nor data set"
NOTHING_YET = "nothing was measured yet"
OFFLINE = "no network"
EXITS = {
    "zoo verify 'isanet_*_voc12aug' --data-root /path/to/data --device cuda:0": (3, NO_GPU),
    "zoo verify isanet_r50-d8_512x1024_40k_cityscapes --metric miou --data-root /path/to/data --limit 20": (
        3,
        NO_DATA,
    ),
    "zoo verify isanet_r50-d8_512x1024_40k_cityscapes --metric miou --metric miou_ms_flip --data-root /path/to/data": (
        3,
        NO_DATA,
    ),
    "zoo verify isanet_r50-d8_512x1024_40k_cityscapes --data-root /path/to/data "
    "--file isanet_r50-d8_512x1024_40k_cityscapes_20210901_054739-981bd763.pth": (3, NO_DATA),
    'zoo verify --shard "$SLURM_ARRAY_TASK_ID/16" --device cuda --data-root /data --offline '
    '--evidence "$SLURM_TMPDIR/evidence.sqlite" --ledger "$SLURM_TMPDIR/ledger.jsonl"': (3, NO_GPU),
    "zoo audit --fail-on error --format md": (1, ""),  # publishers' errors are in their packaged rows
    "zoo speed --device cuda:0": (3, NO_GPU),
    "zoo speed isanet_r50-d8_512x1024_40k_cityscapes --device cuda:0 --precision fp16 --sweep": (3, NO_GPU),
    "zoo memory --measure --device cuda:0": (3, NO_GPU),
    "zoo check-weights isanet_r50-d8_512x1024_40k_cityscapes "
    "--file isanet_r50-d8_512x1024_40k_cityscapes_20210901_054739-981bd763.pth": (3, NO_DATA),
    "zoo data --data-root /path/to/data": (3, NO_DATA),
    "zoo data cityscapes --data-root /path/to/data": (3, NO_DATA),
    "zoo data cityscapes ade20k --data-root /path/to/data --json": (3, NO_DATA),
    "zoo data lip --data-root /path/to/data --full": (3, NO_DATA),
    "zoo fetch isanet_r50-d8_512x1024_40k_cityscapes": (3, OFFLINE),
    "zoo fetch --jobs 4": (3, OFFLINE),
    "zoo fetch 'isanet_*' --with-logs": (3, OFFLINE),
    "zoo plan --gpus 8": (3, NOTHING_YET),
    "zoo plan isanet_r50-d8_512x1024_40k_cityscapes": (3, NOTHING_YET),
    "zoo plan --gpus 8 --on 'NVIDIA H200'": (2, NOTHING_YET),
    "zoo report --definitions": (3, NOTHING_YET),
    "zoo report --out report.html --pictures 3 --data-root /path/to/data": (3, NOTHING_YET),
    "zoo report --manifest zoo.yaml --check results/README.md": (
        1,
        "this repository's file names no manifest",
    ),
}
"""Documented commands that do not end with 0 on a machine without GPU, data sets, weights and network."""

ELSEWHERE = {
    "zoo fetch --check-links": ("zoo/fetch/test_links.py", "--check-links"),
    "zoo memory 'isanet_r*-d8_*'": (
        "zoo/quantities/test_memory.py",
        "test_the_page_shows_what_the_command_prints",
    ),
    "zoo speed isanet_r50-d8_512x512_20k_voc12aug --device cpu --limit 10": (
        "zoo/quantities/test_speed.py",
        "--limit",
    ),
    "zoo verify --manifest zoo.yaml --data-root data --save-baseline results/baseline.json": (
        "zoo/results/test_baseline.py",
        "--save-baseline",
    ),
    "zoo verify --manifest zoo.yaml --data-root data --baseline results/baseline.json --out junit.xml": (
        "zoo/results/test_baseline.py",
        "--baseline",
    ),
    "zoo verify --engine ray --device cuda": ("zoo/engines/test_ray_cluster.py", "ray"),
    "zoo verify --engine ray --address auto --device cuda": ("zoo/engines/test_ray_cluster.py", "address"),
    'zoo verify --engine ray --address "$first:6379" --device cuda --data-root /data --offline': (
        "zoo/engines/test_ray_cluster.py",
        "address",
    ),
    "zoo verify --engine ray --address auto --device cuda --data-root /data --ledger /zoo/measurements.jsonl": (
        "zoo/engines/test_ray_cluster.py",
        "address",
    ),
}
"""Documented commands that this file only parses -> the test that runs their like, and a word of it."""


class Command(NamedTuple):
    """A documented command line, and the output the page shows for it; None where it shows none."""

    page: Path
    line: int
    text: str
    output: str | None

    def __str__(self):
        return f"{self.page.name}:{self.line}: {self.text}"

    @property
    def key(self):
        """The command without its comment, spaced once."""
        return re.sub(r"\s+", " ", re.sub(r"\s+#.*$", "", self.text))

    @property
    def arguments(self):
        """Without `zoo`, as a shell would split them."""
        return shlex.split(Template(self.text).substitute(VARIABLES), comments=True)[1:]


class Block(NamedTuple):
    """Lines of code: the first one's number, the language of its fence (empty where indented), the lines."""

    line: int
    language: str
    lines: list[str]


# --- reading a page -----------------------------------------------------------------------------------------


def blocks(page):
    """The page's fenced and indented code."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found, current, fenced = [], None, False
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            fenced = not fenced
            current = Block(number + 1, line[3:], []) if fenced else None
            if current:
                found.append(current)
        elif fenced:
            current.lines.append(line)
        elif line.startswith("    ") and (current or not lines[number - 2].strip()):
            if current is None:
                current = Block(number, "", [])
                found.append(current)
            current.lines.append(line[4:])
        elif current and not line.strip():
            current.lines.append("")
        else:
            current = None
    return found


def commands(page):
    """Every line of the page's code that a user would type: `zoo ...`, and `export ...` between them."""
    return [command for block in blocks(page) for command in block_commands(page, block)]


def block_commands(page, block):
    """Of a recorded session the lines behind `$ `, each with its output; else the lines that begin with `zoo`."""
    if any(line.startswith("$ ") for line in block.lines):
        return list(session(page, block))
    if block.language == "python":
        return []
    joined = "\n".join(block.lines).replace("\\\n", "\0")
    found, number = [], block.line
    for line in joined.split("\n"):
        text = re.match(r"\s*(?:- run: |entrypoint: )?((?:zoo|export) .*)", line)
        if text:
            found.append(Command(page, number, text[1].replace("\0", " "), None))
        number += 1 + line.count("\0")
    return found


def session(page, block):
    """The commands of a recorded session."""
    starts = [number for number, line in enumerate(block.lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        output = "\n".join(block.lines[start + 1 : end]).strip("\n")
        yield Command(page, block.line + start, block.lines[start][2:], output or None)


def markdown_table(page, head):
    """The rows below the table head that begins with `| head |`, as lists of cells."""
    _, found, rest = page.read_text(encoding="utf-8").partition(f"| {head} |")
    assert found, f"{page.name} has no table headed {head}"
    rows = [line for line in rest.split("\n\n")[0].splitlines()[2:] if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


ALL_COMMANDS = [command for page in PAGES for command in commands(page)]
ZOO_COMMANDS = [command for command in ALL_COMMANDS if command.text.startswith("zoo ")]


# --- what the parser says -----------------------------------------------------------------------------------


the_parser = functools.cache(build_parser)
"""The one parser; parsing leaves it as it was."""


def subparsers(parser):
    """Name -> parser of a parser's commands, with their one-line summaries beside them."""
    action = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
    return {} if action is None else action.choices


def summaries():
    """Command -> its line in `zoo --help`."""
    action = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return {choice.dest: choice.help for choice in action._choices_actions}


@pytest.mark.parametrize("command", ZOO_COMMANDS, ids=str)
def test_a_documented_command_line_is_accepted(command, capsys):
    """No page shows a flag, command or value that the parser refuses."""
    try:
        the_parser().parse_args(command.arguments)
    except SystemExit:
        pytest.fail(f"{command}\n{capsys.readouterr().err}")


def test_the_readme_lists_the_commands_as_help_does():
    """The same commands in the same order with the same words."""
    found = {row[0].strip("`").removeprefix("zoo "): row[1] for row in markdown_table(README, "command")}
    assert found == summaries()
    assert list(found) == list(summaries())


def test_documented_make_targets_exist():
    """`make demo`, `make test` and the rest, of every page."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    text = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, *OTHER_PAGES])
    named = set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_named_in_passing_exist(page):
    """Of every `zoo ...` and `--flag` in running text and tables."""
    parsers = subparsers(build_parser())
    every_flag = {flag for parser in parsers.values() for flag in flags_of(parser)} | FOREIGN_FLAGS
    prose = re.sub(
        r"^```.*?^```|^(?: {4}).*?$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for span in re.findall(r"`([^`]+)`", prose):
        words = span.replace("\\|", "|").split()
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        if words[0] != "zoo":
            assert flags <= every_flag, f"{page.name}: `{span}`"
        elif len(words) > 1 and words[1] != "--help":
            assert words[1] in parsers, f"{page.name}: `{span}`"
            assert flags <= flags_of(parsers[words[1]]), f"{page.name}: `{span}`"


FOREIGN_FLAGS = {"--aug-test", "--tta", "--force"}
"""Of other projects' programs."""


def flags_of(parser):
    """Every option of a command, its tasks' included."""
    own = {flag for action in parser._actions for flag in action.option_strings}
    return own.union(*(flags_of(task) for task in subparsers(parser).values()))


# --- running them -------------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No network, no cache, no setting of the user's, and an empty folder to work in."""
    for name in ("ZOO_DATA_ROOT", "ZOO_LOCK", "XDG_CACHE_HOME", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # with a GPU they would run for hours
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo-home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def checkout(alone, kept_demo, monkeypatch):
    """A working folder after the demo, as a reader of the pages has it, with a publisher's documents."""
    monkeypatch.setenv("ZOO_LOCK", str(alone / "zoo.lock"))  # beside the manifest would be in the repository
    (alone / "zoo").symlink_to(ROOT / "zoo", target_is_directory=True)
    shutil.copy(ROOT / "zoo.yaml", alone)
    shutil.copytree(ROOT / "results", alone / "results")
    shutil.copytree(kept_demo, alone / "demo")
    (alone / "isanet-README.md").write_text(publisher_pages.mmseg_readme(full_zoo.ZOO), encoding="utf-8")
    (alone / "metafile.yaml").write_text(publisher_pages.metafile(full_zoo.ZOO), encoding="utf-8")
    release = Release(publisher="mmsegmentation", revision="v1.2.2", age="1.x", configs={})
    (alone / "configs.json").write_bytes(release_bytes(release))
    return alone


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != WALK_THROUGH], ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_the_page_says(page, checkout, monkeypatch, capsys, request):
    """In the page's order; the exit code is 0 unless EXITS knows why not, and shown output is real output."""
    if page.name == "diagnose.md":  # what its command counts is counted already
        shutil.copy(request.getfixturevalue("diagnosed_demo"), checkout / "demo/evidence.sqlite")
    for command in commands(page):
        if command.key not in ELSEWHERE:
            follow(command, monkeypatch, capsys)


@pytest.mark.slow
def test_the_walk_through_of_your_own_data_works_as_it_stands(alone, tmp_path, monkeypatch, capsys):
    """Every step in an empty folder: setup by a shell, the manifest as printed, the commands and their output."""
    monkeypatch.setenv("PATH", f"{python_shim(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    for block in blocks(WALK_THROUGH):
        if block.language == "yaml":
            (alone / "zoo.yaml").write_text("\n".join(block.lines), encoding="utf-8")
        elif block.language == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(block.lines)], check=True)
        for command in block_commands(WALK_THROUGH, block) if block.language == "console" else ():
            follow(command, monkeypatch, capsys)


def python_shim(folder):
    """A folder with a `python` that is this one."""
    shim = folder / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return shim.parent


def follow(command, monkeypatch, capsys):
    """Run one documented line and hold it to what the page says."""
    if command.text.startswith("export "):
        for setting in shlex.split(command.text)[1:]:
            monkeypatch.setenv(*setting.split("="))
        return
    expected = EXITS.get(command.key, (0, ""))[0]
    code = main([word for argument in command.arguments for word in spelled_out(argument)])
    out, err = capsys.readouterr()
    assert code == expected, f"{command}: exit {code}, not {expected}\n{out[-2000:]}\n{err[-2000:]}"
    if command.output:
        assert re.fullmatch(pattern(command.output), out), f"{command}: the page shows another output\n{out}"


def spelled_out(argument):
    """What a shell makes of a pattern, and the test of `ID`."""
    if argument == "ID":
        return ["--manifest", "zoo/streets/zoo.yaml", DEMO_ROW]
    return sorted(map(str, Path().glob(argument))) if "/*." in argument else [argument]


def pattern(output):
    """A page's output as a regular expression: `...` alone stands for any lines, at a line's end for its rest."""
    parts = []
    for line in output.splitlines():
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        elif line.endswith("..."):
            parts.append(re.escape(line[:-3]) + r".*\n")
        else:
            parts.append(re.escape(line) + r"[ ]*\n")
    return "".join(parts)


@pytest.mark.parametrize("text", ELSEWHERE, ids=str)
def test_a_command_that_is_not_run_here_is_run_by_another_test(text):
    """The named test exists and speaks of the flag or command in question."""
    test, word = ELSEWHERE[text]
    assert text in {command.key for command in ZOO_COMMANDS}, "no page has it any more"
    assert word in (ROOT / "tests" / test).read_text(encoding="utf-8")


def test_every_exception_is_still_documented():
    """EXITS names commands of the pages only."""
    assert set(EXITS) <= {command.key for command in ZOO_COMMANDS}


# --- the Python API -----------------------------------------------------------------------------------------


def test_every_import_of_the_api_page_works():
    """The import lines of its examples, run."""
    lines = [line for block in blocks(DOCS / "api.md") for line in block.lines]
    imports = [line for line in lines if re.match(r"(from|import) ", line)]
    assert imports
    exec("\n".join(imports), {})


EXAMPLES_ON_THE_DEMO = {
    "load_manifest()": 'load_manifest("zoo/streets/zoo.yaml")',
    "isanet_r50-d8_512x1024_40k_cityscapes": DEMO_ROW,
    '"file.pth"': f'next(Path("zoo/streets/weights").glob("{DEMO_ROW}*"))',
    '"cuda:0"': '"cpu"',
    '"/data"': '"zoo/streets"',
    '"evidence.sqlite"': '"demo/evidence.sqlite"',
    '"results/measurements.jsonl"': '"demo/measurements.jsonl"',
}
"""What an example of the page says -> the same of the demo."""


@pytest.mark.slow
def test_the_examples_of_the_api_page_run_on_the_demo(checkout, monkeypatch, capsys):
    """All but those about downloading: rows, models, predictions, verdicts, recounted numbers, a report."""
    monkeypatch.setenv("ZOO_HOME", "demo")
    names = {"Path": Path, "image_bgr_uint8": cv2.imread("zoo/streets/images/val/street_000.jpg")}
    for block in blocks(DOCS / "api.md"):
        example = "\n".join(block.lines)
        if block.language == "python" and "fetch_all" not in example:
            for said, here in EXAMPLES_ON_THE_DEMO.items():
                example = example.replace(said, here)
            exec(example, names)
    assert names["labels"].shape == (256, 512)
    assert names["scores"].shape == (8, 256, 512)
    assert "miou 76.63 reproduced 0.0" in capsys.readouterr().out
    assert "4 reproduced" in re.sub(r"<[^>]+>", "", names["page"])


@pytest.mark.slow
def test_the_readmes_ten_lines_score_the_demo(tmp_path, monkeypatch, capsys):
    """The demo's ISANet on its scenes as a folder: the demo's number."""
    streets = load_manifest(STREETS / "zoo.yaml")
    folder = tmp_path / "data" / "streets"
    shutil.copytree(STREETS / "images" / "val", folder / "images")
    shutil.copytree(STREETS / "annotations" / "val", folder / "labels")
    (folder / "classes.txt").write_text("\n".join(streets[DEMO_ROW].dataset_spec.classes), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (block,) = (one for one in blocks(README) if one.language == "python")
    names = {"network": streets[DEMO_ROW].load(next((STREETS / "weights").glob(f"{DEMO_ROW}*")))}
    exec("\n".join(block.lines), names)
    assert f"{names['scores'].miou_percent:.2f}" == "76.63"
    assert "mIoU 76.63" in capsys.readouterr().out


def test_every_name_of_the_api_pages_table_exists():
    """Modules can be imported, and have the functions and records that are named beside them."""
    for modules, answers in markdown_table(DOCS / "api.md", "module"):
        names = re.findall(r"`([A-Za-z_]+)(?:\(.*?\))?`", answers)
        paths = re.findall(r"`([a-z_.]+)`", modules)
        folder = paths[0].rpartition(".")[0]
        found = [importlib.import_module(p if p.startswith("segbench") else f"{folder}.{p}") for p in paths]
        missing = [name for name in names if not any(hasattr(module, name) for module in found)]
        assert not missing, f"{modules}: {missing}"


# --- tables that repeat what the code says ------------------------------------------------------------------


def test_the_verdicts_are_those_of_the_code():
    """Word, meaning and exit code of each."""
    found = markdown_table(DOCS / "verdicts.md", "verdict")
    assert found == [
        [f"`{status.value}`", text, str(int(of_status(status)))] for status, text in MEANINGS.items()
    ]


@pytest.mark.slow
def test_the_bands_are_those_of_the_code():
    """Limits of each kind of figure, and the reason that reports give for them."""
    bands = {
        "mIoU, by default": DEFAULT,
        "mIoU of sssegmentation": load_manifest().publishers["sssegmentation"].tolerance,
        "training memory": METRICS["train_memory"].tolerance,
        "images a second": METRICS["fps"].tolerance,
    }
    found = {row[0]: row[1:] for row in markdown_table(DOCS / "verdicts.md", "figure")}
    assert found.keys() == bands.keys()
    for name, band in bands.items():
        limits = [band.limit_text(limit) for limit in (band.reproduced, band.drift)]
        assert [cell.removesuffix(" points") for cell in found[name][:2]] == limits
        assert found[name][2] in band.describe()


@pytest.mark.slow
def test_the_definitions_of_miou_are_those_of_the_code(kept_demo, capsys):
    """The demo's numbers by every rule, as `zoo report --definitions` prints them."""
    ledger = str(kept_demo / "measurements.jsonl")
    manifest = str(ROOT / "zoo/streets/zoo.yaml")
    assert (
        main(["report", DEMO_ROW, "--definitions", "--json", "--manifest", manifest, "--ledger", ledger]) == 0
    )
    records = [one for one in json.loads(capsys.readouterr().out) if one["metric"] == "miou"]
    found = markdown_table(DOCS / "verdicts.md", "definition")
    assert found == [[one["definition"], f"{one['mIoU']:.2f}", one["rule"]] for one in records]


@pytest.mark.slow
@pytest.mark.parametrize("printed", ["76.50", "77.63"])
def test_the_examples_of_what_rounding_explains_are_real(printed, kept_demo, tmp_path, capsys):
    """A claim that is off by so much gets the words on the page."""
    text = (ROOT / "zoo/streets/zoo.yaml").read_text(encoding="utf-8")
    altered = tmp_path / "zoo.yaml"
    altered.write_text(text.replace('"76.63"', f'"{printed}"'), encoding="utf-8")
    ledger = str(kept_demo / "measurements.jsonl")
    main(["report", DEMO_ROW, "--json", "--manifest", str(altered), "--ledger", ledger])
    verdict = json.loads(capsys.readouterr().out)[0]
    example = f"{printed} → 76.63 ({verdict['delta']:+.2f}) {verdict['status']} {verdict['reason']}"
    assert example in " ".join((DOCS / "verdicts.md").read_text(encoding="utf-8").split())


def test_every_packaged_data_set_is_on_the_data_page():
    table = (DOCS / "data.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_-]+)`", table))
    named |= {f"camvid{part}" for part in named if part.startswith("-")}
    assert set(load_manifest().datasets) <= named


def test_the_fields_of_a_protocol_are_all_explained():
    """Each field of `EvalProtocol` that can change a number, with the value it has where nothing is said."""
    cells = [row[0] for row in markdown_table(DOCS / "protocols.md", "field")]
    found = [name.strip("` ") for cell in cells for name in cell.split(",")]
    assert sorted(found) == sorted(set(EvalProtocol.__struct_fields__) - {"name", "description"})


def test_the_figure_and_the_table_of_the_protocols_are_of_today():
    """docs/figures.py would write the same again."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "figures.py"), "--check"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "as it should be\n"), done.stderr


# --- links --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(page):
    """Of every relative link and picture."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page):
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reachable_from_the_readme():
    """No page of docs/ is an orphan."""
    links = re.findall(r"\]\(docs/([^)#\s]+)", README.read_text(encoding="utf-8"))
    assert {page.name for page in DOCS.glob("*.md")} <= set(links)
