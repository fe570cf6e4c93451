"""The printed Mem column foretold: the bars, the command, the verdicts, the record."""

import contextlib
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import full_zoo
import msgspec
import pytest

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.measuring.training_memory import (
    RULE,
    RUN,
    TRACED,
    UNIT_BYTES,
    MemoryProtocol,
    NotTrainable,
    Setup,
    claim_protocol,
    foretell,
    memory_claim,
    predict,
    run_record,
)

pytestmark = pytest.mark.slow

ROW = "isanet_r50-d8_512x1024_40k_cityscapes"
PAGE = Path(__file__).resolve().parents[3] / "docs/memory.md"
SMALL = Setup(batch=2, crop=(64, 64))
PROGRAM = """
import contextlib, io, json, resource, sys, time
from segbench.zoo.cli import main

def told(*arguments):
    started, out = time.monotonic(), io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*arguments, "--json"])
    with open("/proc/self/status") as file:  # getrusage counts what the process was before it began this program
        (peak,) = [1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM")]
    return [code, json.loads(out.getvalue()), time.monotonic() - started, peak]

print(json.dumps(told("memory", "--manifest", sys.argv[1])))
"""


def zoo(capsys, *arguments):
    """Exit code, stdout and stderr of one command."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


class Told(NamedTuple):
    """What a command over all rows ended with and printed, its seconds, and its own process's peak bytes of main memory."""

    code: int
    records: list[dict[str, Any]]
    seconds: float = math.nan
    nbytes: float = math.nan


R50, ALL = "isanet_r50-*", "isanet_*"
with_r101 = pytest.mark.parametrize("whole_zoo", [pytest.param(ALL, marks=pytest.mark.golden)], indirect=True)
of_each = pytest.mark.parametrize(
    "whole_zoo", [R50, pytest.param(ALL, marks=pytest.mark.golden)], indirect=True
)


@pytest.fixture(scope="module")
def whole_zoo(request, tmp_path_factory):
    """What `zoo memory` told of the rows of ISANet that print a figure: of half of them, or of all in a process apart."""
    home = tmp_path_factory.mktemp("whole")
    places = {"ZOO_HOME": home / "home", "ZOO_LOCK": home / "zoo.lock", "TORCH_HOME": home / "torch"}
    with pytest.MonkeyPatch.context() as patch:
        for name, place in places.items():
            patch.setenv(name, str(place))
        return in_this_process(R50) if request.param == R50 else in_its_own_process(home)


def in_this_process(rows):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(["memory", "--manifest", str(full_zoo.PATH), rows, "--json", "-q"])
    told = Told(code, json.loads(out.getvalue()))
    assert len(told.records) == 8
    return told


def in_its_own_process(folder):
    program = [sys.executable, "-c", PROGRAM, str(full_zoo.PATH)]
    threads = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True, cwd=folder, env=threads)
    told = Told(*json.loads(done.stdout))
    assert len(told.records) == 16
    return told


@pytest.fixture(scope="module")
def figures(whole_zoo):
    """(depth, crop, classes) -> (foretold, published), both in MiB / 1000; of two rows each."""
    return {
        (
            full_zoo.ZOO[record["checkpoint"]].architecture["depth"],
            tuple(record["crop"]),
            record["classes"],
        ): (record["foretold"], float(record["published"]))
        for record in whole_zoo.records
    }


SETS = {
    "Cityscapes 512x1024": ((512, 1024), 19),
    "Cityscapes 769x769": ((769, 769), 19),
    "ADE20K": ((512, 512), 150),
    "VOC": ((512, 512), 21),
}


@of_each
def test_every_printed_memory_is_foretold_within_2_percent(whole_zoo, figures):
    """The bar; what is held is 0.1 % where three decimals are printed, and the printed digit where one is."""
    assert len(figures) == len(whole_zoo.records) / 2
    for foretold, published in figures.values():
        assert foretold == pytest.approx(published, rel=0.02)
        assert foretold == pytest.approx(published, rel=0.001)


@with_r101
@pytest.mark.parametrize("name", SETS)
def test_the_step_from_r50_to_r101_is_foretold_within_half_a_percent(figures, name):
    (small, small_printed), (large, large_printed) = (figures[(depth, *SETS[name])] for depth in (50, 101))
    assert large - small == pytest.approx(large_printed - small_printed, rel=0.005)


@of_each
def test_the_step_from_voc_to_ade20k_is_foretold_within_1_percent(figures):
    for depth in {depth for depth, *_ in figures}:
        (ade, ade_printed), (voc, voc_printed) = (figures[(depth, *SETS[name])] for name in ("ADE20K", "VOC"))
        assert ade - voc == pytest.approx(ade_printed - voc_printed, rel=0.01)


@of_each
def test_the_column_is_mib_by_1000_and_nothing_else(figures):
    """Read as GB or GiB every figure is off by more than the bar."""
    for foretold, published in figures.values():
        nbytes = foretold * UNIT_BYTES
        assert nbytes / 1e9 != pytest.approx(published, rel=0.02)
        assert nbytes / 2**30 != pytest.approx(published, rel=0.02)


@of_each
def test_all_of_them_are_reproduced(whole_zoo):
    assert whole_zoo.code == 0
    assert {record["status"] for record in whole_zoo.records} == {"reproduced"}


@with_r101
def test_all_16_rows_take_less_than_90_seconds_and_4_gb(whole_zoo):
    assert whole_zoo.seconds < 90
    assert whole_zoo.nbytes < 4e9


def test_verify_without_data_and_weights_gives_every_reason(capsys, tmp_path, monkeypatch):
    """A row with a printed memory and one without: that memory is reproduced all the same, the rest has its reason, exit 3."""
    monkeypatch.chdir(tmp_path)
    rows = ROW, "isnet_resnet50os8_lip"
    code, out, _ = zoo(capsys, "verify", "--manifest", full_zoo.PATH, *rows, "--offline", "-q", "--json")
    verdicts = json.loads(out)
    assert code == 3
    assert {verdict["checkpoint"] for verdict in verdicts} == set(rows)
    reproduced = [verdict for verdict in verdicts if verdict["status"] == "reproduced"]
    assert [(verdict["checkpoint"], verdict["metric"]) for verdict in reproduced] == [(ROW, "train_memory")]
    others = [verdict for verdict in verdicts if verdict not in reproduced]
    assert {verdict["status"] for verdict in others} == {"not measured", "not published"}
    assert all(verdict["reason"] for verdict in others)


@of_each
def test_convolution_workspace_decides_no_published_row(whole_zoo):
    """So that its being a bound costs the figures nothing."""
    for record in whole_zoo.records:
        assert record["breakdown_bytes"]["convolution workspace"] == 0
        assert record["workspace_margin_bytes"] > 0


@of_each
def test_the_page_shows_what_the_command_prints(whole_zoo):
    """docs/memory.md was made by `zoo memory`; here its figures are made again."""
    shown = re.findall(
        r"^ +(isanet_\S+) +(\d) +(\S+) +(\d+) +(\S+) +(\S+) +(\S+ %) +reproduced$",
        PAGE.read_text(),
        re.MULTILINE,
    )
    made = [
        (
            record["checkpoint"],
            str(record["batch"]),
            "x".join(map(str, record["crop"])),
            str(record["classes"]),
            f"{record['foretold']:.3f}",
            record["published"],
            f"{record['difference_percent']:+.2f} %",
        )
        for record in whole_zoo.records
    ]
    told = {record["checkpoint"] for record in whole_zoo.records}
    assert [one for one in shown if one[0] in told] == made


def test_a_single_row_is_shown_with_its_parts(capsys):
    code, out, _ = zoo(capsys, "memory", ROW, "--batch", "2", "--crop", "64x128", "--fits", "24")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith(ROW))
    assert re.fullmatch(rf"{ROW} +2 +64x128 +19 +0\.\d{{3}} +5\.869 +– +not comparable +\d\.\d\d +yes", line)
    assert "not comparable: published for another batch, crop or number of classes" in out
    for part in (
        "weights",
        "all-reduce bucket",
        "layer3",
        "logits and loss",
        "convolution workspace",
        "peak",
    ):
        assert re.search(rf"^{part} +[\d,]+\.\d", out, re.MULTILINE), part


def test_a_card_can_be_too_small(capsys):
    _, out, _ = zoo(capsys, "memory", ROW, "--crop", "64x128", "--fits", "0.5", "--json")
    record = json.loads(out)[0]
    assert record["fits"] is False
    assert record["reserved_bytes"] > 0.5 * 2**30


def test_batch_and_classes_count(capsys):
    """Twice the images are nearly twice the activations; more classes are more logits; weights stay."""

    def breakdown(*arguments):
        _, out, _ = zoo(capsys, "memory", ROW, "--crop", "256x512", "--json", *arguments)
        return json.loads(out)[0]["breakdown_bytes"]

    two, four, classes = breakdown(), breakdown("--batch", 4), breakdown("--classes", 150)
    assert four["layer3"] / two["layer3"] == pytest.approx(2, rel=0.05)
    assert four["momentum"] == pytest.approx(two["momentum"], rel=0.02)
    assert classes["logits and loss"] > 5 * two["logits and loss"]


def test_a_row_without_a_printed_figure_is_foretold_for_the_batch_asked_for(capsys):
    code, out, _ = zoo(capsys, "memory", "isnet_resnet50os8_lip", "--batch", 2, "--crop", "64x64", "--json")
    record = json.loads(out)[0]
    assert code == 0
    assert (record["status"], record["published"], record["difference_percent"]) == (
        "not published",
        None,
        None,
    )
    assert record["foretold"] > 0.5


UNBUILT = """
version: 1
include: [segbench:*.yaml, segbench:mmsegmentation/*.yaml]
checkpoints:
  - id: unbuilt
    publisher: me
    method: New
    backbone: NewNet
    dataset: cityscapes
    crop: [64, 64]
    schedule: none
    architecture: {backbone: {type: NewNet}, head: {type: fcn}, num_classes: 19}
    weights: {layout: mmseg, urls: ["https://example.org/new.pth"]}
    claims:
      - {metric: train_memory, printed: "1.00", batch: 2, crop: [64, 64]}
"""


def test_a_row_that_cannot_be_traced_is_a_line_with_its_reason(capsys, tmp_path):
    """Beside one that can; a training in mixed precision is foretold and not compared."""
    manifest = tmp_path / "zoo.yaml"
    manifest.write_text(UNBUILT)
    mixed, adam = "bisenetv2_fcn_fp16_4x4_1024x1024_160k_cityscapes", "segformer_mit-b0_512x512_160k_ade20k"
    rows = (ROW, "unbuilt", mixed, adam, "--manifest", manifest)
    code, out, _ = zoo(capsys, "memory", *rows, "--crop", "64x64", "--batch", 2, "--json")
    found = {record["checkpoint"]: record for record in json.loads(out)}
    assert (code, len(found)) == (3, 4)
    assert found["unbuilt"]["status"] == "not measured"
    assert found["unbuilt"]["reason"].startswith("not built yet: ")
    assert "peak_bytes" not in found["unbuilt"]
    assert found[mixed]["reason"] == "published for mixed precision, and the step is float32's"
    assert [found[name]["optimizer"] for name in (ROW, adam)] == ["SGD", "AdamW"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["isnet_resnet50os8_lip"],
            2,
            "isnet_resnet50os8_lip: its publisher names no images a device; say how many",
        ),
        ([ROW, "--batch", "0"], 2, "expected a whole number from 1 on, found '0'"),
        ([ROW, "--crop", "512"], 2, "expected height x width in pixels, such as 512x1024, found '512'"),
        ([ROW, "--fits", "nan"], 2, "expected the card's GiB, such as 24, found 'nan'"),
        ([ROW, "--batch", "1", "--crop", "8x8"], 2, "no training step with 1 image(s) of 8x8: "),
        ([ROW, "--measure", "--device", "cpu"], 3, "--device cpu: only a CUDA device counts its memory"),
        (["nope_*"], 5, "nothing selected by 'nope_*'"),
    ],
)
def test_mistakes_have_one_message_and_a_code(capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = zoo(capsys, "memory", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("zoo: ")
    assert message in err
    assert err.count("\n") == 1


def test_measuring_without_a_gpu_is_one_message_and_exit_3(capsys, tmp_path, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    monkeypatch.chdir(tmp_path)
    code, out, err = zoo(capsys, "memory", ROW, "--measure")
    assert (code, out) == (3, "")
    assert "sees no CUDA device here" in err
    assert not (tmp_path / "results").exists()


def test_a_real_device_is_measured_and_recorded(capsys, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: nothing can be measured")
    place = tmp_path / "ledger.jsonl"
    code, out, _ = zoo(capsys, "memory", ROW, "--measure", "--ledger", place, "--json")
    record = json.loads(out)[0]
    assert code == 0
    assert abs(record["peak_bytes"] / record["measured"]["allocated_bytes"] - 1) < 0.03
    assert [line.protocol for line in ledger.read(place, Measurement)] == [RUN]


def test_a_run_is_recorded_under_its_own_protocol(tmp_path):
    """The record of a device's step, made from figures that a device would give."""
    import torch

    from segbench.models.trace.memory import MeasuredMemory

    row = load_manifest()[ROW]
    foretold_bytes = predict(row, SMALL).peak_bytes
    measured = MeasuredMemory(
        allocated_bytes=foretold_bytes * 4 // 5,
        reserved_bytes=3 * 2**30,
        device_bytes=4 * 2**30,
        seconds=1.5,
    )
    setup = SMALL.completed(row)
    record = run_record(row, setup, measured, foretold_bytes, torch.device("cpu"))
    ledger.append(tmp_path / "ledger.jsonl", record)
    assert ledger.read(tmp_path / "ledger.jsonl", Measurement) == [record]
    assert (record.protocol, record.value) == (RUN, measured.allocated_bytes / UNIT_BYTES)
    assert record.protocol_digest != foretell(load_manifest()[ROW], Setup()).protocol_digest
    assert record.details["prediction_minus_measured_percent"] == pytest.approx(25, abs=0.01)
    assert (record.details["reserved_mib"], record.details["device_mib"]) == (3072.0, 4096.0)
    assert (record.details["batch"], record.details["crop"], record.details["classes"]) == (2, [64, 64], 19)
    assert record.environment["cudnn_benchmark"] is False


def test_the_digest_names_everything_a_figure_depends_on():
    first, second, other = (
        load_manifest()[name]
        for name in (ROW, "isanet_r50-d8_512x1024_80k_cityscapes", "isanet_r101-d8_512x1024_40k_cityscapes")
    )
    protocol = claim_protocol(first)
    assert protocol == MemoryProtocol(
        name=TRACED,
        rule=RULE,
        architecture={"builder": "isanet_mmseg", "depth": 50, "num_classes": 19},
        setup=Setup(batch=2, crop=(512, 1024), classes=19),
    )
    assert protocol.digest() == claim_protocol(second).digest() != claim_protocol(other).digest()
    changed = msgspec.structs.replace(protocol, setup=Setup(batch=4, crop=(512, 1024), classes=19))
    assert changed.digest() != protocol.digest()


def test_a_record_says_how_it_came_about():
    record = foretell(load_manifest()[ROW], Setup())
    assert (record.protocol, record.image_count, record.weights_sha256, record.dataset) == (TRACED, 0, "", "")
    assert sum(record.details["breakdown_mib"].values()) == pytest.approx(1000 * record.value, abs=0.01)
    assert record.details["peak_at"] == "logits and loss: _log_softmax_backward_data"


def test_verify_and_report_judge_memory_without_weights_data_or_gpu(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = zoo(capsys, "verify", ROW, "--metric", "train_memory", "--offline", "--json", "-q")
    verdict = json.loads(out)[0]
    assert (code, verdict["status"], verdict["published"]) == (0, "reproduced", "5.869")
    place = tmp_path / "results/measurements.jsonl"
    assert len(ledger.read(place, Measurement)) == 1
    zoo(capsys, "verify", ROW, "--metric", "train_memory", "--offline", "-q")
    assert len(ledger.read(place, Measurement)) == 1  # the same figure is not recorded twice
    code, out, _ = zoo(capsys, "report", ROW, "--json")
    judged = {verdict["metric"]: verdict for verdict in json.loads(out)}
    assert (code, judged["train_memory"]) == (0, verdict)


def test_a_wrong_claim_is_refuted(capsys, tmp_path, monkeypatch):
    """The R-101 row with the R-50 row's figure, as a copied cell would have it."""
    monkeypatch.chdir(tmp_path)
    text = full_zoo.YAML
    (tmp_path / "zoo.yaml").write_text(text.replace('printed: "9.425"', 'printed: "5.869"'), encoding="utf-8")
    row = "isanet_r101-d8_512x1024_40k_cityscapes"
    code, out, _ = zoo(capsys, "memory", row, "--manifest", "zoo.yaml", "--json")
    assert (code, json.loads(out)[0]["status"]) == (1, "refuted")
    code, out, _ = zoo(
        capsys,
        "verify",
        row,
        "--manifest",
        "zoo.yaml",
        "--metric",
        "train_memory",
        "--offline",
        "--json",
        "-q",
    )
    assert (code, json.loads(out)[0]["reason"]) == (
        1,
        "differs by more than 0.29395 GB: 5 % and half a unit of the last printed digit",
    )


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_a_printed_nothing_has_no_percent_to_differ_by(capsys, tmp_path, monkeypatch, flag):
    """It is refuted as any other figure."""
    monkeypatch.chdir(tmp_path)
    text = full_zoo.YAML
    (tmp_path / "zoo.yaml").write_text(text.replace('printed: "9.425"', 'printed: "0"'), encoding="utf-8")
    row = "isanet_r101-d8_512x1024_40k_cityscapes"
    code, out, _ = zoo(capsys, "memory", row, "--manifest", "zoo.yaml", *flag)
    assert code == 1
    assert "refuted" in out
    if flag:
        assert json.loads(out)[0]["difference_percent"] is None


def test_the_printed_figure_is_the_claim_of_16_rows():
    printed = [claim.printed for row in full_zoo.ZOO if (claim := memory_claim(row))]
    assert len(printed) == 16
    assert len(set(printed)) == 8


def test_without_a_batch_there_is_no_step():
    with pytest.raises(NotTrainable, match="say how many with --batch"):
        Setup().completed(load_manifest()["isnet_resnet50os8_lip"])
