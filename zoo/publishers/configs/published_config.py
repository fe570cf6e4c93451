"""What a training configuration says of the row that prints it, and the configurations of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....evaluate.protocol import EvalProtocol
from ....evaluate.regular_files import read_document
from ..records import SourceError
from .mmseg_networks import mmseg_network, mmseg_types
from .parts import Unbuilt
from .ssseg_networks import ssseg_network, ssseg_types

if TYPE_CHECKING:
    from pathlib import Path

_NETWORKS = {
    "mmsegmentation": (mmseg_network, mmseg_types),
    "sssegmentation": (ssseg_network, ssseg_types),
}
"""Publisher -> its networks in our words, and their parts' types alone."""


class PublishedConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One configuration: its network in the publisher's words, how it is tested, and its training's batch."""

    network: dict[str, Any]
    """What the publisher's function of `_NETWORKS` takes."""
    dataset: str = ""
    """The publisher's class of the data set that is tested on."""
    single: EvalProtocol | None = None
    """The test at one scale; None where `unmet` says why not."""
    mirrored: EvalProtocol | None = None
    """The test at one scale with mirrored views; None where the release has none."""
    second: EvalProtocol | None = None
    """The test at several scales with mirrored views; None where the release has none."""
    unmet: str = ""
    """Why no protocol of ours is the test's."""
    crop: tuple[int, int] | None = None
    """Training crop (height, width) in pixels."""
    iterations: int | None = None
    """Length of the training, where it is counted so."""
    batch_per_gpu: int | None = None
    optimizer: str = "SGD"
    """By torch's name."""
    mixed_precision: bool = False
    """Whether it trains, and mmsegmentation 0.x then also tests, in half precision."""


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configurations of one release."""

    publisher: str
    revision: str
    """Tag or commit: `v1.2.2`."""
    age: str = ""
    """Which of several ways of testing it has, in words: `0.x`."""
    configs: dict[str, PublishedConfig]
    """Path within the folder, without `.py` -> configuration."""


class Configs:
    """Finds the configuration behind a row."""

    def __init__(self, releases: list[Release]) -> None:
        """`releases` from the oldest to the newest."""
        self._by_path = {
            (one.publisher, path): (one, config) for one in releases for path, config in one.configs.items()
        }
        self._by_stem: dict[tuple[str, str], tuple[Release, str]] = {}
        for one in releases:
            for path in one.configs:
                self._by_stem.setdefault((one.publisher, path.rpartition("/")[2]), (one, path))

    def find(self, publisher: str, weights_stem: str, printed: str) -> Found | None:
        """The configuration of the weights file's name, the oldest of several releases'; else the one that is printed.

        A weights file is named after the configuration that made it, and a row's figures are this file's, whatever
        else the row links.

        Args:
            publisher: Whose row it is.
            weights_stem: The file's name without time, hash and ending.
            printed: The row's configuration, as path or address; empty for none.
        """
        own = self._by_stem.get((publisher, weights_stem))
        stem = printed.rpartition("/")[2].removesuffix(".py")
        release, path = own or self._by_stem.get((publisher, stem)) or (None, "")
        return Found(release, path, release.configs[path]) if release else None


NO_CONFIGS = Configs([])


class Found(msgspec.Struct, frozen=True):
    """A row's configuration."""

    release: Release
    path: str
    config: PublishedConfig

    @property
    def architecture(self) -> dict[str, Any]:
        """In our words; where a part is not built yet, the types alone, those that we lack by the publisher's name."""
        network, types = _NETWORKS[self.release.publisher]
        try:
            return network(self.config.network)
        except Unbuilt:
            return types(self.config.network)


def read_release(path: Path) -> Release:
    """The configurations that were read of a release, and kept.

    Raises:
        SourceError: the file cannot be read, or is no such record.
    """
    try:
        return msgspec.json.decode(read_document(path), type=Release)
    except OSError as error:
        raise SourceError(f"{path}: cannot read the configurations: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise SourceError(f"{path}: no configurations of a release: {error}") from error


def release_bytes(release: Release) -> bytes:
    """As `read_release` reads it: JSON, a configuration a line."""
    whole = msgspec.to_builtins(release)
    configs = whole.pop("configs")
    head = msgspec.json.encode(whole)[:-1].decode()
    lines = [
        f"{msgspec.json.encode(key).decode()}:{msgspec.json.encode(one).decode()}"
        for key, one in configs.items()
    ]
    return (head + ',"configs":{\n' + ",\n".join(lines) + "\n}}\n").encode()
