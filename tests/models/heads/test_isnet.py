"""ISNet against scores recorded from sssegmentation 1.7.0, and its pooling against the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layer_outputs import outputs_of
from published import ssseg_architecture

from segbench.models import build_model
from segbench.models.heads.isnet import region_features

SLOW_CONFIGS = [
    "isnet_resnet50os8_ade20k",
    "isnet_resnet50os8_cocostuff10k",
    "isnet_resnet50os8_lip",
    "isnet_resnet101os8_ade20k",
    "isnet_resnet101os8_cityscapes",
    "isnet_resnest101os8_cocostuff10k",
    "isnet_resnest101os8_lip",
]
CONFIGS = [
    "isnet_resnet50os8_cityscapes",
    *(pytest.param(config, marks=pytest.mark.slow) for config in SLOW_CONFIGS),
]
TOLERANCE = 5e-4  # measured: 3e-6 with the two threads of the recording, 8.4e-5 with one
NEAR_TIE = (
    1e-4  # where the two best coarse scores are closer, float noise may move a position to another region
)


def near_ties(coarse: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """(N, *size): positions whose region may differ between two correct implementations."""
    first, second = coarse.topk(2, dim=1).values.unbind(1)
    close = (first - second < NEAR_TIE).float()[:, None]
    return F.interpolate(close, size)[:, 0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("size", ["97x129", "64x128"])
@pytest.mark.parametrize("config", CONFIGS)
def test_scores_are_sssegs(golden, rule_model, config, size):
    recorded = golden(f"ssseg/logits_{config}.npz")
    builder, numbers = ssseg_architecture(config)
    model = rule_model(builder, **numbers)
    features = model.backbone(torch.from_numpy(golden("ssseg/inputs.npz")[size]))
    head = model.decode_head
    scores = head(features)
    ties = near_ties(head.decoder_stage1(head.bottleneck(features[-1])), scores.shape[2:])
    difference = (scores - torch.from_numpy(recorded[f"logits_{size}"])).abs().amax(1)
    print(f"largest difference {difference[~ties].max():.1e}; near ties {100 * ties.float().mean():.2f} %")
    assert difference[~ties].max() < TOLERANCE
    assert ties.float().mean() < 0.02


@pytest.mark.parametrize("config", CONFIGS)
def test_every_stored_stage_is_sssegs(golden, rule_model, config):
    """Backbone features, coarse scores, and both context modules, each stored as every n-th channel."""
    recorded = golden(f"ssseg/logits_{config}.npz")
    builder, numbers = ssseg_architecture(config)
    model = rule_model(builder, **numbers)
    parts = {"stage1": "decoder_stage1", "ilc": "ilc_net", "slc": "slc_net"}
    features = model.backbone(torch.from_numpy(golden("ssseg/inputs.npz")["97x129"]))
    with outputs_of(model.decode_head, parts) as seen:
        model.decode_head(features)
    seen |= {f"c{number}": feature for number, feature in enumerate(features, 1)}
    stored = [key for key in recorded if "_ch_step" in key]
    assert {key.split("_")[0] for key in stored} == seen.keys()
    for key in stored:
        step = int(key.rsplit("_ch_step", 1)[1])
        difference = np.abs(seen[key.split("_")[0]][:, ::step].numpy() - recorded[key]).max()
        assert difference < TOLERANCE, key


def looped_region_features(features: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The definition, image by image and class by class (facts/ssseg.md 1.4, step 4)."""
    out = torch.empty_like(features)
    for image, image_scores, image_out in zip(features, scores, out, strict=True):
        winner = image_scores.argmax(0)
        for number in winner.unique():
            inside = winner == number
            weights = image_scores[number][inside].softmax(0)
            image_out[:, inside] = (weights * image[:, inside]).sum(1, keepdim=True)
    return out


@pytest.mark.parametrize("num_classes", [2, 19, 150])
def test_region_pooling_equals_the_loop_over_classes(num_classes):
    generator = torch.Generator().manual_seed(num_classes)
    features = torch.randn(3, 16, 13, 17, generator=generator)
    scores = 4 * torch.randn(3, num_classes, 13, 17, generator=generator)
    difference = region_features(features, scores) - looped_region_features(features, scores)
    assert difference.abs().max() < 1e-5


def test_a_region_of_one_position_keeps_its_feature():
    features = torch.randn(1, 4, 3, 3)
    scores = torch.zeros(1, 5, 3, 3)
    scores[0, 3, 1, 1] = 9.0
    assert torch.allclose(region_features(features, scores)[..., 1, 1], features[..., 1, 1])


@pytest.mark.parametrize(("shortcut", "size"), [(False, (128, 256)), (True, (256, 512))])
def test_scores_have_stride_8_and_with_the_shortcut_4(shortcut, size):
    with torch.device("meta"):
        model = build_model("isnet_ssseg", backbone="resnet50", num_classes=20, shortcut=shortcut)
        assert model(torch.zeros(2, 3, 1024, 2048)).shape == (2, 20, *size)
