"""Which checkpoint a row of a publisher's document is about."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from .file_names import stem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..manifest import Checkpoint
    from . import SourceRow


class RowFinder:
    """Finds the checkpoint that a row is about: by its name in a metafile, else by what its columns say."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._named: dict[str, Checkpoint] = {}
        self._alike: dict[tuple[object, ...], list[Checkpoint]] = defaultdict(list)
        for one in checkpoints:
            self._named |= dict.fromkeys((one.id, *one.aliases), one)
            for crop, dataset in itertools.product((one.crop, None), (one.dataset, "")):
                key = (one.publisher, one.method, one.segmentor, one.backbone, one.schedule, crop, dataset)
                self._alike[key].append(one)

    def find(self, publisher: str, row: SourceRow) -> Checkpoint | None:
        """The checkpoint; None where none is meant, or more than one may be.

        A page without headings leaves the data set open: backbone, crop and schedule have to suffice.
        """
        if row.name and row.name in self._named:
            return self._named[row.name]
        key = (publisher, row.method, row.segmentor, row.backbone, row.schedule, row.crop, row.dataset)
        alike = self._alike.get(key, [])
        if len(alike) > 1:  # trained with other losses, or on more: their files tell them apart
            alike = [one for one in alike if stem(row.weights_url) in (one.id, *one.aliases)]
        return alike[0] if len(alike) == 1 else None
