"""What the pages show of `zoo.yaml`: the figure and the table of the protocols.

`python docs/figures.py` writes docs/protocol.svg and the table in docs/protocols.md; with `--check` it writes
nothing and exits with 1 where one of them is out of date.
"""  # noqa: INP001  (a script beside the pages, no package)

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.zoo.manifest import load_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segbench.evaluate.protocol import EvalProtocol
    from segbench.zoo.manifest import Manifest

DOCS = Path(__file__).resolve().parent
FIGURE, PAGE = DOCS / "protocol.svg", DOCS / "protocols.md"
BEGIN, END = "<!-- table: docs/figures.py -->\n", "<!-- end of table -->\n"

LANES = {
    "mmsegmentation 0.x, made its tables": "mmseg-2048x512-whole-ms-flip",
    "mmsegmentation 1.x, --tta today": "mmseg-1.x-whole-tta",
    "sssegmentation, ADE20K": "ssseg-ade20k-whole-ms-flip-probs",
    "sssegmentation, COCO-Stuff 10k (R-50, R-101)": "ssseg-cocostuff10k-whole-ms-flip-scores",
}
"""Lane of the figure -> the protocol whose fields it tells; all of them with several scales and flip."""
STEPS = ("image", "views", "network", "upsample", "average", "label map")
VIEWS = {
    "base_scale": "for each ratio the image is fitted anew into ratio x base scale",
    "image_scale": "for each ratio the image itself is resized by the ratio",
    "tensor": "fitted once; the normalised tensor is interpolated by each ratio",
}
UPSAMPLING = {
    "two-step": "stride, then network input, then the image's size",
    "one-step": "stride, then the image's size at once",
}
AVERAGES = {
    ("probabilities", "original size"): "probabilities, taken at the image's size",
    ("probabilities", "window"): "probabilities, taken before the upsampling",
    ("scores", "original size"): "scores as they are",
}


# --- what a protocol says, in words -------------------------------------------------------------------------


def resize(protocol: EvalProtocol) -> str:
    """The size that an image is brought to."""
    if protocol.base_scale is None:
        return "own size"
    return f"{'fit' if protocol.keep_ratio else 'stretch'} {protocol.base_scale[0]}x{protocol.base_scale[1]}"


def scales(protocol: EvalProtocol) -> str:
    """The ratios, and whether mirrored views are added."""
    ratios = protocol.scales
    text = f"{ratios[0]:g} to {ratios[-1]:g} ({len(ratios)})" if len(ratios) > 1 else f"{ratios[0]:g}"
    pairs = ", sides swapped" if protocol.flip_pairs else ""
    return f"{text}, flip{pairs}" if protocol.flip else text


def window(protocol: EvalProtocol) -> str:
    """What the network sees at once."""
    if protocol.window is None:
        return "whole"
    (height, width), (down, across) = protocol.window.crop, protocol.window.stride
    return f"{height}x{width}, step {down}" + ("" if down == across else f"x{across}")


def average(protocol: EvalProtocol) -> str:
    """What the mean over the views is taken of."""
    return AVERAGES[protocol.average, protocol.softmax_at]


def besides(protocol: EvalProtocol) -> str:
    """What else a protocol says that most leave out; empty where it is nothing."""
    void = protocol.void
    told = {
        "other side cut, not rounded": protocol.side_rounding == "down",
        f"resized again to multiples of {protocol.resize_divisor}": protocol.resize_divisor > 1,
        f"values / {protocol.value_divisor:g}": protocol.value_divisor != 1,
        f"padded to {protocol.size_divisor}": protocol.size_divisor > 1,
        f"first {protocol.score_channels} channels": protocol.score_channels is not None,
        f"compared at the input's size, labels by {protocol.label_resize}": protocol.compared_at
        == "input size",
        f"void {', '.join(map(str, void.classes))}: {void.pixels}" if void else "": void is not None,
    }
    return "; ".join(words for words, is_said in told.items() if is_said)


def cells(protocol: EvalProtocol) -> tuple[str, ...]:
    """One text a step of the figure."""
    return (
        f"{resize(protocol)}, cv2 on uint8",
        f"{VIEWS[protocol.views]}; {scales(protocol)}",
        f"normalised by {protocol.normalisation}; {window(protocol)} view",
        UPSAMPLING[protocol.upsampling],
        average(protocol),
        "; ".join(filter(None, ("argmax", besides(protocol)))),
    )


# --- the table ----------------------------------------------------------------------------------------------


def table(manifest: Manifest) -> str:
    """The protocols that the page names in its table, as Markdown; a name that is written in gets its row."""
    heads = (
        "protocol",
        "resize (w x h)",
        "scales",
        "window (h x w)",
        "upsampling",
        "corners",
        "mean of",
        "besides",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    shown = set(re.findall(r"^\| `(\S+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for name, protocol in ((name, one) for name, one in manifest.protocols.items() if name in shown):
        corners = "aligned" if protocol.align_corners else "not"
        row = (f"`{name}`", resize(protocol), scales(protocol), window(protocol))
        ends = (protocol.upsampling, corners, mean_of(protocol), besides(protocol) or "–")
        lines.append("| " + " | ".join((*row, *ends)) + " |")
    return "\n".join(lines) + "\n"


def mean_of(protocol: EvalProtocol) -> str:
    """The table's last column; a single view of scores is just their argmax."""
    if len(protocol.scales) == 1 and not protocol.flip and protocol.window is None:
        return "one view"
    return average(protocol)


def page(manifest: Manifest) -> str:
    """docs/protocols.md with the table of today."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(manifest)}\n{END}{after}"


# --- the figure ---------------------------------------------------------------------------------------------

LEFT, WIDTH, LANE, TOP = 14, 186, 108, 172
INK, PALE, MARK = "#1a1a2e", "#f4f6f8", "#fde9c4"
FONT = "Helvetica, Arial, sans-serif"
ICONS = {
    "image": '<rect x="8" y="14" width="74" height="42" fill="#b8d4ea"/><path d="M8 56l26-24 18 14 10-8 20 18z" fill="#6b8e23"/>',
    "views": "".join(
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#b8d4ea" stroke="#fff" stroke-width="2"/>'
        for x, y, w, h in ((6, 4, 74, 42), (20, 16, 56, 32), (34, 28, 38, 22))
    )
    + '<path d="M96 8v48M90 26l-8 6 8 6M102 26l8 6-8 6" fill="none" stroke="#8a94a6" stroke-width="2"/>',
    "network": '<path d="M8 10l40 14v22l-40 14zM82 10l-30 14v22l30 14z" fill="#46618c"/>',
    "upsample": '<rect x="6" y="28" width="22" height="14" fill="#c77d3a"/><path d="M32 35h14" stroke="#8a94a6" stroke-width="2"/><rect x="50" y="16" width="66" height="38" fill="#e3b98f"/>',
    "average": "".join(
        f'<rect x="{x}" y="{x}" width="66" height="38" fill="#e3b98f" stroke="#fff" stroke-width="2"/>'
        for x in (4, 10, 16)
    ),
    "label map": '<rect x="8" y="14" width="74" height="42" fill="#4682b4"/><path d="M8 56V40h74v16z" fill="#804080"/><rect x="46" y="26" width="22" height="20" fill="#46464a"/>',
}


def figure(manifest: Manifest) -> str:
    """The steps from an image to a label map, and how each publisher takes them, as SVG."""
    width, height = 2 * LEFT + len(STEPS) * WIDTH, TOP + len(LANES) * LANE - 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="{FONT}">',
        "<title>From an image to a label map, and where the publishers differ</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(part for index, step in enumerate(STEPS) for part in _head(index, step)),
        *(part for index in range(len(LANES)) for part in _lane(manifest, index)),
        f'<rect x="{LEFT}" y="{height - 27}" width="16" height="12" fill="{MARK}"/>',
        _text(LEFT + 24, height - 17, "differs from the first lane", 12),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _head(index: int, step: str) -> Iterator[str]:
    left = LEFT + index * WIDTH
    yield f'<g transform="translate({left},44)">{ICONS[step]}</g>'
    yield _text(left, 30, f"{index + 1}. {step}", 17, bold=True)
    if index:
        yield f'<path d="M{left - 34} 79h18m-6-5l7 5-7 5" fill="none" stroke="{INK}" stroke-width="2"/>'


def _lane(manifest: Manifest, index: int) -> Iterator[str]:
    """A publisher's form: its name, and a box a step."""
    names = list(LANES)
    protocols = [cells(manifest.protocols[LANES[name]]) for name in names]
    top = TOP + index * LANE - 40
    yield _text(LEFT, top + 14, f"{names[index]}: {LANES[names[index]]}", 13, bold=True)
    for step, words in enumerate(protocols[index]):
        differs = index > 0 and words != protocols[0][step]
        left = LEFT + step * WIDTH
        fill = MARK if differs else PALE
        yield f'<rect x="{left}" y="{top + 22}" width="{WIDTH - 8}" height="{LANE - 36}" rx="5" fill="{fill}"/>'
        for line, text in enumerate(_wrapped(words, 27)):
            yield _text(left + 8, top + 40 + 15 * line, text, 11.5)


def _wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _text(x: int, y: int, text: str, size: float, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size:g}" fill="{INK}"{weight}>{escape(text)}</text>'


def main() -> int:
    """Write both, or with `--check` say which is out of date."""
    manifest = load_manifest()
    stale = []
    for path, text in ((FIGURE, figure(manifest)), (PAGE, page(manifest))):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(text, encoding="utf-8")
    print(f"out of date: {', '.join(stale)}" if stale else "as it should be")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
