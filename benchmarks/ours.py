"""Our own accuracy loop, timed from files to counts in an evidence file."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segbench.evaluate import EvalProtocol
    from segbench.evaluate.count.confusion import Scores
    from segbench.evaluate.data.datasets import Dataset


def counted(network: Any, dataset: Dataset, protocol: EvalProtocol) -> tuple[float, Scores]:
    """Seconds for all images of a data set, and its scores."""
    from segbench.evaluate.accuracy import count_missing  # noqa: PLC0415  (the other side's process has none of ours)
    from segbench.evaluate.evidence import EvidenceKey, EvidenceStore  # noqa: PLC0415
    from segbench.evaluate.evidence.scores import scores_from_evidence  # noqa: PLC0415

    key = EvidenceKey(
        weights_sha256="-", protocol_digest="-", dataset_rules="-", precision="fp32", device_kind="cpu",
        num_classes=len(dataset.spec.classes),
    )  # fmt: skip
    contents = dataset.contents()
    with tempfile.TemporaryDirectory() as folder, EvidenceStore(Path(folder) / "e.sqlite") as store:
        started = time.perf_counter()
        list(count_missing(network, dataset, contents, protocol, store, key))
        return time.perf_counter() - started, scores_from_evidence(contents, store, key, protocol.void)
