"""torchvision's six rows against what the installed library says of its own weights."""

import pytest
from torchvision.models import get_model_weights, list_models, segmentation

from segbench.zoo.manifest import load_manifest


@pytest.fixture(scope="module")
def rows():
    return {row.id: row for row in load_manifest() if row.publisher == "torchvision"}


def test_every_weight_of_its_is_a_row_with_its_figures_and_size(rows):
    theirs = {}
    for name in list_models(segmentation):
        weights = get_model_weights(name)["DEFAULT"]
        metrics = weights.meta["_metrics"]["COCO-val2017-VOC-labels"]
        theirs[name] = (weights.url, metrics["miou"], metrics["pixel_acc"], weights.meta["num_params"])
    assert len(theirs) == 6
    assert theirs == {
        name: (
            row.weights.urls[0],
            *(float(claim.printed) for claim in row.claims if claim.metric in ("miou", "aacc")),
            row.parameters,
        )
        for name, row in rows.items()
    }


def test_its_classes_are_the_data_sets(rows):
    for name, row in rows.items():
        categories = get_model_weights(name)["DEFAULT"].meta["categories"]
        assert ["background", *categories[1:]] == list(row.dataset_spec.classes)
        assert categories[0] == "__background__"
