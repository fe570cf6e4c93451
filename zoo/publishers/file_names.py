"""What publishers' file names say of a checkpoint, in mmsegmentation's two schemes and sssegmentation's one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..files.whole_number import whole_number

if TYPE_CHECKING:
    from ..manifest import Checkpoint


def stem(url: str) -> str:
    """Name of a linked file without its endings and without mmsegmentation's hash."""
    name = re.sub(r"(\.pth|\.zip|\.log\.json|\.log|\.py)\Z", "", url.rsplit("/", 1)[-1])
    return re.sub(r"-[0-9a-f]{8}\Z", "", name)


def is_named(url: str) -> bool:
    """Whether a link ends in a file's name; one that says in its query which file it means (Google Drive) does not."""
    return "." in url.partition("?")[0].rsplit("/", 1)[-1]


def undated(url: str) -> str:
    """A file's name without mmsegmentation's day and time of training: the name of its configuration."""
    return re.sub(r"[_-]\d{8}(_\d{6})?\Z", "", stem(url))


def words(name: str) -> set[str]:
    """The parts of a file name between `_` and `-`."""
    return set(re.split(r"[_-]", name))


def contradiction(url: str, row: Checkpoint) -> str:
    """What a link's file name says that its row does not; empty where they agree or the name says nothing."""
    if not is_named(url):
        return ""
    name = stem(url)
    found, speaks = words(name), False
    for what, expected, pattern in _expectations(row):
        said = {word for word in found if re.fullmatch(pattern, word)}
        if said and not said & expected:
            return f"says {what} {' '.join(sorted(said))}, the row says {' or '.join(sorted(expected))}"
        speaks = speaks or bool(said)
    method = name.split("_", 1)[0]
    method = row.publisher_data.methods.get(method, method).casefold()
    return (
        f"says method {method}, the row says {row.method}"
        if speaks and method != row.method.casefold()
        else ""
    )


def _expectations(row: Checkpoint) -> list[tuple[str, set[str], str]]:
    """What a name may say: the fact, the words for it, and a pattern of any word of that sort."""
    depth = re.search(r"\d+", row.backbone)
    number = depth[0] if depth else ""
    nest = row.backbone.startswith("S")
    backbone = {f"resnest{number}os8", f"s{number}"} if nest else {f"r{number}", f"resnet{number}os8"}
    dataset_words = row.publisher_data.file_words
    known = sorted({word for all_words in dataset_words.values() for word in all_words})
    facts = [
        ("backbone", backbone, r"r\d{2,3}|s\d{2,3}|res(net|nest)\d+os8"),
        ("crop", {f"{row.crop[0]}x{row.crop[1]}"}, r"\d+x\d+"),
        ("data set", set(dataset_words.get(row.dataset, ())), "|".join(map(re.escape, known))),
    ]
    if (iterations := whole_number(row.schedule)) is not None:
        facts.append(("schedule", {f"{iterations / 1000:g}k"}, r"[\d.]+k"))
    return facts
