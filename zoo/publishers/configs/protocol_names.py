"""Names of protocols by rule: what is measured at which size, and every way in which it is not the usual one.

A protocol that the manifest has already keeps its name, whatever the rule says: no two names mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ....evaluate.protocol import EvalProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

_USUAL = EvalProtocol(base_scale=None)
_USUAL_SCALES = 6


class ProtocolNames:
    """The protocols of a manifest, and those that an import adds."""

    def __init__(self, known: Mapping[str, EvalProtocol]) -> None:
        self._names = {one.digest(): name for name, one in known.items()}
        self.added: dict[str, EvalProtocol] = {}

    def name(self, protocol: EvalProtocol, prefix: str, description: str = "") -> str:
        """What the protocol is called; it is added where it is new.

        Args:
            protocol: How a figure was measured.
            prefix: Begins the name: the publisher's.
            description: One sentence for people, of a new one.
        """
        digest = protocol.digest()
        if digest not in self._names:
            name = f"{prefix}-{name_of(protocol)}"
            self._names[digest] = name
            self.added[name] = msgspec.structs.replace(protocol, name=name, description=description)
        return self._names[digest]


def name_of(protocol: EvalProtocol) -> str:
    """The name by rule, without whose protocol it is: `2048x512-slide-512x512-ms-flip`."""
    window, base = protocol.window, protocol.base_scale
    parts = ["1.x"] if protocol.views == "image_scale" else []
    parts += [f"{base[0]}x{base[1]}"] if base else []
    parts += ["stretched"] if base and not protocol.keep_ratio else []
    parts += [f"multiples-{protocol.resize_divisor}"] if protocol.resize_divisor > 1 else []
    parts += [f"slide-{window.crop[0]}x{window.crop[1]}"] if window else ["whole"]
    if window and window.stride != (2 * window.crop[0] // 3, 2 * window.crop[1] // 3):
        parts.append(
            f"stride-{window.stride[0]}" + ("" if len({*window.stride}) == 1 else f"x{window.stride[1]}")
        )
    parts += ["aligned"] if protocol.align_corners and not _is_aligned_anyway(protocol) else []
    parts += [f"padded-{protocol.size_divisor}"] if protocol.size_divisor > 1 else []
    parts += ["bgr"] if protocol.channels == "BGR" else []
    if (protocol.mean, protocol.std) != (_USUAL.mean, _USUAL.std):
        parts.append(f"mean-{protocol.mean[0]:.5g}")
    return "-".join([*parts, *_views(protocol)])


def _is_aligned_anyway(protocol: EvalProtocol) -> bool:
    """769 = 6 * 128 + 1: such windows stand for aligned corners in all of a publisher's names."""
    return protocol.window is not None and protocol.window.crop == (769, 769)


def _views(protocol: EvalProtocol) -> list[str]:
    if protocol.views == "image_scale":
        return ["tta"]
    count = len(protocol.scales)
    parts = [] if count == 1 else ["ms"] if count == _USUAL_SCALES else [f"{count}-scales"]
    parts += ["flip"] if protocol.flip else []
    if protocol.views == "tensor":  # sssegmentation averages what a row's settings say
        of_probabilities = protocol.average == "probabilities"
        parts += ["probs"] if of_probabilities else ["scores"] if parts else []
    return parts


def described(protocol: EvalProtocol, release: str) -> str:
    """One sentence for people.

    Args:
        protocol: How a figure was measured.
        release: Whose test it is: `mmsegmentation 0.x`.
    """
    base, window = protocol.base_scale, protocol.window
    parts = [f"{base[0]}x{base[1]}" if base else "the image's own scale"]
    parts += ["stretched"] if base and not protocol.keep_ratio else []
    parts += (
        [f"resized again to multiples of {protocol.resize_divisor}"] if protocol.resize_divisor > 1 else []
    )
    parts.append(f"{window.crop[0]}x{window.crop[1]} windows" if window else "whole image")
    parts += ["aligned corners"] if protocol.align_corners else []
    parts += [f"padded to multiples of {protocol.size_divisor}"] if protocol.size_divisor > 1 else []
    if (protocol.mean, protocol.std) != (_USUAL.mean, _USUAL.std):
        parts.append("a normalisation of its own")
    several = len(protocol.scales) > 1
    parts.append(f"{len(protocol.scales)} scales" if several else "single scale")
    parts[-1] += " and flip" if protocol.flip else ""
    if protocol.views == "tensor" and (several or protocol.flip or protocol.average == "probabilities"):
        parts.append(f"mean of {protocol.average}" if several or window else protocol.average)
    return f"{release}, {', '.join(parts)}."
