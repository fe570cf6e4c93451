"""Plots as SVG to stand inside an HTML page: text as text, colours from the page, no identifier twice.

matplotlib draws with stand-in colours, which are then replaced by the page's own (`currentColor` and custom
properties), so that one drawing serves light and dark.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

from .media import plot_text
from .metrics import METRICS
from .verdict import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .background import ClassFigures
    from .speed_shape import Shape
    from .verdict import Verdict

INK, FAINT, BAND, WIDE = "#010203", "#010204", "#010205", "#010206"
_STATUS_INK = {Status.REPRODUCED: "#010207", Status.DRIFT: "#010208", Status.REFUTED: "#010209"}
_OTHER_INK = "#01020a"
_SERIES = ("#01020b", "#01020c", "#01020d", "#01020e", "#01020f", "#010210", "#010211", "#010212")
_PAGE = {
    INK: "currentColor", FAINT: "var(--faint)", BAND: "var(--band)", WIDE: "var(--wide)", _OTHER_INK: "var(--other)",
    **{ink: f"var(--{status.value})" for status, ink in _STATUS_INK.items()},
    **{ink: f"var(--series-{number})" for number, ink in enumerate(_SERIES)},
}  # fmt: skip
_MARKERS = {Status.REPRODUCED: "o", Status.DRIFT: "D", Status.REFUTED: "X"}
"""A shape as well as a colour: not everybody tells red from green."""
_SERIES_MARKERS = "osD^vPX*"
"""Turned on by one every eight rows, so that 64 rows have a mark of their own."""
MARKER_NAMES = {Status.REPRODUCED: "disc", Status.DRIFT: "diamond", Status.REFUTED: "cross"}
_BARS = 41
_ROW_INCHES = 0.22
_WIDE_INCHES = 8.0
_NARROW_INCHES, _NARROW_ROW_INCHES = 4.2, 0.4
"""On a phone a row is two lines: its name, which would else take half the width, and below it its mark."""
_NARROW_CHARACTERS = 40
"""Of a name that shares a phone's width with its marks."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": INK, "axes.edgecolor": FAINT,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": FAINT,
    "grid.linewidth": 0.4, "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip


def delta_plot(
    verdicts: Sequence[Verdict],
    limits: Mapping[tuple[str, str, str], tuple[float, float]],
    name: str,
    *,
    narrow: bool = False,
) -> str:
    """Differences of claims of one unit, each over its bands; shares of the figure where the bands are shares."""
    height = 0.4 if narrow else 0.8

    bands = [limits.get((one.checkpoint, one.metric, one.date), (0.0, 0.0)) for one in verdicts]
    scales = [_scale(one) for one in verdicts]

    def draw(axes: Axes) -> None:
        for which, colour, word in ((1, WIDE, "band of drift"), (0, BAND, "band of reproduced")):
            ends = [band[which] * scale for band, scale in zip(bands, scales, strict=True)]
            left, widths = [-end for end in ends], [2 * end for end in ends]
            axes.barh(range(len(ends)), widths, left=left, color=colour, height=height, label=word)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, reverse=True, borderpad=0)
        for status in dict.fromkeys(one.status for one in verdicts):
            marks = [(one.delta or 0.0, place) for place, one in enumerate(verdicts) if one.status is status]
            ink, marker = _STATUS_INK.get(status, _OTHER_INK), _MARKERS.get(status, "s")
            shares = [delta * scales[place] for delta, place in marks]
            axes.plot(
                shares,
                [place for _, place in marks],
                color=ink,
                marker=marker,
                markersize=5,
                linestyle="none",
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        _name_rows(axes, [claim_name(verdict) for verdict in verdicts], narrow=narrow)
        axes.set_xlabel(_difference_label(verdicts[0]))

    return _svg(draw, name, _size(len(verdicts), narrow=narrow))


def spread_plot(verdicts: Sequence[Verdict], name: str, *, narrow: bool = False) -> str:
    """How many claims of one unit differ by how much, by verdict: of as many marks however many claims there are."""
    shares = [difference(one) for one in verdicts]
    end = sorted(map(abs, shares))[len(shares) * 99 // 100] or 1.0
    statuses = list(dict.fromkeys(one.status for one in verdicts))
    stacks = [
        [
            min(max(share, -end), end)
            for share, one in zip(shares, verdicts, strict=True)
            if one.status is status
        ]
        for status in statuses
    ]

    def draw(axes: Axes) -> None:
        inks = [_STATUS_INK.get(status, _OTHER_INK) for status in statuses]
        edges = [end * (2 * number / _BARS - 1) for number in range(_BARS + 1)]
        axes.hist(stacks, edges, stacked=True, color=inks, label=[status.value for status in statuses])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2 if narrow else 5, borderpad=0)
        axes.set_xlabel(_difference_label(verdicts[0]))
        axes.set_ylabel("claims")

    return _svg(draw, name, (_NARROW_INCHES, 2.6) if narrow else (_WIDE_INCHES, 2.6))


def difference(verdict: Verdict) -> float:
    """Measured minus published: points of an accuracy, percent of the published figure of anything else."""
    return (verdict.delta or 0.0) * _scale(verdict)


def _scale(verdict: Verdict) -> float:
    return 1.0 if METRICS[verdict.metric].unit == "%" else 100 / (float(verdict.published or 0) or 1.0)


def _difference_label(verdict: Verdict) -> str:
    relative = METRICS[verdict.metric].unit != "%"
    return "measured minus published, " + ("% of the published figure" if relative else "points")


def memory_plot(verdicts: Sequence[Verdict], name: str, *, narrow: bool = False) -> str:
    """Foretold training memory over the published one, with the line on which they agree."""
    pairs = [(float(v.published), v.measured) for v in verdicts if v.published and v.measured is not None]

    def draw(axes: Axes) -> None:
        ends = [0, 1.08 * max(value for pair in pairs for value in pair)]
        axes.plot(ends, ends, color=FAINT, linewidth=1)
        axes.plot(
            *zip(*pairs, strict=True), color=_SERIES[0], marker="o", markersize=6, fillstyle="none", linestyle="none"
        )  # fmt: skip
        axes.set_xlabel("published, GB")
        axes.set_ylabel("foretold, GB")
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)

    return _svg(draw, name, (_NARROW_INCHES, 3.8) if narrow else (_WIDE_INCHES, 4.1))


def speed_plot(shape: Shape, rows: Sequence[str], name: str, *, narrow: bool = False) -> str:
    """How far rows are from the speed that the device's common factor foretells."""
    height = 0.4 if narrow else 0.7

    def draw(axes: Axes) -> None:
        odd = set(shape.inconsistent)
        inks = [_STATUS_INK[Status.REFUTED] if row in odd else _SERIES[0] for row in rows]
        axes.barh(range(len(rows)), [shape.ratio[row] for row in rows], color=inks, height=height)
        axes.axvline(1, color=INK, linewidth=0.8)
        _name_rows(axes, rows, narrow=narrow)
        axes.set_xlabel(f"row's factor over the common one ({shape.factor:.2f})")

    return _svg(draw, name, _size(len(rows), narrow=narrow))


def class_plot(figures: Sequence[ClassFigures], name: str) -> str:
    """IoU of every class of one data set, a mark a row; narrow enough for every screen."""
    classes = list(figures[0].iou_percent)

    def draw(axes: Axes) -> None:
        for number, one in enumerate(figures):
            ink, marker = _SERIES[number % 8], _SERIES_MARKERS[(number + number // 8) % 8]
            values = [one.iou_percent.get(key) for key in classes]
            axes.plot(
                [math.nan if value is None else value for value in values], range(len(classes)), color=ink,
                marker=marker, markersize=5, linestyle="none", fillstyle="none", label=plot_text(one.checkpoint, _NARROW_CHARACTERS),
            )  # fmt: skip
        _name_rows(axes, [plot_text(name, _NARROW_CHARACTERS) for name in classes])
        axes.set_xlim(0, 100)
        axes.set_xlabel("IoU, %")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), fontsize=8)

    return _svg(draw, name, (_NARROW_INCHES, 1 + _ROW_INCHES * (len(classes) + len(figures))))


def difference_plot(classes: Sequence[Mapping[str, Any]], name: str) -> str:
    """Differences in points, each over its interval: `name`, `points`, and `interval` (low, high) or None."""

    def draw(axes: Axes) -> None:
        for place, one in enumerate(classes):
            if one["interval"]:
                axes.plot(one["interval"], [place, place], color=FAINT, linewidth=4, solid_capstyle="butt")
        axes.plot(
            [one["points"] for one in classes],
            range(len(classes)),
            color=_SERIES[0],
            marker="o",
            linestyle="none",
        )
        axes.axvline(0, color=INK, linewidth=0.8)
        _name_rows(axes, [plot_text(one["name"], _NARROW_CHARACTERS) for one in classes])
        axes.set_xlabel("difference in points")

    return _svg(draw, name, (_NARROW_INCHES, 1 + _ROW_INCHES * len(classes)))


def claim_name(verdict: Verdict) -> str:
    """A claim in one line: its row, its metric, and its date where there are several."""
    date = f" ({verdict.date})" if verdict.date else ""
    return f"{verdict.checkpoint} {METRICS[verdict.metric].title}{date}"


def _size(rows: int, *, narrow: bool) -> tuple[float, float]:
    """Width and height in inches of a plot with named rows."""
    return (
        (_NARROW_INCHES, 1 + _NARROW_ROW_INCHES * rows) if narrow else (_WIDE_INCHES, 1 + _ROW_INCHES * rows)
    )


def _name_rows(axes: Axes, names: Sequence[str], *, narrow: bool = False) -> None:
    """Names to the left of their rows, or above their marks where there is no room to the left.

    As plain text: a tick costs several times as much to draw.
    """
    axes.set_yticks([])
    axes.set_ylim(len(names) - 0.5, -0.75 if narrow else -0.5)
    left, up, aligned = (0, 0.27, ("left", "bottom")) if narrow else (-0.01, 0, ("right", "center"))
    for place, name in enumerate(names):
        text = axes.text(left, place - up, plot_text(name), transform=axes.get_yaxis_transform())
        text.set(horizontalalignment=aligned[0], verticalalignment=aligned[1], in_layout=not narrow)


def _svg(draw: Callable[[Axes], None], name: str, inches: tuple[float, float]) -> str:
    import matplotlib as mpl  # noqa: PLC0415  (only the HTML report draws)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure.add_subplot())
        return _inline(_drawn(figure), name)


def _drawn(figure: Figure) -> str:
    file = io.StringIO()
    absent: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=absent)
    return file.getvalue()


def _inline(svg: str, name: str) -> str:
    """Without what only a file of its own needs; identifiers begin with the plot's name."""
    svg = svg[svg.index("<svg") :]
    for begin, end in (("<metadata>", "</metadata>"), ("<style", "</style>"), ("<!--", "-->")):
        svg = _without(svg, begin, end)
    # Tags alone: a name between them may look like anything.
    svg = re.sub(r"<[^<>]*>", lambda tag: _inline_tag(tag[0], name), svg)
    svg = re.sub(r"(?<!\s)\s*\n\s*", "\n", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def _without(text: str, begin: str, end: str) -> str:
    """The text without its parts from one mark to the next other one."""
    first, *parts = text.split(begin)
    return first + "".join(part.partition(end)[2] for part in parts)


def _inline_tag(tag: str, name: str) -> str:
    tag = re.sub(
        r' xmlns(:xlink)?="[^"]*"| version="[^"]*"|(?<=<g) id="[^"]*"| font-family: [^:;"]*;', "", tag
    )
    tag = tag.replace("xlink:href=", "href=")
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'href="#|url\(#', lambda found: f"{found[0]}{name}-", tag)
    return re.sub("#0102[01][0-9a-f]", lambda found: _PAGE[found[0]], tag)
