"""`zoo audit`: every source against the manifest, and the manifest's claims against reason. No GPU, no torch.

Checks of reason (`claims`, `columns`) look at the manifest, which has every figure; where a given document prints the
same figure, its line is named too. Checks of documents (`documents`, `rows`) compare what each one says with the
manifest, and metafiles with each other; `statements` holds each row of a document against itself, `configs` against
the configuration that it links. Checks of logs (`logs`) compare what a training saw with what its row prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .claims import CLAIM_CHECKS
from .columns import COLUMN_CHECKS
from .configs import CONFIG_CHECKS
from .documents import DOCUMENT_CHECKS
from .findings import Place, number_of, ordered
from .logs import LOG_CHECKS
from .rows import ROW_CHECKS
from .sources import AuditSources, finding
from .statements import STATEMENT_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..manifest import Manifest
    from ..publishers import SourceDocument
    from ..publishers.configs import Release
    from .findings import AuditFinding
    from .row_logs import RowLog


CHECKS = (
    *CLAIM_CHECKS,
    *COLUMN_CHECKS,
    *DOCUMENT_CHECKS,
    *ROW_CHECKS,
    *STATEMENT_CHECKS,
    *CONFIG_CHECKS,
    *LOG_CHECKS,
)


def audit(
    manifest: Manifest,
    documents: Sequence[SourceDocument] = (),
    logs: Sequence[RowLog] = (),
    releases: Sequence[Release] = (),
) -> list[AuditFinding]:
    """Everything that is wrong or worth knowing, from grave to harmless.

    Args:
        manifest: the zoo, whose claims are checked against reason and against the documents.
        documents: parsed pages and metafiles of the publishers.
        logs: training logs of the manifest's rows (`row_logs.cached_logs`).
        releases: configurations of the publishers' releases, which the documents link.
    """
    return audit_of(AuditSources(manifest, documents, logs, releases))


def audit_of(sources: AuditSources) -> list[AuditFinding]:
    """What is found in sources that the caller shows too."""
    return ordered([one for check in CHECKS for one in _found(check, sources)])


def _found(
    check: Callable[[AuditSources], Iterator[AuditFinding]], sources: AuditSources
) -> Iterator[AuditFinding]:
    """What a check finds; where it fails, that is a finding too, and the other checks go on."""
    try:
        yield from check(sources)
    except Exception as error:  # noqa: BLE001  (whatever it is, the other checks have their findings)
        what = f"ended with {type(error).__name__}: {error!s:.200}"
        yield finding("check-failed", check.__name__, what, Place(file=sources.file, line=1))


def scope_text(manifest: Manifest, documents: Sequence[SourceDocument], logs: Sequence[RowLog]) -> str:
    """What was compared with what, so that nobody takes silence about a source for its agreement."""
    with_log = sum(bool(one.log_urls) for one in manifest)
    words = [f"{number_of(len(manifest), 'row')} compared with {number_of(len(documents), 'document')}"]
    words += [f"and the training logs of {len(logs)} of {with_log}"]
    hints = [] if documents else ["name documents with --source"]
    hints += [] if logs else ["zoo fetch --with-logs brings logs"]
    return " ".join(words) + (f" ({', '.join(hints)})" if hints else "")
