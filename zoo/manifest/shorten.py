"""Full entries as sections of compact rows: what `compact` makes whole again."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .writing import record_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .records import CheckpointEntry

Fields = dict[str, Any]

_OWN = ("id", "row", "parts")
"""What no two rows share."""
_ORDER = (
    "id", "parts", "aliases", "publisher", "method", "segmentor", "backbone", "dataset", "crop", "schedule", "pretrain",
    "train_eval_set", "source", "row", "architecture", "parameters", "cost", "weights", "log_urls", "config_urls", "training",
    "figures", "claims", "listed_in",
)  # fmt: skip


def sections(entries: Iterable[CheckpointEntry]) -> Fields:
    """`defaults` and `sections` of these entries: a section for rows of one table, method and crop, in their order."""
    groups = [
        [_row(entry, source) for entry in group]
        for (source, *_), group in groupby(
            entries, key=lambda entry: (_table(entry), entry.method, entry.crop)
        )
    ]
    _share_urls(groups)
    made = [_section(rows) for rows in groups]
    shared = _shared([section["defaults"] for section in made]) if len(made) > 1 else {}
    for section in made:
        section["defaults"] = _ordered(_rest(section["defaults"], shared))
    return ({"defaults": _ordered(shared)} if shared else {}) | {"sections": made}


def _table(entry: CheckpointEntry) -> tuple[str, str]:
    """Document and section of the first claim; empty where it has none."""
    source = entry.claims[0].source if entry.claims else None
    return (source.document, source.section) if source else ("", "")


# --- one row --------------------------------------------------------------------------------------------


def _row(entry: CheckpointEntry, table: tuple[str, str]) -> Fields:
    fields = record_fields(entry)
    claims = fields.pop("claims")
    own = entry.claims[0].source if entry.claims else None
    if own is None or any(claim.source is None for claim in entry.claims):
        return fields | {"claims": claims}
    fields |= {"source": {"document": table[0], "section": table[1]}, "row": own.row}
    if "listed_in" in fields:
        fields["listed_in"] = _listings(fields["listed_in"], table[1], own.row)
    return fields | {"figures": _figures(claims, fields)}


def _listings(listings: Sequence[Fields], section: str, row: int) -> Any:
    """By document, where each has one listing."""
    if len({one["document"] for one in listings}) < len(listings):
        return listings
    same = {"section": section, "row": row}
    return {
        one["document"]: {
            name: value for name, value in one.items() if name != "document" and same.get(name) != value
        }
        for one in listings
    }


def _figures(claims: Sequence[Fields], fields: Fields) -> dict[str, list[Fields]]:
    """Metric -> its claims without what follows from the row."""
    figures: dict[str, list[Fields]] = {}
    for claim in claims:
        earlier = figures.setdefault(claim["metric"], [])
        figure = {name: value for name, value in claim.items() if name != "metric"}
        source = {
            name: value
            for name, value in figure.pop("source").items()
            if value != (fields["source"] | {"row": fields["row"]})[name]
        }
        if source:
            figure["source"] = source
        if earlier and figure.get("supersedes") == earlier[-1]["printed"]:
            del figure["supersedes"]
        if claim["metric"] == "train_memory":
            for name, same in (
                ("crop", fields["crop"]),
                ("batch", fields.get("training", {}).get("batch_per_gpu")),
            ):
                if figure.get(name) == same:
                    figure.pop(name, None)
        earlier.append(figure)
    return figures


# --- what rows of a section share -----------------------------------------------------------------------


def _section(rows: list[Fields]) -> Fields:
    first = rows[0].get("row")
    counted = all(row.get("row") == number for number, row in enumerate(rows, start=first or 1))
    if counted:
        rows = [{name: value for name, value in row.items() if name != "row"} for row in rows]
    figures = [row.pop("figures", {}) for row in rows]
    defaults = _shared(rows)
    shared = _shared_figures(figures)
    left = [_rest(row, defaults) for row in rows]
    for row, own in zip(left, figures, strict=True):
        if short := {metric: _short(claims, shared.get(metric)) for metric, claims in own.items()}:
            row["figures"] = {metric: figure for metric, figure in short.items() if figure != {}}
            if not row["figures"]:
                del row["figures"]
    if counted and first != 1:
        defaults["row"] = first
    if shared:
        defaults["figures"] = shared
    return {"defaults": defaults, "rows": [_ordered(row) for row in left]}


def _shared(rows: Sequence[Fields]) -> Fields:
    """What all rows have and most say alike, within mappings too; those that say otherwise go on saying so."""
    found: Fields = {}
    for name, value in rows[0].items():
        if name in _OWN or any(name not in row for row in rows):
            continue
        others = [row[name] for row in rows]
        if all(isinstance(other, dict) for other in others):
            inner = _shared(others)
            if inner or {} in others:
                found[name] = inner
        elif all(other == value for other in others):
            found[name] = value
        elif (
            not any(isinstance(other, dict) for other in others)
            and (usual := _most_common(others)) is not None
        ):
            found[name] = usual
    return found


def _most_common(values: Sequence[Any]) -> Any:
    """What most of several values are, more than one of them; None where nothing is."""
    counts = Counter(map(repr, values))
    text, count = counts.most_common(1)[0]
    return next(value for value in values if repr(value) == text) if count > 1 else None


def _rest(row: Fields, shared: Fields) -> Fields:
    """A row without what is shared."""
    left: Fields = {}
    for name, value in row.items():
        if name not in shared:
            left[name] = value
        elif value != shared[name]:
            left[name] = _rest(value, shared[name]) if isinstance(shared[name], dict) else value
    return left


def _shared_figures(rows: Sequence[dict[str, list[Fields]]]) -> Fields:
    """Metric -> what the claims of the rows say alike, and the usual reason where all have one and some print nothing."""
    found: Fields = {}
    for metric in dict.fromkeys(metric for row in rows for metric in row):
        all_claims = [row.get(metric, []) for row in rows]
        printed = [claims for claims in all_claims if claims and claims[0]["printed"] is not None]
        absent = [claims[0] for claims in all_claims if claims and claims[0]["printed"] is None]
        if len({len(claims) for claims in printed}) > 1:
            continue
        shared = [_shared(step) for step in zip(*printed, strict=True)] or [{}]
        for one in shared:
            for name in ("printed", *(("date", "note", "source") if absent else ())):
                one.pop(name, None)
        if absent and len(shared) == 1 and all(all_claims):
            usual = absent[0] if len(absent) == 1 else _most_common(absent) or absent[0]
            shared = [shared[0] | usual]
        if any(shared):
            found[metric] = shared if len(shared) > 1 else shared[0]
    return found


def _short(claims: list[Fields], shared: Any) -> Any:
    """A metric's claims as a row writes them; an empty mapping where the defaults say it all."""
    steps = shared if isinstance(shared, list) else [shared or {}] * len(claims)
    left = [_of_its_own(claim, step) for claim, step in zip(claims, steps, strict=False)]
    if left == [{}]:
        return {}
    texts = [
        one["printed"] if set(one) == {"printed"} and one["printed"] is not None else one for one in left
    ]
    return texts if len(texts) > 1 else texts[0]


def _of_its_own(claim: Fields, shared: Fields) -> Fields:
    """A claim without what its metric's defaults say of it."""
    is_absence = "printed" in shared
    if claim["printed"] is None:
        usual = {name: shared[name] for name in ("printed", "note", "source", "date") if name in shared}
        return {} if is_absence and claim == usual else claim
    named = {
        name: value for name, value in shared.items() if not is_absence or name not in ("printed", "note")
    }
    return _rest(claim, named)


def _ordered(fields: Fields) -> Fields:
    return {name: fields[name] for name in _ORDER if name in fields}


# --- URLs of parts --------------------------------------------------------------------------------------


def _share_urls(groups: Sequence[Sequence[Fields]]) -> None:
    """Write links and names with `{id}` and parts, where those of several rows are then the same."""
    rows = [(row, *_with_parts(row)) for group in groups for row in group]
    for key in ("aliases", "log_urls", "config_urls", "weights.urls", "weights.sha256_prefix"):
        counts = Counter(repr(pattern[key]) for _, pattern, _ in rows if key in pattern)
        for row, pattern, parts in rows:
            if key in pattern and counts[repr(pattern[key])] > 1:
                _write_pattern(row, key, pattern[key], parts)


def _write_pattern(row: Fields, key: str, pattern: Any, parts: dict[str, str]) -> None:
    outer, _, inner = key.partition(".")
    row[outer] = row[outer] | {inner: pattern} if inner else pattern
    if used := {name: text for name, text in parts.items() if f"{{{name}}}" in str(pattern)}:
        row["parts"] = row.get("parts", {}) | used


def _with_parts(row: Fields) -> tuple[Fields, dict[str, str]]:
    """Each field with its texts' parts named, and the parts."""
    weights = row["weights"]
    fields = {name: row[name] for name in ("aliases", "log_urls", "config_urls") if name in row}
    fields["weights.urls"] = weights["urls"]
    if "sha256_prefix" in weights:
        fields["weights.sha256_prefix"] = weights["sha256_prefix"]
    time = re.search(r"_(\d{8}_\d{6})", weights["urls"][0])
    own_name = next((name for name in row.get("aliases", ()) if not name.startswith(row["id"])), None)
    parts = {
        "name": own_name,
        "time": time and time[1],
        "hash": weights.get("sha256_prefix"),
    }
    known = {name: text for name, text in parts.items() if text}
    names = {row["id"]: "id"} | {text: name for name, text in known.items()}
    any_of = re.compile("|".join(re.escape(text) for text in sorted(names, key=len, reverse=True)))

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(one) for one in value]
        return any_of.sub(lambda match: f"{{{names[match[0]]}}}", value)

    return {name: replaced(value) for name, value in fields.items()}, known
