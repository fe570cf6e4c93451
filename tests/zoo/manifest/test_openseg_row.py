"""openseg.pytorch's own ISA row, as MODEL_ZOO.md and the configuration have it at aefc755."""

import pytest

from segbench.evaluate import EvalProtocol
from segbench.zoo import load_manifest
from segbench.zoo.manifest import NoProtocol

SCRIPTS = "https://github.com/openseg-group/openseg.pytorch/blob/aefc755/scripts/"


@pytest.fixture(scope="module")
def row():
    return load_manifest()["isanet_deepbase_resnet101_dilated8_cityscapes"]


def test_its_figures_and_links_are_those_of_the_page(row):
    assert {claim.metric: claim.printed for claim in row.claims} == {"miou": "79.55", "miou_segfix": "80.62"}
    assert row.weights.urls == ("https://drive.google.com/open?id=1Sf9YFjo9dpirojzLev8CfHAc99U6cBwH",)
    assert row.log_urls == ("https://drive.google.com/open?id=1gkWYJYSodnRcGrBQPYeDg47lsV9fiAhQ",)
    assert row.config_urls == (f"{SCRIPTS}cityscapes/isa/run_r_101_d_8_isa_train.sh",)
    assert (row.dataset, row.backbone, row.crop, row.schedule) == (
        "cityscapes",
        "ResNet-101",
        (512, 1024),
        "40000",
    )
    assert (row.training.gpus, row.training.batch_per_gpu) == (4, 2)


def test_its_protocol_is_the_configurations(row):
    """BGR minus the mean in [0, 255], whole images at their own size, corners aligned, one argmax of scores."""
    own = row.protocol("miou")
    assert own.digest() == (
        EvalProtocol(
            base_scale=None,
            align_corners=True,
            average="scores",
            channels="BGR",
            mean=(102.9801, 115.9465, 122.7717),
            std=(1.0, 1.0, 1.0),
        ).digest()
    )


def test_what_cannot_be_measured_says_why(row):
    segfix = next(claim for claim in row.claims if claim.metric == "miou_segfix")
    assert segfix.note == "SegFix moves labels along offsets that another network predicts for each image"
    with pytest.raises(NoProtocol):
        row.protocol("miou_segfix")
    assert row.not_built == "not built yet: head ISA_Module"
