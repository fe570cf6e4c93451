"""Images a second of a row, by the publisher's protocol; needs neither its weights nor its data set.

Without the data set, synthetic images of its typical size are timed, without the weights random ones: both
are said in the record, and neither changes what is computed. Absolute figures compare on the published kind of
device only; on any other, the shape of the column does (`reports.speed_shape`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import msgspec
import numpy as np
import torch

from ...evaluate.data.datasets import DatasetError, Sample, locate
from ...evaluate.geometry import sliding_windows, view_size
from ...evaluate.inference.device import environment, numerics, resolve_device
from ...evaluate.inference.device_trouble import release
from ...evaluate.pixels import Pixels, read_image
from ...evaluate.speed.gpu_state import gpu_state, peak_gflops, warnings_of
from ...evaluate.speed.speed_protocol import IMAGES, WARM_UP, SpeedPrecision, SpeedProtocol
from ...evaluate.speed.timing import Timing, time_protocol
from ..fetch import check_hash, fetch, fetch_action
from .measurement import Measurement
from .own_code import code_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..manifest import Checkpoint

METRIC = "fps"
LARGEST_BATCH = 64
_SEED = 0


class NoSpeed(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """Why a row cannot be timed; the message says what to do."""


class SpeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to time; every field but the places makes another, separately named measurement."""

    device: str = "cuda"
    data_root: Path | None = None
    precision: SpeedPrecision = "fp32"
    compiled: bool = False
    channels_last: bool = False
    batch: int = 1
    limit: int | None = None
    """Timed images, where not the publisher's 195."""


class SpeedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One timed run."""

    measurement: Measurement
    timing: Timing
    protocol: SpeedProtocol
    warnings: tuple[str, ...] = ()


def time_row(checkpoint: Checkpoint, options: SpeedOptions) -> Iterator[tuple[int, int, SpeedRun | None]]:
    """Time one row, yielding (images done, of, None) and at last the run.

    An out-of-memory error at a batch above 1 halves the batch and starts again.

    Raises:
        DeviceError: the device does not exist.
        NoSpeed: no image of the row's data set, nor its typical size, is known; or memory is short at batch 1.
    """
    device = resolve_device(options.device)
    batch = options.batch
    while True:
        speed, images = _plan(checkpoint, options, batch)
        try:
            yield from _timed(checkpoint, images, speed, device)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if batch == 1:
                raise NoSpeed(f"{checkpoint.id}: out of memory at batch 1: {error}") from error
            batch //= 2
        else:
            return
        release()  # outside the handler: there the failed call's frames would still hold their tensors


def _is_out_of_memory(error: RuntimeError) -> bool:
    """A GPU has an error of its own for it; the CPU's allocator only words."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def sweep(
    checkpoint: Checkpoint, options: SpeedOptions
) -> Iterator[Iterator[tuple[int, int, SpeedRun | None]]]:
    """Runs as of `time_row` at batch 1, 2, 4, ... until `LARGEST_BATCH`, or until memory is short."""
    batch = 1
    while batch <= LARGEST_BATCH:
        steps = time_row(checkpoint, msgspec.structs.replace(options, batch=batch))
        short = _Watched(steps, batch)
        yield short
        if short.fell_back:
            return
        batch *= 2


class _Watched:
    """Passes a run's steps on and remembers whether memory was short for its batch."""

    def __init__(self, steps: Iterator[tuple[int, int, SpeedRun | None]], batch: int) -> None:
        self.steps = steps
        self.batch = batch
        self.fell_back = False

    def __iter__(self) -> Iterator[tuple[int, int, SpeedRun | None]]:
        return self

    def __next__(self) -> tuple[int, int, SpeedRun | None]:
        step = next(self.steps)
        self.fell_back = self.fell_back or (step[2] is not None and step[2].protocol.batch < self.batch)
        return step


def _plan(
    checkpoint: Checkpoint, options: SpeedOptions, batch: int
) -> tuple[SpeedProtocol, Sequence[Pixels]]:
    wanted = IMAGES if options.limit is None else options.limit + WARM_UP
    try:
        dataset = locate(checkpoint.dataset_spec, options.data_root)
    except DatasetError:
        images, source = _synthetic(checkpoint, wanted), "synthetic"
    else:
        images, source = _Files(dataset.samples[:wanted]), "data set"
    if len(images) <= WARM_UP:
        raise NoSpeed(
            f"{checkpoint.id}: expected more than {WARM_UP} images, found {len(images)} in the data set: the first "
            f"{WARM_UP} only warm up"
        )
    speed = SpeedProtocol(
        accuracy_protocol=checkpoint.first_protocol().digest(),
        images=wanted,
        batch=batch,
        source=source,  # pyright: ignore[reportArgumentType]
        precision=options.precision,
        compiled=options.compiled,
        channels_last=options.channels_last,
    )
    return speed, images


class _Files(Sequence[Pixels]):
    """A data set's images, read one at a time."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Pixels]: ...
    def __getitem__(self, index: int | slice) -> Pixels | Sequence[Pixels]:
        if isinstance(index, slice):
            return _Files(self.samples[index])
        return read_image(self.samples[index].image)


def _synthetic(checkpoint: Checkpoint, count: int) -> Sequence[Pixels]:
    """The same noise `count` times, in the data set's typical size: networks here take equal time for any pixels."""
    size = checkpoint.dataset_spec.typical_size
    if size is None:
        raise NoSpeed(
            f"{checkpoint.id}: {checkpoint.dataset_spec.title} is not here and no typical image size of it is on "
            "record; bring the data set with --data-root"
        )
    noise = np.random.default_rng(_SEED).integers(0, 256, (*size, 3), dtype=np.uint8)
    return [noise] * count


def _timed(
    checkpoint: Checkpoint, images: Sequence[Pixels], speed: SpeedProtocol, device: torch.device
) -> Iterator[tuple[int, int, SpeedRun | None]]:
    model, weights_sha256 = _model(checkpoint, speed, device)
    before = gpu_state(device)
    started = time.monotonic()
    precision = "tf32" if speed.precision == "tf32" else "fp32"
    with numerics(precision):
        conditions = environment(device) | code_facts(checkpoint)
        for done, timing in time_protocol(model, images, checkpoint.first_protocol(), device, speed):
            if timing is None:
                yield done, len(images), None
                continue
            after = gpu_state(device)
            measurement = Measurement(
                checkpoint=checkpoint.id,
                metric=METRIC,
                value=timing.images_per_second,
                details=_details(
                    checkpoint,
                    timing,
                    device,
                    before,
                    after,
                    random=not weights_sha256,
                    float32=speed.precision == "fp32",
                ),
                protocol=speed.name(),
                protocol_digest=speed.digest(),
                weights_sha256=weights_sha256,
                dataset=checkpoint.dataset if speed.source == "data set" else "",
                dataset_fingerprint="",
                image_count=len(timing.wall_ms),
                seconds=round(time.monotonic() - started, 3),
                new_images=len(timing.wall_ms),
                precision=speed.precision,
                environment=conditions,
                taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            )
            found = (*warnings_of(before, after), *_doubts(timing))
            run = SpeedRun(measurement=measurement, timing=timing, protocol=speed, warnings=found)
            yield done, len(images), run


def _model(checkpoint: Checkpoint, speed: SpeedProtocol, device: torch.device) -> tuple[Any, str]:
    """The network on the device, and its weights' hash; random weights and no hash where none are fetched."""
    if fetch_action(checkpoint).is_here:
        path = fetch(checkpoint, offline=True)
        digest = check_hash(path, checkpoint.weights)
        model = checkpoint.load(path, sha256=digest)
    else:
        torch.manual_seed(_SEED)
        model, digest = checkpoint.build(), ""
    model = model.to(device)
    if speed.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if speed.compiled:
        torch.compiler.reset()  # graphs of the row before count against this one's limit
        return torch.compile(model), digest
    return model, digest


def _details(
    checkpoint: Checkpoint,
    timing: Timing,
    device: torch.device,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    random: bool,
    float32: bool,
) -> dict[str, Any]:
    gflops = _gflops(checkpoint)
    achieved = None if gflops is None else gflops * timing.images_per_second
    peak = peak_gflops(device, after)
    return {
        "median_ms": timing.percentile_ms(50),
        "p5_ms": timing.percentile_ms(5),
        "p95_ms": timing.percentile_ms(95),
        "mean_ms": sum(timing.wall_ms) / len(timing.wall_ms),
        "weights": "random" if random else "published",
        "label_sha256": {str(index): digest for index, digest in timing.label_sha256.items()},
        "differing_pixels": timing.differing_pixels,
        "gflops_per_image": gflops,
        "achieved_gflops_per_second": achieved,
        "share_of_float32_peak": achieved / peak if achieved and peak and float32 else None,
        "gpu_before": before,
        "gpu_after": after,
        "sizes": sorted({f"{height}x{width}" for height, width in timing.sizes}),
        "wall_ms": [round(value, 4) for value in timing.wall_ms],
        "device_ms": [round(value, 4) for value in timing.device_ms],
    }


def _gflops(checkpoint: Checkpoint) -> float | None:
    """Of one typical image: the counted cost of a window times the windows."""
    cost, size = checkpoint.cost, checkpoint.dataset_spec.typical_size
    if cost is None or size is None:
        return None
    protocol = checkpoint.first_protocol()
    view = view_size(size, protocol, 1.0)
    return cost.gflops * (1 if protocol.window is None else len(sliding_windows(view, protocol.window)))


def _doubts(timing: Timing) -> list[str]:
    """What of the run itself is wrong."""
    if not timing.differing_pixels:
        return []
    images = len(timing.label_sha256)
    return [
        f"the timed loop's labels differ from the accuracy path's in {timing.differing_pixels} pixels of {images} images"
    ]
