"""`zoo speed`, its verdicts in `report`, and what `verify` says of speed on a CPU."""

import json

import full_zoo
import msgspec
import pytest

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.quantities.fps import claim_digest

DEMO = ("--manifest", str(STREETS / "zoo.yaml"), "--data-root", str(STREETS))


def speed(*arguments, place):
    return main(["speed", *arguments, "--ledger", str(place), "-q"])


@pytest.mark.slow
def test_the_demo_zoo_is_timed_on_a_cpu(tmp_path, capsys):
    """Three images of each row, random weights, raw times and the proof of the labels on record."""
    place = tmp_path / "ledger.jsonl"
    assert speed("is*", *DEMO, "--device", "cpu", "--limit", "3", "--json", place=place) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["measurement"]["checkpoint"] for one in found] == [
        row.id for row in load_manifest(STREETS / "zoo.yaml")
    ]
    for one, record in zip(found, ledger.read(place, Measurement), strict=True):
        assert one["measurement"] == msgspec.to_builtins(record)
        details = record.details
        assert (record.metric, record.protocol, record.image_count) == ("fps", "fps, 3 images", 3)
        assert record.value == pytest.approx(3000 / sum(details["wall_ms"]), rel=1e-3)
        assert (details["weights"], details["differing_pixels"]) == ("random", 0)
        assert list(details["label_sha256"]) == ["5", "6", "7"]
        assert (one["warnings"], one["verdict"]) == ([], None)


@pytest.mark.slow
def test_other_settings_are_measurements_of_their_own(tmp_path, capsys):
    place = tmp_path / "ledger.jsonl"
    flags = ("--device", "cpu", "--limit", "1", "--precision", "bf16", "--channels-last", "--batch", "2")
    assert speed("isanet*", *DEMO, *flags, place=place) == 0
    assert "fps, bf16, channels last, batch 2, 1 images" in capsys.readouterr().out
    (record,) = ledger.read(place, Measurement)
    assert record.precision == "bf16"
    assert record.protocol_digest != claim_digest(
        load_manifest(STREETS / "zoo.yaml")[record.checkpoint], "streets"
    )


def test_without_cuda_there_is_one_message(tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    assert speed(place=tmp_path / "l.jsonl") == 3
    err = capsys.readouterr().err
    assert err.startswith("zoo: --device cuda: torch ")
    assert err.count("\n") == 1
    assert not (tmp_path / "l.jsonl").exists()


def test_a_row_without_data_and_typical_size_cannot_be_timed(tmp_path, capsys):
    assert speed("isnet_*lip", "--device", "cpu", "--limit", "1", place=tmp_path / "l.jsonl") == 3
    assert "LIP is not here and no typical image size of it is on record" in capsys.readouterr().err


def records(device, factor, wrong=(), dataset=""):
    """A ledger's records as a device would have them: every published fps by one factor, but for some rows."""
    for row in full_zoo.ZOO:
        for claim in row.claims:
            if claim.metric == "fps" and claim.printed:
                value = float(claim.printed) * factor * dict(wrong).get(row.id, 1.0)
                yield Measurement(
                    checkpoint=row.id, metric="fps", value=value, protocol="fps",
                    protocol_digest=claim_digest(row, row.dataset if dataset else ""), weights_sha256="",
                    dataset=row.dataset if dataset else "", dataset_fingerprint="", image_count=195, seconds=1.0,
                    new_images=195, precision="fp32", environment={"device": device}, taken_at="2026-11-21",
                )  # fmt: skip


def reported(tmp_path, capsys, found):
    place = tmp_path / "ledger.jsonl"
    for record in found:
        ledger.append(place, record)
    code = main(
        [
            "report",
            "--manifest",
            str(full_zoo.PATH),
            "--where",
            "metric=fps",
            "--ledger",
            str(place),
            "--json",
        ]
    )
    verdicts = [one for one in json.loads(capsys.readouterr().out) if one["metric"] == "fps"]
    assert len(verdicts) == 16
    return code, verdicts


@pytest.mark.slow
def test_on_the_published_device_a_band_decides(tmp_path, capsys):
    """4 % faster is reproduced, 8 % is drift, 20 % contradicts."""
    for factor, status, expected in ((1.04, "reproduced", 0), (1.08, "drift", 0), (1.2, "refuted", 1)):
        folder = tmp_path / status
        code, verdicts = reported(folder, capsys, records("Tesla V100-SXM2-32GB", factor, dataset="own"))
        assert (code, {one["status"] for one in verdicts}) == (expected, {status})


def test_on_another_device_the_shape_decides(tmp_path, capsys):
    """Four times as fast throughout, but the VOC R-101 rows: those contradict their own column."""
    voc = {row.id: 2.0 for row in load_manifest() if row.id.startswith("isanet_r101") and "voc" in row.id}
    assert len(voc) == 2
    code, verdicts = reported(tmp_path, capsys, records("NVIDIA H200", 4.0, wrong=voc))
    assert code == 0
    statuses = {one["checkpoint"]: one["status"] for one in verdicts}
    assert {row for row, status in statuses.items() if status == "source inconsistent"} == set(voc)
    assert set(statuses.values()) == {"source inconsistent", "not comparable"}
    told = {one["checkpoint"]: one["reason"] for one in verdicts}
    assert told["isanet_r50-d8_512x1024_40k_cityscapes"] == (
        "measured on NVIDIA H200 on synthetic images, published for V100; the column's typical row runs 4.00 times as fast here, "
        "this one 4.00 times"
    )


def test_a_loop_that_computed_other_labels_proves_no_speed(tmp_path, capsys):
    found = [
        msgspec.structs.replace(record, details={"differing_pixels": 7})
        for record in records("Tesla V100-SXM2-32GB", 1.0, dataset="own")
    ]
    code, verdicts = reported(tmp_path, capsys, found)
    assert (code, {one["status"] for one in verdicts}) == (0, {"not comparable"})
    assert verdicts[0]["reason"] == "the timed loop computed other labels than the accuracy path in 7 pixels"


@pytest.mark.slow
def test_a_later_run_elsewhere_does_not_hide_the_published_device(tmp_path, capsys):
    """A V100's figure on the data set stands, whatever a CPU measured since."""
    later = [
        msgspec.structs.replace(one, taken_at="2027-01-01") for one in records("cpu", 0.1, dataset="own")
    ]
    found = [*records("Tesla V100-SXM2-32GB", 1.0, dataset="own"), *later]
    _, verdicts = reported(tmp_path, capsys, found)
    assert {one["status"] for one in verdicts} == {"reproduced"}


def test_a_clock_that_was_set_back_does_not_bring_an_older_run_back(tmp_path, capsys):
    """The ledger's order decides which run is the newest, as it does for accuracies."""
    device = "Tesla V100-SXM2-32GB"
    later = [
        msgspec.structs.replace(one, taken_at="1970-01-01") for one in records(device, 1.0, dataset="own")
    ]
    _, verdicts = reported(tmp_path, capsys, [*records(device, 2.0, dataset="own"), *later])
    assert {one["status"] for one in verdicts} == {"reproduced"}


def test_devices_and_sources_have_shapes_of_their_own(tmp_path, capsys):
    """Half the rows on one CPU and half on another one ten times as fast: no row is accused."""
    found = [
        msgspec.structs.replace(
            record,
            value=record.value * (10 if "r101" in record.checkpoint else 1),
            environment={"device": "cpu", "cpu": "fast" if "r101" in record.checkpoint else "slow"},
        )
        for record in records("cpu", 0.02)
    ]
    _, verdicts = reported(tmp_path, capsys, found)
    assert {one["status"] for one in verdicts} == {"not comparable"}


@pytest.mark.slow
def test_without_a_row_that_prints_speed_all_rows_are_timed(tmp_path):
    place = tmp_path / "ledger.jsonl"
    assert speed(*DEMO, "--device", "cpu", "--limit", "1", place=place) == 0
    assert len(ledger.read(place, Measurement)) == 2


def test_verify_on_a_cpu_says_how_speed_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = "isanet_r50-d8_512x1024_40k_cityscapes"
    assert main(["verify", row, "--metric", "fps", "--offline", "--json", "-q"]) == 3
    (verdict,) = json.loads(capsys.readouterr().out)
    assert (verdict["status"], verdict["reason"]) == (
        "not measured",
        "speed is timed on a GPU (--device cuda); zoo speed --device cpu times it here all the same",
    )
