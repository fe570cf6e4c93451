"""A figure of a file that was replaced is no claim about the file of today."""

import pytest

from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.measuring.terms import Terms
from segbench.zoo.quantities import quantity_of
from segbench.zoo.results.judging import foreseen, verdict_on

ZOO = load_manifest()
REPLACED = [row for row in ZOO if any("earlier file" in (claim.note or "") for claim in row.claims)]
SEGFORMER = ZOO["segformer_mit-b0_512x512_160k_ade20k"]
"""0.30.0 prints 37.85 of -c00b9603.pth, 1.2.2 prints 37.41 of -8ffa8fda.pth."""
OLDEST_MEMORY = "published for the training of an earlier file, -cbcaed32.pth, which was replaced"


def measured(row, claim, value, digits):
    return Measurement(
        checkpoint=row.id, metric=claim.metric, value=value, protocol=claim.protocol or "", protocol_digest="",
        weights_sha256=digits.ljust(64, "0"), dataset=row.dataset, dataset_fingerprint="", image_count=2000, seconds=1,
        new_images=2000, precision="fp32", environment={}, taken_at="2026-11-21T11:01:02+00:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("digits", "value", "told"),
    [
        ("8ffa8fda", 37.41, ["not comparable", "reproduced"]),
        ("c00b9603", 37.85, ["reproduced", "not comparable"]),
    ],
    ids=["of today", "the earlier one"],
)
def test_each_file_is_held_against_its_own_figure(digits, value, told):
    claims = [claim for claim in SEGFORMER.claims if claim.metric == "miou"]
    assert [claim.printed for claim in claims] == ["37.85", "37.41"]
    verdicts = [verdict_on(SEGFORMER, claim, measured(SEGFORMER, claim, value, digits)) for claim in claims]
    assert [one.status.value for one in verdicts] == told


def test_the_reason_names_the_file():
    [claim] = [one for one in SEGFORMER.claims if one.printed == "38.97"]
    verdict = verdict_on(SEGFORMER, claim, measured(SEGFORMER, claim, 38.34, "8ffa8fda"))
    assert verdict.reason == "published for an earlier file, -c00b9603.pth, which was replaced"
    assert foreseen(SEGFORMER, claim, 38.34, Terms()).status.value == "not comparable"


def test_no_replaced_figure_can_be_refuted_by_todays_file():
    told = [
        (row.id, claim.metric, verdict_on(row, claim, measured(row, claim, 1.0, "0")).status.value)
        for row in REPLACED
        for claim in row.published
        if claim.protocol and claim.earlier_file
    ]
    assert len(REPLACED) == 10
    assert [one for one in told if one[2] != "not comparable"] == []


def test_memory_is_of_a_training_where_a_later_one_printed_its_own():
    row = ZOO["knet_s3_upernet_swin-l_8x2_640x640_adamw_80k_ade20k"]
    memory = [claim for claim in row.claims if claim.metric == "train_memory"]
    verdicts = [verdict_on(row, claim, measured(row, claim, 13.6, "")) for claim in memory]
    assert [claim.printed for claim in memory] == ["18.31", "13.54"]
    assert (verdicts[0].status.value, verdicts[0].reason) == ("not comparable", OLDEST_MEMORY)


def test_an_earlier_figure_by_another_protocol_is_answered_by_what_todays_gives():
    """0.30.0 prints 75.95 by its --aug-test, 1.2.2 prints 78.01 of another file by its --tta."""
    row = ZOO["ocrnet_hr18s_4xb2-40k_cityscapes-512x1024"]
    claims = [claim for claim in row.claims if claim.metric == "miou_ms_flip"]
    digests = {quantity_of(claim.metric).digest(row, claim, row.dataset) for claim in claims}
    verdicts = [verdict_on(row, claim, measured(row, claim, 78.01, "6c052a14")) for claim in claims]
    assert [(claim.printed, claim.protocol) for claim in claims] == [
        ("75.95", None),
        ("78.01", "mmseg-1.x-whole-tta"),
    ]
    assert digests == {row.protocol("miou_ms_flip").digest()}
    assert [one.status.value for one in verdicts] == ["not comparable", "reproduced"]
