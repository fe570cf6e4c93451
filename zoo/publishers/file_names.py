"""What publishers' file names say of a checkpoint, in mmsegmentation's two schemes and sssegmentation's one."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from ..files.whole_number import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..manifest import Checkpoint

_SIZES = r"tiny|small|base|large|xlarge|t|s|b|l|xl"
_BACKBONES = tuple(
    (family, re.compile(rf"(?<![a-z0-9]){pattern}(?![a-z]*[0-9]|[a-z])", re.IGNORECASE))
    for family, pattern in {
        "R": r"r(?:esnet)?-?(18|34|50|101|152)(b?)(?:os\d+)?",
        "S": r"(?:s|resnest)-?(50|101|200|269)(?:os\d+)?",
        "HRNet W": r"hr(?:netv2p?)?-?w?(18|32|40|48)(s|-small)?",
        "Swin": rf"swin[-_]?({_SIZES})",
        "ViT": rf"vit[-_]?({_SIZES})(?:[-_]?(?:14|16))?",
        "DeiT": rf"deit[-_]?({_SIZES})(?:[-_]?16)?",
        "MiT B": r"mit-?b([0-9])",
        "PCPVT": rf"pcpvt[-_]?({_SIZES})",
        "SVT": rf"svt[-_]?({_SIZES})",
        "ConvNeXt": rf"convnext[-_]?({_SIZES})",
        "BEiT": rf"beit[-_]?({_SIZES})",
        "STDC": r"stdc([12])",
        "PoolFormer": r"poolformer[-_]?([sm]\d\d)",
        "MSCAN": rf"mscan[-_]?({_SIZES})",
        "PIDNet": r"pidnet[-_]?([sml])",
    }.items()
)
"""Family -> how names and tables write a network of it: its size, then what tells two of one size."""

_HASHED = re.compile(r"-[0-9a-f]{8}\.pth\Z", re.ASCII)


def same_file(url: str) -> str:
    """What all addresses of a file have in common: its name, where the digits of its hash are in it; else this address alone."""
    name = url.rpartition("/")[2]
    return name if _HASHED.search(name) else url


def stem(url: str) -> str:
    """Name of a linked file without its endings and without mmsegmentation's hash."""
    name = re.sub(r"(\.pth|\.zip|\.log\.json|\.json|\.log|\.py)\Z", "", url.rsplit("/", 1)[-1])
    return re.sub(r"-[0-9a-f]{8}\Z", "", name)


def is_named(url: str) -> bool:
    """Whether a link ends in a file's name; one that says in its query which file it means (Google Drive) does not."""
    return "." in url.partition("?")[0].rsplit("/", 1)[-1]


def undated(url: str) -> str:
    """A file's name without mmsegmentation's day and time of training: the name of its configuration."""
    return re.sub(r"(?:[_-]|\A)\d{8}(_\d{6})?\Z", "", stem(url))


def trained_at(url: str) -> str:
    """The day and time of training in a file's name; empty where it has none."""
    found = re.search(r"(?<!\d)\d{8}(_\d{6})?\Z", stem(url))
    return found[0] if found else ""


def words(name: str) -> set[str]:
    """The parts of a file name between `_` and `-`."""
    return set(re.split(r"[_-]", name.casefold()))


@functools.lru_cache(maxsize=8192)
def network_in(text: str) -> str:
    """The backbone that a name or a table's cell means, in one spelling; empty where it names none of the known."""
    for family, pattern in _BACKBONES:
        if found := pattern.search(text):
            size, *more = (part or "" for part in found.groups())
            return f"{family}-{_initials(size)}{_initials(more[0].strip('-')) if more else ''}"
    return ""


def recipe_in(name: str) -> str:
    """A name without its network, crop and schedule: what is left tells trainings apart that a table's columns do not."""
    found = next((hit for _, pattern in _BACKBONES if (hit := pattern.search(name))), None)
    rest = name[: found.start()] + name[found.end() :] if found else name
    return re.sub(r"(?<=[_-])([0-9]{2,4}x[0-9]{2,4}|[0-9]+k)(?=[_-]|\Z)", "", rest)


def _initials(size: str) -> str:
    """`tiny` as `t`, `xlarge` as `xl`; numbers as they are."""
    size = size.casefold()
    return {"xlarge": "xl", "tiny": "t", "small": "s", "base": "b", "large": "l"}.get(size, size)


def dataset_in(name: str, file_words: Mapping[str, tuple[str, ...]]) -> str:
    """The word for a data set that stands in a name, the longest of several; empty where none does."""
    text = f"_{name.replace('-', '_')}_"
    known = (word.replace("-", "_") for all_words in file_words.values() for word in all_words)
    return max((word for word in known if f"_{word}_" in text), key=len, default="")


def facts_in(name: str, file_words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What a file's name says, in words of one spelling: fact -> value, absent where it says nothing."""
    crops = re.findall(r"(?<=[_-])([0-9]{2,4}x[0-9]{2,4})(?=[_-]|\Z)(?!-pre|_[0-9]+K)", name)
    schedules = re.findall(r"(?<=[_-])([0-9]+k)(?=[_-]|\Z)", name)
    gpus = re.search(r"(?<=[_-])([0-9](?=x)|[0-9]{2}(?=xb))xb?([0-9]{1,2})(?=[_-]|\Z)", name)
    together = re.search(r"_b([0-9]{1,3})(?=_|\Z)", name)
    found = {
        "data set": dataset_in(name, file_words),
        "crop": crops[-1] if crops else "",
        "schedule": schedules[-1] if schedules else "",
        "backbone": network_in(name),
        "GPUs": gpus[1] if gpus else "",
        "images a GPU": gpus[2] if gpus else "",
        "images a step": str(int(gpus[1]) * int(gpus[2])) if gpus else together[1] if together else "",
    }
    return {fact: value for fact, value in found.items() if value}


def other_run(log: str, weights: str) -> str:
    """Why a log's link cannot be that of a weights file's training; empty where it can.

    A log lies in the folder of its weights, or in one beside it that is named after the log; both were stamped when the
    training began, after `_` or `-`, where they are stamped.
    """
    if not (is_named(log) and is_named(weights)):
        return ""
    begun, known = trained_at(log), trained_at(weights)
    if begun and known and begun != known:
        return "is stamped otherwise than"
    folder, name = log.rsplit("/", 1)[0], undated(log)
    theirs = weights.rsplit("/", 1)[0]
    beside = folder.rsplit("/", 1)[0] == theirs.rsplit("/", 1)[0] and folder.rsplit("/", 1)[-1] == name
    if folder != theirs and not beside:
        return "is not beside"
    own = theirs.rsplit("/", 1)[-1] == undated(weights)
    return "" if own or beside or name == undated(weights) else "is named otherwise than"


def contradiction(url: str, row: Checkpoint) -> str:
    """What a link's file name says that its row does not; empty where they agree or the name says nothing."""
    if not is_named(url):
        return ""
    name, file_words = stem(url), row.publisher_data.file_words
    iterations = whole_number(row.schedule)
    expected = {
        "backbone": network_in(row.backbone),
        "crop": f"{row.crop[0]}x{row.crop[1]}",
        "data set": next(iter(file_words.get(row.dataset, ())), "").replace("-", "_"),
        "schedule": f"{iterations / 1000:g}k" if iterations is not None else "",
    }
    said = facts_in(name, file_words)
    for fact, value in expected.items():
        if value and not _agree(fact, said.get(fact, value), value, file_words):
            return f"says {fact} {said[fact]}, the row says {value}"
    return _other_method(name, row)


def _agree(fact: str, one: str, other: str, file_words: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether two values mean the same; names of ResNets leave out whether their stem is the deep one."""
    if fact == "data set":
        return any(
            {one, other} <= {word.replace("-", "_") for word in all_words}
            for all_words in file_words.values()
        )
    return one.removesuffix("b") == other.removesuffix("b") if one.startswith("R-") else one == other


def _other_method(name: str, row: Checkpoint) -> str:
    """The method that a name begins with, where neither the row nor any of its names has it; empty for none."""
    first = undated(name).split("_", 1)[0].casefold()
    method = row.publisher_data.methods.get(first, first).casefold()
    own = words("_".join((row.id, *row.aliases, row.method, row.segmentor)))
    speaks = facts_in(name, row.publisher_data.file_words)
    if not speaks or words(first) & own or method in (row.method.casefold(), row.segmentor.casefold()):
        return ""
    return f"says method {method}, the row says {row.method}"
