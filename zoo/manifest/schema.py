"""JSON Schema of a manifest."""

from __future__ import annotations

from typing import Any

import msgspec

from .records import ManifestFile


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors that check and complete YAML."""
    schema = msgspec.json.schema(ManifestFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segbench zoo manifest",
        **schema,
    }
