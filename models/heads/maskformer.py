"""MaskFormer (Cheng et al. 2021): queries that each become a mask and a class; a pixel's score is the sum of both over queries.

mmsegmentation 1.2.2, decode_heads/maskformer_head.py, with mmdetection 3.3.0's layers; sssegmentation eb1878c1,
segmentors/maskformer. Their pixel decoders differ: mmsegmentation's is a feature pyramid of group norms, sssegmentation's is a UPerNet
whose 3x3 blocks stand within the way down, the first on the coarsest map. Scores are no logits: a softmax over classes
without the last ("no object"), times a sigmoid of masks at the size of the image, summed over queries.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Natural, resize
from ..transformer import FeedForward, MultiheadAttention
from .psp import KEYS, PSPHead
from .uper import pyramid_convs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

GROUPS = 32
AT_ONCE = 10
"""Queries whose masks are enlarged together: of all 100 at once they would take 800 MiB on 1024x2048 pixels."""
TEMPERATURE, NEARLY_NOTHING = 10000, 1e-6
"""Of the positions' waves (DETR, Carion et al. 2020), and what keeps their scale from a division by 0."""


# Scores of masks and classes ----------------------------------------------------------------------------------


def score_pixels(classes: Tensor, masks: Tensor, size: Sequence[int]) -> Tensor:
    """Scores of pixels, at least 0: the publishers' semantic inference.

    Args:
        classes: (N, Q, K + 1), logits of each query's class, the last that of no object.
        masks: (N, Q, h, w), logits.
        size: Height and width of the result.

    Returns:
        (N, K, *size).
    """
    weights = classes.softmax(2)[..., :-1].mT  # (N, K, Q)
    scores = masks.new_zeros(len(masks), weights.shape[1], math.prod(size))
    for some, weight in zip(masks.split(AT_ONCE, 1), weights.split(AT_ONCE, 2), strict=True):
        pixels = resize(some, size, align_corners=False).sigmoid().flatten(2)
        scores = torch.baddbmm(scores, weight, pixels)
    return scores.unflatten(2, tuple(size))


class MaskClassifier(nn.Module):
    """A head of queries: classes and masks behind each of its layers (`rounds`), scored at the size of the image.

    Attributes:
        training_note: What is supposed of its training.
    """

    training_note = (
        "The loss is that of all layers' scores at the size of their masks; the publishers match queries with segments "
        "and compare masks at some positions."
    )

    def rounds(self, features: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits of classes (N, Q, K + 1) and of masks (N, Q, h, w), of each layer."""
        raise NotImplementedError

    def predict(self, features: tuple[Tensor, ...], size: Sequence[int]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> scores (N, K, *size) of the last layer."""
        return score_pixels(*self.decide(features), size)

    def decide(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The last of `rounds`."""
        *_, last = self.rounds(features)
        return last

    def training_loss(self, features: tuple[Tensor, ...], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum of the losses of all layers' scores: see `training_note`."""
        found = [loss_of(score_pixels(*one, one[1].shape[2:])) for one in self.rounds(features)]
        return torch.stack(found).sum()


# Layers ---------------------------------------------------------------------------------------------------------


class GroupNormConv(nn.Module):
    """Convolution, group norm and, where wanted, ReLU; keys `conv.*` and `gn.*` as in mmcv."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int = 1, *, bias: bool = False, relu: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=bias)
        self.gn = nn.GroupNorm(GROUPS, channels)
        self.activate = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        return self.activate(self.gn(self.conv(x)))


class QueryLayer(nn.Module):
    """Queries ask each other and positions of a map, each step with a shortcut and a norm behind it.

    Args:
        channels: Of queries and positions.
        heads: Of attention.
        hidden_channels: Of the feed-forward layers.
        map_first: Whether the map is asked first: Mask2Former.
    """

    def __init__(self, channels: int, heads: int, hidden_channels: int, *, map_first: bool) -> None:
        super().__init__()
        self.map_first = map_first
        self.self_attn = MultiheadAttention(channels, heads)
        self.cross_attn = MultiheadAttention(channels, heads)
        self.ffn = FeedForward(channels, hidden_channels, nn.ReLU(inplace=True))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def forward(
        self,
        x: Tensor,
        places: Tensor,
        asked: tuple[Tensor, Tensor],
        seen: Tensor | None = None,
    ) -> Tensor:
        """Queries (N, Q, C) -> the same.

        Args:
            x: Queries.
            places: What is added to them where they ask, (1, Q, C).
            asked: The map's keys and values, (N, S, C) each.
            seen: Which positions each query sees, (N, 1, Q, S); None for all.
        """
        for number, of_map in enumerate((self.map_first, not self.map_first)):
            asking = x + places
            found = (
                self.cross_attn(asking, *asked, bias=seen) if of_map else self.self_attn(asking, asking, x)
            )
            x = self.norms[number](x + found)
        return self.norms[2](x + self.ffn(x))


class QueryDecoder(nn.Module):
    """Keys `layers.{n}.*` and `post_norm.*`, which is seen by what reads queries, not by the next layer."""

    def __init__(
        self, channels: int, heads: int, hidden_channels: int, layers: int, *, map_first: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            QueryLayer(channels, heads, hidden_channels, map_first=map_first) for _ in range(layers)
        )
        self.post_norm = nn.LayerNorm(channels)


def mask_embedding(channels: int) -> nn.Sequential:
    """Three linear layers; keys 0, 2, 4."""
    layers: list[nn.Module] = [nn.Linear(channels, channels)]
    for _ in range(2):
        layers += [nn.ReLU(inplace=True), nn.Linear(channels, channels)]
    return nn.Sequential(*layers)


def sine_positions(x: Tensor) -> Tensor:
    """Waves that tell a map's positions (DETR): half of the channels for rows, then half for columns, sines and cosines in turns.

    Args:
        x: (N, C, h, w), of which only the form counts.

    Returns:
        (1, h * w, C).
    """
    channels, height, width = x.shape[1:]
    numbers = torch.arange(channels // 2, dtype=torch.float32, device=x.device)
    lengths = TEMPERATURE ** (2 * (numbers // 2) / len(numbers))

    def waves(side: int) -> Tensor:
        places = torch.arange(1, side + 1, dtype=torch.float32, device=x.device)
        angles = (places / (side + NEARLY_NOTHING) * 2 * math.pi)[:, None] / lengths
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], 2).flatten(1)  # (side, C / 2)

    rows = waves(height)[:, None].expand(-1, width, -1)
    columns = waves(width).expand(height, -1, -1)
    return torch.cat([rows, columns], 2).flatten(0, 1).unsqueeze(0).to(x.dtype)


# Pixel decoders -------------------------------------------------------------------------------------------------


class PyramidPixelDecoder(nn.Module):
    """mmsegmentation's: a feature pyramid (N, channels, h, w) at the size of the finest map."""

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        self.last_feat_conv = GroupNormConv(coarsest, channels, 3, relu=True)
        self.lateral_convs = nn.ModuleList(GroupNormConv(one, channels) for one in finer)
        self.output_convs = nn.ModuleList(GroupNormConv(channels, channels, 3, relu=True) for _ in finer)
        self.mask_feature = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps, fine to coarse -> what masks are made of."""
        *finer, coarsest = features
        y = self.last_feat_conv(coarsest)
        levels = zip(finer, self.lateral_convs, self.output_convs, strict=True)
        for x, lateral, output in reversed(list(levels)):
            enlarged = F.interpolate(y, x.shape[2:], mode="nearest")
            y = output(lateral(x) + enlarged)
        return self.mask_feature(y)


class UPerPixelDecoder(nn.Module):
    """sssegmentation's: PSPNet's pyramid on the coarsest map, and down to the finest, with a block behind each sum."""

    def __init__(self, in_channels: tuple[int, ...], channels: int, inner_channels: int) -> None:
        super().__init__()
        self.ppm = PSPHead(in_channels, 0, align_corners=False, channels=inner_channels)
        self.lateral_convs, self.fpn_convs = pyramid_convs(
            in_channels, inner_channels, inner_channels, "relu"
        )
        self.mask_feature = nn.Conv2d(inner_channels, channels, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps, fine to coarse -> what masks are made of."""
        y = self.ppm(features)
        laterals = reversed(list(zip(features[:-1], self.lateral_convs, strict=True)))
        for (x, lateral), output in zip(laterals, self.fpn_convs, strict=True):
            y = output(lateral(x) + resize(y, x.shape[2:], align_corners=False))
        return self.mask_feature(y)


# The head -------------------------------------------------------------------------------------------------------


def query_rows(
    names: str, attentions: tuple[str, str], norms: tuple[str, str, str]
) -> tuple[tuple[str, str], ...]:
    """What sssegmentation calls a layer of queries.

    Args:
        names: How those of a layer begin, with `{n}`.
        attentions: What the queries' attention and the map's are called behind it.
        norms: Likewise.
    """
    layer = "transformer_decoder.layers.{n}"
    return (
        (f"{layer}.self_attn.attn", names + attentions[0]),
        (f"{layer}.cross_attn.attn", names + attentions[1]),
        *((f"{layer}.norms.{number}", names + norm) for number, norm in enumerate(norms)),
    )


DETR = "decoder_predictor.transformer.decoder"
KEYS_OF_QUERIES = (
    *query_rows(f"{DETR}.layers.{{n}}.", ("self_attn", "multihead_attn"), ("norm1", "norm2", "norm3")),
    ("transformer_decoder.layers.{n}.ffn.layers.0.0", f"{DETR}.layers.{{n}}.linear1"),
    ("transformer_decoder.layers.{n}.ffn.layers.1", f"{DETR}.layers.{{n}}.linear2"),
    ("transformer_decoder.post_norm", f"{DETR}.norm"),
    *((f"mask_embed.{2 * number}", f"decoder_predictor.mask_embed.layers.{number}") for number in range(3)),
    ("cls_embed", "decoder_predictor.class_embed"),
    ("query_embed", "decoder_predictor.query_embed"),
    ("decoder_input_proj", "decoder_predictor.input_proj"),
)
KEYS_OF_PIXELS = (
    *((f"pixel_decoder.ppm.{ours}", theirs) for ours, theirs in KEYS["ssseg"] if ours != "conv_seg"),
    ("pixel_decoder.mask_feature", "decoder_mask.0"),
    ("pixel_decoder.lateral_convs", "lateral_convs"),
    ("pixel_decoder.fpn_convs", "fpn_convs"),
)
LOSS_KEY = ("empty_weight", "/criterion.empty_weight")


class MaskFormerHead(MaskClassifier):
    """Features -> scores (N, num_classes, H, W) at the size of the image; all maps are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        channels: Of queries and of what masks are made of.
        queries: How many.
        layers: Of the decoder.
        heads: Of attention.
        hidden_channels: Of the feed-forward layers.
        pixel_decoder: Which of the two.
        pixel_channels: Inside sssegmentation's.
        loss_weights: Whether the file has the weights of the classes' loss, a buffer: sssegmentation.
    """

    layouts = {"ssseg": (*KEYS_OF_QUERIES, *KEYS_OF_PIXELS, LOSS_KEY)}  # noqa: RUF012

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        channels: int = 256,
        queries: int = 100,
        layers: int = 6,
        heads: int = 8,
        hidden_channels: int = 2048,
        pixel_decoder: Literal["fpn", "uper"] = "fpn",
        pixel_channels: Natural = 512,
        loss_weights: bool = False,
    ) -> None:
        super().__init__()
        self.pixel_decoder = (
            PyramidPixelDecoder(in_channels, channels)
            if pixel_decoder == "fpn"
            else UPerPixelDecoder(in_channels, channels, pixel_channels)
        )
        self.transformer_decoder = QueryDecoder(channels, heads, hidden_channels, layers, map_first=False)
        self.decoder_input_proj = nn.Conv2d(in_channels[-1], channels, 1)
        self.query_embed = nn.Embedding(queries, channels)
        self.cls_embed = nn.Linear(channels, num_classes + 1)
        self.mask_embed = mask_embedding(channels)
        self.register_buffer("empty_weight", torch.ones(num_classes + 1) if loss_weights else None)

    def rounds(self, features: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """As of `MaskClassifier`."""
        pixels = self.pixel_decoder(features)
        for queries in self.asked(features):
            yield self.read(queries, pixels)

    def decide(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The last of `rounds`; masks are made of that alone."""
        *_, queries = self.asked(features)
        return self.read(queries, self.pixel_decoder(features))

    def asked(self, features: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """The queries (N, Q, C) behind each layer; they begin as nothing and ask the coarsest map."""
        memory = self.decoder_input_proj(features[-1])
        tokens = memory.flatten(2).mT
        keys, places = tokens + sine_positions(memory), self.query_embed.weight.unsqueeze(0)
        x = torch.zeros_like(places).expand(len(tokens), -1, -1)
        for layer in self.transformer_decoder.layers:
            x = layer(x, places, (keys, tokens))
            yield x

    def read(self, queries: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (N, Q, C) and what masks are made of -> logits of classes and masks."""
        x = self.transformer_decoder.post_norm(queries)
        return self.cls_embed(x), (self.mask_embed(x) @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])


build = MaskFormerHead
