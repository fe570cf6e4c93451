"""Folded networks give the published form's scores, and lose the norms whose convolution is known."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from segbench.models.backbones.resnest import SplitAttention
from segbench.models.layers import ConvModule, NormFirstConv
from segbench.models.load.folding import folded


class PreActivated(nn.Module):
    """Numbered as a ResNet's parts are, in another order, which it says."""

    folds = ()

    def __init__(self):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3)

    def forward(self, x):
        return self.conv1(self.bn1(x))


def shared():
    """One convolution behind which two norms stand, each in a place of its own."""
    conv = nn.Conv2d(4, 4, 1)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(4)), nn.Sequential(conv, nn.BatchNorm2d(4)), conv)


NETWORKS = {
    "in a row": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8), nn.ReLU()), 0),
    "without affine numbers": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8, affine=False)),
        0,
    ),
    "ours": (lambda: ConvModule(4, 8, 3, bias=True), 0),
    "numbered": (lambda: Bottleneck(4, 1), 0),
    "said": (lambda: SplitAttention(4, dilation=1), 0),
    "shared": (shared, 0),
    "first": (lambda: NormFirstConv(4, 8, 3), 1),
    "first, said": (PreActivated, 1),
    "of a transposed one": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 8, 3), nn.BatchNorm2d(8)), 1),
    "behind an activation": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.BatchNorm2d(8)), 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_is_exact_but_for_rounding(name):
    build, left = NETWORKS[name]
    torch.manual_seed(0)
    network = build().eval().double()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            if norm.affine:
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)
    images = torch.randn(2, 4, 9, 7, dtype=torch.double)
    with torch.inference_mode():
        published = network(images)
        found = folded(network)(images)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == left
    torch.testing.assert_close(found, published, rtol=0, atol=1e-13)


def test_channels_come_last():
    network = folded(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)).eval())
    assert all(conv.weight.is_contiguous(memory_format=torch.channels_last) for conv in network)
