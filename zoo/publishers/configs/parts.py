"""What both publishers' configurations say of networks in the same words: parts by type, and their numbers."""

from __future__ import annotations

from typing import Any

RENAMED = {
    "kernel_size": "kernel",
    "arch": "size",
    "arch_type": "size",
    "up_scale": "scale",
    "scale_factor": "scale",
}
NUMBERS = {
    "depth", "strides", "dilations", "multi_grid",
    "in_index", "channels", "num_convs", "concat_input", "dilation", "kernel_size", "pool_scales", "c1_channels", "isa_channels",
    "reduction", "ratio", "recurrence", "pam_channels", "project_channels",
    "key_pool_scales", "filter_sizes", "ema_channels", "num_bases", "num_codes", "mask_size", "shrink_factor",
    "ocr_channels", "arch", "arch_type", "up_scale", "scale_factor",
}  # fmt: skip
"""What of a configuration is a number of ours; the rest is the same for all, or training's."""


class Unbuilt(Exception):  # noqa: N818  (no error: the part is yet to come)
    """An entry needs what is not there; the message names it."""


def known_type(kind: str, name: str | None, known: dict[str, Any]) -> Any:
    """What we call a part of this type.

    Raises:
        Unbuilt: nobody has built it.
    """
    if name not in known:
        raise Unbuilt(f"{kind} {name}")
    return known[name]


def numbers_of(record: dict[str, Any]) -> dict[str, Any]:
    """A part's own numbers, by our names."""
    return {RENAMED.get(key, key): value for key, value in record.items() if key in NUMBERS}


def types_alone(theirs: dict[str, str], ours: dict[str, str]) -> dict[str, Any]:
    """Parts without their numbers: what is known of a network that is not built yet.

    Args:
        theirs: `backbone`, `neck` and `head` -> the publisher's name of the part.
        ours: The same keys -> our name; without those that are not built.
    """
    if theirs.keys() == ours.keys():  # every type is there, this variant of the head is not
        ours = {key: name for key, name in ours.items() if key != "head"}
    return {key: {"type": ours.get(key, name)} for key, name in theirs.items()}
