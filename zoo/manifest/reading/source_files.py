"""The files of a manifest: the one that is named, and those it includes, each as composed YAML."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from ....evaluate.regular_files import read_document, text_of
from ...files.yaml_nodes import YamlLimitError, root_node
from ..faults import Fault, ManifestError
from ..file_patterns import Pattern, found_names

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLISHED = Path(__file__).resolve().parents[2] / "published"
"""The packaged zoo's data, which any manifest may include: `segbench:datasets.yaml`."""
PACKAGED_PREFIX = "segbench:"
MOST_FILES = 2000
"""Files of one manifest."""
_WILDCARDS = frozenset("*?[")


class Part(NamedTuple):
    """One file of a manifest."""

    path: Path
    """As it is shown: relative where the manifest was named so."""
    root: Any
    """Its root node, whose marks name the file; None where it is empty."""
    size_bytes: int


class Files:
    """Reads a manifest's files: itself, then those it includes, by their names where it gives a pattern.

    Attributes:
        parts: the files, the manifest itself first.
        contents: each file's bytes, by its whole path.
        patterns: the wildcards that were followed.
        faults: what is wrong with includes, and files that are no YAML.
    """

    def __init__(self, instead: Mapping[Path, bytes] | None = None) -> None:
        """`instead` has contents of files as they are to become, by whole path."""
        self._instead = instead or {}
        self.parts: list[Part] = []
        self.contents: dict[Path, bytes] = {}
        self.patterns: list[Pattern] = []
        self.faults: list[Fault] = []
        self._open: list[Path] = []
        self._first: dict[Path, str] = {}
        """Whole path of an included file -> place of the include that was first."""

    def read(self, path: Path) -> None:
        """Read a manifest and all it includes.

        Raises:
            ManifestError: the manifest itself cannot be read; faults of included files are on record.
        """
        try:
            data = self._content(path)
        except OSError as error:
            advice = "name another file with --manifest, or leave it out for the packaged zoo"
            message = f"cannot read the manifest: {error.strerror or error}; {advice}"
            raise ManifestError(path, [Fault(path="", line=None, message=message)]) from error
        self._add(path, data)

    def _content(self, path: Path) -> bytes:
        whole = path.resolve()
        data = self._instead[whole] if whole in self._instead else read_document(path)
        text_of(data)
        self.contents[whole] = data
        return data

    def _add(self, path: Path, data: bytes) -> None:
        try:
            root = composed_file(path, data)
        except yaml.YAMLError as error:
            self.faults.append(yaml_fault(path, error))
            return
        self.parts.append(Part(path, root, len(data)))
        self._open.append(path.resolve())
        for node in _included(root):
            self._include(path, node)
        self._open.pop()

    def _include(self, path: Path, node: Any) -> None:
        """Add what one word of an include stands for."""
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self._fault(path, node, "expected the name of a file, or a list of names")
            return
        packaged = node.value.startswith(PACKAGED_PREFIX)
        name = node.value.removeprefix(PACKAGED_PREFIX)
        folder = PUBLISHED if packaged else path.parent
        if Path(name).is_absolute() or "**" in name:
            self._fault(
                path,
                node,
                f"{node.value!r}: name files from the folder of this one on, with * for parts of a name",
            )
            return
        if not _WILDCARDS & set(name):
            self._add_once(path, node, folder / name)
            return
        to_be = (one for one in self._instead if one.parent == (folder / name).parent.resolve())
        more = [(Path(name).parent / one.name).as_posix() for one in to_be if one.match(Path(name).name)]
        names = tuple(sorted({*found_names(folder, name), *more}))
        self.patterns.append(Pattern(str(folder.resolve()), name, names))
        if not names:
            self._fault(path, node, f"no file is there that {node.value!r} could mean")
        for found in names:
            self._add_once(path, node, folder / found)

    def _add_once(self, path: Path, node: Any, found: Path) -> None:
        whole, place = found.resolve(), f"{path}:{node.start_mark.line + 1}"
        if whole in self._open:
            self._fault(path, node, f"{found} includes this file: an include may not lead back to itself")
        elif whole in self._first:
            self._fault(path, node, f"{found} is included twice, first by {self._first[whole]}")
        elif len(self._first) >= MOST_FILES:
            self._fault(path, node, f"more than {MOST_FILES} files are included")
        else:
            self._first[whole] = place
            try:
                self._add(found, self._content(found))
            except OSError as error:
                self._fault(path, node, f"cannot read {found}: {error.strerror or error}")

    def _fault(self, path: Path, node: Any, message: str) -> None:
        self.faults.append(
            Fault(path="include", line=node.start_mark.line + 1, message=message, file=str(path))
        )


def _included(root: Any) -> list[Any]:
    """The words of a file's `include`, as nodes."""
    if not isinstance(root, yaml.MappingNode):
        return []
    found = [value for key, value in root.value if key.value == "include"][:1]
    return [word for one in found for word in (one.value if isinstance(one, yaml.SequenceNode) else [one])]


class _Named(io.BytesIO):
    """Bytes that YAML's marks call by a file's name."""

    name = ""


def composed_file(path: Path, data: bytes) -> Any:
    """The root node of a file's bytes; its marks name the file.

    Raises:
        yaml.YAMLError: it is no YAML, or stands for more than it may.
    """
    stream = _Named(data)
    stream.name = str(path)
    # The C parser is ten times as fast; PyYAML built without it has the same class in Python.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(stream)
    try:
        return root_node(loader, len(data))
    finally:
        loader.dispose()


def yaml_fault(path: Path, error: yaml.YAMLError) -> Fault:
    """Why a file is no YAML; `path` where the error does not name it."""
    mark = getattr(error, "problem_mark", None)
    file = str(path) if mark is None else mark.name
    reason = " ".join(str(getattr(error, "problem", None) or error).split())
    message = reason if isinstance(error, YamlLimitError) else f"not valid YAML: {reason}"
    return Fault(path="", line=None if mark is None else mark.line + 1, message=message, file=file)
