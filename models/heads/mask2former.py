"""Mask2Former (Cheng et al. 2022): queries that see of a map only where their own last mask is.

mmsegmentation 1.2.2, decode_heads/mask2former_head.py, with mmdetection 3.3.0's layers and mmcv 2.1.0's deformable attention in
plain torch; sssegmentation eb1878c1, segmentors/mask2former, agrees with it bit for bit and names the parts as the authors do.
A query whose mask is nowhere sees everything.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import resize
from ..transformer import FeedForward
from .maskformer import (
    LOSS_KEY,
    GroupNormConv,
    MaskClassifier,
    QueryDecoder,
    mask_embedding,
    query_rows,
    sine_positions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

LEVELS = 3
"""Maps that deformable attention and queries see: all but the finest."""
HEADS, POINTS = 8, 4
Grid = tuple[int, int]


class DeformableAttention(nn.Module):
    """Each position asks a few points of every map, near its own place (Deformable DETR, Zhu et al. 2021).

    Args:
        channels: Of positions.
        heads: How many.
        levels: Maps.
        points: Of each map, a head.
    """

    def __init__(self, channels: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.form = (heads, levels, points)
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)

    def forward(self, query: Tensor, value: Tensor, centres: Tensor, sizes: Sequence[Grid]) -> Tensor:
        """Positions of all maps ask each other.

        Args:
            query: (N, L, C), positions of all maps behind each other.
            value: (N, L, C).
            centres: (L, 2), the place of each, x and y from 0 to 1.
            sizes: Height and width of each map.

        Returns:
            (N, L, C).
        """
        heads, levels, points = self.form
        offsets = self.sampling_offsets(query).unflatten(2, (heads, levels, points, 2))
        weights = self.attention_weights(query).unflatten(2, (heads, -1)).softmax(3)
        weights = (
            weights.unflatten(3, (levels, points)).transpose(1, 2).flatten(0, 1)
        )  # (N * heads, L, levels, points)
        values = self.value_proj(value).unflatten(2, (heads, -1)).permute(0, 2, 3, 1).flatten(0, 1)
        parts = values.split([height * width for height, width in sizes], 2)
        found = []
        for level, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            span = offsets.new_tensor(size[::-1])  # an offset is in positions of the map, x before y
            places = centres[:, None, None] + offsets[..., level, :, :] / span  # (N, L, heads, points, 2)
            grid = 2 * places.transpose(1, 2).flatten(0, 1) - 1
            seen = F.grid_sample(part.unflatten(2, size), grid, align_corners=False)
            found.append((seen * weights[:, None, :, level]).sum(3))  # (N * heads, K, L)
        total = torch.stack(found).sum(0)
        return self.output_proj(total.unflatten(0, (-1, heads)).flatten(1, 2).mT)


class EncoderLayer(nn.Module):
    """Deformable and feed-forward layers with a shortcut, a norm behind each."""

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(channels, HEADS, LEVELS, POINTS)
        self.ffn = FeedForward(channels, hidden_channels, nn.ReLU(inplace=True))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))

    def forward(self, x: Tensor, places: Tensor, centres: Tensor, sizes: Sequence[Grid]) -> Tensor:
        """(N, L, C) -> the same; `places` (1, L, C) is added where positions ask."""
        x = self.norms[0](x + self.self_attn(x + places, x, centres, sizes))
        return self.norms[1](x + self.ffn(x))


class Encoder(nn.Module):
    """Key `layers.{n}.*`."""

    def __init__(self, channels: int, hidden_channels: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(channels, hidden_channels) for _ in range(layers))

    def forward(self, x: Tensor, places: Tensor, centres: Tensor, sizes: Sequence[Grid]) -> Tensor:
        """As of a layer."""
        for layer in self.layers:
            x = layer(x, places, centres, sizes)
        return x


class DeformablePixelDecoder(nn.Module):
    """The three coarser maps ask each other, coarsest first; the finest gets the sum of its own and the third of them.

    Args:
        in_channels: Channels of four maps, fine to coarse.
        channels: Of every output.
        hidden_channels: Of the feed-forward layers.
        layers: Of the encoder.
    """

    def __init__(
        self, in_channels: tuple[int, ...], channels: int, hidden_channels: int, layers: int
    ) -> None:
        super().__init__()
        finest, *coarser = in_channels
        self.input_convs = nn.ModuleList(GroupNormConv(one, channels, bias=True) for one in reversed(coarser))
        self.encoder = Encoder(channels, hidden_channels, layers)
        self.level_encoding = nn.Embedding(LEVELS, channels)
        self.lateral_convs = nn.ModuleList((GroupNormConv(finest, channels),))
        self.output_convs = nn.ModuleList((GroupNormConv(channels, channels, 3, relu=True),))
        self.mask_feature = nn.Conv2d(channels, channels, 1)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Four maps, fine to coarse -> what masks are made of, and three maps, coarse to fine."""
        finest, *coarser = features
        maps = [conv(x) for conv, x in zip(self.input_convs, reversed(coarser), strict=True)]
        sizes = [(x.shape[2], x.shape[3]) for x in maps]
        tokens = torch.cat([x.flatten(2).mT for x in maps], 1)
        places = torch.cat(
            [sine_positions(x) + level for x, level in zip(maps, self.level_encoding.weight, strict=True)], 1
        )
        centres = torch.cat([centres_of(size, tokens) for size in sizes])
        tokens = self.encoder(tokens, places, centres, sizes)
        parts = tokens.mT.split([height * width for height, width in sizes], 2)
        maps = [part.unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]
        (lateral,), (output,) = self.lateral_convs, self.output_convs
        finest = lateral(finest)
        return self.mask_feature(
            output(finest + resize(maps[-1], finest.shape[2:], align_corners=False))
        ), maps


def centres_of(size: Grid, like: Tensor) -> Tensor:
    """Places of a map's positions, x and y from 0 to 1, row by row: (h * w, 2)."""
    rows, columns = ((torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side for side in size)
    return torch.stack([columns.repeat(size[0]), rows.repeat_interleave(size[1])], 1)


PREDICTOR, ENCODER = "predictor", "pixel_decoder.transformer.encoder.layers.{n}"
KEYS = (
    *query_rows(
        f"{PREDICTOR}.transformer_",
        ("self_attention_layers.{n}.self_attn", "cross_attention_layers.{n}.multihead_attn"),
        ("cross_attention_layers.{n}.norm", "self_attention_layers.{n}.norm", "ffn_layers.{n}.norm"),
    ),
    ("transformer_decoder.layers.{n}.ffn.layers.0.0", f"{PREDICTOR}.transformer_ffn_layers.{{n}}.linear1"),
    ("transformer_decoder.layers.{n}.ffn.layers.1", f"{PREDICTOR}.transformer_ffn_layers.{{n}}.linear2"),
    ("transformer_decoder.post_norm", f"{PREDICTOR}.decoder_norm"),
    *((f"mask_embed.{2 * number}", f"{PREDICTOR}.mask_embed.layers.{number}") for number in range(3)),
    ("cls_embed", f"{PREDICTOR}.class_embed"),
    *((name, f"{PREDICTOR}.{name}") for name in ("query_embed", "query_feat", "level_embed")),
    ("pixel_decoder.level_encoding.weight", "pixel_decoder.transformer.level_embed"),
    ("pixel_decoder.input_convs", "pixel_decoder.input_proj"),
    ("pixel_decoder.mask_feature", "pixel_decoder.mask_features"),
    ("pixel_decoder.encoder.layers.{n}.self_attn", f"{ENCODER}.self_attn"),
    ("pixel_decoder.encoder.layers.{n}.norms.0", f"{ENCODER}.norm1"),
    ("pixel_decoder.encoder.layers.{n}.norms.1", f"{ENCODER}.norm2"),
    ("pixel_decoder.encoder.layers.{n}.ffn.layers.0.0", f"{ENCODER}.linear1"),
    ("pixel_decoder.encoder.layers.{n}.ffn.layers.1", f"{ENCODER}.linear2"),
    LOSS_KEY,
)


class Mask2FormerHead(MaskClassifier):
    """Features -> scores (N, num_classes, H, W) at the size of the image; four maps are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        channels: Of queries and of what masks are made of.
        queries: How many.
        layers: Of the queries' decoder.
        hidden_channels: Of its feed-forward layers.
        encoder_layers: Of the pixel decoder.
        encoder_hidden_channels: Of its feed-forward layers.
        loss_weights: Whether the file has the weights of the classes' loss, a buffer: sssegmentation.
    """

    layouts = MappingProxyType({"ssseg": KEYS})

    def __init__(
        self,
        in_channels: tuple[int, int, int, int],
        num_classes: int,
        *,
        channels: int = 256,
        queries: int = 100,
        layers: int = 9,
        hidden_channels: int = 2048,
        encoder_layers: int = 6,
        encoder_hidden_channels: int = 1024,
        loss_weights: bool = False,
    ) -> None:
        super().__init__()
        self.pixel_decoder = DeformablePixelDecoder(
            in_channels, channels, encoder_hidden_channels, encoder_layers
        )
        self.transformer_decoder = QueryDecoder(channels, HEADS, hidden_channels, layers, map_first=True)
        self.query_embed, self.query_feat = (nn.Embedding(queries, channels) for _ in range(2))
        self.level_embed = nn.Embedding(LEVELS, channels)
        self.cls_embed = nn.Linear(channels, num_classes + 1)
        self.mask_embed = mask_embedding(channels)
        self.register_buffer("empty_weight", torch.ones(num_classes + 1) if loss_weights else None)

    def rounds(self, features: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """As of `MaskClassifier`; the first is of the queries before any layer."""
        pixels, maps = self.pixel_decoder(features)
        tokens = [x.flatten(2).mT + level for x, level in zip(maps, self.level_embed.weight, strict=True)]
        keys = [token + sine_positions(x) for token, x in zip(tokens, maps, strict=True)]
        places = self.query_embed.weight.unsqueeze(0)
        x = self.query_feat.weight.expand(len(pixels), -1, -1)
        classes, masks = self.read(x, pixels)
        yield classes, masks
        for number, layer in enumerate(self.transformer_decoder.layers):
            level = number % LEVELS
            seen = positions_seen(masks, maps[level].shape[2:])
            x = layer(x, places, (keys[level], tokens[level]), seen)
            classes, masks = self.read(x, pixels)
            yield classes, masks

    def read(self, queries: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (N, Q, C) and what masks are made of -> logits of classes and masks."""
        x = self.transformer_decoder.post_norm(queries)
        return self.cls_embed(x), (self.mask_embed(x) @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])


def positions_seen(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Where masks are, at another size: (N, 1, Q, h * w), of bools; all where a mask is nowhere."""
    within = resize(masks.detach(), size, align_corners=False).sigmoid().flatten(2) >= 0.5
    return (within | ~within.any(2, keepdim=True)).unsqueeze(1)


build = Mask2FormerHead
