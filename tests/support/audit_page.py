"""`results/audit.md` as `zoo audit` writes it of the kept documents and configurations; run as a program, it writes it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import published_rows

from segbench.zoo.audit import audit_of, scope_text
from segbench.zoo.audit.page import Page
from segbench.zoo.audit.sources import AuditSources
from segbench.zoo.manifest import load_manifest
from segbench.zoo.publishers import read_sources
from segbench.zoo.publishers.configs import read_configs

PAGE = published_rows.ROOT / "results" / "audit.md"
PUBLISHERS = ("mmsegmentation", "sssegmentation")


def files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """The kept documents, unpacked in a folder, and what was read of their releases' configurations."""
    for name in PUBLISHERS:
        published_rows.unpacked(name, folder / name)
    files = sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file())
    configs = [one for one in files if one.name == "configs.json"]
    return [one for one in files if one not in configs], configs


def sources_in(folder: Path) -> AuditSources:
    """Everything that the page is about, by paths from the folder, which is the current one."""
    manifest = load_manifest()
    documents, configs = files_of(folder)
    return AuditSources(
        manifest,
        [document for path in documents for document in read_sources(path, manifest.publishers)],
        (),
        [read_configs(path) for path in configs],
    )


def page_of(sources: AuditSources) -> str:
    """The file's text."""
    scope = scope_text(sources.manifest, sources.documents, ())
    return Page(sources).text(audit_of(sources), scope) + "\n"


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        PAGE.write_text(page_of(sources_in(Path())), encoding="utf-8")


if __name__ == "__main__":
    main()
