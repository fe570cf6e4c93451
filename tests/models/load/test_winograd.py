"""Convolutions by tiles are torch's own but for rounding, wherever their edges, strips and channels fall."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segbench.models.load import winograd
from segbench.models.load.winograd import WinogradConv2d, filtered, saves_enough, suits, with_winograd


def conv(channels=128, outputs=128, kernel=3, **options):
    return nn.Conv2d(channels, outputs, kernel, **({"padding": 1} | options))


@pytest.mark.parametrize("at_once", ["as shipped", "one by one"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "dilation"),
    [((8, 8), 1), ((1, 1), 1), ((9, 7), 1), ((33, 37), 2), ((64, 21), 3), ((8, 50), 12), ((5, 3), 4)],
)
def test_tiles_are_the_convolution_itself(size, dilation, bias, at_once, monkeypatch):
    if at_once == "one by one":
        for limit in ("_TILES", "_CHANNELS", "_HELD"):
            monkeypatch.setattr(winograd, limit, 1)
    torch.manual_seed(0)
    image, weight = torch.randn(1, 5, *size).double(), torch.randn(3, 5, 3, 3).double()
    shift = torch.randn(3).double() if bias else None
    expected = F.conv2d(image, weight, shift, padding=dilation, dilation=dilation)
    found = filtered(image[0].permute(1, 2, 0), weight, shift, dilation).permute(2, 0, 1)
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-13)


def test_rounding_in_float32_is_at_most_eight_times_a_direct_convolutions():
    """What is compared with is the same convolution in float64; the points 1 and 2, as in the paper, leave more than ten times."""
    torch.manual_seed(0)
    image, weight = torch.randn(1, 128, 40, 40).relu(), torch.randn(128, 128, 3, 3)
    exact = F.conv2d(image.double(), weight.double(), padding=1)
    direct = F.conv2d(image, weight, padding=1)
    tiled = filtered(image[0].permute(1, 2, 0), weight, None, 1).permute(2, 0, 1)
    assert (tiled - exact[0]).std() < 8 * (direct - exact).std()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_network_keeps_its_parameters_and_its_scores(layout):
    torch.manual_seed(0)
    network = nn.Sequential(conv(), nn.Sequential(conv(padding=2, dilation=2), nn.ReLU())).eval()
    network[1].append(network[0])  # one part in two places
    images = torch.randn(2, 128, 40, 48).to(memory_format=layout)
    with torch.inference_mode():
        expected, parameters = network(images), dict(network.named_parameters())
        changed = with_winograd(network)
        found = changed(images)
    assert changed is network
    assert [type(part) for part in network.modules() if isinstance(part, nn.Conv2d)] == [WinogradConv2d] * 3
    assert all(value is parameters[name] for name, value in network.named_parameters())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not torch.equal(found, expected)


class Own(nn.Conv2d):
    """Somebody's own convolution."""


UNSUITED = {
    "1x1": conv(kernel=1, padding=0),
    "5x5": conv(kernel=5, padding=2),
    "strides": conv(stride=2),
    "smaller map": conv(padding=0),
    "wider rim": conv(padding=2),
    "uneven": conv(padding=(1, 2), dilation=(1, 2)),
    "groups": conv(groups=2),
    "mirrored rim": conv(padding_mode="reflect"),
    "same": conv(padding="same"),
    "few channels": conv(64),
    "few outputs": conv(outputs=64),
    "own": Own(128, 128, 3, padding=1),
    "transposed": nn.ConvTranspose2d(128, 128, 3, padding=1),
}


@pytest.mark.parametrize("name", UNSUITED)
def test_other_convolutions_stay_as_they_are(name):
    network = nn.Sequential(UNSUITED[name])
    assert not suits(UNSUITED[name])
    assert with_winograd(network)[0] is UNSUITED[name]


@pytest.mark.parametrize(
    ("size", "dilation", "pays"),
    [
        ((64, 128), 1, True),
        ((64, 128), 4, True),
        ((32, 64), 1, True),
        ((16, 32), 1, False),
        ((64, 128), 24, False),
    ],
)
def test_maps_on_which_tiles_do_not_pay_are_torchs_own(size, dilation, pays):
    assert saves_enough(size, dilation) is pays
    torch.manual_seed(0)
    network = nn.Sequential(conv(padding=dilation, dilation=dilation)).eval()
    images = torch.randn(1, 128, *size)
    with torch.inference_mode():
        expected = network(images)
        assert torch.equal(with_winograd(network)(images), expected) is not pays
