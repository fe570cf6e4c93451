"""torchvision's networks are built by name, load files of the library's own keys, and give the library's own scores."""

import json
from typing import get_args

import pytest
import torch
from own_builders import MANIFEST, own_zoo
from PIL import Image
from torchvision.models import get_model

from segbench.evaluate import EvalProtocol, predict, score
from segbench.models import ArchitectureError, build_model
from segbench.models.adapters.torchvision_models import Model
from segbench.models.load.weights import load_weights
from segbench.zoo.cli import main

MODELS = get_args(Model)


def theirs(name, classes=21):
    """The library's own network as its users make it, with weights by chance."""
    torch.manual_seed(len(name))
    more = {} if name.startswith("lraspp") else {"aux_loss": True}
    return get_model(name, weights=None, weights_backbone=None, num_classes=classes, **more).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_keys_fit_strictly_and_scores_are_the_librarys(name):
    original = theirs(name)
    with torch.device("meta"):
        ours = build_model("torchvision", model=name)
    assert load_weights(ours, original.state_dict(), layout="plain") == ()
    images = torch.randn(1, 3, 40, 56)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), original(images)["out"], atol=1e-5, rtol=0)


def test_a_file_without_the_auxiliary_head_will_do():
    state = {key: value for key, value in theirs("fcn_resnet50").state_dict().items() if "aux" not in key}
    with torch.device("meta"):
        ours = build_model("torchvision", model="fcn_resnet50")
    assert load_weights(ours, state, layout="plain") == (
        "The auxiliary head is not in the file; evaluation never runs it.",
    )


def test_an_unknown_network_is_told():
    with pytest.raises(
        ArchitectureError,
        match=r"torchvision: model: expected one of fcn_resnet50, .* did you mean fcn_resnet50",
    ):
        build_model("torchvision", model="fcn_resnet5")


@pytest.mark.slow
def test_through_the_command_line_and_score(tmp_path, monkeypatch, capsys):
    """`zoo predict` writes the classes that the library's own network likes best, and `score` counts them."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ZOO_BUILDERS", raising=False)
    architecture = "{builder: torchvision, model: lraspp_mobilenet_v3_large, num_classes: 3}"
    own_zoo(tmp_path, manifest=MANIFEST.replace("{builder: tiny, num_classes: 3}", architecture))
    original = theirs("lraspp_mobilenet_v3_large", 3)
    torch.save(original.state_dict(), tmp_path / "own.pth")
    data = tmp_path / "data" / "pictures"
    picture = data / "images" / "0.png"
    given = ["--manifest", str(tmp_path / "zoo.yaml"), "--file", str(tmp_path / "own.pth")]
    assert main(["predict", *given, "own", str(picture), "--out", str(tmp_path / "out"), "-q"]) == 0
    import cv2
    import numpy as np

    protocol = EvalProtocol(base_scale=None)
    labels, _ = predict(lambda images: original(images)["out"], cv2.imread(str(picture)), protocol)
    with Image.open(tmp_path / "out" / "own" / "labels" / "0.png") as written:
        np.testing.assert_array_equal(np.asarray(written), labels)
    (data / "classes.txt").write_text("floor\nwall\nlamp\n", encoding="utf-8")
    places = ["--evidence", str(tmp_path / "e.sqlite"), "--ledger", str(tmp_path / "l.jsonl")]
    capsys.readouterr()
    assert main(["verify", *given, *places, "--data-root", str(tmp_path / "data"), "-q", "--json"]) == 1
    measured = json.loads(capsys.readouterr().out)[0]["measured"]
    assert score(lambda images: original(images)["out"], data, protocol).miou_percent == pytest.approx(
        measured
    )
    environment = json.loads((tmp_path / "l.jsonl").read_text(encoding="utf-8"))["environment"]
    assert environment["builder"]["libraries"].keys() == {"torchvision"}
