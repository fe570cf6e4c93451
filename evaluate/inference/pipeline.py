"""Images in threads, in order, a few at a time: made ready ahead of a GPU, or worked on whole, on cores of their own.

cv2, Pillow and torch release Python's lock while they work, so threads suffice. At most `workers` + 1 images wait
(all views of a Cityscapes image at six scales are 220 MB), and a fault surfaces at its own image's turn.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch

from ..data.datasets import DatasetError
from ..geometry import compared_size
from ..pixels import read_image, read_label, resize_labels
from .plain import views

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from ..data.datasets import Dataset, Sample
    from ..geometry import Size
    from ..protocol import EvalProtocol

Task = TypeVar("Task")
Answer = TypeVar("Answer")

WORKERS_FOR_A_GPU = 2
MOST_IMAGES_ON_CORES = 4
"""Each takes the memory of a whole evaluation: 2 GB and more where views are large."""


class Prepared(NamedTuple):
    """An image as the network takes it, with its label."""

    inputs: list[torch.Tensor]
    """The unmirrored views (1, 3, h, w), on the host; in pinned memory where they go to a GPU."""
    truth: torch.Tensor
    """(H, W) int32 labels, likewise."""
    size: Size
    """(H, W), at which scores and labels are compared."""


def prepare(sample: Sample, dataset: Dataset, protocol: EvalProtocol, *, pin: bool) -> Prepared:
    """Read an image with its label and make its views.

    Raises:
        DatasetError: image or label missing, unreadable, or of different sizes.
    """
    spec = dataset.spec
    label = read_label(sample.label, dataset.label_files, spec.ignore_index, len(spec.classes))
    image = read_image(sample.image)
    if image.shape[:2] != label.shape:
        raise DatasetError(
            f"{sample.label}: the label is {label.shape[0]} x {label.shape[1]}, its image {sample.image.name} is "
            f"{image.shape[0]} x {image.shape[1]} (height x width); they are not a pair"
        )
    with torch.inference_mode():
        inputs = list(views(image, protocol, torch.device("cpu")))
    size = compared_size((label.shape[0], label.shape[1]), protocol)
    truth = torch.from_numpy(resize_labels(label, size, protocol.label_resize).astype(np.int32))
    if pin:
        inputs, truth = [view.pin_memory() for view in inputs], truth.pin_memory()
    return Prepared(inputs, truth, size)


def ahead(
    tasks: Iterable[Task], work: Callable[[Task], Answer], workers: int, cores_each: int | None = None
) -> Generator[tuple[Task, Callable[[], Answer]], None, None]:
    """Work on `tasks` in threads, at most `workers` + 1 ahead; yields each with a function that returns its answer.

    The function raises what the work raised. With 0 workers it does the work itself. Closing the iterator
    drops what has not begun. `cores_each` limits what torch takes for each worker.
    """
    if not workers:
        yield from ((task, partial(work, task)) for task in tasks)
        return
    begin = partial(torch.set_num_threads, cores_each) if cores_each else None
    pool = ThreadPoolExecutor(workers, thread_name_prefix="segbench-work", initializer=begin)
    waiting: deque[tuple[Task, Callable[[], Answer]]] = deque()
    try:
        for task in tasks:
            waiting.append((task, pool.submit(work, task).result))
            if len(waiting) > workers:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def images_at_once(workers: int | None) -> int:
    """How many images are predicted at once on this machine's cores: as asked for, or what suits it; at least 1."""
    return max(1, min(torch.get_num_threads(), MOST_IMAGES_ON_CORES) if workers is None else workers)


@contextmanager
def cores_shared(workers: int) -> Iterator[int]:
    """How many cores each of `workers` threads may take; afterwards this thread has all of them again."""
    cores = torch.get_num_threads()
    try:
        yield max(1, cores // workers)
    finally:
        # torch sets the number for the calling thread, and its matrix library's for all.
        torch.set_num_threads(cores)


def groups(items: Iterable[Task], of: Callable[[Task], object], size: int) -> Iterator[list[Task]]:
    """Neighbours that are alike by `of`, up to `size` together."""
    group: list[Task] = []
    for item in items:
        if group and (len(group) >= size or of(item) != of(group[0])):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def behind(items: Iterable[Task], count: int) -> Iterator[Task]:
    """The same items, each only after `count` more were taken: a device works on those meanwhile."""
    waiting: deque[Task] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting
