"""The demo zoo as shipped: both publishers' own numbers, by the same path as a real row."""

import json

import pytest

from segbench.evaluate.count.definitions import DEFINITIONS
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest

pytestmark = pytest.mark.slow


@pytest.fixture
def published(golden):
    """What the publishers' evaluators recorded for the demo, by checkpoint."""
    return {row["id"]: row for row in golden("demo/published.json")["rows"]}


def test_the_demo_reproduces_both_publishers(capsys, kept_demo, published):
    """Four numbers reproduced to 0.01, every class's IoU and the areas behind them as recorded."""
    verdicts = json.loads((kept_demo / "verdicts.json").read_text())
    assert [(verdict["published"], verdict["status"]) for verdict in verdicts] == [
        (printed, "reproduced") for printed in ("76.63", "78.23", "73.01", "75.06")
    ]
    records = [json.loads(line) for line in (kept_demo / "measurements.jsonl").read_text().splitlines()]
    assert len(records) == 4
    for record in records:
        claim = published[record["checkpoint"]]["claims"][record["metric"]]
        assert record["value"] == pytest.approx(claim["mIoU_unrounded"], abs=0.01)
        assert list(record["details"]["iou_percent"].values()) == pytest.approx(claim["IoU"], abs=0.02)
        assert record["details"]["macc_percent"] == pytest.approx(float(claim["mAcc"]), abs=0.01)
        assert record["details"]["aacc_percent"] == pytest.approx(float(claim["aAcc"]), abs=0.01)
        assert (record["image_count"], record["new_images"]) == (12, 12)
        assert record["details"]["definitions"]["mmsegmentation"] == record["value"]
    check_definitions(capsys, kept_demo / "measurements.jsonl")


def check_definitions(capsys, ledger):
    """`zoo report --definitions` tells every rule's number of each of the four claims."""
    manifest = str(STREETS / "zoo.yaml")
    command = ["report", "--definitions", "--json", "--manifest", manifest, "--ledger", str(ledger)]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    rules = [name for name in DEFINITIONS if name != "Cityscapes category"]
    assert [record["definition"] for record in found] == rules * 4
    assert {record["printed"] for record in found if record["definition"] == "mmsegmentation"} == {
        f"{record['mIoU']:.2f}" for record in found if record["definition"] == "mmsegmentation"
    }


def test_the_manifest_prints_what_was_recorded(published):
    """The demo's claims are the recorded ones, to the digit."""
    found = {
        row.id: {claim.metric: claim.printed for claim in row.claims}
        for row in load_manifest(STREETS / "zoo.yaml")
    }
    expected = {
        name: {metric: claim["mIoU"] for metric, claim in row["claims"].items()}
        for name, row in published.items()
    }
    assert found == expected


def test_a_wrong_number_fails_the_demo(capsys, tmp_path, monkeypatch):
    """0.02 points off is refuted: the demo's exit code means something."""
    import msgspec

    from segbench.zoo.commands import demo

    real = demo.demo_checkpoints

    def altered(server):
        row = real(server)[0]
        claims = (msgspec.structs.replace(row.claims[0], printed="76.65"),)
        return [msgspec.structs.replace(row, claims=claims)]

    monkeypatch.setattr(demo, "demo_checkpoints", altered)
    assert main(["demo", "--json", "-q", "--keep", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)[0]["status"] == "refuted"
