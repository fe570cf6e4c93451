"""The table of every recorded network: its keys, and how far its scores are from its publisher's own.

`make networks` runs the tests of all recordings (they lie beside the repository) and gives their report to
`python docs/networks.py REPORT.xml`, which writes docs/networks.md.
"""  # noqa: INP001  (a script beside the pages, no package)

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

PAGE = Path(__file__).resolve().parent / "networks.md"
FORMS = ("published", "winograd")
HEAD = """\
# Every recorded network

Made by `make networks`: for each network that a publisher offers weights for, its own code was run with weights by rule, and its
keys and outputs were recorded. Tensors are those of our network that have the recorded name, shape and type (all of them, or the
test fails); the difference is the largest of all recorded scores, auxiliary and intermediate ones too, in standard deviations of
the recorded ones. As a CPU runs it (norms folded, convolutions by Winograd's tiles: `zoo verify --form`) it is that of the first
recording alone; networks that amplify rounding run there as published.
"""


def rows(report: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Publisher's layout -> name, tensors, and differences or why there are none, by name."""
    found = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (pytest wrote it a moment ago)
        told = {one.get("name"): one.get("value") for one in case.iter("property")}
        if "network" not in told:
            continue
        layout, _, name = told["network"].partition("/")
        skipped = case.find("skipped")
        if skipped is not None:
            found[layout].append((name, "", skipped.get("message", "").removeprefix("Skipped: "), ""))
        elif case.find("failure") is None and case.find("error") is None:
            found[layout].append(
                (
                    name,
                    told["tensors"],
                    *(f"{float(told[form]):.1e}" if form in told else "" for form in FORMS),
                )
            )
        else:
            found[layout].append((name, told.get("tensors", ""), "**fails**", ""))
    return {layout: sorted(cases) for layout, cases in sorted(found.items())}


def page(found: dict[str, list[tuple[str, str, str, str]]]) -> str:
    """The page's Markdown."""
    parts = [HEAD]
    for layout, cases in found.items():
        held = [found for _, tensors, *found in cases if tensors and found[0][0].isdigit()]
        largest = [
            max((float(one) for one in form if one), default=0) for form in zip(*held, strict=True)
        ] or [0, 0]
        parts.append(
            f"## {layout}\n\n{len(held)} of {len(cases)} recorded networks hold; the largest differences are {largest[0]:.1e} and {largest[1]:.1e}.\n\n"
            "| network | tensors | as published | as a CPU runs it |\n| --- | ---: | ---: | ---: |\n"
            + "".join(
                f"| `{name}` | {tensors} | {published} | {fastest} |\n"
                for name, tensors, published, fastest in cases
            )
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(rows(Path(sys.argv[1]))), encoding="utf-8")
