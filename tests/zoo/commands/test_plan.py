"""`zoo plan`: work from pixels, speed from the ledger, and always what it rests on."""

import json
import subprocess
import sys

import msgspec
import pytest

from segbench.evaluate import EvalProtocol, SlidingWindow
from segbench.models.trace.cost import network_cost
from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.commands import plan as plan_command
from segbench.zoo.commands.plan import duration
from segbench.zoo.demo import STREETS
from segbench.zoo.files import places
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.results.estimates import Speeds, estimates, network_inputs, work_gflops
from segbench.zoo.results.operations import network_digest

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


class Table:
    """Operations that are known of some sizes, whatever the network."""

    def __init__(self, **gflops):
        self.gflops = {tuple(map(int, name[1:].split("x"))): value for name, value in gflops.items()}

    def known(self, row, size):
        del row
        return self.gflops.get(size)


def test_counted_operations_are_added_view_by_view():
    """256 x 512 at half, whole and one and a half size with mirrored views; a size that is not counted spoils it."""
    row = load_manifest(STREETS / "zoo.yaml")["isanet_r50-d8_w16_256x512_0.8k_streets"]
    protocol = EvalProtocol(base_scale=(512, 256), scales=(0.5, 1.0, 1.5), flip=True)
    assert network_inputs((256, 512), protocol) == {(128, 256): 2, (256, 512): 2, (384, 768): 2}
    table = Table(s128x256=1.0, s256x512=5.0, s384x768=14.0)
    assert work_gflops(row, protocol, table) == (40.0, True)
    assert work_gflops(row, protocol, Table(s128x256=1.0)) is None
    windows = EvalProtocol(base_scale=None, window=SlidingWindow(crop=(100, 100), stride=(60, 60)))
    assert network_inputs((100, 160), windows) == {(100, 100): 2}
    assert network_inputs((80, 160), windows) == {(80, 100): 2}


def test_the_nearest_speed_is_taken():
    """This network before its family, that before a probe, that before everything else, that before what is stated."""
    rows = load_manifest(STREETS / "zoo.yaml")
    row = rows["isanet_r50-d8_w16_256x512_0.8k_streets"]
    table = Table(s256x512=100.0)
    every = Speeds(
        device="cpu",
        networks={network_digest(row): 50.0},
        families={"isanet_mmseg": 25.0},
        probes={network_digest(row): 20.0, "isanet_mmseg": 10.0},
        gflops_per_second=5.0,
    )
    leaving_out = msgspec.structs.replace
    found = [
        (one.seconds_per_image, one.basis)
        for known, tflops in [
            (every, 0.001),
            (leaving_out(every, networks={}), 0.001),
            (leaving_out(every, networks={}, families={}), 0.001),
            (leaving_out(every, networks={}, families={}, probes={"isanet_mmseg": 10.0}), 0.001),
            (Speeds(device="cpu", gflops_per_second=5.0), 0.001),
            (Speeds(device="cpu"), 0.001),
            (Speeds(device="cpu"), None),
        ]
        for one in estimates([row], known, tflops, table)
        if one.metric == "miou"
    ]
    assert found == [
        (2.0, "network"), (4.0, "family"), (5.0, "probed"), (10.0, "probed"), (20.0, "scaled"), (100.0, "stated"), (None, "unknown"),
    ]  # fmt: skip


def demo_ledger(path, name="isanet_r50-d8_w16_256x512_0.8k_streets", metrics=("miou",), manifest=None):
    """Measurements of one of the demo's rows, half a second an image."""
    row = load_manifest(manifest or STREETS / "zoo.yaml")[name]
    for metric in metrics:
        ledger.append(path, record(row, metric, environment={"device": "cpu"}, seconds=10.0))
    return row


@pytest.mark.slow
def test_operations_are_counted_once_and_then_known_without_torch(tmp_path, capsys):
    """At the views' own sizes, with what attention takes; a damaged file of them is counted anew."""
    path, kept = tmp_path / "ledger.jsonl", places.zoo_home() / "operations.json"
    manifest, all_scales = tmp_path / "zoo.yaml", "scales: [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]"
    manifest.write_text((STREETS / "zoo.yaml").read_text().replace(all_scales, "scales: [1.0, 1.75]"))
    row = demo_ledger(path, "isnet_resnet50os8_w16_streets", manifest=manifest)
    command = [row.id, "--manifest", manifest, "--ledger", path]
    code, said = plan(capsys, *command)
    many = json.loads(said.out)["claims"][1]
    sizes = [(256, 512), (448, 896)]
    gflops = [network_cost(row.build, size).gflops for size in sizes]
    assert (code, many["basis"], many["is_counted"]) == (0, "network", True)
    assert many["gflops_per_image"] == pytest.approx(2 * sum(gflops))
    assert many["seconds_per_image"] == pytest.approx(0.5 * 2 * sum(gflops) / gflops[0])
    assert gflops[1] > 1.2 * gflops[0] * (448 * 896) / (256 * 512)  # attention over the whole image
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(sys.argv[1:]);"
        "sys.exit('imported torch' if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "plan", "--json", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", said.out)
    kept.write_bytes(kept.read_bytes()[:-9])
    assert plan(capsys, *command)[1].out == said.out


def test_a_deadline_says_how_many_devices(tmp_path, capsys):
    """Twelve images of half a second each, by two protocols, are 12 s: 3 devices within 5 s, 1 within an hour."""
    path = tmp_path / "ledger.jsonl"
    row = demo_ledger(path, metrics=("miou", "miou_ms_flip"))
    command = [row.id, "--manifest", STREETS / "zoo.yaml", "--ledger", path]
    found = [json.loads(plan(capsys, *command, "--within", hours)[1].out) for hours in (5 / 3600, 1)]
    assert [one["devices_within"] for one in found] == [3, 1]
    assert main(["plan", *map(str, command), "--within", "1"]) == 0
    assert "Within 1 h: 1 such device\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_probe_times_one_picture_of_what_was_not_measured(tmp_path, capsys, monkeypatch):
    """Two seconds a picture of 256 x 512: the same for that view, and for the others by their operations."""
    monkeypatch.setattr("segbench.zoo.measuring.probe.probe_seconds", lambda row, size, *_: 2.0)
    row = load_manifest(STREETS / "zoo.yaml")["isanet_r50-d8_w16_256x512_0.8k_streets"]
    code, said = plan(
        capsys, row.id, "--manifest", STREETS / "zoo.yaml", "--ledger", tmp_path / "none", "--probe"
    )
    single, many = json.loads(said.out)["claims"]
    assert (code, single["basis"], many["basis"]) == (0, "probed", "probed")
    assert single["seconds_per_image"] == pytest.approx(2.0)
    assert many["seconds_per_image"] == pytest.approx(
        2.0 * many["gflops_per_image"] / single["gflops_per_image"]
    )


def test_what_is_not_known_is_no_time_at_all(tmp_path, capsys, uncounted):
    """A folder of one's own has images of other sizes, so its seconds an image are not the row's."""
    path = tmp_path / "ledger.jsonl"
    row = load_manifest(STREETS / "zoo.yaml")["isanet_r50-d8_w16_256x512_0.8k_streets"]
    ledger.append(path, record(row, "miou", environment={"device": "cpu"}, dataset="folder:mine"))
    command = ["plan", row.id, "--manifest", STREETS / "zoo.yaml", "--ledger", path]
    assert main([*map(str, command)]) == 3
    assert "no measured speed there" in capsys.readouterr().err
    demo_ledger(path, "isnet_resnet50os8_w16_streets")
    assert main([*map(str, command), "--within", "1"]) == 0
    table, told, *meanings = capsys.readouterr().out.strip().split("\n\n")
    assert table.count("unknown") == 2
    assert told == (
        "How long this takes is not known: --probe times a picture, zoo verify --limit 20 a few, --tflops states a speed"
    )
    assert meanings == [
        "unknown: its operations, or the speed of anything near it, are not known; not in the total"
    ]


def test_what_would_take_long_to_count_is_said(tmp_path, capsys, uncounted):
    path = tmp_path / "ledger.jsonl"
    row = demo_ledger(path)
    code, said = plan(capsys, row.id, "--manifest", STREETS / "zoo.yaml", "--ledger", path)
    assert (code, json.loads(said.out)["unknown"]) == (0, 1)
    assert said.err == (
        "zoo: operations of 6 networks and sizes are not counted yet; --count counts them once, in up to 6 s, and they are kept\n"
    )


def test_work_is_counted_in_the_pixels_of_every_view():
    """Whole images: the cost itself; six scales and flip: twice the sum of their squares; windows: overlap too."""
    row = load_manifest()[ROW]
    assert row.cost.size == (1024, 2048)
    assert work_gflops(row, row.protocol("miou")) == (row.cost.gflops, False)
    squares = sum(ratio**2 for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75))
    assert work_gflops(row, row.protocol("miou_ms_flip"))[0] == pytest.approx(2 * squares * row.cost.gflops)
    sliding = load_manifest()["isanet_r50-d8_769x769_40k_cityscapes"]
    # 1025 x 2049 in windows of 769 at stride 513: two rows, four columns.
    assert work_gflops(sliding, sliding.protocol("miou"))[0] == pytest.approx(8 * sliding.cost.gflops)
    assert work_gflops(msgspec.structs.replace(row, cost=None), row.protocol("miou")) is None


@pytest.fixture
def uncounted(monkeypatch):
    """Nothing is counted without being asked to: operations go with pixels."""
    monkeypatch.setattr(plan_command, "MOST_COUNTED", 0)


@pytest.mark.slow
def test_measured_speeds_come_first_and_the_rest_is_scaled(tmp_path, capsys, uncounted):
    row = load_manifest()[ROW]
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, record(row, "miou", environment={"device": "cpu"}, seconds=9000.0))
    ledger.append(path, record(row, "miou", environment={"device": "NVIDIA H200", "slots": 2}, seconds=5.0))
    code, said = plan(capsys, ROW, "--gpus", 4, "--ledger", path)
    found = json.loads(said.out)
    single, many = found["claims"]
    assert code == 0
    assert (found["device"], single["basis"], many["basis"]) == ("NVIDIA H200", "measured", "network")
    assert (single["seconds_per_image"], single["seconds"]) == (0.5, 250.0)
    assert many["seconds_per_image"] == pytest.approx(
        0.5 * many["gflops_per_image"] / single["gflops_per_image"]
    )
    assert found["wall_seconds"] == pytest.approx((single["seconds"] + many["seconds"]) / 4)
    code, said = plan(capsys, ROW, "--on", "cpu", "--ledger", path)
    assert json.loads(said.out)["claims"][0]["seconds_per_image"] == 450.0


def test_a_stated_throughput_is_called_one(tmp_path, capsys, uncounted):
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
