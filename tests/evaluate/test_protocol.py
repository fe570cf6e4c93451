"""A protocol's digest: what numbers are stored by."""

import msgspec
import pytest

from segbench.evaluate import EvalProtocol
from segbench.evaluate.protocol import Void, scored_digest
from segbench.zoo.manifest import load_manifest

# As they were before the first field was added, at commit caf5190.
RECORDED = {
    "mmseg-cityscapes-whole": "437c5ba583e22953cce1a8b5a334b0fdb5a555412a23da4415b6bef26b6277f8",
    "mmseg-cityscapes-whole-ms-flip": "4a800785791e8248c3adffa1bea86d1cf01f22d1f245cc779962c23454082f88",
    "mmseg-cityscapes-slide-769x769": "7e764db1bd2efda0d06c633af8d1fdc8fc6758c533c84a10bd92ddb9fef48a0b",
    "mmseg-cityscapes-slide-769x769-ms-flip": "be28f1103458a34a02dab6f1eef33e7cbf31a9ca568308f12402a3b8e3110502",
    "mmseg-2048x512-whole": "cf292ab8f6c19388512869b5ffe7de3c4b6ac00eb06bdce6da74d3822a9a04d8",
    "mmseg-2048x512-whole-ms-flip": "53b26a5d955affc1b7a4643aa11fbab2b52bb385613dfec35bdcf187a3763c92",
    "mmseg-1.x-whole-tta": "de511571a6176aab60c3a37e3e94747e8e37f0f5cdcce6c5072daa70cb659820",
    "mmseg-1.x-slide-769x769-tta": "8db73fd3dad4113e52ca2307bf9f73732d28ac9e0d2825e9f66dcb1cdb514ace",
    "ssseg-cityscapes-whole": "32b5a47ca2c90df735f241dfaa74d48eb640a0ebe11bb36a4f0762bdfbee6352",
    "ssseg-2048x512-whole": "2954ed33d169e7d352e50189365172ef483daf5c3800702d83bcd73842534593",
    "ssseg-ade20k-whole-ms-flip-probs": "2d5ff263850bfc9b247e50f5766243db9a2edb545ed00f611e6bdf5767f9fff7",
    "ssseg-cocostuff10k-whole-ms-flip-scores": "3c2308161fcad3117fa55cc99885ee4207f61a2228617c8553e2749344b1a4cb",
    "ssseg-cocostuff10k-whole-ms-flip-probs": "d71758ac5489709135e1eedd397d533384cd6750fcd17d8d5f79934589916134",
    "ssseg-cityscapes-slide-512x1024-ms-flip-probs": "a1b460fb27361553803569d500574d2f9fb44c29965df69d7a2eb5cd4e8bec09",
    "ssseg-cityscapes-slide-1024x512-ms-flip-scores": "2572a48b41ea9ba56c4ff055a78ce11836192962734902dc5a1ccac08f284baf",
    "ssseg-lip-whole": "9a246c4bc2171086cc6185317a31f42bffadc5b9376b2db681e3d1a65651385b",
    "ssseg-lip-whole-flip-scores": "54a1ffaa06d0fb13e55e4089e9416c55b7a72d65f2821671fbbc3b1efa569c74",
}
PLAIN = EvalProtocol(base_scale=(64, 32))
COUNTING = {
    "value_divisor": 255.0,
    "size_divisor": 32,
    "score_channels": 11,
    "compared_at": "input size",
    "label_resize": "cv2 nearest",
    "side_rounding": "down",
    "resize_divisor": 32,
}


def test_digests_of_before_stay():
    protocols = load_manifest().protocols
    assert {name: protocols[name].digest() for name in RECORDED} == RECORDED


@pytest.mark.parametrize("field", COUNTING)
def test_a_field_that_was_added_counts_where_it_says_something(field):
    """At its default it is as if it were not there; else counts are others, and so is every number."""
    changed = msgspec.structs.replace(PLAIN, **{field: COUNTING[field]})
    assert changed.counts_digest() != PLAIN.counts_digest() == PLAIN.digest()
    assert changed.digest() == changed.counts_digest()


def test_a_rule_of_scoring_shares_the_counts_and_not_the_number():
    rules = [
        None,
        *(Void(classes=(11,), pixels=pixels) for pixels in ("counted", "labels ignored", "dropped")),
    ]
    protocols = [msgspec.structs.replace(PLAIN, void=rule) for rule in [*rules, Void(classes=(10, 11))]]
    assert {one.counts_digest() for one in protocols} == {PLAIN.digest()}
    assert len({one.digest() for one in protocols}) == len(protocols)
    assert all(one.digest() == scored_digest(PLAIN.digest(), one.void) for one in protocols)
