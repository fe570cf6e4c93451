"""Additions to a manifest's text that leave every other byte of it alone: comments, order, layout.

The places come from the parsed file's own marks, the text is inserted there, and the result is parsed again
and compared with what it should mean. A library that writes YAML anew would keep the comments but not the
layout: on the packaged zoo.yaml it changes hundreds of lines.
"""

from __future__ import annotations

import codecs
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ...evaluate.regular_files import read_document
from ..manifest import PACKAGED, CheckpointEntry, Claim, Document, Listing, Manifest, load_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .import_table import Merged

Edit = tuple[int, str]
"""Offset in characters, and text to insert there."""


class EditError(Exception):
    """The file cannot be added to without touching what is there."""


# --- YAML of records --------------------------------------------------------------------------------


def fragment(documents: Mapping[str, Document], entries: Iterable[CheckpointEntry]) -> str:
    """`documents` and `checkpoints` as YAML, in the packaged manifest's layout."""
    lines = ["documents:", *(line for key, one in documents.items() for line in _document_lines(key, one))]
    lines += ["", "checkpoints:"]
    blocks = ["\n".join(entry_lines(entry)) for entry in entries]
    return "\n".join(lines) + "\n" + "\n\n".join(blocks) + "\n"


def new_manifest(documents: Mapping[str, Document], entries: Iterable[CheckpointEntry]) -> str:
    """A whole manifest: the packaged one's data sets and protocols with these documents and checkpoints."""
    text = PACKAGED.read_text(encoding="utf-8")
    root = _compose(text)
    start = _key(root, "datasets").start_mark.index
    end = _line_end(text, _deep_end(_value(root, "protocols")))
    fresh = fragment(documents, entries)
    head, tail = fresh.split("\ncheckpoints:", 1)
    return f"version: 1\n\n{head}\n{text[start:end]}\n\ncheckpoints:{tail}"


def entry_lines(entry: CheckpointEntry) -> list[str]:
    """One item of `checkpoints`, indented by two."""
    lines = [f"  - id: {entry.id}"]
    if entry.aliases:
        lines.append(f"    aliases: [{', '.join(entry.aliases)}]")
    own = ("publisher", "method", "backbone", "dataset")
    lines += [f"    {name}: {_scalar(getattr(entry, name))}" for name in own]
    lines += [f"    crop: {list(entry.crop)}", f"    schedule: {_quoted(entry.schedule)}"]
    lines += [
        f"    {name}: {_scalar(getattr(entry, name))}"
        for name in ("pretrain", "train_eval_set")
        if getattr(entry, name)
    ]
    lines += [
        f"    architecture: {_flow(entry.architecture)}",
        "    weights:",
        f"      layout: {entry.weights.layout}",
    ]
    if entry.weights.sha256_prefix:
        lines.append(f"      sha256_prefix: {_quoted(entry.weights.sha256_prefix)}")
    lines += ["      urls:", *(f"        - {url}" for url in entry.weights.urls)]
    for name in ("log_urls", "config_urls"):
        if urls := getattr(entry, name):
            lines += [f"    {name}:", *(f"      - {url}" for url in urls)]
    if entry.training:
        lines.append(f"    training: {_flow(msgspec.to_builtins(entry.training))}")
    lines += ["    claims:", *(f"      - {claim_text(claim)}" for claim in entry.claims)]
    if entry.listed_in:
        lines += ["    listed_in:", *(f"      - {listing_text(listing)}" for listing in entry.listed_in)]
    return lines


def claim_text(claim: Claim) -> str:
    """A claim; `printed` stands there even where it is null."""
    facts: dict[str, Any] = {"metric": claim.metric, "printed": claim.printed}
    for name in ("supersedes", "protocol", "device", "batch", "crop", "source", "date", "note"):
        if (value := getattr(claim, name)) is not None:
            facts[name] = msgspec.to_builtins(value)
    return _wrapped([f"{key}: {_value_text(key, value)}" for key, value in facts.items()])


def _wrapped(facts: Sequence[str], width: int = 110, indent: int = 9) -> str:
    """A flow mapping, broken between its facts as the packaged manifest's claims are."""
    lines = [""]
    for number, fact in enumerate(facts):
        piece = fact + ("," if number < len(facts) - 1 else "}")
        if lines[-1] and len(lines[-1]) + len(piece) > width - indent:
            lines.append(piece)
        else:
            lines[-1] += f" {piece}" if lines[-1] else piece
    return "{" + ("\n" + " " * indent).join(lines)


def listing_text(listing: Listing) -> str:
    """Where else a row stands."""
    facts = [f"{name}: {_flow(getattr(listing, name))}" for name in ("document", "section", "row")]
    return _wrapped([*facts, *([f"blank: {_flow(listing.blank)}"] if listing.blank else [])])


def _document_lines(key: str, document: Document) -> list[str]:
    facts = {name: value for name, value in msgspec.to_builtins(document).items() if value not in (None, "")}
    return [f"  {key}:", *(f"    {name}: {_value_text(name, value)}" for name, value in facts.items())]


QUOTED = {"printed", "supersedes", "note", "date", "sha256_prefix", "schedule"}
"""Keys whose text looks like numbers or dates, or is prose."""


def _value_text(key: str, value: Any) -> str:
    return _quoted(value) if key in QUOTED and value is not None else _flow(value)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value_text(key, inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=4096)
def _scalar(text: str) -> str:
    """Plain where YAML reads the same text back, in quotes elsewhere."""
    plain = re.fullmatch(r"https?://[^\s,{}\[\]#]+|[A-Za-z][\w.+ -]*[\w+]|[A-Za-z]", text)
    safe = plain and yaml.safe_load(text) == text
    return text if safe else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- insertions -------------------------------------------------------------------------------------


def add(path: Path, documents: Mapping[str, Document], merged: Sequence[Merged]) -> str:
    """The file's text with the merged entries and documents in it; nothing is written.

    Raises:
        EditError: the file is laid out so that nothing can be inserted, or the result would mean something else.
    """
    data = read_document(path)
    mark = "\ufeff" if data.startswith(codecs.BOM_UTF8) else ""
    raw = data.decode("utf-8-sig")
    windows = raw.count("\r\n") == raw.count("\n") > 0
    text = raw.replace("\r\n", "\n") if windows else raw
    root, manifest = _compose(text), load_manifest(path)
    try:
        edits = [
            *_document_edits(text, root, manifest, documents),
            *_entry_edits(text, root, manifest, merged),
        ]
    except (LookupError, AttributeError, TypeError) as error:
        raise EditError(f"{path}: cannot add to a file of this layout ({error}); use block style") from error
    parts, done = [], 0
    for offset, insertion in sorted(edits, key=lambda edit: edit[0]):  # stable: equal places keep their order
        parts += [text[done:offset], insertion]
        done = offset
    whole = "".join([*parts, text[done:]])
    return mark + (whole.replace("\n", "\r\n") if windows else whole)


def check(manifest: Manifest, before: Manifest | None, merged: Sequence[Merged]) -> None:
    """Whether an edited manifest means exactly the old one with the merged entries.

    Raises:
        EditError: it does not.
    """
    wanted = {} if before is None else {one.id: _plain(one) for one in before}
    wanted |= {one.after.id: _plain(one.after) for one in merged}
    found = {one.id: _plain(one) for one in manifest}
    if wanted != found:
        different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        raise EditError(
            f"{manifest.path}: the result would not mean what it should for {', '.join(different)}"
        )


def _plain(entry: CheckpointEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in CheckpointEntry.__struct_fields__}


def _document_edits(
    text: str, root: Any, manifest: Manifest, documents: Mapping[str, Document]
) -> Iterator[Edit]:
    new = {key: document for key, document in documents.items() if key not in manifest.documents}
    if not new:
        return
    lines = "\n".join(line for key, document in new.items() for line in _document_lines(key, document))
    if manifest.documents:
        yield _line_end(text, _deep_end(_value(root, "documents"))), f"\n{lines}"
    else:
        yield _key(root, "datasets").start_mark.index, f"documents:\n{lines}\n\n"


def _entry_edits(text: str, root: Any, manifest: Manifest, merged: Sequence[Merged]) -> Iterator[Edit]:
    checkpoints = _value(root, "checkpoints")
    nodes = dict(zip((one.id for one in manifest), checkpoints.value, strict=True))
    new = [entry_lines(one.after) for one in merged if one.before is None]
    if new and not checkpoints.value:
        raise EditError(f"{manifest.path}: checkpoints is empty; import into a new file instead")
    for lines in new:
        yield _line_end(text, _deep_end(checkpoints)), "\n\n" + "\n".join(lines)
    for one in merged:
        if one.before is not None:
            yield from _changes(text, nodes[one.before.id], one.before, one.after)


def _changes(text: str, node: Any, before: CheckpointEntry, after: CheckpointEntry) -> Iterator[Edit]:
    """Insertions that turn the entry at a node into another one."""
    indent = " " * node.start_mark.column
    if added := after.aliases[len(before.aliases) :]:
        if before.aliases:
            yield from (_item_edit(text, _value(node, "aliases"), name) for name in added)
        else:
            yield (
                _line_end(text, _value(node, "id").end_mark.index),
                f"\n{indent}aliases: [{', '.join(added)}]",
            )
    yield from _url_edits(_value(node, "weights"), "urls", before.weights.urls, after.weights.urls)
    for name in ("log_urls", "config_urls"):
        old, new = getattr(before, name), getattr(after, name)
        if old:
            yield from _url_edits(node, name, old, new)
        elif new:
            lines = "".join(f"\n{indent}  - {url}" for url in new)
            yield _line_end(text, _deep_end(_value(node, "weights"))), f"\n{indent}{name}:{lines}"
    yield from _claim_edits(text, _value(node, "claims"), before.claims, after.claims)
    yield from _listing_edits(text, node, indent, before, after)


def _url_edits(node: Any, name: str, before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[Edit]:
    new = after[: len(after) - len(before)]
    if new:
        urls = _value(node, name)
        first = urls.value[0].start_mark
        apart = ", " if urls.flow_style else "\n" + " " * (first.column - 2) + "- "
        yield first.index, "".join(f"{url}{apart}" for url in new)


def _claim_edits(
    text: str, claims: Any, before: tuple[Claim, ...], after: tuple[Claim, ...]
) -> Iterator[Edit]:
    """Each superseded claim gets its date and note, and its successor behind it."""
    for index, (claim, node) in enumerate(zip(before, claims.value, strict=True)):
        changed = next(one for one in after if (one.metric, one.printed) == (claim.metric, claim.printed))
        for name in ("date", "note"):
            value = getattr(changed, name)
            if value is not None and getattr(claim, name) is None:
                yield _fact_edit(text, node, f"{name}: {_quoted(value)}")
        known = {(one.metric, one.printed) for one in before}
        for one in after:
            is_next = (one.metric, one.supersedes) == (claim.metric, claim.printed)
            if is_next and index == _last(before, claim.metric) and (one.metric, one.printed) not in known:
                yield _item_edit(text, claims, claim_text(one), behind=node)


def _last(claims: tuple[Claim, ...], metric: str) -> int:
    return max(index for index, claim in enumerate(claims) if claim.metric == metric)


def _fact_edit(text: str, node: Any, fact: str) -> Edit:
    """One more key of a mapping."""
    if node.flow_style:
        apart = "\n" + " " * (node.start_mark.column + 1) if fact.startswith("note:") else " "
        return _inside(text, node), f",{apart}{fact}"
    return _line_end(text, _deep_end(node)), f"\n{' ' * node.start_mark.column}{fact}"


def _listing_edits(
    text: str, node: Any, indent: str, before: CheckpointEntry, after: CheckpointEntry
) -> Iterator[Edit]:
    new = after.listed_in[len(before.listed_in) :]
    if not new:
        return
    if before.listed_in:
        yield from (_item_edit(text, _value(node, "listed_in"), listing_text(one)) for one in new)
    else:
        lines = "".join(f"\n{indent}  - {listing_text(one)}" for one in new)
        yield _line_end(text, _deep_end(node)), f"\n{indent}listed_in:{lines}"


def _item_edit(text: str, sequence: Any, item: str, behind: Any = None) -> Edit:
    """One more item of a list, at its end or behind one of its items."""
    last = behind or sequence.value[-1]
    if sequence.flow_style:
        return last.end_mark.index, f", {item}"
    dash = text.rindex("-", 0, last.start_mark.index)
    pad = " " * (dash - text.rfind("\n", 0, dash) - 1)
    return _line_end(text, _deep_end(last)), f"\n{pad}- {item}"


def _compose(text: str) -> Any:
    # The Python loader: its marks count characters, which the C loader's do only for ASCII.
    loader = yaml.SafeLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _key(node: Any, name: str) -> Any:
    return next(key for key, _ in node.value if key.value == name)


def _value(node: Any, name: str) -> Any:
    return next(value for key, value in node.value if key.value == name)


def _deep_end(node: Any) -> int:
    """Where a node's last visible character ends: a block's own mark lies behind the comments after it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    return _deep_end(last[1] if isinstance(last, tuple) else last)


def _inside(text: str, node: Any) -> int:
    """Just before the closing bracket of a flow node."""
    end = node.end_mark.index - 1
    while text[end - 1].isspace():
        end -= 1
    return end


def _line_end(text: str, index: int) -> int:
    """End of the line, so that a comment behind the value stays with it."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end
