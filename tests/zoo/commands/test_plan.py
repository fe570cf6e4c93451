"""`zoo plan`: work from pixels, speed from the ledger, and always what it rests on."""

import json

import msgspec
import pytest

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.commands.plan import duration
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.results.estimates import work_gflops

ROW = "isanet_r50-d8_512x1024_40k_cityscapes"


def record(row, metric, **changes):
    return Measurement(
        **{
            "checkpoint": row.id,
            "metric": metric,
            "value": 78.0,
            "protocol": "p",
            "protocol_digest": row.protocol(metric).digest(),
            "weights_sha256": "w",
            "dataset": row.dataset,
            "dataset_fingerprint": "f",
            "image_count": 20,
            "seconds": 10.0,
            "new_images": 20,
            "precision": "fp32",
            "environment": {"device": "NVIDIA H200"},
            "taken_at": "2026-01-01T00:00:00+00:00",
            **changes,
        }
    )


def plan(capsys, *arguments):
    code = main(["plan", "--json", *map(str, arguments)])
    return code, capsys.readouterr()


def test_work_is_counted_in_the_pixels_of_every_view():
    """Whole images: the cost itself; six scales and flip: twice the sum of their squares; windows: overlap too."""
    row = load_manifest()[ROW]
    assert row.cost.size == (1024, 2048)
    assert work_gflops(row, row.protocol("miou")) == row.cost.gflops
    squares = sum(ratio**2 for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75))
    assert work_gflops(row, row.protocol("miou_ms_flip")) == pytest.approx(2 * squares * row.cost.gflops)
    sliding = load_manifest()["isanet_r50-d8_769x769_40k_cityscapes"]
    # 1025 x 2049 in windows of 769 at stride 513: two rows, four columns.
    assert work_gflops(sliding, sliding.protocol("miou")) == pytest.approx(8 * sliding.cost.gflops)
    assert work_gflops(msgspec.structs.replace(row, cost=None), row.protocol("miou")) is None


@pytest.mark.slow
def test_measured_speeds_come_first_and_the_rest_is_scaled(tmp_path, capsys):
    row = load_manifest()[ROW]
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, record(row, "miou", environment={"device": "cpu"}, seconds=9000.0))
    ledger.append(path, record(row, "miou", environment={"device": "NVIDIA H200", "slots": 2}, seconds=5.0))
    code, said = plan(capsys, ROW, "--gpus", 4, "--ledger", path)
    found = json.loads(said.out)
    single, many = found["claims"]
    assert code == 0
    assert (found["device"], single["basis"], many["basis"]) == ("NVIDIA H200", "measured", "scaled")
    assert (single["seconds_per_image"], single["seconds"]) == (0.5, 250.0)
    assert many["seconds_per_image"] == pytest.approx(
        0.5 * many["gflops_per_image"] / single["gflops_per_image"]
    )
    assert found["wall_seconds"] == pytest.approx((single["seconds"] + many["seconds"]) / 4)
    code, said = plan(capsys, ROW, "--on", "cpu", "--ledger", path)
    assert json.loads(said.out)["claims"][0]["seconds_per_image"] == 450.0


def test_a_stated_throughput_is_called_one(tmp_path, capsys):
    code, said = plan(capsys, ROW, "--tflops", "10", "--ledger", tmp_path / "none")
    found = json.loads(said.out)
    assert code == 0
    assert {claim["basis"] for claim in found["claims"]} == {"stated"}
    assert found["claims"][0]["seconds_per_image"] == pytest.approx(2417.5 / 10000)
    assert main(["plan", ROW, "--tflops", "10", "--ledger", str(tmp_path / "none")]) == 0
    assert "at the throughput given with --tflops; nothing was measured" in capsys.readouterr().out


def test_without_any_speed_nothing_is_guessed(tmp_path, capsys):
    path = tmp_path / "none"
    code, said = plan(capsys, ROW, "--ledger", path)
    assert (code, said.out) == (3, "")
    assert said.err == (
        f"zoo: {path}: no measured speed there; run zoo verify --limit 20 on one row first, or state your device's "
        "throughput with --tflops\n"
    )


def test_durations_are_read_at_a_glance():
    assert [duration(seconds) for seconds in (12.4, 150, 3599, 7500)] == [
        "12 s",
        "2 min",
        "1 h 00 min",
        "2 h 05 min",
    ]
