"""The zoo itself: the manifest, fetching, verifying, and the `zoo` command that joins the other folders."""

from __future__ import annotations

from .manifest import Checkpoint, Claim, Manifest, ManifestError, load_manifest
from .quantities import register_all

register_all()  # before anybody reads a claim: manifests are checked against the metrics that there are

__all__ = ["Checkpoint", "Claim", "Manifest", "ManifestError", "load_manifest"]
