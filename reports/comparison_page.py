"""Two runs compared, as one HTML file that opens offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .media import html_value, jpeg_uri
from .plots import difference_plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .background import ChangedScene

DRAWN = 40
"""Classes in the picture: those with the largest changes; the table has all."""

PANELS = {
    "input": "the image",
    "truth": "its labels",
    "first": "the first run",
    "second": "the second run",
    "changes": "changes",
}
"""Picture of a scene -> what it shows."""


def comparison_page(
    record: Mapping[str, Any], answer: Sequence[str], images: int, scenes: Sequence[ChangedScene] = ()
) -> str:
    """The page.

    Args:
        record: As `zoo compare --json` prints it.
        answer: What it means, in sentences.
        images: How many of the changed images are listed.
        scenes: Pictures of some of them.
    """
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415  (only pages need it)

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = jpeg_uri
    known = [one for one in record["classes"] if one["points"] is not None]
    largest = sorted(known, key=lambda one: -abs(one["points"]))[:DRAWN]
    rows = [{"name": "mIoU", **record["miou"]}, *record["classes"]]
    return environment.get_template("comparison.html.j2").render(
        record=record,
        answer=answer,
        rows=rows,
        changed=record["changed"][:images],
        scenes=scenes,
        panels=PANELS,
        plot=difference_plot(largest, "classes") if largest else "",
    )
