"""The copy of a manifest in the cache: taken where nothing changed, never where something is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from full_zoo import YAML, ZOO

from segbench.zoo.manifest import ManifestError, ManifestFile, compiled, load_manifest
from segbench.zoo.manifest.places import find_places

INCLUDING = YAML.replace("version: 1\n", "version: 1\ninclude: [more/*.yaml]\n", 1)
EXTRA = "protocols:\n  extra: {base_scale: [8, 4]}\n"


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(INCLUDING, encoding="utf-8")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.yaml").write_text(EXTRA, encoding="utf-8")
    return path


def copy_of(path):
    """The copy in the cache; the packaged zoo, whose publishers every manifest knows, has one of its own."""
    return compiled._place(path, ManifestFile)


def test_a_manifest_is_read_from_its_copy_the_second_time(manifest, monkeypatch):
    first = list(load_manifest(manifest))
    monkeypatch.setattr(compiled, "keep", None)  # nothing may be read, and so kept, again
    again = load_manifest(manifest)
    assert list(again) == first
    assert (again.datasets, again.documents) == (ZOO.datasets, ZOO.documents)


def test_lines_are_read_from_a_copy_the_second_time_and_files_named_as_asked(manifest, monkeypatch):
    lines = manifest.read_text(encoding="utf-8").splitlines()
    first = find_places(manifest)
    monkeypatch.setattr(compiled, "keep", lambda *_: None)
    again = find_places(manifest)
    assert again == first
    for name, places in again.checkpoints.items():
        assert places.entry.file == manifest
        assert lines[places.entry.line - 1].endswith(f"id: {name}")
    monkeypatch.chdir(manifest.parent)
    assert {one.entry.file for one in find_places(Path(manifest.name)).checkpoints.values()} == {
        Path("zoo.yaml")
    }
    manifest.write_text("\n" + manifest.read_text(encoding="utf-8"), encoding="utf-8")
    moved = find_places(manifest).checkpoints
    assert {name: places.entry.line for name, places in moved.items()} == {
        name: places.entry.line + 1 for name, places in first.checkpoints.items()
    }


@pytest.mark.parametrize("change", ["manifest", "included", "another file", "a file less"])
def test_a_change_of_any_file_is_seen(manifest, change):
    assert "extra" in load_manifest(manifest).protocols
    more = manifest.parent / "more"
    if change == "manifest":
        manifest.write_text(INCLUDING.replace('"78.49"', '"78.50"'), encoding="utf-8")
        assert "78.50" in {claim.printed for one in load_manifest(manifest) for claim in one.claims}
    elif change == "included":
        (more / "a.yaml").write_text(EXTRA.replace("extra", "other"), encoding="utf-8")
        assert "other" in load_manifest(manifest).protocols
    elif change == "another file":
        (more / "b.yaml").write_text(EXTRA.replace("extra", "other"), encoding="utf-8")
        assert {"extra", "other"} <= load_manifest(manifest).protocols.keys()
    else:
        (more / "a.yaml").unlink()
        with pytest.raises(ManifestError, match="no file is there"):
            load_manifest(manifest)


def test_another_segbench_reads_for_itself(manifest, monkeypatch):
    load_manifest(manifest)
    assert compiled.kept(manifest, ManifestFile) is not None
    monkeypatch.setattr(compiled, "writer", lambda: "another")
    assert compiled.kept(manifest, ManifestFile) is None


def test_a_damaged_copy_is_not_taken(manifest):
    before = list(load_manifest(manifest))
    whole = copy_of(manifest).read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            copy_of(manifest).write_bytes(damaged)
            assert compiled.kept(manifest, ManifestFile) is None
    assert list(load_manifest(manifest)) == before
    assert copy_of(manifest).read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(manifest, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
    assert len(load_manifest(manifest)) == len(load_manifest(manifest)) == len(ZOO)
    monkeypatch.setenv("ZOO_HOME", os.devnull)
    assert len(load_manifest(manifest)) == len(ZOO)


SAYS_NOTHING_OF_MANIFESTS = {
    "segbench.evaluate.speed.speed_protocol",  # how speed is timed
    "segbench.zoo.console.exit_codes",
    "segbench.zoo.measuring.terms",
}


def test_a_change_of_the_code_that_reads_is_seen():
    """Whatever module the reading of a manifest imports is part of what a copy is kept for."""
    program = (
        "import sys; from pathlib import Path; import segbench.zoo.manifest.reading;"
        "from segbench.zoo.manifest import compiled;"
        "known = {path for pattern in compiled._READS for path in compiled._ROOT.glob(pattern)};"
        "files = {name: Path(one.__file__) for name, one in sys.modules.items()"
        " if name.startswith('segbench.') and one.__file__};"
        "print(*(name for name, path in files.items() if path not in known and path.name != '__init__.py'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == SAYS_NOTHING_OF_MANIFESTS
