"""How fast a row runs, by the letter of mmsegmentation's benchmark: one image at a time, every raw time kept.

Inside the clock: the copy of the normalised image to the device, the network, the resize to the image's own
size, softmax where the protocol has one, argmax, and the copy of the label map back. Outside: reading,
decoding, resizing, normalising (mmsegmentation 0.18 `tools/benchmark.py`; its 1.x successor copies before the
clock starts and leaves out softmax and the copy back, so the two do not compare).
"""

from __future__ import annotations

import hashlib
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from ..geometry import Size, compared_size
from ..inference.plain import predict_scores, view_scores, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ..pixels import Labels, Pixels
    from ..protocol import EvalProtocol
    from .speed_protocol import SpeedProtocol

_CHECKED = 3
"""Timed images whose label maps are held against the accuracy path's."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The raw times of a run, in order, the warm-up's left out, and the proof that it computed the labels."""

    wall_ms: tuple[float, ...]
    """Per batch, host clock, device idle before and after."""
    device_ms: tuple[float, ...] = ()
    """The same spans between two events on the device's own clock; empty on the CPU."""
    batch: int = 1
    sizes: tuple[Size, ...]
    """(height, width) of the timed images."""
    label_sha256: dict[int, str]
    """Index of a sampled timed image -> digest of its label map (uint8, or int16 above class 255; row by row)."""
    differing_pixels: int
    """Of the sampled label maps, against the accuracy path's; 0 proves the timed loop right."""

    @property
    def images_per_second(self) -> float:
        """Images over the sum of the wall times: what the publisher's column says."""
        return 1000 * self.batch * len(self.wall_ms) / sum(self.wall_ms)

    def percentile_ms(self, percent: float) -> float:
        """Of the wall times."""
        return float(np.percentile(self.wall_ms, percent))


def time_protocol(
    model: Any, images: Sequence[Pixels], protocol: EvalProtocol, device: torch.device, speed: SpeedProtocol
) -> Iterator[tuple[int, Timing | None]]:
    """Time single-view inference; yields (images done, None), and with the last image the timing.

    Args:
        model: on `device`, in the precision and memory format that `speed` names.
        images: H x W x 3 BGR uint8, asked for one at a time, outside the clock.
        protocol: of one scale without flip.
        device: where `model` is.
        speed: how many images, which of them warm up, how many at once.

    Raises:
        ValueError: a protocol with several views, or not one image beyond the warm-up.
    """
    if len(protocol.scales) > 1 or protocol.flip:
        raise ValueError(
            f"{protocol.name}: expected a protocol of one view, found {len(protocol.scales)} scales"
        )
    if len(images) <= speed.warm_up:
        raise ValueError(f"expected more than {speed.warm_up} warm-up images, found {len(images)}")
    clock = _Clock(device)
    timed = range(speed.warm_up, len(images))
    checked = {timed[place * (len(timed) - 1) // max(_CHECKED - 1, 1)] for place in range(_CHECKED)}
    digests: dict[int, str] = {}
    sizes: list[Size] = []
    differing = 0
    for index, image in enumerate(images):
        size = compared_size((image.shape[0], image.shape[1]), protocol)
        view = _host_view(image, protocol, speed, device)
        span = clock.span(counted=index >= speed.warm_up)
        with _current(device), torch.inference_mode(), span, _autocast(device, speed):
            labels = _labels(model, view.to(device, non_blocking=True), protocol, size)
        if index >= speed.warm_up:
            sizes.append(size)
        if index in checked:
            digests[index] = hashlib.sha256(_smallest(labels[0]).tobytes()).hexdigest()
            differing += int((labels[0] != _reference(model, image, protocol, device, speed)).sum())
        yield (
            index + 1,
            None
            if index + 1 < len(images)
            else Timing(
                wall_ms=tuple(clock.wall_ms),
                device_ms=clock.device_ms(),
                batch=speed.batch,
                sizes=tuple(sizes),
                label_sha256=digests,
                differing_pixels=differing,
            ),
        )


def _smallest(labels: Labels) -> Labels:
    return labels.astype(np.uint8 if labels.max(initial=0) <= np.iinfo(np.uint8).max else np.int16)


def _host_view(
    image: Pixels, protocol: EvalProtocol, speed: SpeedProtocol, device: torch.device
) -> torch.Tensor:
    """(batch, 3, h, w) on the host: the same image `batch` times; in pinned memory for a GPU, as data loaders have it."""
    view = next(views(image, protocol, torch.device("cpu")))
    repeated = view.expand(speed.batch, -1, -1, -1).contiguous()
    if speed.channels_last:
        repeated = repeated.contiguous(memory_format=torch.channels_last)
    return repeated.pin_memory() if device.type == "cuda" else repeated


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one: events are recorded on the current device's stream."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _labels(model: Any, view: torch.Tensor, protocol: EvalProtocol, size: Size) -> NDArray[np.int64]:
    return view_scores(model, view, protocol, size).argmax(dim=1).cpu().numpy()


def _reference(
    model: Any, image: Pixels, protocol: EvalProtocol, device: torch.device, speed: SpeedProtocol
) -> NDArray[np.int64]:
    """What the accuracy path makes of the image, in the same arithmetic."""
    with torch.inference_mode(), _autocast(device, speed):
        return predict_scores(model, image, protocol, device).argmax(dim=0).cpu().numpy()


def _autocast(device: torch.device, speed: SpeedProtocol) -> torch.autocast:
    kinds = {"fp16": torch.float16, "bf16": torch.bfloat16}
    kind = kinds.get(speed.precision)
    return torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None)


class _Clock:
    """Measures spans of work on a device, which is idle before and after each."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall_ms: list[float] = []
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def span(self, *, counted: bool) -> _Span:
        """A context whose duration is kept where `counted`."""
        return _Span(self, counted=counted)

    def device_ms(self) -> tuple[float, ...]:
        """Every kept span by the device's own events; none on the CPU."""
        return tuple(start.elapsed_time(end) for start, end in self._events)

    def synchronise(self) -> None:
        """Wait until the device has nothing left to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def keep(self, seconds: float, events: tuple[torch.cuda.Event, torch.cuda.Event] | None) -> None:
        """Record one span."""
        self.wall_ms.append(1000 * seconds)
        if events:
            self._events.append(events)


class _Span:
    def __init__(self, clock: _Clock, *, counted: bool) -> None:
        self.clock = clock
        self.counted = counted
        self.events: tuple[torch.cuda.Event, torch.cuda.Event] | None = None

    def __enter__(self) -> None:
        self.clock.synchronise()
        if self.clock.device.type == "cuda":
            self.events = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self.events[0].record()
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.events:
            self.events[1].record()
        self.clock.synchronise()
        seconds = time.perf_counter() - self.started
        if self.counted:
            self.clock.keep(seconds, self.events)
