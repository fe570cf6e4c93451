"""JSON Schema of a manifest."""

from __future__ import annotations

from typing import Any

import msgspec

from ...models.load.layouts import LAYOUTS
from ...reports.metrics import METRICS
from .records import ManifestFile

_TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
_ROW_KEYS = {
    "row": {"type": "integer", "minimum": 1},
    "parts": _TEXTS,
    "source": {
        "type": "object",
        "properties": {"document": {"type": "string"}, "section": {"type": "string"}},
    },
    "figures": {"type": "object"},
    "listed_in": {"anyOf": [{"type": "array"}, {"type": "object"}]},
}
"""What a row in short may have besides the record's fields; the expansion says more of it than a schema can."""


def json_schema() -> dict[str, Any]:
    """JSON Schema of a manifest's file, for editors that check and complete YAML."""
    schema = msgspec.json.schema(ManifestFile)
    definitions = schema["$defs"]
    definitions["Claim"]["properties"]["metric"] = {"enum": list(METRICS)}
    definitions["Weights"]["properties"]["layout"] = {"enum": list(LAYOUTS)}
    file, entry = definitions["ManifestFile"], definitions["CheckpointEntry"]
    row = {key: {} for key in entry["properties"]} | _ROW_KEYS
    definitions["Row"] = {"title": "Row", "type": "object", "properties": row, "additionalProperties": False}
    row_list = {"type": "array", "items": {"$ref": "#/$defs/Row"}}
    section = {"defaults": {"$ref": "#/$defs/Row"}, "rows": row_list, "additions": row_list}
    definitions["Section"] = {
        "title": "Section",
        "type": "object",
        "properties": section,
        "additionalProperties": False,
    }
    file["properties"] |= {
        "include": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "defaults": {"$ref": "#/$defs/Row"},
        "sections": {"type": "array", "items": {"$ref": "#/$defs/Section"}},
        "checkpoints": {
            "type": "array",
            "items": {"anyOf": [{"$ref": "#/$defs/CheckpointEntry"}, {"$ref": "#/$defs/Row"}]},
        },
    }
    file["required"] = []  # a file may have what others leave out
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segbench zoo manifest",
        **schema,
    }
