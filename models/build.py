"""Every published architecture as a short function whose body is a row of numbers."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from .backbones.resnest import SplitAttentionBottleneck
from .backbones.resnet import STAGE_BLOCKS, ResNet
from .heads.isa import ISAHead
from .heads.isnet import ISNetHead
from .layers import Activation, leaky_relu, relu
from .segmentor import AuxiliaryHead, Segmentor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

T = TypeVar("T")

ACTIVATIONS: dict[str, Activation] = {"relu": relu, "leaky_relu": leaky_relu}


class ArchitectureError(ValueError):
    """An architecture was asked for that does not exist, or with numbers that do not build it."""


def _choose(what: str, name: object, choices: Mapping[Any, T]) -> T:
    for choice, value in choices.items():
        if choice == name:
            return value
    close = get_close_matches(str(name), [str(choice) for choice in choices], n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ArchitectureError(f"{what}: expected one of {', '.join(map(str, choices))}; found {name}{hint}")


def resnet(depth: int, base_channels: int, stem_channels: int) -> ResNet:
    """ResNetV1c-D8 of either publisher.

    Raises:
        ArchitectureError: No such depth was published.
    """
    _choose("depth", depth, STAGE_BLOCKS)
    return ResNet(depth, base_channels=base_channels, stem_channels=stem_channels)


def resnest101(base_channels: int, stem_channels: int) -> ResNet:
    """ResNeSt-101 with output stride 8, of sssegmentation."""
    return ResNet(
        101, base_channels=base_channels, stem_channels=stem_channels, block=SplitAttentionBottleneck
    )


def isanet_mmseg(
    *,
    depth: int,
    num_classes: int,
    base_channels: int = 64,
    stem_channels: int = 64,
    channels: int = 512,
    isa_channels: int = 256,
    auxiliary_channels: int = 256,
) -> Segmentor:
    """ISANet as mmsegmentation publishes it (configs/_base_/models/isanet_r50-d8.py)."""
    backbone = resnet(depth, base_channels, stem_channels)
    c3, c4 = backbone.channels[2:]
    return Segmentor(
        backbone,
        ISAHead(c4, channels, isa_channels, num_classes, out_kernel=1, value_bias=True),
        AuxiliaryHead(c3, auxiliary_channels, num_classes),
    )


def isanet_ssseg(
    *,
    depth: int,
    num_classes: int,
    base_channels: int = 64,
    stem_channels: int = 64,
    channels: int = 512,
    isa_channels: int = 256,
    auxiliary_channels: int = 512,
) -> Segmentor:
    """ISANet as sssegmentation publishes it (configs/_base_/segmentors/isanet.py)."""
    backbone = resnet(depth, base_channels, stem_channels)
    c3, c4 = backbone.channels[2:]
    return Segmentor(
        backbone,
        ISAHead(c4, channels, isa_channels, num_classes, out_kernel=3, value_bias=False),
        AuxiliaryHead(c3, auxiliary_channels, num_classes),
    )


def isnet_ssseg(
    *,
    backbone: str,
    num_classes: int,
    shortcut: bool = False,
    activation: str = "relu",
    base_channels: int = 64,
    stem_channels: int | None = None,
    channels: int = 512,
    transform_channels: int = 256,
    auxiliary_channels: int = 512,
) -> Segmentor:
    """ISNet as sssegmentation publishes it (configs/_base_/segmentors/isnet.py).

    Args:
        backbone: A key of `ISNET_BACKBONES`.
        num_classes: Channels of the scores.
        shortcut: Fuse c1 in and give scores at stride 4; LIP only.
        activation: A key of `ACTIVATIONS`, for both heads and never for the backbone.
        base_channels: Width of the backbone's first stage.
        stem_channels: Channels behind the stem; by default as many as `base_channels`, for ResNeSt twice as many.
        channels: Channels of the decode head.
        transform_channels: Channels of its keys, queries and values.
        auxiliary_channels: Channels of the auxiliary head.

    Raises:
        ArchitectureError: No such backbone or activation.
    """
    act = _choose("activation", activation, ACTIVATIONS)
    trunk = _choose("backbone", backbone, ISNET_BACKBONES)(base_channels, stem_channels)
    return Segmentor(
        trunk,
        ISNetHead(
            trunk.channels, channels, transform_channels, num_classes, shortcut=shortcut, activation=act
        ),
        AuxiliaryHead(trunk.channels[2], auxiliary_channels, num_classes, act),
    )


ISNET_BACKBONES: dict[str, Callable[[int, int | None], ResNet]] = {
    "resnet50": lambda base, stem: resnet(50, base, stem or base),
    "resnet101": lambda base, stem: resnet(101, base, stem or base),
    "resnest101": lambda base, stem: resnest101(base, stem or 2 * base),
}

BUILDERS: dict[str, Callable[..., Segmentor]] = {
    "isanet_mmseg": isanet_mmseg,
    "isanet_ssseg": isanet_ssseg,
    "isnet_ssseg": isnet_ssseg,
}


def build_model(builder: str, **numbers: object) -> nn.Module:
    """Builds an architecture in evaluation mode, with random weights on the current default device.

    Under `torch.device("meta")` it takes no memory and no time to speak of; `load_weights` fills it.

    Args:
        builder: A key of `BUILDERS`.
        **numbers: The builder's keyword arguments.

    Raises:
        ArchitectureError: Unknown builder; unknown, missing or impossible numbers.
    """
    build = _choose("builder", builder, BUILDERS)
    _check_numbers(builder, build, numbers)
    return build(**numbers).eval()


def _check_numbers(builder: str, build: Callable[..., nn.Module], numbers: Mapping[str, object]) -> None:
    parameters = inspect.signature(build).parameters
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    unknown, missing = sorted(numbers.keys() - parameters.keys()), sorted(required - numbers.keys())
    if unknown or missing:
        raise ArchitectureError(
            f"{builder}: expected {', '.join(parameters)}; "
            f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}"
        )
    hints = get_type_hints(build)
    for name, value in numbers.items():
        _check_value(builder, name, value, hints[name])


def _check_value(builder: str, name: str, value: object, kind: type) -> None:
    is_flag = isinstance(value, bool)  # a bool is an int to isinstance, and 1 channel is never meant by it
    if not isinstance(value, kind) or is_flag != (kind is bool):
        expected = getattr(kind, "__name__", str(kind))
        raise ArchitectureError(f"{builder}: {name}: expected {expected}; found {value!r}")
    if isinstance(value, int) and not is_flag and value < 1:
        raise ArchitectureError(f"{builder}: {name}: expected a positive number; found {value}")
