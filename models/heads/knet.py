"""K-Net (Zhang et al. 2021): the classifier's weights as kernels, one a class, each refined by what its own mask gathers.

mmsegmentation 1.2.2, decode_heads/knet_head.py. Any head that fuses maps gives features, first scores and, as first kernels, the
weights of its classifier without their bias. Scores become masks by a softmax over the classes, where the paper has a sigmoid.
The kernel update sees 256 channels at a time: a kernel of 512 is updated as two, by the same weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import ConvModule, Head
from ..transformer import FeedForward, MultiheadAttention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor


class KernelUpdator(nn.Module):
    """Equations 4 and 5 of the paper: a gated sum of what was gathered and the kernel, each seen through a linear layer.

    Args:
        channels: Of both, and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dynamic_layer = nn.Linear(channels, 2 * channels)
        self.input_layer = nn.Linear(channels, 2 * channels)
        self.input_gate = nn.Linear(channels, channels)
        self.update_gate = nn.Linear(channels, channels)
        self.norm_in = nn.LayerNorm(channels)
        self.norm_out = nn.LayerNorm(channels)
        self.input_norm_in = nn.LayerNorm(channels)
        self.input_norm_out = nn.LayerNorm(channels)
        self.fc_layer = nn.Linear(channels, channels)
        self.fc_norm = nn.LayerNorm(channels)

    def forward(self, gathered: Tensor, kernels: Tensor) -> Tensor:
        """Gathered features and kernels (..., C) -> new kernels (..., C)."""
        gathered_in, gathered_out = self.dynamic_layer(gathered).chunk(2, -1)
        kernels_in, kernels_out = self.input_layer(kernels).chunk(2, -1)
        both = kernels_in * gathered_in
        keep = self.input_norm_in(self.input_gate(both)).sigmoid()
        renew = self.norm_in(self.update_gate(both)).sigmoid()
        mixed = renew * self.norm_out(gathered_out) + keep * self.input_norm_out(kernels_out)
        return self.fc_norm(self.fc_layer(mixed)).relu()


class KernelUpdateHead(nn.Module):
    """One round: kernels updated by what their masks gather, and new scores by them.

    Args:
        channels: Of features and kernels.
        update_channels: Of a kernel that the update sees at a time.
        attention_heads: Of the attention among kernels.
        hidden_channels: Of the feed-forward layers.
    """

    def __init__(
        self, channels: int, *, update_channels: int, attention_heads: int, hidden_channels: int
    ) -> None:
        super().__init__()
        self.update_channels = update_channels
        self.attention = MultiheadAttention(channels, attention_heads)
        self.attention_norm = nn.LayerNorm(channels)
        self.kernel_update_conv = KernelUpdator(update_channels)
        self.feat_transform = ConvModule(channels, channels, norm=False, activation=None)
        self.ffn = FeedForward(channels, hidden_channels, nn.ReLU(inplace=True))
        self.ffn_norm = nn.LayerNorm(channels)
        self.mask_fcs = nn.Sequential(
            nn.Linear(channels, channels, bias=False), nn.LayerNorm(channels), nn.ReLU(inplace=True)
        )
        self.fc_mask = nn.Linear(channels, channels)

    def forward(self, features: Tensor, kernels: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, h, w), kernels (N, K, C) and scores (N, K, h, w) -> new scores and kernels."""
        x = self.feat_transform(features)
        gathered = scores.softmax(1).flatten(2) @ x.flatten(2).mT  # (N, K, C)
        parts = (-1, self.update_channels)
        kernels = self.kernel_update_conv(gathered.unflatten(2, parts), kernels.unflatten(2, parts)).flatten(
            2
        )
        kernels = self.attention_norm(kernels + self.attention(kernels))
        kernels = self.ffn_norm(kernels + self.ffn(kernels))
        masks = self.fc_mask(self.mask_fcs(kernels))
        return (masks @ x.flatten(2)).unflatten(2, x.shape[2:]), kernels


class KNetHead(nn.Module):
    """Features -> scores (N, num_classes, h, w) of the last round, at the stride of the map that is fused.

    Args:
        generator: The head that gives features, first scores and first kernels.
        stages: Rounds.
        update_channels: As of `KernelUpdateHead`.
        attention_heads: As of `KernelUpdateHead`.
        hidden_channels: As of `KernelUpdateHead`.
    """

    def __init__(
        self,
        *,
        generator: Head,
        stages: int = 3,
        update_channels: int = 256,
        attention_heads: int = 8,
        hidden_channels: int = 2048,
    ) -> None:
        super().__init__()
        self.kernel_generate_head = generator
        channels = generator.conv_seg.in_channels
        if channels % update_channels:
            raise ValueError(f"kernels of {channels} channels are not updated {update_channels} at a time")
        self.kernel_update_head = nn.ModuleList(
            KernelUpdateHead(
                channels,
                update_channels=update_channels,
                attention_heads=attention_heads,
                hidden_channels=hidden_channels,
            )
            for _ in range(stages)
        )

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> scores."""
        *_, scores = self.rounds(features)
        return scores

    def rounds(self, features: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """The generator's scores, then those of each round."""
        x = self.kernel_generate_head.fuse(features)
        scores = self.kernel_generate_head.classify(x)
        kernels = self.kernel_generate_head.conv_seg.weight.flatten(1).expand(len(x), -1, -1)
        yield scores
        for update in self.kernel_update_head:
            scores, kernels = update(x, kernels, scores)
            yield scores

    def training_loss(self, features: tuple[Tensor, ...], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum of the losses of all scores, the generator's too.

        Args:
            features: As of `forward`.
            loss_of: Scores (N, C, h, w) to their loss.
        """
        return torch.stack([loss_of(scores) for scores in list(self.rounds(features))]).sum()


build = KNetHead
