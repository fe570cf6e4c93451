"""What rows are measured with: data sets found once for all of them, and each row's weights."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from ...evaluate.data.datasets import DatasetError, locate
from ...models.adapters import require_sound
from ...models.builders import ArchitectureError
from ...models.load.weights import WeightsError
from ..console.exit_codes import ExitCode
from ..fetch import FetchError, IntegrityError, Progress, check_hash, fetch, given_weights
from .bench import Options, Subject
from .own_code import code_digest, require_precision
from .terms import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from ...evaluate.data.datasets import Dataset, DatasetSpec
    from ..manifest import Checkpoint


class DatasetShelf:
    """Data sets found once for all the rows that share them; hashing one means reading it."""

    def __init__(self, data_root: Path | None) -> None:
        self.data_root = data_root
        self._found: dict[str, tuple[Dataset, dict[str, str]]] = {}

    def get(self, spec: DatasetSpec) -> tuple[Dataset, dict[str, str]]:
        """A data set and its contents by id.

        Raises:
            DatasetError: it is not there, or not whole.
        """
        if spec.name not in self._found:
            dataset = locate(spec, self.data_root)
            self._found[spec.name] = dataset, dataset.contents()
        return self._found[spec.name]


class Supplies:
    """Data set and weights of one checkpoint, obtained once, at the first claim that needs them.

    The network is made of the weights at the first image that lacks counts.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: Options,
        shelf: DatasetShelf,
        prepare: Callable[[Checkpoint, Path, str], Any],
        download: Callable[[Checkpoint], AbstractContextManager[Progress | None]],
    ) -> None:
        """`prepare`: the network from a weights file of a SHA-256; `download`: shows that weights are fetched."""
        self.checkpoint = checkpoint
        self.options = options
        self.shelf = shelf
        self.found: Subject | NotMeasured | None = None
        """What was obtained, or why it cannot be; None before the first claim."""
        self._prepare = prepare
        self._download = download

    def subject(self) -> Subject:
        """Data set and weights.

        Raises:
            NotMeasured: they cannot be had; the same reason again for each claim of the row.
        """
        if self.found is None:
            with self._absence_kept():
                self.found = self._obtain()
        if isinstance(self.found, NotMeasured):
            raise self.found
        return self.found

    def make_ready(self, subject: Subject) -> None:
        """Make the row's network, unless that is done.

        Raises:
            NotMeasured: it cannot be made; from now on that is the reason of every claim of the row.
        """
        with self._absence_kept():
            subject.load()

    @contextmanager
    def _absence_kept(self) -> Iterator[None]:
        """Turn what is missing of a row, or wrong with it, into its reason, and keep that for the row's other claims."""
        try:
            with _absence_named():
                yield
        except NotMeasured as absence:
            self.found = absence
            raise

    def _obtain(self) -> Subject:
        dataset, contents = self.shelf.get(self.checkpoint.dataset_spec)
        given = self.options.weights_file
        path = given_weights(self.checkpoint, given, self.options.home) if given else self._fetched()
        sha256 = check_hash(path, self.checkpoint.weights)
        require_precision(path, self.options.precision)
        require_sound(path)
        return Subject(
            checkpoint=self.checkpoint,
            dataset=dataset,
            contents=contents,
            weights_sha256=sha256,
            file=path,
            code=code_digest(self.checkpoint, path),
            load=cache(partial(self._prepare, self.checkpoint, path, sha256)),
        )

    def _fetched(self) -> Path:
        with self._download(self.checkpoint) as progress:
            return fetch(
                self.checkpoint, home=self.options.home, offline=self.options.offline, progress=progress
            )


@contextmanager
def _absence_named() -> Iterator[None]:
    """Turn what is missing, or not what it claims to be, into the reason of a row that is not measured.

    Raises:
        NotMeasured: in place of the errors of files, data sets and networks.
    """
    try:
        yield
    except (IntegrityError, WeightsError) as error:
        raise NotMeasured(str(error), ExitCode.INTEGRITY) from error
    except (ArchitectureError, DatasetError, FetchError) as error:
        raise NotMeasured(str(error)) from error
