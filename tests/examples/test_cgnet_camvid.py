"""`examples/cgnet_camvid`: the author's weights file, or one with mmsegmentation's names, to a number on CamVid.

The author's network was run apart (`tests/golden/record/cgnet.py`); weights here are by the tests' rule, and nobody's.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import weights_rule

from segbench.evaluate import predict
from segbench.models import build_model
from segbench.models.load.layouts import publisher_names
from segbench.models.load.weights import load_weights
from segbench.zoo.cli import main
from segbench.zoo.manifest import PACKAGED, load_manifest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/cgnet_camvid/zoo.yaml"
AUTHORS, RENAMED = "cgnet_m3n21_camvid", "cgnet_m3n21_camvid_mmseg_names"
CLASSES, VOID = 11, 11
IMAGES = ("0001TP_008550", "0001TP_009000", "Seq05VD_f00000")


@pytest.fixture(scope="module")
def authors():
    """The author's names with the rule's tensors."""
    keys = json.loads(
        (Path(__file__).parents[1] / "golden/keys/author/cgnet_m3n21_11classes.json").read_text()
    )
    return {name: weights_rule.tensor_for(name, tuple(shape)) for name, shape, _ in keys}


@pytest.fixture(scope="module")
def network(authors):
    """The example's network with the author's tensors."""
    model = build_model(**load_manifest(EXAMPLE)[AUTHORS].architecture)
    assert load_weights(model, authors, layout="author") == ()
    return model.eval()


def test_every_tensor_of_the_authors_has_its_place(authors, network):
    """All 498, none beside them; 494,258 parameters, less than the half million that the paper says."""
    assert sorted(publisher_names(network, "author").values()) == sorted(authors)
    assert sum(one.numel() for one in network.parameters()) == 494_258


def test_scores_are_the_authors_own(golden, network):
    recorded = golden("author/cgnet.npz")
    images = torch.from_numpy(recorded["images"])
    with torch.inference_mode():
        scores = torch.nn.functional.interpolate(network(images), size=images.shape[2:], mode="bilinear")
    expected = torch.from_numpy(recorded["scores"])
    assert (scores[:, :, ::4, ::4] - expected).abs().max() < 1e-4 * expected.std()


@pytest.fixture
def verified(tmp_path, authors, network):
    """A function that verifies a row of the example on three made images, and gives exit code and records."""
    root, chance = tmp_path / "data/CamVid", np.random.default_rng(3)
    for folder in ("test", "testannot"):
        (root / folder).mkdir(parents=True)
    for name in IMAGES:
        picture = cv2.resize(chance.integers(0, 256, (9, 12, 3), np.uint8), (480, 360))
        label = cv2.resize(
            chance.integers(0, VOID + 1, (18, 24), np.uint8), (480, 360), interpolation=cv2.INTER_NEAREST
        )
        cv2.imwrite(str(root / "test" / f"{name}.png"), picture)
        cv2.imwrite(str(root / "testannot" / f"{name}.png"), label)
    datasets = (PACKAGED.parent / "zoo/published/datasets/camvid.yaml").read_text("utf-8")
    (tmp_path / "camvid.yaml").write_text(datasets.replace("image_count: 233", "image_count: 3"), "utf-8")
    text = EXAMPLE.read_text("utf-8").replace("include: segbench:datasets.yaml", "include: camvid.yaml")
    (tmp_path / "zoo.yaml").write_text(text.replace("printed: null", 'printed: "1.00"'), "utf-8")

    names = publisher_names(network, "author")
    renamed = {ours: authors[theirs] for ours, theirs in names.items()}
    renamed["decode_head.conv_seg.bias"] = torch.zeros(CLASSES)
    torch.save({"epoch": 800, "model": authors}, tmp_path / f"{AUTHORS}.pth")
    torch.save({"meta": {}, "state_dict": renamed}, tmp_path / f"{RENAMED}.pth")

    def run(row):
        code = main([
            "verify", row, "--manifest", str(tmp_path / "zoo.yaml"), "--file", str(tmp_path / f"{row}.pth"),
            "--data-root", str(root.parent), "--evidence", str(tmp_path / f"{row}.sqlite"),
            "--ledger", str(tmp_path / f"{row}.jsonl"), "--offline", "-q", "--out", str(tmp_path / "out.json"),
        ])  # fmt: skip
        (record,) = map(json.loads, (tmp_path / f"{row}.jsonl").read_text("utf-8").splitlines())
        return code, record

    run.root = root
    return run


def authors_miou(network, root):
    """`camvid_test.py` and `utils/metric.py`: counts where the label is one of eleven; a mean over classes that are hit."""
    protocol, counts = load_manifest(EXAMPLE).protocols["cgnet-camvid"], np.zeros((CLASSES, CLASSES))
    mean = np.array([105.65775, 103.329834, 99.625404])
    for name in IMAGES:
        image = cv2.imread(str(root / "test" / f"{name}.png"))
        label = cv2.imread(str(root / "testannot" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        values = torch.from_numpy((np.float32(image)[:, :, ::-1] - mean).transpose(2, 0, 1)[None]).float()
        with torch.inference_mode():
            scores = torch.nn.functional.interpolate(network(values), size=label.shape, mode="bilinear")
        found = scores[0].argmax(0).numpy()
        assert (predict(network, image, protocol)[0] == found).mean() > 0.9999
        np.add.at(counts, (label[label < CLASSES], found[label < CLASSES]), 1)
    hit = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - hit
    return 100 * (hit[hit > 0] / union[hit > 0]).mean(), (hit > 0).all()


@pytest.mark.slow
def test_both_namings_give_the_authors_number(verified, network):
    """By the command line: the same counts, which are those of the author's arithmetic."""
    code, by_authors = verified(AUTHORS)
    assert code == 1  # the claim is made up
    assert (by_authors["image_count"], by_authors["new_images"]) == (3, 3)
    expected, all_hit = authors_miou(network, verified.root)
    assert all_hit  # else the author's mean leaves a class out that ours counts as 0
    assert by_authors["value"] == pytest.approx(expected, abs=2e-3)
    by_mmseg = verified(RENAMED)[1]
    assert by_mmseg["value"] == by_authors["value"]
    assert by_mmseg["details"]["iou_percent"] == by_authors["details"]["iou_percent"]
