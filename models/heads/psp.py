"""PSPNet (Zhao et al. 2017): the map beside its means over 1, 4, 9 and 36 regions, fused by a 3x3 block.

mmsegmentation 1.2.2, decode_heads/psp_head.py, and sssegmentation eb1878c1, segmentors/pspnet/pspnet.py, agree bit for
bit. Both fuse the map first and the levels behind it, from coarse to fine; each level has as many channels as the head
(512), where the paper has a quarter of the map's.
"""

from __future__ import annotations

from ..layers import Activation, ContextHead, Natural, PyramidPooling

KEYS = {
    "ssseg": (
        ("psp_modules.{n}.1.conv", "ppm_net.branches.{n}.1"),
        ("psp_modules.{n}.1.bn", "ppm_net.branches.{n}.2"),
        ("bottleneck", "ppm_net.bottleneck"),
        ("conv_seg", "decoder.1"),
    )
}


class PSPHead(ContextHead):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resize of the levels.
        in_index: Which map is read.
        channels: Channels of each level and of the fusion.
        pool_scales: Sides of the pools' squares.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        in_index: Natural = -1,
        channels: int = 512,
        pool_scales: tuple[int, ...] = (1, 2, 3, 6),
        activation: Activation = "relu",
    ) -> None:
        levels = PyramidPooling(
            in_channels[in_index], channels, pool_scales, align_corners=align_corners, activation=activation
        )
        super().__init__(
            in_channels,
            num_classes,
            levels,
            "psp_modules",
            in_index=in_index,
            channels=channels,
            activation=activation,
        )


build = PSPHead
