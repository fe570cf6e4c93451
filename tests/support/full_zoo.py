"""The rows of two methods as one manifest in full form: what tests plant faults in, count and cut."""

from pathlib import Path

from segbench.zoo.manifest import load_manifest

PATH = Path(__file__).resolve().parents[1] / "golden" / "zoo.yaml"
YAML = PATH.read_text(encoding="utf-8")
ZOO = load_manifest(PATH)
