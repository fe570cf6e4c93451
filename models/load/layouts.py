"""Publishers' names for a network's tensors: tables that read both ways.

Ours are mmsegmentation's. Here stands what a publisher does to every network; where it names the inside of a part
otherwise stands beside the part, as its `layouts`: layout -> rows of (our name, theirs) below the part, `{n}` for a
number. The first row that begins a name applies; a name of theirs that begins with / stands where it is, not behind the
part's prefix. A part that makes a publisher hold all others in a module says so as its `holders`: layout -> prefix.
torch is not needed here, so that asking for the layouts is cheap.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import nn

KeyRows = tuple[tuple[str, str], ...]


class Part(NamedTuple):
    """A submodule as a publisher names it."""

    ours: str
    prefix: str
    """What stands before the publisher's names of its tensors."""
    ends: KeyRows = ()
    """Last names of its modules, ours and theirs; the first that fits applies."""


_SEQUENTIAL: KeyRows = (
    ("depthwise_conv.conv", "depthwise_conv"),
    ("depthwise_conv.bn", "depthwise_bn"),
    ("pointwise_conv.conv", "pointwise_conv"),
    ("pointwise_conv.bn", "pointwise_bn"),
    ("conv", "0"),  # convolution, norm and activation are an nn.Sequential
    ("bn", "1"),
    ("gn", "1"),
)

LAYOUTS: dict[str, tuple[Part, ...]] = {
    # A part may say that some of its names stand outside of it: CLIP's two encoders.
    "mmseg": (Part("backbone", "backbone."), Part("decode_head", "decode_head.")),
    "plain": (),  # the network's own names, whoever wrote it
    # sssegmentation eb1878c1: a head's modules are the network's own; OCRNet's first head is the auxiliary one.
    "ssseg": (
        Part("backbone", "backbone_net."),
        Part("neck", "", _SEQUENTIAL),
        Part("decode_head.0", "auxiliary_", _SEQUENTIAL),
        Part("decode_head.1", "", _SEQUENTIAL),
        Part("decode_head", "", _SEQUENTIAL),
        Part("auxiliary_head", "auxiliary_", _SEQUENTIAL),
    ),
    # Of whoever published the network first, where its modules say so as `layouts`: one module, without parts.
    "author": (Part("backbone", ""), Part("decode_head", "")),
}
"""Name of a layout -> its parts; the first that a key of ours begins with applies, and a key without one stays."""


def publisher_names(model: nn.Module, layout: str) -> dict[str, str]:
    """Every key of a model -> the publisher's name for the same tensor.

    Args:
        model: A network of any kind; what offers no `layouts` has our names.
        layout: A key of `LAYOUTS`.
    """
    modules = {part: _submodule(model, part.ours) for part in (*LAYOUTS[layout], _WHOLE)}
    rows = {part: _rows(module, layout) for part, module in modules.items()}
    holders = {part: getattr(module, "holders", {}).get(layout, "") for part, module in modules.items()}
    names = {}
    for key in model.state_dict():
        part = next((part for part in LAYOUTS[layout] if key.startswith(f"{part.ours}.")), _WHOLE)
        inside = key.removeprefix(f"{part.ours}.") if part.ours else key
        theirs = _theirs(inside, rows[part], part.ends)
        outside = "".join(prefix for holder, prefix in holders.items() if holder is not part)
        names[key] = outside + (theirs[1:] if theirs.startswith("/") else part.prefix + theirs)
    return names


_WHOLE = Part("", "")


def _submodule(model: nn.Module, path: str) -> Any:
    module: object = model
    for name in path.split(".") if path else ():
        module = getattr(module, name, None)
    return module


def _rows(module: Any, layout: str) -> KeyRows:
    """Of a part, or of a list of heads, which sssegmentation calls decoder.0, decoder.1, ..."""
    if hasattr(module, "layouts"):
        return module.layouts.get(layout, ())
    return tuple(
        (f"{number}.{ours}", re.sub("^(decoders?)", rf"\1.{number}", theirs))
        for number, head in getattr(module, "_modules", {}).items()
        if number.isdigit() and head is not None
        for ours, theirs in _rows(head, layout)
    )


def _theirs(name: str, rows: KeyRows, ends: KeyRows) -> str:
    begun, rest = "", name
    for ours, theirs in rows:
        if match := _beginning(ours).match(name):
            begun, rest = theirs.format(**match.groupdict()), name[match.end() :]
            break
    for ours, theirs in ends:
        if match := _ending(ours).search(rest):
            return f"{begun}{rest[: match.start()]}{theirs}.{match['tensor']}"
    return begun + rest


@cache
def _beginning(ours: str) -> re.Pattern[str]:
    return re.compile(re.escape(ours).replace(r"\{n\}", r"(?P<n>\d+)") + r"(?=\.|$)")


@cache
def _ending(ours: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?<=\.)|^){re.escape(ours)}\.(?P<tensor>\w+)$")
