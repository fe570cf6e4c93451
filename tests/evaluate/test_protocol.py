"""A protocol's digest: what numbers are stored by."""

import msgspec
import pytest

from segbench.evaluate import EvalProtocol, SlidingWindow, Void
from segbench.evaluate.protocol import scored_digest
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
    plain = msgspec.structs.replace(
        PLAIN, compared_at="input size" if field == "label_resize" else "label size"
    )
    changed = msgspec.structs.replace(plain, **{field: COUNTING[field]})
    assert changed.counts_digest() != plain.counts_digest()
    assert PLAIN.counts_digest() == PLAIN.digest()
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


REFUSED = {
    "channels": ({"channels": "bgr"}, "channels: expected one of 'RGB', 'BGR', found 'bgr'"),
    "another word": (
        {"side_rounding": "up"},
        "side_rounding: expected one of 'nearest', 'down', found 'up'",
    ),
    "no divisor": ({"size_divisor": 0}, "size_divisor: expected int >= 1, found 0"),
    "two channels": ({"mean": (1, 2)}, "mean: expected array of length 3, found (1, 2)"),
    "one of three": ({"std": (1, 0, 1)}, "std[1]: expected float > 0.0, found 0"),
    "no number": ({"mean": (1, 2, float("nan"))}, "mean[2]: expected a finite number, found nan"),
    "a text": ({"base_scale": "512x256"}, "base_scale: expected array | null, found '512x256'"),
    "no scale": ({"scales": ()}, "scales: expected at least one scale, found none"),
    "nothing to scale": (
        {"base_scale": None, "scales": (0.5, 1.0)},
        "scales: with base_scale: null ratios have nothing to scale; write views: image_scale, which scales the image itself",
    ),
    "two scales": (
        {"views": "image_scale"},
        "base_scale: with views: image_scale ratios scale the image itself; write base_scale: null, or another views",
    ),
    "pairs without a mirror": (
        {"flip_pairs": ((0, 1),)},
        "flip_pairs: there are mirrored views with flip: true only; add it or leave these out",
    ),
}


@pytest.mark.parametrize(("fields", "letter"), REFUSED.values(), ids=REFUSED)
def test_a_protocol_made_in_python_is_held_to_what_a_manifest_is(fields, letter):
    with pytest.raises(ValueError) as made:
        EvalProtocol(**{"base_scale": (64, 32)} | fields)
    with pytest.raises(ValueError) as changed:
        msgspec.structs.replace(PLAIN, **fields)
    assert str(made.value) == str(changed.value) == f"EvalProtocol: {letter}"


def test_parts_of_a_protocol_hold_their_values_too():
    with pytest.raises(
        ValueError, match=r"^Void: pixels: expected one of 'counted', 'labels ignored', 'dropped', found 'x'$"
    ):
        Void(classes=(1,), pixels="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ValueError, match=r"^SlidingWindow: stride: the vertical stride 9 is larger than the window"
    ):
        SlidingWindow(crop=(8, 8), stride=(9, 8))


def test_whole_numbers_and_lists_make_the_protocol_that_a_manifest_makes():
    written = EvalProtocol(base_scale=[64, 32], mean=[0, 0, 0], value_divisor=255)  # pyright: ignore[reportArgumentType]
    read = EvalProtocol(base_scale=(64, 32), mean=(0.0, 0.0, 0.0), value_divisor=255.0)
    assert (written, written.digest()) == (read, read.digest())
