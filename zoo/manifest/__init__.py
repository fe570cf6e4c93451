"""What was published: `zoo.yaml` read, checked whole, and turned into records; and which rows are meant.

In comes a path, out comes a `Manifest` of `Checkpoint`s; a wrong file is refused with all its faults and their lines.
"""

from __future__ import annotations

from .faults import Fault, ManifestError
from .names import HINTED, LISTED, nearest
from .reader import PACKAGED, load_manifest, packaged_publishers
from .records import (
    NOT_BUILT,
    VERSION,
    Checkpoint,
    CheckpointEntry,
    Claim,
    Cost,
    Date,
    Document,
    Identifier,
    Listing,
    Manifest,
    ManifestFile,
    NoProtocol,
    Printed,
    Sha256,
    Sha256Prefix,
    Source,
    Training,
    UnknownCheckpoint,
    Url,
    Weights,
)
from .schema import json_schema

__all__ = [
    "HINTED",
    "LISTED",
    "NOT_BUILT",
    "PACKAGED",
    "VERSION",
    "Checkpoint",
    "CheckpointEntry",
    "Claim",
    "Cost",
    "Date",
    "Document",
    "Fault",
    "Identifier",
    "Listing",
    "Manifest",
    "ManifestError",
    "ManifestFile",
    "NoProtocol",
    "Printed",
    "Sha256",
    "Sha256Prefix",
    "Source",
    "Training",
    "UnknownCheckpoint",
    "Url",
    "Weights",
    "json_schema",
    "load_manifest",
    "nearest",
    "packaged_publishers",
]
