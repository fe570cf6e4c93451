"""How far every printed training memory is from the foretold one, and why.

`make memory` gives what `zoo memory --json` says of all rows to `python docs/memory_reasons.py FOUND.json`, which writes
results/memory.md. Nothing is fitted: a figure is read in the two units that the word GB can mean beside MiB, and with and
without the convolutions' largest workspace.
"""  # noqa: INP001  (a script beside the pages, no package)

from __future__ import annotations

import json
import sys
from collections import Counter
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.training_memory import memory_claim

PAGE = Path(__file__).resolve().parents[1] / "results" / "memory.md"
MIB = 2**20
PRINTED = sum(memory_claim(one) is not None for one in load_manifest())
UNITS = {"MiB / 1000": 1000 * MIB, "MiB / 1024 (GiB)": 1024 * MIB}
LIMITS = (2, 5)
"""Percent, to each of which half a unit of the last printed digit is added, as the verdict does."""
NOTICED = {
    "emanet_*": "unknown; R-101 is printed 0.8 and 1.2 above R-50, where FCN takes 3.5 and 3.9 more",
    "pspnet_*coco-stuff*": "perhaps a wrong row: the figure is the one printed for DeepLabV3 on the same backbone",
    "pidnet-*": "unknown; about half of what is foretold is printed",
    "ddrnet_23-slim*": "unknown; about a third of what is foretold is printed",
    "segmenter_vit-l_*": "crop: the configuration has 640x640, the row and its name 512x512",
    "deeplabv3plus_r50-d8_4xb2-300k_mapillay*": "crop: the name says 1280x1280, the configuration 512x1024",
    "mask*former*": "loss: masks are matched and compared at sampled points, where the step takes scores at crop size",
}
"""Row -> what was found of it when it was looked up; the first pattern that fits."""
HEAD = """\
# Training memory of every row that prints it

Made by `make memory` of what `zoo memory --json` foretells without a GPU. How it is foretold: [docs/memory.md](../docs/memory.md).

The column is headed GB and was written by several people: some divided MiB by 1000, some by 1024. No document says which;
a table in which figures of two decimals agree to 0.1 % in one unit, and are 2.4 % off in the other, does. The verdicts of
`zoo memory` stay those of MiB / 1000.
"""


class Row(NamedTuple):
    """A row's printed figure and how far the foretold one is from it."""

    found: dict[str, Any]
    off: dict[str, float]
    """Unit -> percent of the printed figure; empty where nothing was foretold or it is not comparable."""

    @property
    def half_digit(self) -> float:
        """Half a unit of the last printed digit, in percent of the figure."""
        printed = Decimal(self.found["published"])
        exponent = printed.as_tuple().exponent
        return float(Decimal(5).scaleb(int(exponent) - 1) / printed * 100)

    def within(self, unit: str, limit: float) -> bool:
        """Whether the foretold figure is within so many percent, read in this unit."""
        return abs(self.off[unit]) <= limit + self.half_digit

    @property
    def unit(self) -> str:
        """The unit in which the figure is nearest."""
        return min(self.off, key=lambda one: abs(self.off[one]))


def row(found: dict[str, Any]) -> Row:
    """Of a record of `zoo memory --json`."""
    if "peak_bytes" not in found or found["status"] == "not comparable":
        return Row(found, {})
    printed = float(found["published"])
    return Row(
        found, {name: 100 * (found["peak_bytes"] / unit / printed - 1) for name, unit in UNITS.items()}
    )


def reason(one: Row) -> str:
    """Why a figure is beyond 2 % in both units."""
    found = one.found
    if not one.off:
        return found["reason"]
    printed = float(found["published"])
    for name, unit in UNITS.items():
        least, most = found["without_workspace_bytes"] / unit, found["peak_bytes"] / unit
        if least <= printed <= most:
            return f"workspace: {least:.2f} without any, {most:.2f} with the largest, in {name}"
    noticed = (text for pattern, text in NOTICED.items() if fnmatchcase(found["checkpoint"], pattern))
    return next(noticed, "unknown")


def shares(rows: list[Row]) -> str:
    """How many figures are how near, by the unit they are read in."""
    comparable = [one for one in rows if one.off]
    readings = {
        **{name: [(one, name) for one in comparable] for name in UNITS},
        "the nearer of both": [(one, one.unit) for one in comparable],
    }
    lines = ["| read as | within 2 % | within 5 % | beyond |", "| --- | ---: | ---: | ---: |"]
    for name, pairs in readings.items():
        near, far = (sum(one.within(unit, limit) for one, unit in pairs) for limit in LIMITS)
        lines.append(f"| {name} | {near} | {far - near} | {len(pairs) - far} |")
    return "\n".join(lines)


def page(rows: list[Row]) -> str:
    """The page's Markdown."""
    beyond = [one for one in rows if not one.off or not one.within(one.unit, LIMITS[0])]
    kinds = Counter(reason(one).partition(":")[0].partition(";")[0] for one in beyond)
    units = Counter(one.unit for one in rows if one.off and one.within(one.unit, LIMITS[0]))
    parts = [
        HEAD,
        f"Of {PRINTED} rows that print a figure {len(rows)} were traced or have a reason here; {sum(bool(one.off) for one in rows)} are foretold and comparable.\n",
        shares(rows) + "\n",
        f"Of those within 2 % of either, {' and '.join(f'{n} are nearer to {name}' for name, n in units.items())}.\n",
        "## Beyond 2 % in both units, or not compared\n",
        "\n".join(f"- {n} {kind}" for kind, n in kinds.most_common()) + "\n",
        "| row | batch | crop | printed | foretold | as MiB / 1000 | as GiB | reason |\n| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |\n"
        + "\n".join(map(line, beyond))
        + "\n",
    ]
    return "\n".join(parts)


def line(one: Row) -> str:
    """One row of the table."""
    found = one.found
    off = [f"{one.off[name]:+.1f} %" if one.off else "" for name in UNITS]
    foretold = f"{found['foretold']:.3f}" if "foretold" in found else ""
    cells = [
        f"`{found['checkpoint']}`",
        str(found["batch"] or ""),
        "x".join(map(str, found["crop"])),
        found["published"],
        foretold,
        *off,
        reason(one),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    records = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    PAGE.write_text(page([row(one) for one in records]), encoding="utf-8")
