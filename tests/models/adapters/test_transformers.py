"""transformers' and segmentation_models_pytorch's networks: built by name, the library's own keys, the library's own scores."""

import inspect
import json
import re
import sys
from importlib import metadata

import numpy as np
import pytest
import torch
from own_builders import MANIFEST, own_zoo, verify_arguments
from PIL import Image

from segbench.evaluate import EvalProtocol, predict, score
from segbench.models import build_model
from segbench.models.adapters import AdapterError, library_code
from segbench.models.load.weights import load_weights
from segbench.zoo.cli import main

SEGFORMER = "SegformerForSemanticSegmentation"
SMALL_SEGFORMER = {
    "num_labels": 3, "depths": [1] * 4, "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16,
    "num_attention_heads": [1, 2, 2, 4],
}  # fmt: skip
SMALL_SWIN = {
    "embed_dim": 24, "depths": [1] * 4, "num_heads": [1, 2, 4, 8], "image_size": 64,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip(
        "transformers", reason="transformers, the extra segbench[transformers], is not installed"
    )


def masks(library, kind, **more):
    """A small mask classifier's configuration."""
    swin = library.SwinConfig(**SMALL_SWIN)
    return getattr(library, f"{kind}Config")(backbone_config=swin, num_labels=3, **more)


def config_of(library, model):
    if model == SEGFORMER:
        return library.SegformerConfig(**SMALL_SEGFORMER)
    if model.startswith("UperNet"):
        swin = library.SwinConfig(**SMALL_SWIN)
        return library.UperNetConfig(backbone_config=swin, num_labels=3, hidden_size=16, auxiliary_channels=8,
                                     auxiliary_in_channels=96)  # fmt: skip
    if model.startswith("Mask2Former"):
        return masks(
            library, "Mask2Former", hidden_dim=32, feature_size=32, mask_feature_size=32, num_queries=9,
            decoder_layers=2, encoder_layers=1, encoder_feedforward_dim=32, dim_feedforward=32, num_attention_heads=2,
        )  # fmt: skip
    decoder = library.DetrConfig(
        d_model=32, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, num_queries=9
    )
    return masks(library, "MaskFormer", decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        SEGFORMER,
        "UperNetForSemanticSegmentation",
        "Mask2FormerForUniversalSegmentation",
        "MaskFormerForInstanceSegmentation",
    ],
)
def test_keys_fit_strictly_and_scores_are_the_librarys(library, tmp_path, model):
    """Of a mask classifier, what the library's own image processor calls the scores, before it resizes them."""
    torch.manual_seed(3)
    config = config_of(library, model)
    original = getattr(library, model)(config).eval()
    config.save_pretrained(tmp_path)
    ours = build_model("transformers", model=model, config=str(tmp_path), num_classes=3)
    assert load_weights(ours, original.state_dict(), layout="plain") == ()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        output, scores = original(images), ours(images)
    if hasattr(output, "logits"):
        torch.testing.assert_close(scores, output.logits, atol=1e-5, rtol=0)
        return
    processor = getattr(library, f"{re.split('For(?:Universal|Instance)', model)[0]}ImageProcessor")()
    decide = processor.post_process_semantic_segmentation
    assert torch.equal(scores.argmax(1), torch.stack(decide(output)))
    if "return_segmentation_scores" in inspect.signature(decide).parameters:  # of transformers 5
        expected = torch.stack(
            [one.segmentation_scores for one in decide(output, return_segmentation_scores=True)]
        )
        torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_through_the_command_line_and_score(library, tmp_path, monkeypatch, capsys):
    """Weights by chance: `zoo predict`, `verify` and `score` count what the library's network likes best; another configuration is other code."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    config = library.SegformerConfig(**SMALL_SEGFORMER)
    config.save_pretrained(tmp_path / "config")
    architecture = (
        f"{{builder: transformers, model: {SEGFORMER}, config: '{tmp_path / 'config'}', num_classes: 3}}"
    )
    manifest = MANIFEST.replace("{builder: tiny, num_classes: 3}", architecture)
    own_zoo(tmp_path, manifest=manifest.replace("base_scale: null", "base_scale: [64, 64]"))
    torch.manual_seed(5)
    original = getattr(library, SEGFORMER)(config).eval()
    torch.save(original.state_dict(), tmp_path / "own.pth")
    picture = tmp_path / "data/pictures/images/0.png"
    given = ["--manifest", str(tmp_path / "zoo.yaml"), "--file", str(tmp_path / "own.pth")]
    assert main(["predict", *given, "own", str(picture), "--out", str(tmp_path / "out"), "-q"]) == 0
    import cv2

    protocol = EvalProtocol(base_scale=(64, 64))
    labels, _ = predict(lambda images: original(images).logits, cv2.imread(str(picture)), protocol)
    with Image.open(tmp_path / "out/own/labels/0.png") as written:
        np.testing.assert_array_equal(np.asarray(written), labels)
    data = tmp_path / "data/pictures"
    (data / "classes.txt").write_text("floor\nwall\nlamp\n", encoding="utf-8")
    codes = []
    for epsilon in (1e-6, 0.5):
        config.layer_norm_eps = epsilon
        config.save_pretrained(tmp_path / "config")
        capsys.readouterr()
        assert main(verify_arguments(tmp_path, "--json")) == 1
        (found,) = json.loads(capsys.readouterr().out)
        if epsilon == 1e-6:
            own = score(lambda images: original(images).logits, data, protocol)
            assert own.miou_percent == pytest.approx(found["measured"])
        lines = (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        codes.append(json.loads(lines[-1])["environment"]["builder"]["sha256"])
    assert codes[0] != codes[1]


def test_a_picture_too_small_for_the_network_is_told_as_the_librarys(library, tmp_path, capsys):
    """SegFormer's first attention looks at every eighth pixel of a quarter of the picture's 8."""
    config = library.SegformerConfig(**SMALL_SEGFORMER)
    config.save_pretrained(tmp_path / "config")
    architecture = (
        f"{{builder: transformers, model: {SEGFORMER}, config: '{tmp_path / 'config'}', num_classes: 3}}"
    )
    own_zoo(tmp_path, manifest=MANIFEST.replace("{builder: tiny, num_classes: 3}", architecture))
    torch.save(getattr(library, SEGFORMER)(config).state_dict(), tmp_path / "own.pth")
    assert main(verify_arguments(tmp_path)) == 3
    assert re.search(
        r"network of builder 'transformers' of transformers [\d.]+ raised RuntimeError: .*Kernel size can't be greater",
        " ".join(capsys.readouterr().out.split()),
    )


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"model": "Segformer"}, "has no class 'Segformer' for semantic segmentation"),
        ({"config": "nobody/nothing"}, "nothing to read at nobody/nothing"),
        (
            {"model": "UperNetForSemanticSegmentation"},
            "is a SegformerConfig, UperNetForSemanticSegmentation takes a UperNetConfig",
        ),
        ({"num_classes": 4}, "has 3 labels, the row 4 classes"),
    ],
)
def test_what_cannot_be_built_is_one_message(library, tmp_path, numbers, message):
    library.SegformerConfig(**SMALL_SEGFORMER).save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match=message):
        build_model(
            "transformers", **({"model": SEGFORMER, "config": str(tmp_path), "num_classes": 3} | numbers)
        )


@pytest.mark.parametrize(
    ("builder", "extra", "numbers"),
    [
        ("transformers", "transformers", {"model": SEGFORMER, "config": "."}),
        ("segmentation_models_pytorch", "smp", {"model": "unet", "encoder": "resnet18"}),
    ],
)
def test_without_the_library_its_extra_is_named(monkeypatch, builder, extra, numbers):
    monkeypatch.setitem(sys.modules, builder, None)
    with pytest.raises(AdapterError, match=rf"not installed here; pip install 'segbench\[{extra}\]'"):
        build_model(builder, num_classes=3, **numbers)
    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(AdapterError, match=rf"not installed here; pip install 'segbench\[{extra}\]'"):
        library_code(builder, numbers)


def absent(name):
    raise metadata.PackageNotFoundError(name)


@pytest.mark.slow
def test_segmentation_models_pytorchs_unet_is_the_librarys():
    library = pytest.importorskip(
        "segmentation_models_pytorch",
        reason="segmentation_models_pytorch, the extra segbench[smp], is not installed",
    )
    torch.manual_seed(3)
    original = library.Unet("resnet18", encoder_weights=None, classes=5, aux_params={"classes": 5}).eval()
    ours = build_model(
        "segmentation_models_pytorch", model="unet", encoder="resnet18", num_classes=5, auxiliary=True
    )
    assert load_weights(ours, original.state_dict(), layout="plain") == ()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), original(images)[0], atol=1e-5, rtol=0)
    with pytest.raises(AdapterError, match="unet on resnet7"):
        build_model("segmentation_models_pytorch", model="unet", encoder="resnet7", num_classes=5)
