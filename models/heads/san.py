"""SAN (Xu et al. 2023, arXiv 2302.12242): masks from a light transformer beside CLIP, named by CLIP's last blocks.

mmsegmentation 1.2.2, decode_heads/san_head.py and text_encoder/clip_text_encoder.py, with mmcv 2.1.0's layers. The light transformer
sees the images and, added on its way, CLIP's maps; of its queries come masks, and where CLIP's last blocks look for each. What those
blocks make of a query is compared with what CLIP's text encoder makes of the classes' names. Scores are those of MaskFormer.

The text encoder reads numbers of pieces of words. They are in `clip_prompts.json`, of the names of a data set's classes and of the
sentences around them, so that CLIP's vocabulary need not be at hand.
"""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from functools import cache
from pkgutil import get_data
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, resize
from ..transformer import (
    VIT_MLP_RATIO,
    ChannelNorm,
    FeedForward,
    MultiheadAttention,
    PatchEmbed,
    QuickGELU,
    resize_positions,
    to_map,
    vit_block,
)
from .maskformer import MaskClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

CHANNELS, DEPTH, HEADS, PATCH, GRID = 240, 8, 6, 16, 40
"""Of the light transformer; its positions were learned on 640x640 pixels."""
NORM_EPS = 1e-6
WATCHED = 2
"""After how many of its last blocks training looks at masks."""
MASK_CHANNELS = 256
UNSEEN = -100.0
"""Added to the score of what a query must not see: little remains of it, not nothing."""

PIECES, LONGEST = 49408, 77
"""Of CLIP's vocabulary, and how many a sentence may have."""
BEGIN, END = 49406, 49407
TEMPERATURE = 0.07
"""Of the classes' logits, when training began."""


# CLIP's blocks and its text encoder -----------------------------------------------------------------------------


class ClipBlock(nn.Module):
    """Attention and feed-forward layers, each behind a norm and with a shortcut.

    Keys `attentions.0.*`, `ffns.0.*`, `norms.{n}.*` as in mmcv.

    Args:
        channels: Of tokens.
        heads: Of attention.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([MultiheadAttention(channels, heads)])
        self.ffns = nn.ModuleList([FeedForward(channels, VIT_MLP_RATIO * channels, QuickGELU())])
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Tokens (N, L, C) -> the same; the bias is as of `attend`."""
        x = x + self.attentions[0](self.norms[0](x), bias=bias)
        return x + self.ffns[0](self.norms[1](x))


@cache
def prompts() -> dict[str, Any]:
    """Of `clip_prompts.json`: `sentences`, as what stands before a name and behind it, and `vocabularies`, name by name, in pieces."""
    return json.loads(get_data(__package__ or "", "clip_prompts.json") or b"")


@cache
def sentences_about(vocabulary: str) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """What is said of the classes of a data set, as numbers of pieces from `BEGIN` to `END`: sentences, in each of them classes.

    Args:
        vocabulary: One of `prompts`.
    """
    names = prompts()["vocabularies"][vocabulary].values()
    return tuple(
        tuple((BEGIN, *before, *name, *after, END) for name in names)
        for before, after in prompts()["sentences"].values()
    )


class TextEncoder(nn.Module):
    """Classes as vectors: the mean of what CLIP makes of sentences about each, and one that stands for no class.

    Sentences are the same for all images, so they are encoded once for the weights at hand.

    Args:
        vocabulary: As of `sentences_about`.
        channels: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
        out_channels: Of a class's vector.
    """

    def __init__(self, vocabulary: str, channels: int, depth: int, heads: int, out_channels: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.token_embedding = nn.Embedding(PIECES, channels)
        self.positional_embedding = nn.Parameter(torch.zeros(LONGEST, channels))
        self.text_projection = nn.Parameter(torch.zeros(channels, out_channels))
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))
        self.transformer = nn.ModuleList(ClipBlock(channels, heads) for _ in range(depth))
        self.ln_final = nn.LayerNorm(channels)
        self.requires_grad_(False)
        self.bg_embed = nn.Parameter(torch.zeros(1, out_channels))
        self._known: tuple[Sequence[tuple[Tensor, int]], Tensor] | None = None

    def forward(self) -> Tensor:
        """(K + 1, out_channels), the last of no class; they are as long as logits are sharp."""
        vectors = F.normalize(torch.cat([self.classes(), self.bg_embed]), dim=-1)
        return self.logit_scale.exp() * vectors

    @torch.no_grad()
    def classes(self) -> Tensor:
        """(K, out_channels), of length 1; encoded anew where a weight is another than it was."""
        weights = [(one, -1 if one.is_inference() else one._version) for one in self.parameters()]  # noqa: SLF001
        if self._known is not None:
            before, vectors = self._known
            same = (
                one is other and now == then
                for (one, now), (other, then) in zip(weights, before, strict=True)
            )
            of_now = (self.bg_embed.device, self.bg_embed.dtype)
            if (vectors.device, vectors.dtype) == of_now and all(same):
                return vectors
        kind = self.bg_embed.device.type
        # in the weights' own precision, so that they are the same for whoever asks
        with nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False):
            means = torch.stack([self.encode(some) for some in sentences_about(self.vocabulary)]).mean(0)
            vectors = means / means.norm(dim=-1, keepdim=True)
        self._known = weights, vectors
        return vectors

    def encode(self, sentences: Sequence[Sequence[int]]) -> Tensor:
        """K sentences, as numbers of pieces -> (K, out_channels), of length 1.

        A piece sees those before it alone: what fills a row behind its end changes nothing.
        """
        longest = max(map(len, sentences))
        device = self.token_embedding.weight.device
        rows = [[*one, *[END] * (longest - len(one))] for one in sentences]
        x = self.token_embedding(torch.tensor(rows, device=device)) + self.positional_embedding[:longest]
        seen = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
        for block in self.transformer:
            x = block(x, seen)
        ends = torch.tensor([len(one) - 1 for one in sentences], device=device)
        x = self.ln_final(x)[torch.arange(len(x), device=device), ends]
        return F.normalize(x @ self.text_projection, dim=-1)


# The transformer beside CLIP ------------------------------------------------------------------------------------


class Perceptron(nn.Module):
    """Three layers with ReLU between; keys `layers.{n}.*`.

    Args:
        out_channels: Of the last layer.
        layer: Makes one of channels before and behind it.
    """

    def __init__(self, out_channels: int, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        sides = (CHANNELS, MASK_CHANNELS, MASK_CHANNELS, out_channels)
        self.layers = nn.ModuleList(map(layer, sides, sides[1:]))

    def forward(self, x: Tensor) -> Tensor:
        """As `layer` takes it -> likewise."""
        *others, last = self.layers
        for layer in others:
            x = F.relu(layer(x))
        return last(x)


def pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A linear layer for maps."""
    return nn.Conv2d(in_channels, out_channels, 1)


class MaskDecoder(nn.Module):
    """Queries and a map -> masks, and what is added to the scores of attention of CLIP's last blocks.

    Args:
        heads: Of those blocks.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_mlp = Perceptron(MASK_CHANNELS, nn.Linear)
        self.pix_mlp = Perceptron(MASK_CHANNELS, pointwise)
        self.attn_mlp = Perceptron(MASK_CHANNELS * heads, pointwise)
        self.bias_scaling = nn.Linear(1, 1)

    def forward(self, queries: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, Q, C) and (N, C, h, w) -> logits of masks (N, Q, h, w), biases (N, heads, Q, h, w)."""
        size = x.shape[2:]
        embedded = self.query_mlp(queries)
        masks = embedded @ self.pix_mlp(x).flatten(2)
        places = self.attn_mlp(x).unflatten(1, (self.heads, MASK_CHANNELS)).flatten(3)
        biases = self.bias_scaling((embedded.unsqueeze(1) @ places).unsqueeze(-1)).squeeze(-1)
        return masks.unflatten(2, size), biases.unflatten(3, size)


class SideAdapter(nn.Module):
    """The light transformer: queries and patches of the images through all blocks, CLIP's maps added before them and on their way.

    Args:
        clip_channels: Of each of CLIP's maps.
        queries: How many.
        heads: As of `MaskDecoder`.
    """

    def __init__(self, clip_channels: Sequence[int], queries: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(3, CHANNELS, PATCH, padded=False, norm_eps=None)
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID**2, CHANNELS))
        self.query_pos_embed = nn.Parameter(torch.zeros(1, queries, CHANNELS))
        self.query_embed = nn.Parameter(torch.zeros(1, queries, CHANNELS))
        self.encode_layers = nn.ModuleList(vit_block(CHANNELS, HEADS, NORM_EPS) for _ in range(DEPTH))
        self.conv_clips = nn.ModuleList(
            nn.Sequential(ChannelNorm(one), ConvModule(one, CHANNELS, norm=False, activation=None))
            for one in clip_channels
        )
        self.mask_decoder = MaskDecoder(heads)

    def forward(self, images: Tensor, maps: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Queries (N, Q, C) and the map (N, C, h, w) behind each of the blocks that training watches, the last of which is the last.

        Args:
            images: (N, 3, H, W).
            maps: (N, C_i, h_i, w_i) of CLIP; the first is added before the first block, the others behind a block each.
        """
        patches = self.patch_embed(images)
        size = (patches.shape[1], patches.shape[2])
        queries = self.query_embed.shape[1]
        grid = resize_positions(self.pos_embed, (GRID, GRID), size, "bicubic", others=0)
        places = torch.cat([self.query_pos_embed, grid], 1)
        asked = self.query_embed.expand(len(images), -1, -1)
        x = torch.cat([asked, patches.flatten(1, 2)], 1) + places
        for number, block in enumerate([None, *self.encode_layers]):
            x = x if block is None else block(x)
            if number < len(maps):
                clip = resize(self.conv_clips[number](maps[number]), size, align_corners=False)
                x = torch.cat([x[:, :queries], x[:, queries:] + clip.flatten(2).mT], 1)
            if number > DEPTH - WATCHED:
                yield x[:, :queries], to_map(x[:, queries:], size)
            if 0 < number < DEPTH:
                x = x + places


class MaskRecognition(nn.Module):
    """CLIP's last blocks: its class token, once for each query, asks the image where the query's mask is.

    Args:
        channels: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
        out_channels: Of a query's vector.
    """

    def __init__(self, channels: int, depth: int, heads: int, out_channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipBlock(channels, heads) for _ in range(depth))
        self.ln_post = nn.LayerNorm(channels)
        self.proj = nn.Linear(channels, out_channels, bias=False)

    def forward(self, biases: Tensor, x: Tensor, token: Tensor) -> Tensor:
        """Vectors of queries (N, Q, out_channels), of length 1.

        Args:
            biases: (N, heads, Q, h', w'), as `MaskDecoder` gives them.
            x: CLIP's last map, (N, C, h, w).
            token: Its class token, (N, C, 1, 1).
        """
        queries = biases.shape[2]
        token = token.flatten(2).mT
        bias = self.between(biases, x.shape[2:])
        tokens = torch.cat([token.expand(-1, queries, -1), token, x.flatten(2).mT], 1)
        for layer in self.layers:
            tokens = layer(tokens, bias)
        return F.normalize(self.proj(self.ln_post(tokens[:, :queries])), dim=-1)

    @staticmethod
    def between(biases: Tensor, size: Sequence[int]) -> Tensor:
        """What is added to the scores between tokens (N, heads, L, L): queries, the class token, `size` positions.

        A query sees itself and the image, by its bias; others do not see queries.
        """
        queries = biases.shape[2]
        places = F.adaptive_max_pool2d(biases.flatten(1, 2), tuple(size)).flatten(2)
        places = places.unflatten(1, biases.shape[1:3])
        tokens = queries + 1 + places.shape[3]
        bias = biases.new_zeros(tokens, tokens)
        bias[:, :queries] = UNSEEN
        bias[:queries, :queries].fill_diagonal_(0)
        bias[:queries, queries] = UNSEEN
        bias = bias.expand(*biases.shape[:2], -1, -1).clone()
        bias[..., :queries, queries + 1 :] = places
        return bias


# The head -------------------------------------------------------------------------------------------------------


class SideAdapterHead(MaskClassifier):
    """What CLIP's image encoder gives -> scores (N, num_classes, H, W) at the size of the image.

    Args:
        in_channels: Of the images, of maps, of as many class tokens.
        num_classes: Channels of the scores; as many as the vocabulary has names.
        vocabulary: Of which data set the classes are.
        queries: How many.
        depth: Of CLIP's last blocks.
        heads: Of them.
        out_channels: Of what queries and classes are compared by.
        text_channels: Of the text encoder's tokens.
        text_depth: Of its blocks.
        text_heads: Of them.
    """

    layouts = MappingProxyType({"mmseg": (("text_encoder", "/text_encoder"),)})

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        vocabulary: Literal["coco-stuff164k", "pascal_context", "voc"],
        queries: int = 100,
        depth: int,
        heads: int,
        out_channels: int,
        text_channels: int,
        text_depth: int = 12,
        text_heads: int,
    ) -> None:
        super().__init__()
        named = len(sentences_about(vocabulary)[0])
        if num_classes != named:
            raise ValueError(f"{vocabulary} names {named} classes; found num_classes: {num_classes}")
        maps = len(in_channels) // 2
        self.side_adapter_network = SideAdapter(in_channels[1 : 1 + maps], queries, heads)
        self.rec_with_attnbias = MaskRecognition(in_channels[-1], depth, heads, out_channels)
        self.rec_with_attnbias.requires_grad_(False)
        self.text_encoder = TextEncoder(vocabulary, text_channels, text_depth, text_heads, out_channels)

    def prepare(self) -> None:
        """Encodes the classes' names, which the first image would wait for otherwise."""
        self.text_encoder.classes()

    def rounds(self, features: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """As of `MaskClassifier`."""
        classes = self.text_encoder()
        for found in self.watched(features):
            yield self.read(features, classes, *found)

    def decide(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The last of `rounds`; CLIP's last blocks run for that alone."""
        *_, last = self.watched(features)
        return self.read(features, self.text_encoder(), *last)

    def watched(self, features: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
        """As of `SideAdapter`."""
        return self.side_adapter_network(features[0], features[1 : 1 + len(features) // 2])

    def read(
        self, features: tuple[Tensor, ...], classes: Tensor, queries: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Vectors of classes, queries (N, Q, C) and their map -> logits of classes and masks."""
        masks, biases = self.side_adapter_network.mask_decoder(queries, x)
        vectors = self.rec_with_attnbias(biases, features[len(features) // 2], features[-1])
        return vectors @ classes.mT, masks


build = SideAdapterHead
