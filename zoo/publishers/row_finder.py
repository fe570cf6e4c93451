"""Which checkpoint a row of a publisher's document is about."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from ..manifest import CheckpointEntry
from .file_names import same_file, stem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from . import SourceRow

Row = TypeVar("Row", bound=CheckpointEntry)


class RowFinder(Generic[Row]):
    """Finds the checkpoint that a row is about: by its file or its name in a metafile, else by what its columns say."""

    def __init__(self, checkpoints: Iterable[Row], linked: Collection[str] = ()) -> None:
        """`linked`: files by which the document's rows are found; what has one of them is no other row's."""
        files_of_document = {same_file(url) for url in linked}
        self._named: dict[str, Row] = {}
        self._files: dict[str, Row] = {}
        self._alike: dict[tuple[object, ...], list[Row]] = defaultdict(list)
        for one in checkpoints:
            if files := {same_file(url) for url in one.weights.urls} & files_of_document:
                self._files |= dict.fromkeys(files, one)
                continue
            self._named |= dict.fromkeys((one.id, *one.aliases), one)
            for crop, dataset in itertools.product((one.crop, None), (one.dataset, "")):
                key = (one.publisher, one.method, one.segmentor, one.backbone, one.schedule, crop, dataset)
                self._alike[key].append(one)

    def find(self, publisher: str, row: SourceRow) -> Row | None:
        """The checkpoint; None where none is meant, or more than one may be.

        A page without headings leaves the data set open: backbone, crop and schedule have to suffice.
        """
        if file := self._files.get(same_file(row.weights_url)):
            return file
        if row.name and row.name in self._named:
            return self._named[row.name]
        key = (publisher, row.method, row.segmentor, row.backbone, row.schedule, row.crop, row.dataset)
        alike = self._alike.get(key, [])
        if len(alike) > 1:  # trained with other losses, or on more: their files tell them apart
            alike = [one for one in alike if stem(row.weights_url) in (one.id, *one.aliases)]
        return alike[0] if len(alike) == 1 else None
