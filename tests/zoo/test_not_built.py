"""A row whose network is not there says `not built yet` wherever it is met, and never counts as measured."""

import json
import subprocess
import sys

import pytest
from PIL import Image
from small_manifest import SMALL

from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest

WHY = "not built yet: backbone NewNet"
BUILT = "{builder: isanet_mmseg, depth: 101, num_classes: 2}"
UNBUILT = (
    "{backbone: {type: NewNet}, head: [{type: fcn}, {type: knet, generator: {type: psp}}], num_classes: 2}"
)


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(SMALL.replace(BUILT, UNBUILT), encoding="utf-8")
    return path


def told(capsys, *arguments):
    code = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_has_a_column_for_it_where_some_row_needs_one(capsys, manifest, tmp_path):
    lines = told(capsys, "list", "--manifest", manifest)[1].splitlines()
    assert [line.endswith("not built yet") for line in lines[2:]] == [False, True]
    whole = tmp_path / "whole.yaml"
    whole.write_text(SMALL, encoding="utf-8")
    assert "built" not in told(capsys, "list", "--manifest", whole)[1]


def test_show_names_the_parts(capsys, manifest):
    assert WHY in told(capsys, "show", "second", "--manifest", manifest)[1]
    assert "not built" not in told(capsys, "show", "first", "--manifest", manifest)[1]
    (record,) = json.loads(told(capsys, "show", "second", "--json", "--manifest", manifest)[1])
    assert record["not_built"] == WHY


@pytest.mark.parametrize("command", ["verify", "report"])
def test_its_figures_are_not_measured_for_that_reason(capsys, manifest, tmp_path, command):
    """Before anything is fetched: no data set and no weights are looked for."""
    (tmp_path / "ledger.jsonl").touch()
    flags = ["--ledger", tmp_path / "ledger.jsonl"]
    code, out, _ = told(capsys, command, "second", "--manifest", manifest, "--json", *flags)
    (claim,) = json.loads(out)
    assert (claim["status"], claim["reason"]) == ("not measured", WHY)
    assert code == 0 or command == "verify"


def test_doctor_counts_them(capsys, manifest):
    assert "of 1 of 2 checkpoints not built yet" in told(capsys, "doctor", "--manifest", manifest)[1]
    assert json.loads(told(capsys, "doctor", "--json", "--manifest", manifest)[1])["not_built"] == 1


def test_what_needs_the_network_says_so(capsys, manifest, tmp_path):
    row = load_manifest(manifest)["second"]
    with pytest.raises(ValueError, match=f"second: {WHY}"):
        row.build()
    expected = (3, "", f"zoo: second: {WHY}\n")
    assert told(capsys, "memory", "second", "--batch", "2", "--manifest", manifest) == expected


def test_nothing_is_fetched_for_what_cannot_be_run(capsys, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.zoo.commands.predict.fetch", None)  # who calls it fails
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    flags = ["--manifest", manifest, "--out", tmp_path / "out"]
    expected = (3, "", f"zoo: second: {WHY}\n")
    assert told(capsys, "predict", "second", tmp_path / "picture.png", *flags) == expected


@pytest.mark.slow
def test_it_is_known_without_torch(manifest):
    program = (
        "import sys; from segbench.zoo.manifest import load_manifest;"
        f"rows = load_manifest({str(manifest)!r}); print(rows['second'].not_built, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{WHY} False"
