"""What a forward pass costs is arithmetic: no version of torch has a say in it."""

import torch
import torch.nn.functional as F

from segbench.models.trace.cost import _Attention


def test_attention_costs_its_two_products_and_gives_its_result_alone():
    """Per head and image L x S scores of K multiply-adds, and C results of S for each of L: 2 * L * S * (K + C)."""
    query, key, value = torch.ones(2, 3, 5, 4), torch.ones(2, 3, 7, 4), torch.ones(2, 3, 7, 6)
    with _Attention() as attention:
        assert F.scaled_dot_product_attention(query, key, value).shape == (2, 3, 5, 6)
        F.scaled_dot_product_attention(query, key, value)
    assert attention.flops == 2 * (2 * 3) * 2 * 5 * 7 * (4 + 6)
