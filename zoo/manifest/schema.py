"""JSON Schema of a manifest."""

from __future__ import annotations

from typing import Any

import msgspec

from ...reports.metrics import METRICS
from .records import ManifestFile


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors that check and complete YAML."""
    schema = msgspec.json.schema(ManifestFile)
    schema["$defs"]["Claim"]["properties"]["metric"] = {"enum": list(METRICS)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segbench zoo manifest",
        **schema,
    }
