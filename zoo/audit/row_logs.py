"""Training logs of the rows, as far as `zoo fetch --with-logs` put them in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..publishers.training_logs import LogError, TrainingLog, read_log
from .findings import Place, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..manifest import Checkpoint


class RowLog(msgspec.Struct, frozen=True, kw_only=True):
    """The cached log of a row."""

    checkpoint: str
    path: str
    """As messages show it."""
    log: TrainingLog | None
    fault: str = ""
    """Why there is no log in the file."""

    def place(self, line: int = 1) -> Place:
        """A line of the log."""
        return Place(file=self.path, line=line)


def cached_logs(checkpoints: Iterable[Checkpoint], home: Path | None = None) -> list[RowLog]:
    """The rows' logs that are in the cache, in the rows' order; nothing is fetched.

    Args:
        checkpoints: rows, each with the links of its log.
        home: the cache; None for the user's.
    """
    from ..fetch import wanted_papers  # noqa: PLC0415  (the downloader, which an audit without a cache need not pay)

    paths = (
        (one.id, paper.target)
        for one in checkpoints
        for paper in wanted_papers(one, home)
        if paper.kind == "log" and paper.target.is_file()
    )
    return [_row_log(checkpoint, path) for checkpoint, path in paths]


def _row_log(checkpoint: str, path: Path) -> RowLog:
    name = shown(path)
    try:
        return RowLog(checkpoint=checkpoint, path=name, log=read_log(path))
    except LogError as error:
        return RowLog(checkpoint=checkpoint, path=name, log=None, fault=str(error).replace(str(path), name))
    except Exception as error:  # noqa: BLE001  (whatever a log makes of its reader is that log's)
        fault = f"{name}: cannot be understood ({type(error).__name__}: {error!s:.200})"
        return RowLog(checkpoint=checkpoint, path=name, log=None, fault=fault)
