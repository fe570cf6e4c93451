"""DANet (Fu et al. 2019): attention between positions and attention between channels, side by side, then added.

mmsegmentation 1.2.2, decode_heads/da_head.py; sssegmentation eb1878c1, segmentors/danet, whose position attention has no
biases. Each branch has a classifier of its own, for training; what counts is that of the sum. Of the energies between
channels both take the maximum less the energy, so that unlike channels weigh most; the paper's formula has it the other
way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from ..layers import Activation, Classifier, ConvModule, Natural, Scale, attend_maps

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


KEYS = {
    "ssseg": (
        ("pam", "pam_net"),
        ("cam", "cam_net"),
        ("pam_conv_seg", "decoder_pam.1"),
        ("cam_conv_seg", "decoder_cam.1"),
        ("conv_seg", "decoder_pamcam.1"),
    )
}


class PositionAttention(nn.Module):
    """Every position asks all, scores not scaled, and a residual.

    Args:
        channels: Of input and output.
        key_channels: Of keys and queries.
        bias: Whether the projections have one: mmsegmentation.
    """

    def __init__(self, channels: int, key_channels: int, *, bias: bool) -> None:
        super().__init__()
        self.key_project = nn.Conv2d(channels, key_channels, 1, bias=bias)
        self.query_project = nn.Conv2d(channels, key_channels, 1, bias=bias)
        self.value_project = nn.Conv2d(channels, channels, 1, bias=bias)
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        query, key, value = self.query_project(x), self.key_project(x), self.value_project(x)
        return x + self.gamma(attend_maps(query, key, value, scale=1.0))


class ChannelAttention(nn.Module):
    """Every channel asks all, without projections, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        channels = x.flatten(2)  # (N, C, L)
        energies = channels @ channels.mT  # (N, C, C)
        weights = (energies.amax(2, keepdim=True) - energies).softmax(2)
        return x + self.gamma((weights @ channels).view_as(x))


class DAHead(Classifier):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Of both branches.
        pam_channels: Of the position attention's keys and queries.
        pam_bias: Whether its projections have biases: mmsegmentation.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 512,
        pam_channels: int = 64,
        pam_bias: bool = True,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index = in_index
        incoming = in_channels[in_index]
        self.pam_in_conv = ConvModule(incoming, channels, 3, activation=activation)
        self.pam = PositionAttention(channels, pam_channels, bias=pam_bias)
        self.pam_out_conv = ConvModule(channels, channels, 3, activation=activation)
        self.pam_conv_seg = nn.Conv2d(channels, num_classes, 1)
        self.cam_in_conv = ConvModule(incoming, channels, 3, activation=activation)
        self.cam = ChannelAttention()
        self.cam_out_conv = ConvModule(channels, channels, 3, activation=activation)
        self.cam_conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, features: tuple[Tensor, ...], *, whole: bool = False) -> Any:
        """Feature maps (N, C_i, h_i, w_i) -> scores; with `whole` those of the sum, of positions and of channels."""
        x = features[self.in_index]
        positions = self.pam_out_conv(self.pam(self.pam_in_conv(x)))
        channels = self.cam_out_conv(self.cam(self.cam_in_conv(x)))
        scores = self.classify(positions + channels)
        if not whole:
            return scores
        of_positions = self.pam_conv_seg(self.dropout(positions))
        return scores, of_positions, self.cam_conv_seg(self.dropout(channels))

    def training_loss(self, features: tuple[Tensor, ...], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """Of all three scores, equally."""
        scores, of_positions, of_channels = self(features, whole=True)
        return loss_of(scores) + loss_of(of_positions) + loss_of(of_channels)


build = DAHead
