"""The packaged zoo's rows made again from the documents and configurations they came from; run as a program, it writes them.

`tests/golden/documents/NAME.tar.xz` holds a publisher's documents by release and `configs.json`, the facts of its
configurations.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from segbench.zoo.manifest import load_manifest
from segbench.zoo.manifest.writing import yaml_text
from segbench.zoo.publishers import read_source
from segbench.zoo.publishers.configs.protocol_names import ProtocolNames
from segbench.zoo.publishers.configs.published_config import Configs, read_release
from segbench.zoo.publishers.import_documents import entries_of, file_text
from segbench.zoo.publishers.import_rows import tables_of
from segbench.zoo.publishers.import_table import Provenance
from segbench.zoo.publishers.row_facts import Known

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "tests" / "golden" / "documents"
PUBLISHED = ROOT / "zoo" / "published"
BY_HAND = {"isanet"}
"""Methods whose rows cite other documents."""


def unpacked(name: str, folder: Path) -> Path:
    """A publisher's documents in a folder."""
    with tarfile.open(DOCUMENTS / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def known_of(releases: list[Path]) -> Known:
    """What rows rest on: data sets, and the protocols that stand outside of the files that are made."""
    base = releases[0].with_name("base.yaml")
    names = ("datasets", "protocols", "mmsegmentation/publisher", "sssegmentation/publisher")
    included = ", ".join(f"'segbench:{name}.yaml'" for name in names)
    base.write_text(f"version: 1\ninclude: [{included}]\ncheckpoints: []\n", encoding="utf-8")
    manifest = load_manifest(base)
    configs = Configs([read_release(one) for one in releases])
    return Known(manifest.datasets, configs, ProtocolNames(manifest.protocols))


def mmsegmentation(folder: Path) -> dict[Path, str]:
    """Path below `zoo/published` -> text."""
    known = known_of([folder / "0.30.0" / "configs.json", folder / "1.2.2" / "configs.json"])
    publishers = load_manifest(folder / "0.30.0" / "base.yaml").publishers
    files = {}
    for newest in sorted((folder / "1.2.2").glob("*.yaml")):
        if newest.stem in BY_HAND:
            continue
        older = next((folder / "0.30.0").glob(f"{newest.stem}-*.yml"), None)
        states = []
        for path, release, date in ((older, "0.30.0", "2023-01-11"), (newest, "1.2.2", "2023-12-14")):
            if path is None:
                continue
            document = read_source(path, publishers)
            file = (
                f"{newest.stem}/{'metafile.yaml' if path is newest else path.stem.partition('-')[2] + '.yml'}"
            )
            record = {
                "title": f"{newest.stem} metafile of mmsegmentation {release}",
                "publisher": "mmsegmentation",
                "url": f"https://github.com/open-mmlab/mmsegmentation/blob/v{release}/configs/{file}",
                "revision": f"v{release}",
                "date": date,
            }
            states.append(
                (document, origin(f"mmseg-{newest.stem}-{release}", record, publishers["mmsegmentation"]))
            )
        files[Path("mmsegmentation") / f"{newest.stem}.yaml"] = file_text(states, entries_of(states, known))
    files[Path("mmsegmentation") / "protocols.yaml"] = yaml_text(tables_of({}, known.names.added))
    return files


def sssegmentation(folder: Path) -> dict[Path, str]:
    """Path below `zoo/published` -> text."""
    known = known_of([folder / "configs.json"])
    publishers = load_manifest(folder / "base.yaml").publishers
    files = {}
    for path in sorted(folder.glob("*.md")):
        document = read_source(path, publishers)
        record = {
            "title": f"{' and '.join(dict.fromkeys(row.method for row in document.rows))} page of sssegmentation",
            "publisher": "sssegmentation",
            "url": f"https://github.com/SegmentationBLWX/sssegmentation/blob/eb1878c1/docs/modelzoo/{path.stem}/README.md",
            "revision": "eb1878c1",
            "date": "2025-11-08",
        }
        states = [(document, origin(f"ssseg-{path.stem}-readme", record, publishers["sssegmentation"]))]
        files[Path("sssegmentation") / f"{path.stem}.yaml"] = file_text(states, entries_of(states, known))
    files[Path("sssegmentation") / "protocols.yaml"] = yaml_text(tables_of({}, known.names.added))
    return files


def origin(key: str, record: dict[str, Any], publisher: Any) -> Provenance:
    """How the manifest calls a document."""
    from segbench.zoo.manifest import Document

    return Provenance(key=key, document=Document(**record), publisher=publisher)


def main() -> None:
    """Write the rows of the publishers that are named."""
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in globals()[re.sub(r"\W", "", name)](unpacked(name, Path(folder))).items():
                (PUBLISHED / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
