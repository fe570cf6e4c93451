"""What of a number is chance goes from the network's own words into the measurement, and from there into the verdict."""

import msgspec
import pytest

from segbench.reports.verdict import Status
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.measuring.own_code import code_facts
from segbench.zoo.results.judging import verdict_on

SEGNEXT = {
    "backbone": {"type": "mscan", "embed_dims": [32, 64, 160, 256], "depths": [3, 3, 5, 2]},
    "head": {"type": "ham", "channels": 256, "ham_channels": 256},
    "num_classes": 19,
}
PLAIN = {**SEGNEXT, "head": {"type": "uper"}}
CASCADE = {**SEGNEXT, "head": [{"type": "fcn"}, SEGNEXT["head"]]}


def row(architecture):
    return msgspec.structs.replace(next(iter(load_manifest())), architecture=architecture)


def measured(checkpoint, claim):
    return Measurement(
        checkpoint=checkpoint.id, metric=claim.metric, value=float(claim.printed), protocol="", protocol_digest="",
        weights_sha256="", dataset="", dataset_fingerprint="", image_count=500, seconds=1.0, new_images=500,
        precision="fp32", environment=code_facts(checkpoint), taken_at="2026-11-26",
    )  # fmt: skip


@pytest.mark.parametrize(("architecture", "random"), [(SEGNEXT, True), (CASCADE, True), (PLAIN, False)])
def test_a_verdict_on_a_network_that_draws_says_that_its_number_is_one_of_many(architecture, random):
    checkpoint = row(architecture)
    claim = next(one for one in checkpoint.claims if one.metric == "miou")
    verdict = verdict_on(checkpoint, claim, measured(checkpoint, claim))
    assert verdict.status is Status.REPRODUCED
    assert ("one draw of many: the bases that the head factorises" in verdict.reason) is random
