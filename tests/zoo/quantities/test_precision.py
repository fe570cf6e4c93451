"""Other arithmetic than the claims': measured, kept apart, compared with nothing."""

import pytest
from small_streets import small_options, small_streets

from segbench.zoo.demo import STREETS, demo_checkpoints, serve
from segbench.zoo.verify import Options, verify

pytestmark = pytest.mark.slow


def test_margins_survive_an_interruption(tmp_path):
    """Half the images in one run, the rest in the next: the margins are those of a run in one go."""
    found = []
    row, root = small_streets(tmp_path / "streets", tmp_path)[0], tmp_path / "streets"
    for shards in ([None], [(1, 2), None]):
        folder = tmp_path / str(len(shards))
        for shard in shards:
            places = {"evidence": folder / "evidence.sqlite", "ledger": folder / "ledger.jsonl"}
            (outcome,) = verify([row], small_options(root, tmp_path, shard=shard, **places))
        found.append(outcome.measurement)
    assert [measurement.new_images for measurement in found] == [12, 6]
    assert found[0].details["rounding"] == found[1].details["rounding"]


def test_bf16_is_measured_apart_and_never_a_claims(tmp_path):
    """The fp32 run after it counts all images anew, reproduces the claim and keeps its margins."""
    found = {}
    with serve(STREETS) as server:
        row = next(one for one in demo_checkpoints(server) if one.id.startswith("isanet"))
        for precision in ("bf16", "fp32"):
            options = Options(
                data_root=STREETS,
                home=tmp_path,
                evidence=tmp_path / "evidence.sqlite",
                ledger=tmp_path / "ledger.jsonl",
                metrics=("miou",),
                precision=precision,
            )
            (found[precision],) = verify([row], options)
    half, whole = found["bf16"], found["fp32"]
    assert half.verdict.status.value == "not comparable"
    assert half.verdict.reason == "measured in bf16, the figure is fp32's"
    assert (half.measurement.new_images, whole.measurement.new_images) == (12, 12)
    assert half.measurement.value != whole.measurement.value
    assert whole.verdict.status.value == "reproduced"
    rounding = whole.measurement.details["rounding"]
    shares = [row["share_percent"] for row in rounding]
    assert shares == sorted(shares)
    assert shares[-1] > 0
    assert rounding[-1]["miou_may_fall_points"] > 0
