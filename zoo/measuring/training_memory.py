"""Training memory of a row: foretold on any machine, measured on a CUDA device, both in the published unit.

The published column is headed GB and holds MiB / 1000: read so, and only so, its values are what a training step
takes. torch is imported where it is needed, since a ledger is judged without it.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ...evaluate.protocol import Positive
from .measurement import Measurement

if TYPE_CHECKING:
    import torch

    from ...models.trace.memory import MeasuredMemory, MemoryPrediction
    from ..manifest import Checkpoint, Claim

METRIC = "train_memory"
MIB, GIB = 2**20, 2**30
UNIT_BYTES = 1000 * MIB
"""What the published column calls a GB."""

TRACED, RUN = "training-step-trace-v1", "training-step-run-v1"
RULE = (
    "Two steps of mmsegmentation 0.17 on one device of a distributed run, float32: forward in train mode, cross "
    "entropy of both heads at crop size, the auxiliary one by 0.4, backward, SGD with momentum; gradients are kept "
    "and copied into a bucket as large as they are. Attention keeps its scores and a softmax its input. The figure "
    "is the peak of the blocks of torch's caching allocator, a bound on the convolutions' workspace included."
)
"""What is done, on fake tensors or on a device; a change in meaning asks for another version in the names above."""


class NotTrainable(ValueError):  # noqa: N818  (an answer about the numbers asked for)
    """No training step can be made of these numbers; the message says which to change."""


class Setup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one device is given to train on; None leaves what was published.

    An optimizer other than the rule's is part of a record; the rule's is not, so that digests of before stay.
    """

    batch: Positive | None = None
    """Images that a device takes at once."""
    crop: tuple[Positive, Positive] | None = None
    """Height and width in pixels."""
    classes: Positive | None = None
    optimizer: str = "SGD"
    """Always the published one."""

    def completed(self, checkpoint: Checkpoint) -> Setup:
        """With the checkpoint's own numbers where nothing was asked for.

        Raises:
            NotTrainable: nobody says how many images a device took.
        """
        claim, training = memory_claim(checkpoint), checkpoint.training
        own_batch = (claim and claim.batch) or (training and training.batch_per_gpu)
        own_crop = (claim and claim.crop) or checkpoint.crop
        batch = self.batch or own_batch
        if batch is None:
            raise NotTrainable(
                f"{checkpoint.id}: its publisher names no images a device; say how many with --batch"
            )
        classes: Any = self.classes or checkpoint.architecture.get("num_classes")
        optimizer = training.optimizer if training else self.optimizer
        # msgspec leaves out what is the default, not what equals it.
        other = {} if optimizer == Setup().optimizer else {"optimizer": optimizer}
        return Setup(batch=batch, crop=self.crop or own_crop, classes=classes, **other)


class MemoryProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a figure of training memory depends on but the software."""

    name: str
    rule: str = RULE
    architecture: dict[str, Any]
    setup: Setup

    def digest(self) -> str:
        """SHA-256 (hex) over all fields."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def memory_claim(checkpoint: Checkpoint) -> Claim | None:
    """The checkpoint's printed training memory."""
    return next((claim for claim in checkpoint.published if claim.metric == METRIC), None)


def claim_protocol(checkpoint: Checkpoint) -> MemoryProtocol:
    """What answers the checkpoint's claim."""
    return _protocol(TRACED, checkpoint, Setup().completed(checkpoint))


def _protocol(name: str, checkpoint: Checkpoint, setup: Setup) -> MemoryProtocol:
    return MemoryProtocol(name=name, architecture=_architecture(checkpoint, setup), setup=setup)


def _architecture(checkpoint: Checkpoint, setup: Setup) -> dict[str, Any]:
    classes = {} if setup.classes is None else {"num_classes": setup.classes}
    return {**checkpoint.architecture, **classes}


def predict(checkpoint: Checkpoint, setup: Setup) -> MemoryPrediction:
    """Trace a training step of the checkpoint's architecture; rows that agree in everything share one trace.

    Raises:
        NotTrainable: a part of the network is not built yet, or a number is missing or makes no training step.
    """
    if checkpoint.not_built:
        raise NotTrainable(checkpoint.not_built)
    setup = setup.completed(checkpoint)
    assert setup.batch is not None
    assert setup.crop is not None
    architecture = msgspec.json.encode(_architecture(checkpoint, setup), order="deterministic")
    return _predict(architecture, setup.batch, setup.crop, setup.optimizer)


@lru_cache(maxsize=1024)
def _predict(architecture: bytes, batch: int, crop: tuple[int, int], optimizer: str) -> MemoryPrediction:
    from ...models.build import ArchitectureError  # noqa: PLC0415
    from ...models.trace.memory import TraceError, TrainingStep, training_memory  # noqa: PLC0415

    try:
        return training_memory(msgspec.json.decode(architecture), TrainingStep(batch, crop, optimizer))
    except (ArchitectureError, TraceError) as error:
        raise NotTrainable(str(error)) from error


def run(checkpoint: Checkpoint, setup: Setup, device: torch.device) -> MeasuredMemory:
    """Train two steps on a CUDA device, cudnn.benchmark and TF32 off as published, and read its counters.

    Raises:
        NotTrainable: a number is missing, or the device is too small.
    """
    import torch  # noqa: PLC0415

    from ...evaluate.inference.device import numerics  # noqa: PLC0415
    from ...models.trace.memory import TrainingStep, run_training  # noqa: PLC0415

    setup = setup.completed(checkpoint)
    assert setup.batch is not None
    assert setup.crop is not None
    try:
        with numerics():
            return run_training(
                _architecture(checkpoint, setup),
                TrainingStep(setup.batch, setup.crop, setup.optimizer),
                device,
            )
    except torch.cuda.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise NotTrainable(f"{checkpoint.id}: {device} is too small for this step: {reason}") from error


# --- records ----------------------------------------------------------------------------------------


def foretell(checkpoint: Checkpoint, setup: Setup) -> Measurement:
    """The record of a prediction, which needs no weights, data or GPU; the claim's own where `setup` asks for nothing.

    Raises:
        NotTrainable: the manifest's numbers make no training step.
    """
    import torch  # noqa: PLC0415

    started = time.monotonic()
    prediction = predict(checkpoint, setup)
    details = {
        "peak_at": prediction.peak_at,
        "reserved_mib": _mib(prediction.reserved_bytes),
        "breakdown_mib": {part: _mib(nbytes) for part, nbytes in prediction.breakdown.items()},
        **({"note": prediction.note} if prediction.note else {}),
    }
    return _record(
        checkpoint,
        _protocol(TRACED, checkpoint, setup.completed(checkpoint)),
        prediction.peak_bytes,
        details,
        time.monotonic() - started,
        torch.device("cpu"),
    )


def run_record(
    checkpoint: Checkpoint, setup: Setup, measured: MeasuredMemory, predicted: int, device: torch.device
) -> Measurement:
    """The record of a step that a device really took, with the prediction (bytes) beside it."""
    details = {
        "reserved_mib": _mib(measured.reserved_bytes),
        "device_mib": _mib(measured.device_bytes),
        "predicted_mib": _mib(predicted),
        "prediction_minus_measured_percent": difference_percent(predicted, measured.allocated_bytes),
    }
    protocol = _protocol(RUN, checkpoint, setup)
    return _record(checkpoint, protocol, measured.allocated_bytes, details, measured.seconds, device)


def _record(
    checkpoint: Checkpoint,
    protocol: MemoryProtocol,
    nbytes: int,
    details: dict[str, Any],
    seconds: float,
    device: torch.device,
) -> Measurement:
    from ...evaluate.inference.device import environment, numerics  # noqa: PLC0415

    with numerics():
        facts = environment(device)
    return Measurement(
        checkpoint=checkpoint.id,
        metric=METRIC,
        value=nbytes / UNIT_BYTES,
        details={**details, **msgspec.json.decode(msgspec.json.encode(protocol.setup))},
        protocol=protocol.name,
        protocol_digest=protocol.digest(),
        weights_sha256="",
        dataset="",
        dataset_fingerprint="",
        image_count=0,
        seconds=round(seconds, 3),
        new_images=0,
        precision="fp32",
        environment=facts,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def difference_percent(nbytes: float, reference: float) -> float:
    """By how much `nbytes` exceeds the reference, in percent of the reference."""
    return 100 * (nbytes / reference - 1)


def _mib(nbytes: int) -> float:
    return round(nbytes / MIB, 3)
