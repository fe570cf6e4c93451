"""What an evidence file holds, series by series: found, given away, brought together, thinned out."""

from __future__ import annotations

import fnmatch
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from ...evaluate.evidence import EvidenceError, EvidenceKey, EvidenceStore, Use
from ...evaluate.evidence.exchange import export, merge_files
from ..measuring.measurement import environment_fault
from ..quantities import names
from ..quantities.counted import Counted
from .recount import recount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ..measuring.measurement import Measurement


class UnknownSeries(LookupError):  # noqa: N818  (named for what is the case, as LookupErrors are)
    """No series goes by this name; the message says what there is."""


class StoredSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series and one thing it was measured for, with what is there of it."""

    series: str
    """SHA-256 (hex) of the key: the same in every evidence file."""
    key: EvidenceKey
    use: Use | None = None
    """None where format 1 wrote the counts, which did not say what for."""
    images: int
    """Counted images, of whatever contents."""
    missing: tuple[str, ...] = ()
    """Ids of the split without counts for their contents."""
    other_contents: tuple[str, ...] = ()
    """Ids with counts whose contents are not the split's: files that changed; they count nowhere."""
    last_used: str

    @property
    def state(self) -> str:
        """In a few words: whether each image of the split counts exactly once."""
        if self.use is None:
            return "not described"
        total = len(self.use.split.images)
        if len({name for name, _ in self.use.split.images}) < total:
            return "images listed twice"
        if self.missing:
            return f"{len(self.missing)} missing"
        return "complete"

    @property
    def progress(self) -> str:
        """`8/12`, or the count alone where the split is unknown."""
        if self.use is None:
            return str(self.images)
        total = len(self.use.split.images)
        return f"{total - len(self.missing)}/{total}"


def holdings(store: EvidenceStore) -> list[StoredSeries]:
    """Every series with everything it was measured for."""
    return [
        holding
        for key in store.series()
        for holding in (_holding(store, key, use) for use in store.uses(key) or [None])
    ]


def _holding(store: EvidenceStore, key: EvidenceKey, use: Use | None) -> StoredSeries:
    measured = store.measured(key)
    wanted = use.split.images if use else ()
    ids = {name for name, _ in wanted}
    return StoredSeries(
        series=key.digest(),
        key=key,
        use=use,
        images=len(measured),
        missing=tuple(name for name, content in wanted if (name, content) not in measured),
        other_contents=tuple(sorted(name for name, _ in measured - set(wanted) if name in ids)),
        last_used=store.last_used(key),
    )


def chosen(held: Sequence[StoredSeries], names: Iterable[str]) -> list[StoredSeries]:
    """Those whose series begins with a name, or whose checkpoint matches it as a glob; all without names.

    Raises:
        UnknownSeries: a name fits nothing.
    """
    patterns = list(names)
    for pattern in patterns:
        if not any(_fits(holding, pattern) for holding in held):
            raise UnknownSeries(
                f"no series or checkpoint {pattern!r} in the evidence; zoo evidence list shows what there is"
            )
    return [holding for holding in held if not patterns or any(_fits(holding, name) for name in patterns)]


def _fits(holding: StoredSeries, pattern: str) -> bool:
    checkpoint = holding.use.checkpoint if holding.use else ""
    return holding.series.startswith(pattern.lower()) or fnmatch.fnmatchcase(checkpoint, pattern)


def older(held: Sequence[StoredSeries], days: float) -> list[StoredSeries]:
    """Those whose series nothing was written to for so many days."""
    limit = datetime.now(timezone.utc) - timedelta(days=days)
    return [holding for holding in held if _moment(holding) <= limit]


def of_the_future(held: Sequence[StoredSeries]) -> list[StoredSeries]:
    """Those whose series were last written to later than now: the clock was set back, their age is unknown."""
    now = datetime.now(timezone.utc)
    return [holding for holding in held if _moment(holding) > now]


def _moment(holding: StoredSeries) -> datetime:
    return datetime.fromisoformat(holding.last_used.replace("Z", "+00:00"))


def keys_of(held: Iterable[StoredSeries]) -> list[EvidenceKey]:
    """Their series, each once."""
    return list({holding.series: holding.key for holding in held}.values())


def apart_from_others(
    held: Sequence[StoredSeries], everything: Iterable[StoredSeries]
) -> tuple[list[StoredSeries], list[tuple[StoredSeries, list[str]]]]:
    """Those of `held` whose counts are nobody else's, and the others, each with the checkpoints that share its counts.

    Counts belong to a weights file, and two checkpoints may have the same one.
    """
    chosen_uses = {(one.series, one.use.checkpoint) for one in held if one.use}
    owners: dict[str, list[str]] = {}
    for one in everything:
        if one.use and (one.series, one.use.checkpoint) not in chosen_uses:
            owners.setdefault(one.series, []).append(one.use.checkpoint)
    free = [one for one in held if one.series not in owners]
    return free, [(one, list(dict.fromkeys(owners[one.series]))) for one in held if one.series in owners]


def score(store: EvidenceStore, holding: StoredSeries) -> Measurement | None:
    """The number of a complete series; None where images are missing or nobody said which they are."""
    complete = holding.use is not None and holding.state == "complete"
    return recount(store, holding.key, holding.use) if complete and holding.use else None


def give_away(store: EvidenceStore, target: Path, held: Sequence[StoredSeries], *, force: bool) -> int:
    """Write the series of `held` into a file of their own; returns its images.

    Raises:
        EvidenceError: the file exists and `force` is not set, or cannot be written.
    """
    if target.exists() and not force:
        raise EvidenceError(f"{target}: exists; choose another name, or replace it with --force")
    return export(store, target.resolve(), keys_of(held))  # a link stays one


def bring_together(target: EvidenceStore, files: Iterable[Path]) -> list[dict[str, Any]]:
    """Merge files into `target`, all or none; a record of each.

    Raises:
        EvidenceError: a file cannot be used, or contradicts another or what is there; nothing is merged.
    """
    paths = list(files)
    return [
        {"file": str(path), "images": merged.images, "new": merged.new}
        for path, merged in zip(paths, merge_files(target, paths, _use_fault), strict=True)
    ]


def _use_fault(use: Use) -> str:
    """What a description says that `zoo verify` would not."""
    if use.metric not in names(Counted):
        return f"expected one of {', '.join(names(Counted))}, found {use.metric!r}"
    return environment_fault(use.environment)
