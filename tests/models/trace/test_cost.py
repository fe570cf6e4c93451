"""What a forward pass costs is arithmetic: no version of torch has a say in it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segbench.models.trace.cost import _Attention, network_cost
from segbench.models.trace.storage import TraceError


def test_attention_costs_its_two_products_and_gives_its_result_alone():
    """Per head and image L x S scores of K multiply-adds, and C results of S for each of L: 2 * L * S * (K + C)."""
    query, key, value = torch.ones(2, 3, 5, 4), torch.ones(2, 3, 7, 4), torch.ones(2, 3, 7, 6)
    with _Attention() as attention:
        assert F.scaled_dot_product_attention(query, key, value).shape == (2, 3, 5, 6)
        F.scaled_dot_product_attention(query, key, value)
    assert attention.flops == 2 * (2 * 3) * 2 * 5 * 7 * (4 + 6)


class Foreign(nn.Module):
    """A network of somebody else's."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 1)
        self.classifier = nn.Conv2d(4, 8, 1)

    def forward(self, images):
        return self.classifier(torch.relu(self.encoder(images)))


def test_a_foreign_network_is_counted_by_its_operations():
    """A multiply-add is two; at the top both maps of the activation, or its result beside the scores."""
    cost = network_cost(Foreign, (16, 16))
    assert cost.gflops == 2 * 256 * (3 * 4 + 4 * 8) / 1e9
    assert cost.peak_activations_mib == 256 * (4 + 8) * 4 / 2**20


class Learned(nn.Module):
    """Its one module reads a view of a weight: learned queries are handed on like that."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.ones(1, 4))
        self.linear = nn.Linear(4, 8)

    def forward(self, images):
        return self.linear(self.queries.expand(len(images), -1))


def test_a_module_may_read_a_view_of_a_weight():
    assert network_cost(Learned, (16, 16)).gflops == 2 * 4 * 8 / 1e9


def test_a_network_that_cannot_run_is_refused_with_what_it_raised():
    with pytest.raises(TraceError, match=r"^no forward pass on 0x16: "):
        network_cost(Foreign, (0, 16))
    with pytest.raises(TraceError, match=r"^no forward pass on 16x16: AttributeError: .*'encoder'"):
        network_cost(lambda: _without(Foreign(), "encoder"), (16, 16))


def _without(model, name):
    delattr(model, name)
    return model
