"""The zoo itself: the manifest, fetching, verifying, and the `zoo` command that joins the other folders."""

from __future__ import annotations

from .manifest import Checkpoint, Claim, Manifest, ManifestError, load_manifest

__all__ = ["Checkpoint", "Claim", "Manifest", "ManifestError", "load_manifest"]
