"""The accuracy loop: images that lack evidence are predicted and counted; the rest is addition (`evidence.scores`)."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .data.datasets import DatasetError, ImageFault, content_sha256
from .evidence.scores import missing
from .inference.choices import Conditions, Loading
from .inference.counting import NoNumbersError
from .inference.device import in_precision
from .inference.fused import LabelMaps, kernel_for
from .inference.pipeline import (
    WORKERS_FOR_A_GPU,
    Answer,
    Prepared,
    ahead,
    behind,
    cores_shared,
    groups,
    images_at_once,
    prepare,
)
from .inference.plain import model_device
from .inference.predictor import Predictor
from .inference.room import AMPLE, fitting, free_bytes, growth_watched
from .inference.strangers import may_overlap
from .inference.tiles import tile_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from .data.datasets import Dataset, Sample
    from .evidence import EvidenceKey, EvidenceStore
    from .inference.counting import Counting
    from .protocol import EvalProtocol


def count_missing(
    model: Any,
    dataset: Dataset,
    contents: Mapping[str, str],
    protocol: EvalProtocol,
    store: EvidenceStore,
    key: EvidenceKey,
    *,
    loading: Loading | None = None,
    conditions: Conditions | None = None,
) -> Iterator[Sample | ImageFault]:
    """Count every image that `store` lacks under `key`, yielding each as it is stored or found faulty.

    `contents` is `dataset.contents()`; the network runs in the key's precision. On the CPU several images are worked
    on at once, where the network is known to bear it; else, and for a GPU, images are read ahead and predicted in their
    order, and the next one is under way before the last one's counts are waited for. What it was done with is told to `conditions`.

    Raises:
        DeviceError: the kernel that is asked for does not run here.
    """
    device, loading, conditions = model_device(model), loading or Loading(), conditions or Conditions()
    network = in_precision(model, key.precision, device)
    label_maps = LabelMaps(kernel_for(device, loading.kernel), tile_of(device), conditions.kernels)
    predictor = Predictor(network, dataset, protocol, device, loading.batch, label_maps)

    def load(sample: Sample) -> Prepared:
        image = prepare(sample, dataset, protocol, pin=device.type == "cuda")
        _require_unchanged(sample, contents[sample.id])
        return image

    begin = _on_cores if device.type == "cpu" and may_overlap(model) else _in_turn
    lacking = missing(dataset.samples, contents, store, key)
    with closing(begin(lacking, load, predictor, loading.workers, conditions)) as begun:
        for sample, counting in begun:
            if isinstance(counting, DatasetError):
                yield ImageFault(image_id=sample.id, message=str(counting))
                continue
            try:
                counts = counting.result()
            except NoNumbersError as error:
                advice = (
                    "" if key.precision == "fp32" else f"; measured in {key.precision}, try --precision fp32"
                )
                yield ImageFault(image_id=sample.id, message=f"{sample.image}: {error}{advice}")
                continue
            store.add(key, (sample.id, contents[sample.id]), *counts)
            yield sample


def _require_unchanged(sample: Sample, content: str) -> None:
    """Refuse to count what replaced the file that was hashed when the run began.

    Raises:
        DatasetError: image or label is another one by now.
    """
    if content_sha256(sample) != content:
        raise DatasetError(
            f"{sample.image}: it or its label was changed while this run went on; run the same command again"
        )


Loaded = tuple["Sample", "Prepared | DatasetError"]
Begun = tuple["Sample", "Counting | DatasetError"]


def _on_cores(
    samples: Sequence[Sample],
    load: Callable[[Sample], Prepared],
    predictor: Predictor,
    workers: int | None,
    conditions: Conditions,
) -> Generator[Begun, None, None]:
    """Every sample with its counts, several at once: an image leaves fewer cores idle than a layer does."""

    def work(sample: Sample) -> Counting:
        (counting,) = predictor.begin([load(sample)])
        return counting

    at_once = images_at_once(workers)
    free = free_bytes()
    if workers is None and at_once > 1 and free is not None and free < at_once * AMPLE:
        with growth_watched() as growth:
            first = [_answered(one) for one in ahead(samples[:1], work, 0)]
        yield from first
        samples, at_once = samples[1:], _with_room(at_once, free, growth.bytes)
    conditions.images_at_once = at_once
    with cores_shared(at_once) as cores_each:
        threads = at_once if at_once > 1 else 0
        with closing(ahead(samples, work, threads, cores_each)) as coming:
            try:
                yield from map(_answered, coming)
            finally:
                predictor.stop()


def _with_room(cores: int, free: int, each: int | None) -> int:
    """As many images at once as there are cores for and memory has room for, which is told where it has less."""
    at_once = fitting(cores, free, each)
    if each and at_once < cores:
        logging.getLogger("segbench").warning(
            "%d of %d images at once: %.1f GB of memory are free, and an image takes %.1f GB; --workers sets another number",
            at_once, cores, free / 1e9, each / 1e9,
        )  # fmt: skip
    return at_once


def _in_turn(
    samples: Sequence[Sample],
    load: Callable[[Sample], Prepared],
    predictor: Predictor,
    workers: int | None,
    conditions: Conditions,
) -> Generator[Begun, None, None]:
    """Every sample with its counts on their way, in the samples' order.

    For a GPU, which has the next images before they are asked for, and for a network whose calls must not overlap.
    """
    conditions.images_at_once = 1
    workers = WORKERS_FOR_A_GPU if workers is None else workers
    with closing(ahead(samples, load, workers)) as coming:
        yield from behind(_begun(map(_answered, coming), predictor), int(predictor.answers_later))


def _begun(loaded: Iterable[Loaded], predictor: Predictor) -> Iterator[Begun]:
    for group in groups(loaded, _shape, predictor.group_size()):
        images = [image for _, image in group if isinstance(image, Prepared)]
        begun = iter(predictor.begin(images) if images else [])
        for sample, image in group:
            yield sample, image if isinstance(image, DatasetError) else next(begun)


def _answered(one: tuple[Sample, Callable[[], Answer]]) -> tuple[Sample, Answer | DatasetError]:
    """A sample with what its work gave, or what is wrong with its files."""
    sample, ready = one
    try:
        return sample, ready()
    except DatasetError as error:
        return sample, error


def _shape(one: Loaded) -> object:
    """What images must share to run at once; a faulty one shares nothing with a good one."""
    _, image = one
    return image.size if isinstance(image, Prepared) else None
