"""Two runs compared, as one HTML file that opens offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .media import html_value
from .plots import difference_plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DRAWN = 40
"""Classes in the picture: those with the largest changes; the table has all."""


def comparison_page(record: Mapping[str, Any], answer: Sequence[str], images: int) -> str:
    """The page.

    Args:
        record: As `zoo compare --json` prints it.
        answer: What it means, in sentences.
        images: How many of the changed images are listed.
    """
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415  (only pages need it)

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = [one for one in record["classes"] if one["points"] is not None]
    largest = sorted(known, key=lambda one: -abs(one["points"]))[:DRAWN]
    rows = [{"name": "mIoU", **record["miou"]}, *record["classes"]]
    return environment.get_template("comparison.html.j2").render(
        record=record,
        answer=answer,
        rows=rows,
        changed=record["changed"][:images],
        plot=difference_plot(largest, "classes") if largest else "",
    )
