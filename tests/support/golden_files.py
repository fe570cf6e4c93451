"""What the publishers' own programs, models and pages said, recorded in `tests/golden/` (its README tells how)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"


def load(name):
    """What a file below `tests/golden/` holds: arrays by name, JSON, or a text."""
    path = GOLDEN / name
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else text
