"""Which networks run in threads, and which networks a callable runs."""

from functools import partial
from types import MethodType

import pytest
import torch
from torch import nn

from segbench.evaluate.inference.strangers import may_overlap, networks_in
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, images):
        self.seen = images
        return self.layer(self.seen)


def hooked():
    layer = nn.Conv2d(3, 3, 1)
    layer.register_forward_hook(lambda *_: None)
    return nn.Sequential(layer)


def patched():
    layer = nn.Conv2d(3, 3, 1)
    layer.forward = MethodType(lambda _, images: images, layer)
    return layer


@pytest.mark.parametrize("make", [Own, lambda: nn.Sequential(Own()), hooked, patched, lambda: abs])
def test_what_may_keep_an_image_runs_in_no_threads(make):
    assert not may_overlap(make())


def test_known_parts_and_what_says_so_run_in_threads():
    row = next(iter(load_manifest(STREETS / "zoo.yaml")))
    marked = Own()
    marked.may_overlap = True
    assert [may_overlap(one) for one in (row.build(), nn.Sequential(nn.Conv2d(3, 3, 1)), marked)] == [
        True
    ] * 3


NETWORK = Own()


class Wrapper:
    def __init__(self, *networks):
        self.networks = networks

    def __call__(self, images):
        return sum(network(images) for network in self.networks)


def test_the_networks_of_a_callable_are_found():
    network, other = Own(), Own()
    both = {"a": network, "b": other}
    callables = {
        "itself": (network, [network]),
        "closure": (lambda images: network(images) + 0, [network]),
        "global": (lambda images: NETWORK(images) + 0, [NETWORK]),
        "default": (lambda images, one=network: one(images) + 0, [network]),
        "method": (network.forward, [network]),
        "partial": (partial(network), [network]),
        "object": (Wrapper(network, other), [network, other]),
        "dictionary": (lambda images: both["a"](images) + 0, [network, other]),
        "none": (torch.relu, []),
    }
    assert {name: networks_in(one) for name, (one, _) in callables.items()} == {
        name: expected for name, (_, expected) in callables.items()
    }
