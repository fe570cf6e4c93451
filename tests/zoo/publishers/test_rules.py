"""A publisher that is data alone: its tables are recognised, imported, judged and printed by its one file."""

import pytest
from small_manifest import SMALL

from segbench.reports.tolerance import Tolerance
from segbench.zoo.cli import main
from segbench.zoo.manifest import ManifestError, load_manifest

PUBLISHER = """\
publishers:
  them:
    layout: mmseg
    tables:
      - percent_sign: true
        columns:
          - {title: Encoder, field: backbone}
          - {title: Input, field: crop}
          - {title: Steps, field: schedule}
          - {title: Val. mIoU, metrics: [miou]}
          - {title: Files, links: {checkpoint: weights}}
    tolerance: {reproduced: 0.2, drift: 0.3, reason: they say so}
    methods: {psp: PSPNet}
    headings: {tiny: [The tiny set]}
    rules:
      - protocols: {miou: whole}
      - when: {method: PSPNet}
        architecture: {backbone: {type: resnet, depth: 50}, head: {type: psp}}
      - {when: {method: PSPNet, backbone: "*101"}, architecture: {backbone: {depth: 101}}}
"""
PAGE = """\
# The tiny set

| Encoder | Input | Steps | Val. mIoU | Files |
| --- | --- | --- | --- | --- |
| R50 | 4x8 | 100 | 71.5% | [checkpoint](https://example.org/psp_r50.pth) |
| R101 | 4x8 | 100 | 73.25% | [checkpoint](https://example.org/psp_r101.pth) |
"""


@pytest.fixture
def imported(tmp_path):
    manifest, page = tmp_path / "zoo.yaml", tmp_path / "page.md"
    manifest.write_text(SMALL.replace("protocols:\n", PUBLISHER + "protocols:\n", 1), encoding="utf-8")
    page.write_text(PAGE, encoding="utf-8")
    assert main(["import", str(page), "--into", str(manifest)]) == 0
    return load_manifest(manifest)


def test_its_page_becomes_rows(imported):
    rows = [one for one in imported if one.publisher == "them"]
    assert [(one.id, one.method, one.backbone, one.dataset, one.crop, one.schedule) for one in rows] == [
        ("psp_r50", "PSPNet", "R50", "tiny", (4, 8), "100"),
        ("psp_r101", "PSPNet", "R101", "tiny", (4, 8), "100"),
    ]
    assert [one.architecture for one in rows] == [
        {"backbone": {"type": "resnet", "depth": depth}, "head": {"type": "psp"}, "num_classes": 2}
        for depth in (50, 101)
    ]
    assert [(one.published[0].printed, one.published[0].protocol) for one in rows] == [
        ("71.5", "whole"),
        ("73.25", "whole"),
    ]
    assert {one.weights.layout for one in rows} == {"mmseg"}


def test_its_limits_and_its_table_are_its_own(imported):
    them = imported["psp_r50"].publisher_data
    assert them.tolerance == Tolerance(reproduced=0.2, drift=0.3, reason="they say so")
    form = them.form("PSPNet")
    assert [column.title for column in form.columns] == ["Encoder", "Input", "Steps", "Val. mIoU", "Files"]
    assert form.percent_sign


def test_its_own_documents_can_be_audited_against_its_rows(imported, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("71.5%", "71.6%"), encoding="utf-8")
    assert main(["audit", "--manifest", str(imported.path), "--source", str(page), "--fail-on", "error"]) == 1
    out = capsys.readouterr().out
    assert f"psp_r50: mIoU 71.6 in {page}, 71.5 in the manifest" in out
    assert "weights-name" not in out  # psp is PSPNet to them


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("drift: 0.3", "drift: 0.1", "publishers.them.tolerance: expected 0 <= reproduced <= drift, both finite, found 0.2 and 0.1"),
        ("- when: {method: PSPNet}", "- when: {methods: PSPNet}", "publishers.them.rules[1].when: unknown field 'methods', nearest is 'method'"),
        ("layout: mmseg\n    tables", "layout: tf\n    tables", "publishers.them.layout: unknown value 'tf'"),
        ("title: Steps", "titel: Steps", "publishers.them.tables[0].columns[2]: unknown key 'titel', nearest is 'title'"),
    ],
)  # fmt: skip
def test_a_fault_of_its_file_has_its_line(tmp_path, old, new, message):
    text = SMALL.replace("protocols:\n", PUBLISHER + "protocols:\n", 1)
    assert text.count(old) == 1
    (tmp_path / "zoo.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path / "zoo.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'zoo.yaml'}:")
