"""Suspects as data, and the paired comparison that a diagnosis rests on."""

import msgspec
import numpy as np
import pytest

from segbench.evaluate import EvalProtocol, LabelFiles, SlidingWindow
from segbench.evaluate.count.confusion import accuracy_scores, confusion_matrix
from segbench.evaluate.data.subsets import in_even_order, spread
from segbench.evaluate.protocol import Void
from segbench.evaluate.suspects.diagnosis import Question, predict_measurement
from segbench.evaluate.suspects.known import suspects
from segbench.zoo.manifest import load_manifest

SINGLE = EvalProtocol(base_scale=(512, 256))
PLAIN = LabelFiles(folder="labels", suffix=".png")


def names(protocol, labels=PLAIN):
    return [one.name for one in suspects(protocol, labels, crop=(64, 64), num_classes=8)]


def test_a_single_view_has_no_mistakes_of_averaging():
    assert names(SINGLE) == [
        "channels swapped",
        "mean and std swapped",
        "std left out",
        "scale mixed up",
        "mean and std of 0.5",
        "divided by 255 again",
        "antialiased resize",
        "not resized",
        "stretched",
        "align_corners=True",
        "one-step upsampling",
        "softmax at window",
        "slide for whole",
        "padded to 32",
        "compared at the input's size",
        "labels one too low",
        "labels one too high",
    ]


def test_each_kind_of_protocol_brings_its_own_mistakes():
    """Sliding windows, several views, class pairs, mapped and reduced labels."""
    slide = msgspec.structs.replace(SINGLE, window=SlidingWindow(crop=(64, 64), stride=(43, 43)))
    assert set(names(slide)) - set(names(SINGLE)) == {"whole for slide"}
    several = msgspec.structs.replace(SINGLE, scales=(0.5, 1.0), flip=True)
    added = set(names(several)) - set(names(SINGLE))
    assert added == {
        "scores averaged", "no flip", "1.x scales", "views from the tensor", "single scale", "five scales",
        "seven scales",
    }  # fmt: skip
    pairs = msgspec.structs.replace(SINGLE, flip=True, flip_pairs=((1, 2),))
    assert "no pair swap" in names(pairs)
    assert "labels not reduced" in names(SINGLE, msgspec.structs.replace(PLAIN, reduce_zero=True))
    assert "labels not mapped" in names(SINGLE, msgspec.structs.replace(PLAIN, value_map={7: 0}))


@pytest.mark.slow
def test_what_a_protocol_says_of_values_sizes_channels_and_void_can_be_got_wrong():
    """Each field brings the mistake that leaves it out; void brings every other rule, the mean over all, and the cut."""

    def told(**fields):
        found = set(names(msgspec.structs.replace(SINGLE, **fields)))
        return found - set(names(SINGLE)), set(names(SINGLE)) - found

    assert told(value_divisor=255.0) == ({"not divided afterwards"}, {"divided by 255 again"})
    assert told(size_divisor=64) == ({"not padded"}, {"padded to 32", "one-step upsampling"})
    assert told(upsampling="one-step") == ({"two-step upsampling"}, {"one-step upsampling", "padded to 32"})
    assert told(compared_at="input size") == (
        {"labels by cv2 nearest", "compared at the label's size"}, {"compared at the input's size"},
    )  # fmt: skip
    assert told(side_rounding="down") == ({"side rounded"}, set())
    assert told(resize_divisor=32) == ({"not resized twice"}, set())
    assert told(score_channels=7) == ({"all channels"}, set())
    assert told(score_channels=8) == (set(), set())
    void = {"void averaged", "void labels ignored", "void dropped"}
    assert told(void=Void(classes=(7,))) == (void | {"void channels removed"}, set())
    assert told(void=Void(classes=(0,))) == (void, set())
    assert told(void=Void(classes=(7,)), score_channels=7) == (void | {"all channels"}, set())


@pytest.mark.slow
def test_every_row_has_suspects_and_none_is_the_published_protocol_itself():
    """All 34 rows and all their metrics; no two suspects of one are the same measurement."""
    for row in load_manifest():
        for metric, protocol in row.protocols.items():
            labels = row.dataset_spec.labels[0]
            found = suspects(protocol, labels, row.crop, len(row.dataset_spec.classes))
            identities = {one.identity() for one in found}
            assert len(identities) == len(found) >= 12, (row.id, metric)
            assert (protocol.digest(), msgspec.json.encode(labels)) not in identities


def matrices(seed, images=6, classes=4, errors=0.2):
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(images):
        label = rng.integers(0, classes, (12, 12))
        wrong = rng.random(label.shape) < errors
        result.append(
            confusion_matrix(np.where(wrong, rng.integers(0, classes, label.shape), label), label, classes)
        )
    return result


def asked(measured=80.0, images=60):
    return Question(value_percent=50.0, measured_percent=measured, band_points=0.015, image_count=images)


def test_on_all_images_a_prediction_is_exact_and_certain():
    ours, theirs = matrices(0), matrices(1, errors=0.5)
    plain = accuracy_scores(sum(theirs)).miou_percent
    assert predict_measurement(asked(images=6), ours, theirs) == (pytest.approx(plain), 0.0)


@pytest.mark.slow
def test_the_error_on_a_sample_is_about_what_samples_scatter_by():
    """Predictions from many random samples of a population scatter as much as the jackknife says, within a third."""
    ours, theirs = matrices(2, images=60), matrices(2, images=60, errors=0.35)
    measured = accuracy_scores(sum(ours)).miou_percent
    rng = np.random.default_rng(3)
    drawn = [rng.choice(60, 15, replace=False) for _ in range(200)]
    found = [
        predict_measurement(asked(measured), [ours[i] for i in d], [theirs[i] for i in d]) for d in drawn
    ]
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.33)
    assert values.mean() == pytest.approx(accuracy_scores(sum(theirs)).miou_percent, abs=0.5)


def test_a_ruined_measurement_is_ruined_on_any_sample():
    """Nothing right on three images is nothing right on sixty, whatever those three score otherwise."""
    ours = matrices(4, images=3, errors=0.6)
    ruined = [np.roll(matrix[:-1], 1, axis=1) for matrix in matrices(5, images=3, errors=0.0)]
    ruined = [np.concatenate([matrix, np.zeros((1, 4), int)]) for matrix in ruined]
    assert predict_measurement(asked(measured=80.0), ours, ruined).value == 0


def test_one_image_of_many_tells_nothing_for_certain():
    ours, theirs = matrices(0), matrices(1)
    assert predict_measurement(asked(images=6), ours[:1], theirs[:1]).standard_error == float("inf")


def test_the_first_of_a_sample_stand_for_all_of_it():
    """Images lie in the order of their drives: eight of thirty-two come from each quarter alike."""
    order = in_even_order(spread(range(100), 32))
    assert sorted(order) == spread(range(100), 32)
    assert [sum(place // 25 == quarter for place in order[:8]) for quarter in range(4)] == [2, 2, 2, 2]


def test_a_spread_sample_is_even_and_never_longer_than_the_set():
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread(range(3), 99) == [0, 1, 2]
    assert spread(range(10), 1) == [0]
