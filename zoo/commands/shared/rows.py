"""Rows of the manifest as plain data and as words, as `zoo list` and `zoo show` give them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from ....reports.media import tabulate
from ....reports.metrics import METRICS
from ...files.urls import shown_url
from ...manifest import NOT_BUILT
from ...manifest.selection import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...manifest import Checkpoint, Claim


def row_record(checkpoint: Checkpoint) -> dict[str, Any]:
    """One object a checkpoint; a claim's `value` is the figure as printed, null where there is none."""
    return {
        "id": checkpoint.id,
        "aliases": list(checkpoint.aliases),
        "publisher": checkpoint.publisher,
        "method": checkpoint.method,
        "backbone": checkpoint.backbone,
        "dataset": checkpoint.dataset,
        "crop": list(checkpoint.crop),
        "schedule": checkpoint.schedule,
        "parameters": checkpoint.parameters,
        "cost": msgspec.to_builtins(checkpoint.cost),
        "weights": msgspec.to_builtins(checkpoint.weights) | {"urls": shown_urls(checkpoint.weights.urls)},
        "log_urls": shown_urls(checkpoint.log_urls),
        "config_urls": shown_urls(checkpoint.config_urls),
        "claims": [_claim_record(claim) for claim in checkpoint.claims],
    }


NOT_PUBLISHED = "–"
_USUAL = ("id", "dataset", "backbone", "crop")


def rows_table(rows: Sequence[Checkpoint], columns: Sequence[str] = ()) -> str:
    """One line a checkpoint, with its published numbers as printed, or with the named fields."""
    printed = {claim.metric for row in rows for claim in row.published}
    metrics = [metric for metric in METRICS if metric in printed]
    unbuilt = ["built"] if not columns and any(row.unbuilt() for row in rows) else []
    shown = columns or (*_USUAL, *metrics, *unbuilt)
    body = [[_cell(row, name) for name in shown] for row in rows]
    header = [METRICS[name].title if name in METRICS else name for name in shown]
    sides = ["right" if name in METRICS or name in ("parameters", "gflops") else "left" for name in shown]
    return tabulate(body, header, disable_numparse=True, colalign=sides)


def _cell(row: Checkpoint, name: str) -> str:
    if name in METRICS:
        return _printed(row, name) or NOT_PUBLISHED
    if name == "built":
        return NOT_BUILT if row.unbuilt() else "yes"
    return next(iter(values_of(name, row)), "")


def _printed(checkpoint: Checkpoint, metric: str) -> str:
    """The newest printed figure of a metric; a revised one is marked, and `zoo show` tells both."""
    printed = values_of(metric, checkpoint)
    return printed[0] + ("*" if len(printed) > 1 else "") if printed else ""


def method_records(rows: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """One object a method: its rows by publisher, its data sets, how many are built and what the others lack."""
    found = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        missing = {row.id: row.unbuilt() for row in own}
        found.append(
            {
                "method": method,
                "rows": dict(Counter(row.publisher for row in own)),
                "datasets": list(dict.fromkeys(row.dataset for row in own)),
                "built": sum(not parts for parts in missing.values()),
                "missing": sorted({part for parts in missing.values() for part in parts}),
            }
        )
    return found


def methods_table(rows: Sequence[Checkpoint]) -> str:
    """One line a method: rows of each publisher, data sets, and whether its networks are built."""
    publishers = list(dict.fromkeys(row.publisher for row in rows))
    records = sorted(method_records(rows), key=lambda one: one["method"].lower())
    body = [
        [
            one["method"],
            *(str(one["rows"].get(publisher, "")) for publisher in publishers),
            ", ".join(one["datasets"]),
            _built(one),
        ]
        for one in records
    ]
    table = tabulate(
        body,
        ["method", *publishers, "data sets", "built"],
        disable_numparse=True,
        colalign=["left", *["right"] * len(publishers), "left", "left"],
        maxcolwidths=[None] * (len(publishers) + 1) + [60, 60],
    )
    return f"{table}\n\n{counted(len(records), 'method')}, {counted(len(rows), 'row')}"


def _built(one: dict[str, Any]) -> str:
    """`yes`, `not built yet`, or how many of them."""
    total = sum(one["rows"].values())
    if not one["missing"]:
        return "yes"
    lacking = f"{NOT_BUILT}: {', '.join(one['missing'])}"
    return f"{one['built']} of {total}; {lacking}" if one["built"] else lacking


def counted(number: int, what: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {what}{'s' * (number != 1)}"


def method_text(rows: Sequence[Checkpoint]) -> str:
    """A method in short: a line of what there is of it, and its rows."""
    [one] = method_records(rows)
    of = ", ".join(f"{number} of {publisher}" for publisher, number in one["rows"].items())
    return (
        f"{one['method']}: {counted(len(rows), 'row')} ({of}) on {', '.join(one['datasets'])}; built: {_built(one)}\n\n"
        f"{rows_table(rows)}"
    )


def _claim_record(claim: Claim) -> dict[str, Any]:
    fields = msgspec.to_builtins(claim)
    record = {
        "metric": fields.pop("metric"),
        "value": fields.pop("printed"),
        "protocol": fields.pop("protocol", None),
    }
    return record | {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def shown_urls(urls: Iterable[str]) -> list[str]:
    """Without what is secret in them."""
    return [shown_url(url) for url in urls]


def by(size: tuple[int, int]) -> str:
    """`512x1024`."""
    return f"{size[0]}x{size[1]}"
