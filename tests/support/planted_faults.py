"""Faults planted in copies of a manifest and of publishers' pages, and what the audit finds then."""

import functools
import tempfile
from collections import Counter
from pathlib import Path

from full_zoo import YAML, ZOO

from segbench.zoo.audit import audit
from segbench.zoo.manifest import load_manifest
from segbench.zoo.publishers import read_sources

__all__ = ["YAML", "ZOO", "counted", "findings", "replace", "unchanged", "within"]


def replace(old, new, count=1):
    """An edit that must meet its text exactly `count` times."""

    def edit(text):
        assert text.count(old) == count, (old, text.count(old))
        return text.replace(old, new)

    return edit


def within(row, *edits):
    """Edits of one entry of the manifest."""

    def edit(text):
        start = text.index(f"  - id: {row}\n")
        end = text.find("\n  - id: ", start + 1)
        block = text[start:end]
        for change in edits:
            block = change(block)
        return text[:start] + block + text[end:]

    return edit


def unchanged(text):
    """No edit."""
    return text


def findings(folder, manifest_text=YAML, *documents):
    path = folder / "zoo.yaml"
    path.write_text(manifest_text, encoding="utf-8")
    files = []
    for number, text in enumerate(documents):
        files.append(folder / f"page{number}")
        files[-1].write_text(text, encoding="utf-8")
    return audit(load_manifest(path), [document for file in files for document in read_sources(file)])


def counted(found):
    """How often each kind is found of each subject: a row, or a document by its name without the folder."""
    return Counter((one.kind, subject(one)) for one in found)


def subject(one):
    path = Path(one.subject)
    return path.name if path.is_absolute() else one.subject


@functools.lru_cache(maxsize=16)
def counted_before(*documents, manifest_text=YAML):
    """What is found without the fault: of documents that many faults are planted into it is asked for once a fault."""
    with tempfile.TemporaryDirectory() as folder:
        return counted(findings(Path(folder), manifest_text, *documents))
