"""MCIBI++ draws what its publisher's torch.normal draws, and leaves the process's own seed alone."""

from __future__ import annotations

import torch

from segbench.models.heads.mcibi_pp import class_noise


def test_a_class_is_drawn_as_torch_normal_draws_it_on_the_cpu_seeded_with_its_number():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    noise = class_noise(3, 512)
    assert torch.equal(torch.get_rng_state(), before)
    for number, (mean, deviation) in enumerate(((0.1, 0.9), (0.4, 1.2), (0.0, 1.0))):
        generator = torch.Generator().manual_seed(number)
        drawn = torch.normal(torch.full((1, 512), mean), torch.full((1, 512), deviation), generator=generator)
        assert torch.equal(noise[number : number + 1] * deviation + mean, drawn)
