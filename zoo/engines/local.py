"""What every engine does, and the one that predicts in this process."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ...evaluate.inference.choices import Conditions, Loading
from ..measuring.network_form import form_of, ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import torch

    from ...evaluate.data.datasets import Dataset, ImageFault, Sample
    from ...evaluate.evidence import EvidenceKey, EvidenceStore
    from ...evaluate.inference.choices import Kernel, NetworkForm, Precision
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint


class EngineError(Exception):
    """The engine cannot predict, or not any more; the message says why. What was counted is kept."""


class Job(Protocol):
    """What one claim of one row is counted with; `measuring.bench.Subject` with a protocol and a key."""

    @property
    def checkpoint(self) -> Checkpoint: ...  # noqa: D102

    @property
    def model(self) -> Any: ...  # noqa: D102


class Engine(Protocol):
    """Predicts images and has their counts stored; only the process that holds the store writes to it."""

    def device_kind(self) -> str:
        """As in an `EvidenceKey`."""
        ...

    def environment(self) -> dict[str, Any]:
        """What the numbers may depend on, where they are made."""
        ...

    def prepare(self, checkpoint: Checkpoint, weights: Path, sha256: str) -> Any:
        """The row's model out of a file of this SHA-256, or None where it is loaded elsewhere."""
        ...

    def count(
        self,
        job: Job,
        dataset: Dataset,
        contents: Mapping[str, str],
        protocol: EvalProtocol,
        store: EvidenceStore,
        key: EvidenceKey,
    ) -> Iterator[Sample | ImageFault]:
        """Count every image of `dataset` that `store` lacks, yielding each as it is stored or found faulty."""
        ...


def kernels_text(used: Iterable[Kernel], loading: Loading) -> str:
    """What made label maps, `tiles`, `triton` or `tiles and triton`; before the first what is asked for."""
    return " and ".join(sorted(used)) or loading.kernel


class Local:
    """This process on one device; torch is imported once something is asked that the CPU's name does not tell."""

    def __init__(
        self, device: str = "cpu", loading: Loading | None = None, precision: Precision = "fp32"
    ) -> None:
        """`device`: as `--device` names it."""
        self.name = device
        self.loading = loading or Loading()
        self._precision: Precision = precision
        self._conditions = Conditions()
        """Of the present row."""
        self._form: NetworkForm = "published"
        """Of the present row's network."""

    @cached_property
    def device(self) -> torch.device:
        """What the name stands for.

        Raises:
            DeviceError: it is not here.
        """
        from ...evaluate.inference.device import resolve_device  # noqa: PLC0415  (torch)

        return resolve_device(self.name)

    def device_kind(self) -> str:
        """`cpu` or the GPU's product name."""
        if self.name == "cpu":
            return self.name
        from ...evaluate.inference.device import device_kind  # noqa: PLC0415  (torch)

        return device_kind(self.device)

    def environment(self) -> dict[str, Any]:
        """Of this process, and what it works on at once."""
        from ...evaluate.inference.device import environment  # noqa: PLC0415  (torch)
        from ...evaluate.inference.pipeline import images_at_once  # noqa: PLC0415  (torch)

        found = self._conditions
        at_once = (
            found.images_at_once or images_at_once(self.loading.workers) if self.device.type == "cpu" else 1
        )
        kernel = kernels_text(found.kernels, self.loading)
        return environment(self.device) | {
            "images_at_once": at_once,
            "batch": self.loading.batch,
            "kernel": kernel,
            "network": self._form,
        }

    def prepare(self, checkpoint: Checkpoint, weights: Path, sha256: str) -> Any:
        """The model with its weights, on the device."""
        self._conditions = Conditions()
        asked, precision = self.loading.form, self._precision
        self._form = form_of(checkpoint, self.device.type, weights=weights, asked=asked, precision=precision)
        return ready(checkpoint, weights, self.device, self._form, sha256)

    def count(
        self,
        job: Job,
        dataset: Dataset,
        contents: Mapping[str, str],
        protocol: EvalProtocol,
        store: EvidenceStore,
        key: EvidenceKey,
    ) -> Iterator[Sample | ImageFault]:
        """In the data set's order, a few images ahead."""
        from ...evaluate.accuracy import count_missing  # noqa: PLC0415  (torch)

        return count_missing(
            job.model,
            dataset,
            contents,
            protocol,
            store,
            key,
            loading=self.loading,
            conditions=self._conditions,
        )
