"""A network under a protocol on a device: from prepared images to counts on their way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

from .counting import Counting
from .device_trouble import Halving
from .fused import LabelMaps
from .plain import checked, taking_part
from .tiles import scored_views, tile_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.datasets import Dataset
    from ..protocol import EvalProtocol
    from .pipeline import Prepared
    from .plain import Model
    from .tiles import View


class Stopped(Exception):  # noqa: N818  (nobody's fault: nobody waits for the answer any more)
    """The work was given up."""


class Predictor:
    """Predicts and counts; halves its steps where the device's memory ends. On the CPU threads may share one."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        protocol: EvalProtocol,
        device: torch.device,
        batch: int,
        label_maps: LabelMaps | None = None,
    ) -> None:
        self._network = taking_part(checked(model, len(dataset.spec.classes), protocol), protocol)
        self._protocol = protocol
        self._device = device
        self._num_classes = len(dataset.spec.classes)
        self._ignore_index = dataset.spec.ignore_index
        self._batch = Halving(batch)
        self._label_maps = label_maps or LabelMaps(None, tile_of(device))
        height, self._tile_width = tile_of(device)
        self._tile_height = Halving(height, least=min(8, height), what="tile's height")
        self._stopped = threading.Event()

    @property
    def answers_later(self) -> bool:
        """Whether counts are on their way when `begin` returns, so that more can be begun meanwhile."""
        return self._device.type == "cuda"

    def stop(self) -> None:
        """Give up what is under way in other threads, at the next network input."""
        self._stopped.set()

    def group_size(self) -> int:
        """How many images fill a batch, with one or two network inputs an image and scale."""
        return max(1, self._batch.size // (2 if self._protocol.flip else 1))

    def begin(self, images: Sequence[Prepared]) -> list[Counting]:
        """Start on images of one size.

        Raises:
            NetworkError: the network gives no scores for the data set's classes.
            OutOfMemoryError: one network input, or the smallest tile, is too much for the device.
        """
        with torch.inference_mode():
            found = self._batch.run(lambda batch: self._scored(images, batch))
            return [self._count(views, image) for views, image in zip(found, images, strict=True)]

    def _scored(self, images: Sequence[Prepared], batch: int) -> list[list[View]]:
        inputs = [[view.to(self._device, non_blocking=True) for view in image.inputs] for image in images]
        return scored_views(self._scores, inputs, images[0].size, self._protocol, batch)

    def _scores(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._stopped.is_set():
            raise Stopped
        return self._network(inputs)

    def _count(self, views: Sequence[View], image: Prepared) -> Counting:
        decision = self._tile_height.run(
            lambda height: self._label_maps.decide(
                views, image.size, self._protocol, (height, self._tile_width)
            )
        )
        truth = image.truth.to(self._device, non_blocking=True)
        return Counting(decision, truth, self._num_classes, self._ignore_index)
