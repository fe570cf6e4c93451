"""Backbone, decode head and auxiliary head under one roof, with mmsegmentation's key prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from .layers import Activation, ConvBlock, relu

if TYPE_CHECKING:
    from torch import Tensor

    from .backbones.resnet import ResNet

DROPOUT = 0.1
"""Share of channels dropped before every classifier in training, by both publishers."""


class AuxiliaryHead(nn.Module):
    """One 3x3 conv block and a classifier on c3: supervised in training, silent in testing.

    Its keys are in every published checkpoint (mmsegmentation's FCNHead with one convolution and no
    concatenation; sssegmentation's `auxiliary_decoder`), so loading strictly needs it.
    """

    def __init__(
        self, in_channels: int, channels: int, num_classes: int, activation: Activation = relu
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(ConvBlock(in_channels, channels, 3, activation=activation))
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features c1..c4 -> scores (N, num_classes, h, w) at stride 8."""
        return self.conv_seg(self.dropout(self.convs(features[2])))


class Segmentor(nn.Module):
    """A whole model; keys `backbone.*`, `decode_head.*`, `auxiliary_head.*`.

    Args:
        backbone: Gives features c1..c4.
        decode_head: Turns the tuple of features into scores.
        auxiliary_head: Second head, used in training only.
    """

    def __init__(self, backbone: ResNet, decode_head: nn.Module, auxiliary_head: AuxiliaryHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.decode_head = decode_head
        self.auxiliary_head = auxiliary_head

    def forward(self, images: Tensor) -> Tensor:
        """Scores before the softmax, at the decode head's own stride.

        Args:
            images: (N, 3, H, W), normalised, of any size: nothing has to divide H or W.

        Returns:
            (N, num_classes, ceil(H / 8), ceil(W / 8)); stride 4 for an ISNet with shortcut.
        """
        return self.decode_head(self.backbone(images))

    def both_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the decode head and of the auxiliary head, as a training step needs them.

        Args:
            images: (N, 3, H, W), normalised.

        Returns:
            As `forward`, and (N, num_classes, ceil(H / 8), ceil(W / 8)).
        """
        features = self.backbone(images)
        return self.decode_head(features), self.auxiliary_head(features)
