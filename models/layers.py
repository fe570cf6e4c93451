"""Blocks that several architectures share, under the names mmsegmentation (and mmcv 2.1.0) gives them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from .load.layouts import KeyRows

Activation = Literal["relu", "leaky_relu"]
"""ReLU, or LeakyReLU of slope 0.01: sssegmentation's heads for LIP, CIHP and ATR (eb1878c1)."""
AnyActivation = Literal["relu", "leaky_relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "prelu", "silu"]
"""With those that a network has of its own, whatever its record says."""
Natural = Annotated[int, 0]
"""A whole number that may be 0; the annotation is the least that `build_model` lets pass, 1 where there is none."""

DROPOUT = 0.1
"""Share of channels dropped before every classifier in training, by both publishers."""


_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,  # of slope 0.01, torch's default
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "silu": nn.SiLU,
}


def activation_module(name: AnyActivation, *, in_place: bool = True, channels: int = 1) -> nn.Module:
    """A new module, in place where the publishers have it so (training memory depends on it).

    Args:
        name: Of the activation.
        in_place: Whether it overwrites its input, if it can.
        channels: How many slopes a PReLU has.
    """
    if name == "prelu":
        return nn.PReLU(channels)
    return nn.Sigmoid() if name == "sigmoid" else _ACTIVATIONS[name](inplace=in_place)


def resize(x: Tensor, size: Sequence[int], *, align_corners: bool) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinearly."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=align_corners)


def join_maps(maps: Sequence[Tensor], *, align_corners: bool) -> Tensor:
    """Maps (N, C_i, h_i, w_i), the finest first -> (N, sum of C_i, h_0, w_0), beside each other."""
    finest, *others = maps
    size = finest.shape[2:]
    return torch.cat([finest, *(resize(x, size, align_corners=align_corners) for x in others)], 1)


class ConvModule(nn.Module):
    """Convolution, batch norm, activation; keys `conv.*` and `bn.*` as in mmcv.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the square kernel, odd; zeros around the input keep its size at stride 1.
        stride: Of the kernel.
        dilation: Of the kernel.
        groups: Of the channels; `in_channels` makes it depthwise.
        bias: Whether the convolution carries a bias; None for where there is no norm. (ssseg's ISNet shortcut has both.)
        norm: Whether there is one.
        norm_eps: Its epsilon.
        activation: Its name; None for none.
        in_place: Whether the activation overwrites its input.
    """

    folds: tuple[tuple[str, str], ...] = (("conv", "bn"),)
    """See `load.folding`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        norm_eps: float = 1e-5,
        activation: AnyActivation | None = "relu",
        in_place: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=not norm if bias is None else bias,
        )
        self.bn = nn.BatchNorm2d(out_channels, norm_eps) if norm else nn.Identity()
        self.activate = (
            activation_module(activation, in_place=in_place, channels=out_channels)
            if activation
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, ceil(h / stride), ceil(w / stride))."""
        return self.activate(self.bn(self.conv(x)))


class NormFirstConv(ConvModule):
    """Batch norm, ReLU, convolution: the same keys, and as many features in the norm as channels come in."""

    folds = ()

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, *, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, groups=groups)
        self.bn = nn.BatchNorm2d(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        return self.conv(self.activate(self.bn(x)))


class DepthwiseSeparableConvModule(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 one across them, a norm behind both.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Of the 3x3 kernel.
        dilation: Of the 3x3 kernel.
        activation: Behind both norms; None for none.
        between: Whether there is one behind the first.
        pointwise_norm: Whether there is a norm behind the second.
        pointwise_bias: Whether the second carries a bias; None for where it has no norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation | None = "relu",
        between: bool = True,
        pointwise_norm: bool = True,
        pointwise_bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(
            in_channels,
            in_channels,
            3,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            activation=activation if between else None,
        )
        self.pointwise_conv = ConvModule(
            in_channels, out_channels, bias=pointwise_bias, norm=pointwise_norm, activation=activation
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, ceil(h / stride), ceil(w / stride))."""
        return self.pointwise_conv(self.depthwise_conv(x))


def in_sequence(module: nn.Module, *, flat: bool = False) -> KeyRows:
    """Rows of names for a part of sssegmentation's whose blocks are sequences: 0 and 1 for `conv` and `bn`, 2 for a PReLU.

    Args:
        module: The part.
        flat: Whether blocks within a sequence are no sequences of their own but counted on in it.
    """
    rows: list[tuple[str, str]] = []
    for name, block in module.named_modules():
        if flat and type(block) is nn.Sequential:
            rows += _counted_on(name, block)
        elif isinstance(block, DepthwiseSeparableConvModule):
            rows += (
                (f"{name}.{half}_conv.{part}", f"{name}.{half}_{part}")
                for half in ("depthwise", "pointwise")
                for part in ("conv", "bn")
            )
        elif isinstance(block, ConvModule):
            rows += (
                (f"{name}.{part}", f"{name}.{place}") for place, part in enumerate(("conv", "bn", "activate"))
            )
    return tuple(rows)


def _counted_on(name: str, blocks: nn.Sequential) -> Iterator[tuple[str, str]]:
    """Rows of the blocks of a sequence, each as the modules that it is of."""
    place = 0
    for number, block in enumerate(blocks):
        inside = list(block.named_children()) if isinstance(block, ConvModule) else [("", block)]
        for part, module in inside:
            if part in {"conv", "bn"}:
                yield f"{name}.{number}.{part}", f"{name}.{place}"
            place += not (part and isinstance(module, nn.Identity))


class PyramidPooling(nn.ModuleList):
    """Average pools to squares of several sizes, a 1x1 block behind each (PSPNet's pyramid, without its fusion).

    Args:
        in_channels: Channels of the input.
        channels: Channels of each level.
        scales: Sides of the squares.
        align_corners: Corner convention of the resize back.
        activation: Its name.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        scales: Sequence[int],
        *,
        align_corners: bool,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels, activation=activation)
            )
            for scale in scales
        )
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, h, w) -> a map (N, channels, h, w) for each scale."""
        return [resize(level(x), x.shape[2:], align_corners=self.align_corners) for level in self]


def double_projection(in_channels: int, out_channels: int, activation: Activation = "relu") -> nn.Sequential:
    """Two 1x1 conv blocks: how both publishers project the keys and the queries of their attention."""
    return nn.Sequential(
        ConvModule(in_channels, out_channels, activation=activation),
        ConvModule(out_channels, out_channels, activation=activation),
    )


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, bias: Tensor | None = None
) -> Tensor:
    """Softmax attention over tokens; the score matrix is never kept whole.

    Args:
        query: (N, groups, L, K).
        key: (N, groups, S, K).
        value: (N, groups, S, C).
        scale: Of the scores; None for 1 / sqrt(K).
        bias: Added to the scores, of a shape that broadcasts to (N, groups, L, S); of bools, where scores count.

    Returns:
        (N, groups, L, C).
    """
    # Channels must lie next to each other, or torch's CPU kernel falls back to the form that keeps all scores.
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)


def attend_maps(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Every position of one map asks all of another: `attend` with one group.

    Args:
        query: (N, K, h, w).
        key: (N, K, h', w'), or its positions in a row, (N, K, S).
        value: As many positions of C channels.
        scale: As of `attend`.

    Returns:
        (N, C, h, w).
    """
    tokens = (x.flatten(2).mT.unsqueeze(1) for x in (query, key, value))  # (N, 1, positions, channels)
    return attend(*tokens, scale=scale).squeeze(1).mT.unflatten(2, query.shape[2:])


def softmax_mean(x: Tensor, scores: Tensor) -> Tensor:
    """Mean over the positions, weighted by the softmax of their scores.

    Args:
        x: (N, C, h, w).
        scores: (N, K, h, w), for K means.

    Returns:
        (N, C, K, 1).
    """
    return (x.flatten(2) @ scores.flatten(2).softmax(2).mT).unsqueeze(3)


class Scale(nn.Module):
    """One learned factor, 0 at the start: how much of a block's context is added; key `scale`, as in mmcv."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * self.scale


class SelfAttentionBlock(nn.Module):
    """Every position of one map asks all positions of another; named as in both publishers' SelfAttentionBlock.

    Args:
        query_channels: Channels of the asking map, and of the output.
        source_channels: Channels of the asked one.
        transform_channels: Channels of keys, queries and values.
        activation: Of every projection.
        out_channels: Of the output; None for those of the asking map.
    """

    def __init__(
        self,
        query_channels: int,
        source_channels: int,
        transform_channels: int,
        activation: Activation = "relu",
        *,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        out_channels = out_channels or query_channels
        self.key_project = double_projection(source_channels, transform_channels, activation)
        self.query_project = double_projection(query_channels, transform_channels, activation)
        self.value_project = ConvModule(source_channels, transform_channels, activation=activation)
        self.out_project = ConvModule(transform_channels, out_channels, activation=activation)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w) ask source (N, S, h', w') -> context (N, C, h, w)."""
        key, value = self.key_project(source), self.value_project(source)
        return self.out_project(attend_maps(self.query_project(features), key, value))


def add_top_down(laterals: list[Tensor], enlarge: Callable[[Tensor, Sequence[int]], Tensor]) -> list[Tensor]:
    """A feature pyramid's way down (Lin et al. 2017): each map and the sum of all coarser ones.

    Args:
        laterals: Maps (N, C, h_i, w_i), fine to coarse.
        enlarge: From a map and a size to the map of that size.
    """
    sums = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        sums.insert(0, lateral + enlarge(sums[0], lateral.shape[2:]))
    return sums


class Classifier(nn.Module):
    """What every head ends in: dropout and the classifier, a 1x1 convolution under the key `conv_seg`.

    Args:
        channels: Channels that the classifier reads.
        num_classes: Channels of the scores; 0 for a head whose map another reads, without a classifier.
        dropout: Whether channels are dropped before the classifier.
        bias: Whether the classifier has one.

    Attributes:
        layouts: Layout of keys -> where its names differ from ours; see `load.layouts`.
    """

    layouts: Mapping[str, KeyRows] = MappingProxyType({})

    def __init__(self, channels: int, num_classes: int, *, dropout: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(DROPOUT) if dropout else nn.Identity()
        self.num_classes = num_classes
        if num_classes:
            self.conv_seg = nn.Conv2d(channels, num_classes, 1, bias=bias)

    def classify(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> scores (N, num_classes, h, w); without a classifier the map itself."""
        return self.conv_seg(self.dropout(x)) if self.num_classes else x


class Decoder(ConvModule):
    """A conv block, dropout and a classifier: how sssegmentation's heads of several stages end each.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the block.
        num_classes: Channels of the scores.
        kernel: As of `ConvModule`.
        activation: Likewise.
    """

    def __init__(
        self, in_channels: int, channels: int, num_classes: int, kernel: int = 1, *, activation: Activation
    ) -> None:
        super().__init__(in_channels, channels, kernel, activation=activation)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> scores (N, num_classes, h, w)."""
        return self.conv_seg(self.dropout(super().forward(x)))


class Head(Classifier):
    """A head that makes one map of all (`fuse`) and classifies it; one that does more has its own `forward`."""

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> scores (N, num_classes, h, w)."""
        return self.classify(self.fuse(features))

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> the map (N, channels, h, w) that is classified."""
        raise NotImplementedError


class ContextHead(Head):
    """The map beside maps of context made of it, all fused by a 3x3 block: PSPNet's form, and APCNet's and DMNet's.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        contexts: A list of modules whose `forward` gives a map (N, channels, h, w) for each of them.
        name: Under which it is kept.
        in_index: Which map is read.
        channels: Channels of each map of context and of the fusion.
        activation: Of the fusion.
    """

    layouts = MappingProxyType({"ssseg": (("bottleneck", "decoder"), ("conv_seg", "decoder.4"))})

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        contexts: nn.ModuleList,
        name: str,
        *,
        in_index: int,
        channels: int,
        activation: Activation,
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index, self.contexts_name = in_index, name
        self.add_module(name, contexts)
        fused = in_channels[in_index] + len(contexts) * channels
        self.bottleneck = ConvModule(fused, channels, 3, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = features[self.in_index]
        return self.bottleneck(torch.cat([x, *self.get_submodule(self.contexts_name)(x)], 1))


class Branches(nn.ModuleList):
    """Modules that read the same map."""

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, h, w) -> what each of them makes of it."""
        return [branch(x) for branch in self]
