"""`zoo compare`: what became of a number: two runs over the same images, from their stored counts."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files import places
from ..files.named_files import named_file, named_path
from ..manifest import load_manifest
from .shared import flags
from .shared.answer import CommandError, json_text, require_file_place, write_out

if TYPE_CHECKING:
    import argparse

    from ...evaluate.count.paired import Interval
    from ...reports.background import ChangedScene
    from ..results.comparison import Pair

ABSENT = "–"
MOST_IMAGES = 10
"""Of those with the largest changes, in text and page; JSON has all."""
_FORMATS = {".json": "json", ".html": "html", ".txt": "text"}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which two runs, and where the answer goes."""
    for name in ("first", "second"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="a series or checkpoint of the evidence, or an evidence file of one series",
        )
    parser.add_argument(
        "--evidence", type=named_file, metavar="FILE", help="the evidence file (default: in ZOO_HOME)"
    )
    parser.add_argument(
        "--within",
        type=flags.distance,
        metavar="POINTS",
        help="exit 1 where the second mIoU is more than POINTS away from the first",
    )
    parser.add_argument(
        "--out",
        type=named_path,
        metavar="FILE",
        help="write there: a page for .html, else text, or JSON for .json",
    )
    parser.add_argument(
        "--pictures",
        type=flags.count,
        metavar="N",
        help="draw the N images that changed most into a page: both networks run once more",
    )
    parser.add_argument(
        "--files",
        nargs=2,
        type=named_file,
        metavar=("FIRST", "SECOND"),
        default=(None, None),
        help="the two runs' weights or exports for --pictures (default: the cache's)",
    )
    flags.add_data_root(parser)
    flags.add_manifest(parser)
    flags.add_builders(parser)
    flags.add_device(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Both runs' mIoU and every class's, their differences with intervals, and what changed."""
    from ..results.comparison import NotComparable, pair, side

    require_file_place("--out", arguments.out)
    form = "json" if arguments.json else _FORMATS.get(arguments.out.suffix, "") if arguments.out else "text"
    if not form:
        raise CommandError(f"--out {arguments.out}: end it in .html, .json or .txt")
    if arguments.pictures and form != "html":
        raise CommandError("--pictures belongs to a page: --out FILE.html")
    evidence = arguments.evidence or places.zoo_home() / "evidence.sqlite"
    try:
        found = pair(side(arguments.first, evidence), side(arguments.second, evidence))
    except NotComparable as absence:
        raise CommandError(str(absence), ExitCode.CANNOT_MEASURE) from absence
    if form == "html":
        from ...reports.comparison_page import comparison_page

        scenes = _pictures(found, arguments) if arguments.pictures else []
        write_out(comparison_page(_record(found), _answer(found), MOST_IMAGES, scenes), arguments.out)
    else:
        write_out(json_text(_record(found)) if form == "json" else _text(found), arguments.out)
    too_far = arguments.within is not None and abs(found.found.points) > arguments.within
    return ExitCode.REFUTED if too_far else ExitCode.OK


def _pictures(pair: Pair, arguments: argparse.Namespace) -> list[ChangedScene]:
    from ...evaluate.inference.device import resolve_device
    from ..results.changed_pictures import NoPictures, changed_scenes

    manifest, device = load_manifest(arguments.manifest), resolve_device(arguments.device)
    try:
        return changed_scenes(
            pair, arguments.pictures, manifest, arguments.files, arguments.data_root, device
        )  # fmt: skip
    except NoPictures as absence:
        raise CommandError(f"no pictures: {absence}", ExitCode.CANNOT_MEASURE) from absence


def _record(pair: Pair) -> dict[str, Any]:
    found = pair.found
    return {
        "first": pair.first.name,
        "second": pair.second.name,
        "differs_in": list(pair.differs_in),
        "images": found.images,
        "left_out": pair.left_out,
        "miou": {
            "first": found.first, "second": found.second, "points": found.points, "interval": _ends(found.interval),
        },
        "classes": [one._asdict() | {"interval": _ends(one.interval)} for one in found.classes],
        "changed_images": len(found.changed),
        "least_changed_pixels": found.least_changed_pixels,
        "pixels": found.pixels,
        "changed": [one._asdict() for one in found.changed],
    }  # fmt: skip


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _text(pair: Pair) -> str:
    found = pair.found
    rows = [["mIoU", found.first, found.second, found.points, found.interval]]
    rows += [[one.name, *one[1:]] for one in found.classes]
    table = tabulate(
        [
            [name, *map(_percent, (first, second)), _points(points), _between(ends)]
            for name, first, second, points, ends in rows
        ],
        ["", "first", "second", "difference", "95 % of draws"],
        disable_numparse=True,
        colalign=("left", "right", "right", "right", "left"),
    )
    changed = [
        [one.image, one.least_changed_pixels, f"{one.right_pixels:+d}"] for one in found.changed[:MOST_IMAGES]
    ]
    largest = tabulate(changed, ["image", "changed pixels, at least", "right pixels"]) if changed else ""
    head = f"first   {pair.first.name}\nsecond  {pair.second.name}"
    return "\n\n".join(part for part in (head, table, *map(_filled, _answer(pair)), largest) if part)


def _answer(pair: Pair) -> list[str]:
    """What the figures mean, in sentences."""
    found = pair.found
    share = 100 * found.least_changed_pixels / max(1, found.pixels)
    differs = " and ".join(pair.differs_in) or "nothing that counts depend on"
    said = [f"The two differ in {differs}."]
    said.append(
        f"Over {found.images} images: the counts of {len(found.changed)} changed, and at least {found.least_changed_pixels:,} of "
        f"{found.pixels:,} pixels ({share:.2g} %). Pixels that changed places within a label cannot be told from counts."
    )
    if pair.left_out:
        said.append(f"{pair.left_out} images that only one of the two has counted are left out.")
    if found.interval is not None and found.changed:
        certain = found.interval.low > 0 or found.interval.high < 0
        said.append(
            "The interval is of the difference when images are drawn again with replacement, the same for both: "
            + (
                "it keeps to one side of 0."
                if certain
                else "0 lies within, so other images might turn the sign."
            )
        )
    return said


def _filled(text: str) -> str:
    return textwrap.fill(text, 120)


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


def _points(value: float | None) -> str:
    return ABSENT if value is None else f"{value:+.2f}"


def _between(interval: Interval | None) -> str:
    return ABSENT if interval is None else f"{interval.low:+.2f} to {interval.high:+.2f}"
