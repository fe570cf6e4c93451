"""Manifests of several files: what they include, and faults with the file where they stand."""

import pytest
from small_manifest import SMALL

from segbench.zoo.cli import main
from segbench.zoo.manifest import ManifestError, load_manifest

TABLES, ROWS = SMALL.split("checkpoints:\n")
FIRST, SECOND = ROWS.split("  - id: second\n")


def write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
    return folder / "zoo.yaml"


def fault(path):
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


def test_files_are_read_in_the_order_of_their_names(tmp_path):
    path = write(
        tmp_path,
        zoo="version: 1\ninclude: [tables.yaml, rows/*.yaml]\n",
        tables=TABLES,
        rows__b="checkpoints:\n  - id: second\n" + SECOND,
        rows__a="checkpoints:\n" + FIRST,
    )
    assert [one.id for one in load_manifest(path)] == ["first", "second"]


def test_a_manifest_may_include_what_segbench_brings(tmp_path):
    path = write(
        tmp_path, zoo='version: 1\ninclude: "segbench:datasets.yaml"\nprotocols: {}\ncheckpoints: []\n'
    )
    assert "cityscapes" in load_manifest(path).datasets


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"zoo": "version: 1\ninclude: [a.yaml]\n"}, ["zoo.yaml:2: include: cannot read a.yaml: No such file or directory"]),
        ({"zoo": "version: 1\ninclude: [x/*.yaml]\n"}, ["zoo.yaml:2: include: no file is there that 'x/*.yaml' could mean"]),
        ({"zoo": "version: 1\ninclude: [/etc/x.yaml]\n"}, ["zoo.yaml:2: include: '/etc/x.yaml': name files from the folder of this one on, with * for parts of a name"]),
        ({"zoo": "version: 1\ninclude: {a: b}\n"}, ["zoo.yaml:2: include: expected the name of a file, or a list of names"]),
        ({"zoo": "version: 1\ninclude: [a.yaml]\n", "a": "include: [zoo.yaml]\n"}, ["a.yaml:1: include: zoo.yaml includes this file: an include may not lead back to itself"]),
        ({"zoo": "version: 1\ninclude: [a.yaml]\n", "a": "include: [a.yaml]\n"}, ["a.yaml:1: include: a.yaml includes this file: an include may not lead back to itself"]),
        ({"zoo": "version: 1\ninclude:\n- a.yaml\n- '*a.yaml'\n", "a": TABLES}, ["zoo.yaml:4: include: a.yaml is included twice, first by zoo.yaml:3"]),
        ({"zoo": "version: 1\ninclude: [a.yaml]\n", "a": "a: [\n"}, ["a.yaml:2: not valid YAML: did not find expected node content"]),
        ({"zoo": "version: 1\ninclude: [a.yaml]\n", "a": "[]\n"}, ["a.yaml:1: expected a mapping with some of version, include"]),
        ({"zoo": "version: 1\ninclude: [a.yaml]\n", "a": "version: 2\n"}, ["a.yaml:1: version: version 2 is not supported, this segbench reads version 1"]),
        ({"zoo": SMALL.replace("version: 1\n", "version: 1\ninclude: [a.yaml]\n"), "a": "checkpoints:\n  - id: second\n" + SECOND}, ["a.yaml:2: checkpoints[0].id: 'second' is taken by checkpoints[1] on line 35 of zoo.yaml"]),
        ({"zoo": SMALL.replace("version: 1\n", "version: 1\ninclude: [a.yaml]\n"), "a": "protocols:\n\n  whole: {base_scale: [8, 4]}\n"}, ["a.yaml:3: protocols: duplicate key 'whole', first on line 17 of zoo.yaml"]),
        ({"zoo": SMALL.replace("version: 1\n", "version: 1\ninclude: [a.yaml]\n"), "a": "protocols:\n  other: {base_scales: [8, 4]}\n"}, ["a.yaml:2: protocols.other: unknown key 'base_scales', nearest is 'base_scale'"]),
    ],
)  # fmt: skip
def test_a_fault_names_the_file_where_it_stands(tmp_path, files, expected):
    path = write(tmp_path, **files)
    found = fault(path)
    assert all(any(line.startswith(one) for line in found) for one in expected), found


def test_show_writes_a_row_out_as_a_manifest_of_its_own(tmp_path, capsys):
    path = write(tmp_path, zoo=SMALL)
    assert main(["show", "first", "--yaml", "--manifest", str(path)]) == 0
    alone = write(tmp_path / "alone", zoo=capsys.readouterr().out)
    (row,) = load_manifest(alone)
    first = load_manifest(path)["first"]
    assert {name: getattr(row, name) for name in row.__struct_fields__ if name != "manifest"} == {
        name: getattr(first, name) for name in first.__struct_fields__ if name != "manifest"
    }


def test_a_manifest_has_a_bounded_number_of_files(tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.zoo.manifest.reading.source_files.MOST_FILES", 2)
    rows = {f"rows__{name}": "" for name in "abc"}
    path = write(
        tmp_path,
        zoo="version: 1\ninclude: [rows/*.yaml]\ndatasets: {}\nprotocols: {}\ncheckpoints: []\n",
        **rows,
    )
    assert "zoo.yaml:2: include: more than 2 files are included" in fault(path)
