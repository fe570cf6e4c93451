"""`zoo audit`: every source against the manifest, and the manifest's claims against reason. No GPU, no torch.

Checks of reason (`zoo.audit_claims`) look at the manifest, which has every figure; where a given document
prints the same figure, its line is named too. Checks of documents (`zoo.audit_documents`) compare what each
one says with the manifest, and metafiles with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .audit_claims import CLAIM_CHECKS
from .audit_documents import DOCUMENT_CHECKS
from .audit_evidence import Evidence
from .findings import ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .findings import Finding
    from .manifest import Manifest
    from .sources import SourceDocument


def audit(manifest: Manifest, documents: Sequence[SourceDocument] = ()) -> list[Finding]:
    """Everything that is wrong or worth knowing, from grave to harmless.

    Args:
        manifest: the zoo, whose claims are checked against reason and against the documents.
        documents: parsed pages and metafiles of the publishers.
    """
    evidence = Evidence(manifest, documents)
    return ordered([one for check in (*CLAIM_CHECKS, *DOCUMENT_CHECKS) for one in check(evidence)])
