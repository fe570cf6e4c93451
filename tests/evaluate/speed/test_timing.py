"""The timed loop: what is timed, what is kept, and that it computes what the accuracy path computes."""

import hashlib
import itertools

import msgspec
import numpy as np
import pytest
import torch

from segbench.evaluate import EvalProtocol, SlidingWindow, predict
from segbench.evaluate.speed.gpu_state import gpu_state, warnings_of
from segbench.evaluate.speed.speed_protocol import SpeedProtocol
from segbench.evaluate.speed.timing import time_protocol

CPU = torch.device("cpu")
WHOLE = EvalProtocol(base_scale=(64, 32))
SPEED = SpeedProtocol(accuracy_protocol="p", images=9)


def model(images):
    """Three classes from the pixels at stride 8."""
    small = torch.nn.functional.avg_pool2d(images, 8)
    return torch.stack([small[:, 0], small[:, 1], small.mean(dim=1)], dim=1)


def pictures(count, size=(40, 50)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def run(images, protocol=WHOLE, speed=SPEED, network=model):
    *between, (done, timing) = time_protocol(network, images, protocol, CPU, speed)
    assert between == [(index + 1, None) for index in range(len(images) - 1)]
    assert done == len(images)
    return timing


def test_the_warm_up_is_not_timed_and_every_raw_time_is_kept():
    timing = run(pictures(9))
    assert len(timing.wall_ms) == len(timing.sizes) == 4
    assert timing.device_ms == ()
    assert timing.images_per_second == pytest.approx(4000 / sum(timing.wall_ms))


@pytest.mark.parametrize(
    "protocol",
    [WHOLE, msgspec.structs.replace(WHOLE, window=SlidingWindow(crop=(32, 32), stride=(16, 16)))],
    ids=["whole", "slide"],
)
def test_the_timed_loop_computes_the_accuracy_paths_labels(protocol):
    """First, middle and last timed image: digests of exactly what `predict` gives."""
    images = pictures(10)
    timing = run(images, protocol, msgspec.structs.replace(SPEED, images=10))
    assert timing.differing_pixels == 0
    assert timing.label_sha256 == {
        index: hashlib.sha256(predict(model, images[index], protocol)[0].tobytes()).hexdigest()
        for index in (5, 7, 9)
    }


def test_a_loop_that_computes_something_else_is_found_out():
    calls = iter(range(1000))

    def forgetful(images):
        return model(images) * (-1 if next(calls) % 2 else 1)

    assert run(pictures(9), network=forgetful).differing_pixels > 0


def test_reading_and_preparing_are_outside_the_clock(monkeypatch):
    """Reading an image takes a thousand seconds here, a clock's tick is a second: each image's time is one tick."""
    clock = itertools.count()
    monkeypatch.setattr("segbench.evaluate.speed.timing.time.perf_counter", lambda: next(clock))

    class Slow(list):
        def __getitem__(self, index):
            raise AssertionError("asked for by iteration only")

        def __iter__(self):
            for image in super().__iter__():
                for _ in range(1000):
                    next(clock)
                yield image

    assert run(Slow(pictures(8))).wall_ms == (1000.0,) * 3


def test_a_batch_counts_all_its_images():
    timing = run(pictures(9), speed=msgspec.structs.replace(SPEED, batch=4))
    assert timing.images_per_second == pytest.approx(4 * 4000 / sum(timing.wall_ms))


def test_what_cannot_be_timed_is_refused():
    with pytest.raises(ValueError, match="expected a protocol of one view"):
        run(pictures(9), EvalProtocol(base_scale=None, flip=True))
    with pytest.raises(ValueError, match="expected more than 5 warm-up images, found 5"):
        run(pictures(5))


def test_a_protocols_name_says_what_is_not_as_published():
    assert SpeedProtocol(accuracy_protocol="p").name() == "fps"
    other = SpeedProtocol(
        accuracy_protocol="p", precision="fp16", compiled=True, channels_last=True, batch=4, images=8
    )
    assert other.name() == "fps, fp16, compiled, channels last, batch 4, 3 images"
    assert (SpeedProtocol(accuracy_protocol="p", source="synthetic").is_the_claims, other.is_the_claims) == (
        True,
        False,
    )
    assert len({SpeedProtocol(accuracy_protocol=name).digest() for name in "pq"} | {other.digest()}) == 3


def test_a_disturbed_gpu_is_warned_of():
    calm = {"known": True, "throttled_by": [], "other_processes": 0}
    assert warnings_of(calm, calm) == []
    hot = calm | {"throttled_by": ["hardware slowdown"], "other_processes": 2}
    assert warnings_of(calm, hot) == [
        "the GPU is throttled: hardware slowdown",
        "2 other process(es) use the GPU",
    ]
    assert warnings_of({"known": False}, {"known": False}) == [
        "clocks, throttling and other processes are unknown: pip install nvidia-ml-py"
    ]
    assert gpu_state(CPU) == {}
