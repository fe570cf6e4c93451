"""The accuracy loop: images that lack evidence are predicted and counted; the rest is addition."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from .count.confusion import Matrix, Scores, accuracy_scores, averaged, by_rule
from .data.datasets import DatasetError, ImageFault, content_sha256
from .inference.counting import NoNumbersError
from .inference.device import Kernel, in_precision
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
from .inference.tiles import tile_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from .data.datasets import Dataset, Sample
    from .evidence import EvidenceKey, EvidenceStore
    from .inference.counting import Counting
    from .protocol import EvalProtocol, Void


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """How images reach the network; changes speed, and with `batch` last bits."""

    workers: int | None = None
    """Threads. On the CPU so many images are predicted at once, each on its share of the cores (None: up to 4); for
    a GPU so many make images ready (None: 2). 0 for one thing after the other."""
    batch: int = 1
    """Network inputs of one size that run at once: windows, mirrored views and, on a GPU, images. 1 is the
    publishers' own: other batches may take other kernels."""
    kernel: Kernel = "tiles"
    """What makes label maps."""


def count_missing(
    model: Any,
    dataset: Dataset,
    contents: Mapping[str, str],
    protocol: EvalProtocol,
    store: EvidenceStore,
    key: EvidenceKey,
    *,
    loading: Loading | None = None,
    kernels: set[Kernel] | None = None,
) -> Iterator[Sample | ImageFault]:
    """Count every image that `store` lacks under `key`, yielding each as it is stored or found faulty.

    `contents` is `dataset.contents()`; the network runs in the key's precision. On the CPU several images are worked
    on at once; for a GPU images are read ahead, and the next one is under way before the last one's counts are
    waited for. What made label maps is added to `kernels`.

    Raises:
        DeviceError: the kernel that is asked for does not run here.
    """
    device, loading = model_device(model), loading or Loading()
    network = in_precision(model, key.precision, device)
    label_maps = LabelMaps(kernel_for(device, loading.kernel), tile_of(device), kernels)
    predictor = Predictor(network, dataset, protocol, device, loading.batch, label_maps)

    def load(sample: Sample) -> Prepared:
        image = prepare(sample, dataset, protocol, pin=device.type == "cuda")
        _require_unchanged(sample, contents[sample.id])
        return image

    begin = _for_a_gpu if device.type == "cuda" else _on_cores
    lacking = missing(dataset.samples, contents, store, key)
    with closing(begin(lacking, load, predictor, loading.workers)) as begun:
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
    samples: Sequence[Sample], load: Callable[[Sample], Prepared], predictor: Predictor, workers: int | None
) -> Generator[Begun, None, None]:
    """Every sample with its counts, several at once: an image leaves fewer cores idle than a layer does."""

    def work(sample: Sample) -> Counting:
        (counting,) = predictor.begin([load(sample)])
        return counting

    at_once = images_at_once(workers)
    with cores_shared(at_once) as cores_each:
        threads = at_once if at_once > 1 else 0
        with closing(ahead(samples, work, threads, cores_each)) as coming:
            try:
                yield from map(_answered, coming)
            finally:
                predictor.stop()


def _for_a_gpu(
    samples: Sequence[Sample], load: Callable[[Sample], Prepared], predictor: Predictor, workers: int | None
) -> Generator[Begun, None, None]:
    """Every sample with its counts on their way; the device has the next images before they are asked for."""
    workers = WORKERS_FOR_A_GPU if workers is None else workers
    with closing(ahead(samples, load, workers)) as coming:
        yield from behind(_begun(map(_answered, coming), predictor), 1)


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


class Running:
    """mIoU of the images of a split whose counts are stored so far, for whoever watches."""

    def __init__(
        self, store: EvidenceStore, key: EvidenceKey, contents: Mapping[str, str], void: Void | None = None
    ) -> None:
        self._store, self._key, self._contents, self._void = store, key, contents, void
        self._matrix: Matrix | None = None

    def with_image(self, image_id: str) -> float | None:
        """The mIoU in percent with this image, whose counts were just stored; None before the first labelled pixel."""
        image = (image_id, self._contents[image_id])
        if self._matrix is None:
            self._matrix = self._stored()
        else:
            found = self._store.get(self._key, image)
            assert found is not None, "it was just stored"
            self._matrix += found
        taking_part = by_rule(self._matrix, self._void)[:-1]
        labelled = taking_part[averaged(self._key.num_classes, self._void)].any()
        return accuracy_scores(self._matrix, self._void).miou_percent if labelled else None

    def _stored(self) -> Matrix:
        wanted = set(self._contents.items())
        total = np.zeros((self._key.num_classes + 1, self._key.num_classes), np.int64)
        for image, matrix in self._store.counts(self._key):
            if image in wanted:
                total += matrix
        return total


def missing(
    samples: Sequence[Sample], contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey
) -> list[Sample]:
    """The samples that have no counts for their present contents, in order."""
    measured = store.measured(key)
    return [sample for sample in samples if (sample.id, contents[sample.id]) not in measured]


def counts_from_evidence(
    contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey
) -> Iterator[Matrix]:
    """The counts of exactly these images and contents, each once.

    Raises:
        LookupError: some of them have no counts; raised before the first matrix.
    """
    wanted = set(contents.items())
    lacking = sorted(image[0] for image in wanted - store.measured(key))
    if lacking:
        raise LookupError(f"{len(lacking)} of {len(contents)} images have no counts, first {lacking[0]!r}")
    return (matrix for image, matrix in store.counts(key) if image in wanted)


def scores_from_evidence(
    contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey, void: Void | None = None
) -> Scores:
    """Data-set scores from the counts of exactly these images and contents, by a protocol's rule.

    Raises:
        LookupError: some of them have no counts.
        ValueError: not one labelled pixel among them.
    """
    return accuracy_scores(matrix_from_evidence(contents, store, key), void)


def matrix_from_evidence(contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey) -> Matrix:
    """The data set's confusion matrix: the sum over exactly these images and contents, each once.

    Raises:
        LookupError: some of them have no counts.
    """
    matrices = counts_from_evidence(contents, store, key)
    return sum(matrices, start=next(matrices))
