"""Real street photographs (CamVid): mmsegmentation's own scores for a small checkpoint, and a full-width model."""

import json
import shutil

import pytest
import weights_rule

from segbench.evaluate import EvalProtocol, predict
from segbench.evaluate.pixels import read_image
from segbench.zoo import load_manifest
from segbench.zoo.fetch import weights_path
from segbench.zoo.verify import Options, verify

pytestmark = pytest.mark.slow

MANIFEST = """
version: 1
documents:
  camvid: {{title: CamVid, publisher: mmsegmentation}}
datasets:
  camvid:
    title: CamVid
    split: val
    image_count: {images}
    roots: [camvid]
    images: images/val
    image_suffix: .png
    labels: [{{folder: annotations/val, suffix: .png}}]
    classes: {classes}
    ignore_index: {ignore}
protocols:
  whole: {{base_scale: [480, 360]}}
  whole-ms-flip: {{base_scale: [480, 360], scales: [0.5, 0.75, 1.0, 1.25, 1.5, 1.75], flip: true}}
checkpoints:
  - id: camvid
    publisher: mmsegmentation
    method: ISANet
    backbone: R-50-D8
    dataset: camvid
    crop: [360, 480]
    schedule: "700"
    architecture: {{builder: isanet_mmseg, depth: 50, num_classes: 11, base_channels: 16, stem_channels: 32,
                    channels: 128, isa_channels: 64, auxiliary_channels: 64}}
    weights: {{urls: ["https://example.org/{file}"], sha256: "{sha256}", layout: mmseg}}
    claims:
      - {{metric: miou, printed: "{single}", protocol: whole,
          source: {{document: camvid, section: CamVid, row: 1}}}}
      - {{metric: miou_ms_flip, printed: "{msflip}", protocol: whole-ms-flip,
          source: {{document: camvid, section: CamVid, row: 1}}}}
"""


@pytest.fixture
def camvid(photographs):
    folder = photographs / "camvid"
    if not (folder / "published.json").is_file():
        pytest.skip(f"missing: {folder} (34 street photographs, CC BY-NC, never part of this repository)")
    return folder


@pytest.fixture
def row(camvid, tmp_path):
    """The CamVid checkpoint as a row of a manifest of its own, its file in the cache."""
    published = json.loads((camvid / "published.json").read_text())
    results = published["results"]
    text = MANIFEST.format(
        images=published["images"],
        classes=json.dumps(published["classes"]),
        ignore=published["ignore_value_in_files"],
        file=published["file"],
        sha256=published["sha256"],
        single=results["single"]["mIoU"],
        msflip=results["msflip"]["mIoU"],
    )
    (tmp_path / "zoo.yaml").write_text(text)
    row = load_manifest(tmp_path / "zoo.yaml")["camvid"]
    weights_path(row).parent.mkdir(parents=True)
    shutil.copy(camvid / published["file"], weights_path(row))
    return row


@pytest.mark.parametrize(
    ("metric", "recorded"),
    [("miou", "single"), pytest.param("miou_ms_flip", "msflip", marks=pytest.mark.golden)],
)
def test_mmsegmentations_scores_are_reproduced(row, camvid, tmp_path, metric, recorded):
    """39.27 and 38.75 on 34 photographs, with every class's IoU, mAcc and aAcc to 0.01; the second takes minutes."""
    expected = json.loads((camvid / "published.json").read_text())["results"][recorded]
    options = Options(
        data_root=camvid,
        offline=True,
        evidence=tmp_path / "evidence.sqlite",
        ledger=tmp_path / "ledger.jsonl",
        metrics=(metric,),
    )
    (outcome,) = verify([row], options)
    assert outcome.verdict.status.value == "reproduced"
    details = outcome.measurement.details
    assert outcome.measurement.value == pytest.approx(expected["mIoU_unrounded"], abs=0.01)
    assert list(details["iou_percent"].values()) == pytest.approx(expected["IoU"], abs=0.01)
    assert details["macc_percent"] == pytest.approx(float(expected["mAcc"]), abs=0.01)
    assert details["aacc_percent"] == pytest.approx(float(expected["aAcc"]), abs=0.01)


def test_a_full_width_network_labels_photographs(row, camvid):
    """R-50 at its published width runs on real pictures through the notebook's functions."""
    model = weights_rule.fill(load_manifest()["isanet_r50-d8_512x1024_40k_cityscapes"].build())
    for path in sorted((camvid / "images/val").glob("*.png"))[:2]:
        image = read_image(path)
        labels, scores = predict(model, image, row.protocol("miou"))
        assert labels.shape == image.shape[:2]
        assert scores.shape == (19, *image.shape[:2])
        assert scores.sum(axis=0) == pytest.approx(1, abs=1e-5)
        again, _ = predict(model, image, EvalProtocol(base_scale=(480, 360)))
        assert (labels == again).all()
