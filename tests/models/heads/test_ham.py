"""SegNeXt's head draws, and its seed says what."""

import torch

from segbench.models.heads.ham import LightHamHead


def scores(seed, images=1):
    """Of the same weights and features, whatever the seed."""
    torch.manual_seed(0)
    head = LightHamHead((4, 32, 32), 3, align_corners=False, channels=32, ham_channels=32, seed=seed).eval()
    maps = [torch.rand(1, channels, 8, 8).expand(images, -1, -1, -1) for channels in (4, 32, 32)]
    with torch.no_grad():
        return head(tuple(maps))


def test_scores_repeat_under_one_seed_and_are_others_under_another():
    assert torch.equal(scores(1), scores(1))
    assert not torch.allclose(scores(1), scores(2))


def test_an_image_has_the_same_bases_wherever_it_stands_in_a_batch():
    several = scores(1, images=3)
    assert torch.allclose(several, scores(1).expand_as(several), atol=1e-6)
