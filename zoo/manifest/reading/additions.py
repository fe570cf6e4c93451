"""Rows with what other documents add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from .node_edits import MAP, SEQ, entries_of, value_of, with_key

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDED_KEYS = (
    "id", "aliases", "weights", "log_urls", "config_urls", "figures", "claims", "listed_in", "row", "parts", "source",
)  # fmt: skip
"""What an addition may say of a row of another file."""


def names_of(row: Any) -> Iterator[str]:
    """The id and aliases of a row, as far as they are texts."""
    aliases = value_of(row, "aliases")
    listed = aliases.value if isinstance(aliases, yaml.SequenceNode) else []
    for node in (value_of(row, "id"), *listed):
        if isinstance(node, yaml.ScalarNode):
            yield node.value


def added(row: Any, addition: Any) -> Any:
    """A row with what another document adds: names and listings behind its own, links before them."""
    added = entries_of(addition)
    pairs = entries_of(row)
    for name in ("aliases", "listed_in", "log_urls", "config_urls"):
        if name in added:
            newest_first = name.endswith("_urls")
            pairs[name] = _longer(pairs.get(name), added[name], newest_first=newest_first)
    if "weights" in added and "weights" in pairs:
        own, new = entries_of(pairs["weights"][1]), entries_of(added["weights"][1])
        if "urls" in own and "urls" in new:
            _, urls = _longer(own["urls"], new["urls"], newest_first=True)
            pairs["weights"] = (
                pairs["weights"][0],
                with_key(pairs["weights"][1], "urls", urls, replace=True),
            )
    if "claims" in added and "claims" in pairs:
        key, claims = pairs["claims"]
        news = added["claims"][1]
        if isinstance(claims, yaml.SequenceNode) and isinstance(news, yaml.SequenceNode):
            listed = _with_claims(claims.value, news.value)
            pairs["claims"] = key, yaml.SequenceNode(SEQ, listed, claims.start_mark, claims.end_mark)
    return yaml.MappingNode(MAP, list(pairs.values()), row.start_mark, row.end_mark)


def _longer(own: tuple[Any, Any] | None, new: tuple[Any, Any], *, newest_first: bool) -> tuple[Any, Any]:
    """A list and what is added to it, without texts that it has."""
    if own is None or not isinstance(own[1], yaml.SequenceNode) or not isinstance(new[1], yaml.SequenceNode):
        return new if own is None else own
    known = {node.value for node in own[1].value if isinstance(node, yaml.ScalarNode)}
    fresh = [node for node in new[1].value if not (isinstance(node, yaml.ScalarNode) and node.value in known)]
    values = [*fresh, *own[1].value] if newest_first else [*own[1].value, *fresh]
    return own[0], yaml.SequenceNode(SEQ, values, own[1].start_mark, own[1].end_mark)


def _with_claims(own: list[Any], new: list[Any]) -> list[Any]:
    """Claims with those added: the same figure again completes its claim, another one stands behind its metric's last."""
    claims = list(own)
    for one in new:
        key = _claim_key(one)
        same = next((index for index, claim in enumerate(claims) if _claim_key(claim) == key), None)
        if same is not None:
            claims[same] = _completed(claims[same], one)
            continue
        last = [index for index, claim in enumerate(claims) if _claim_key(claim)[0] == key[0]]
        claims.insert(last[-1] + 1 if last else len(claims), one)
    return claims


def _claim_key(claim: Any) -> tuple[Any, Any]:
    return tuple(getattr(value_of(claim, name), "value", None) for name in ("metric", "printed"))  # type: ignore[return-value]


def _completed(claim: Any, new: Any) -> Any:
    for key, value in new.value if isinstance(new, yaml.MappingNode) else ():
        if key.value in ("date", "note"):
            claim = with_key(claim, key.value, value)
    return claim
