"""Training memory is foretold once: the record is told again without torch, until anything it rests on is another."""

import subprocess
import sys

import msgspec
import pytest

from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring import foretold as kept
from segbench.zoo.measuring.foretold import foretold

ROW = "isanet_r50-d8_512x512_20k_voc12aug"


@pytest.fixture
def row(monkeypatch):
    """A row, with every prediction counted in `calls` in place of being made anew."""
    calls, real = [], kept.foretell
    monkeypatch.setattr(kept, "foretell", lambda *how: calls.append(how[0].id) or real(*how))
    return load_manifest()[ROW], calls


@pytest.mark.slow
def test_the_same_record_is_told_again(row, tmp_path):
    checkpoint, calls = row
    first = foretold(checkpoint, tmp_path)
    assert foretold(checkpoint, tmp_path) == first
    assert calls == [ROW]


@pytest.mark.slow
def test_another_network_step_or_code_is_foretold_anew(row, tmp_path, monkeypatch):
    """A row whose id alone is the same, one trained by another crop, a program of tomorrow, and a damaged file."""
    checkpoint, calls = row
    first = foretold(checkpoint, tmp_path)
    thinner = msgspec.structs.replace(
        checkpoint, architecture=checkpoint.architecture | {"isa_channels": 128}
    )
    assert foretold(thinner, tmp_path).value < first.value
    claims = tuple(
        msgspec.structs.replace(one, crop=(256, 256)) if one.metric == "train_memory" else one
        for one in checkpoint.claims
    )
    assert foretold(msgspec.structs.replace(checkpoint, claims=claims), tmp_path).value < first.value
    assert len(calls) == 3
    monkeypatch.setattr(kept, "code_digest", lambda: "of tomorrow")
    foretold(checkpoint, tmp_path)
    foretold(checkpoint, tmp_path)
    assert len(calls) == 4
    (tmp_path / "training_memory.json").write_text("{")
    foretold(checkpoint, tmp_path)
    assert len(calls) == 5


@pytest.mark.slow
def test_verify_answers_without_torch_the_second_time(tmp_path, capsys):
    command = [
        "verify",
        ROW,
        "--metric",
        "train_memory",
        "--offline",
        "--json",
        "-q",
        "--ledger",
        str(tmp_path / "l.jsonl"),
    ]
    code = main(command)
    first = capsys.readouterr().out
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(sys.argv[1:]);"
        "sys.exit('imported torch' if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (code, "", first)
