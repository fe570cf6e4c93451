"""Two measured runs side by side, from their stored counts: which series are meant, and what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...evaluate.count.paired import Comparison, compare
from ...evaluate.evidence import EvidenceStore
from .stored_series import StoredSeries, UnknownSeries, chosen, holdings

if TYPE_CHECKING:
    from pathlib import Path

    from ...evaluate.count.confusion import Matrix
    from ...evaluate.evidence import EvidenceKey, Use

_SHOWN = 12
_TOLD = {
    "weights_sha256": "weights",
    "protocol_digest": "protocol",
    "precision": "precision",
    "device_kind": "device",
    "code": "code",
}
"""Fields of a series' key -> what a difference in them is called."""


class NotComparable(Exception):  # noqa: N818  (an answer)
    """Two runs cannot be compared; the message says why."""


class Side(NamedTuple):
    """One of the two runs."""

    name: str
    """Its checkpoint, and the beginning of its series' name."""
    key: EvidenceKey
    use: Use
    counts: dict[tuple[str, str], Matrix]
    """(image, contents) -> its counts."""


class Pair(NamedTuple):
    """Two runs compared over the images of both."""

    first: Side
    second: Side
    differs_in: tuple[str, ...]
    """What of weights, protocol, precision, device and code is not the same; further versions of torch and data sets."""
    found: Comparison
    left_out: int
    """Images that only one of the two has counted."""


def side(name: str, evidence: Path) -> Side:
    """The run of this name: a series or a checkpoint of `evidence`, or an evidence file that holds one series.

    Raises:
        EvidenceError: the file cannot be read.
        NotComparable: several runs go by this name, or what was counted is unknown.
        UnknownSeries: none does.
    """
    path = _file(name)
    with EvidenceStore(path or evidence, read_only=True) as store:
        held = holdings(store)
        found = list(
            {one.series: one for one in (held if path else chosen(held, [name])) if one.use}.values()
        )
        if not found:
            raise NotComparable(f"{name}: no series there says what it was measured for")
        if len(found) > 1:
            raise NotComparable(f"{name}: {len(found)} series go by this name; take one of\n{_listed(found)}")
        (one,) = found
        assert one.use is not None, "those without were left out"
        wanted = set(one.use.split.images)
        counts = {image: matrix for image, matrix in store.counts(one.key) if image in wanted}
    return Side(f"{one.use.checkpoint} ({one.series[:_SHOWN]})", one.key, one.use, counts)


def _file(name: str) -> Path | None:
    from pathlib import Path  # noqa: PLC0415

    path = Path(name)
    return path if path.is_file() else None


def _listed(found: list[StoredSeries]) -> str:
    lines = []
    for one in found:
        assert one.use is not None, "those without were left out"
        run = one.use.environment.get("export", {}).get("file") or f"weights {one.key.weights_sha256[:8]}"
        lines.append(
            f"  {one.series[:_SHOWN]}  {one.use.checkpoint}  {one.use.protocol}  {one.key.precision}  {run}"
        )
    return "\n".join(lines)


def pair(first: Side, second: Side) -> Pair:
    """Compare two runs over the images that both have counted.

    Raises:
        NotComparable: they are of other classes, labels or rules, or have no image in common.
    """
    if (first.key.dataset_rules, first.use.split.classes) != (
        second.key.dataset_rules,
        second.use.split.classes,
    ):
        raise NotComparable(
            f"{first.name} and {second.name}: other classes or label rules, so nothing can be compared"
        )
    if first.use.void != second.use.void:
        raise NotComparable(
            f"{first.name} and {second.name}: scored by other rules for void; measure both by one protocol"
        )
    shared = [image for image in first.use.split.images if image in first.counts and image in second.counts]
    try:
        found = compare(
            [first.counts[image] for image in shared],
            [second.counts[image] for image in shared],
            [name for name, _ in shared],
            first.use.split.classes,
            first.use.void,
        )
    except ValueError as error:
        raise NotComparable(f"{first.name} and {second.name}: {error}") from error
    left_out = len({*first.counts, *second.counts}) - len(shared)
    return Pair(first, second, _differences(first, second), found, left_out)


def _differences(first: Side, second: Side) -> tuple[str, ...]:
    one, other = (msgspec.structs.asdict(side.key) for side in (first, second))
    told = [word for field, word in _TOLD.items() if one[field] != other[field]]
    versions = [side.use.environment.get("packages", {}).get("torch") for side in (first, second)]
    if all(versions) and versions[0] != versions[1]:
        told.append(f"torch {versions[0]} and {versions[1]}")
    names = [side.use.split.dataset for side in (first, second)]
    if names[0] != names[1]:
        told.append(f"data set, {names[0]} and {names[1]}")
    return tuple(told)


__all__ = ["NotComparable", "Pair", "Side", "UnknownSeries", "pair", "side"]
