"""Builders that are not ours: of a file or module that the user names, or of an installed package's entry point.

A builder is a function from numbers and strings to an `nn.Module` from images (N, 3, H, W) to scores (N, C, h, w). A
manifest only names one: code runs where the user named its file or module (`use`), or installed its package. Names of
entry points are read without importing anything, and torch is not needed here.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import sys
import traceback
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .load.containers import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib import metadata

GROUP = "segbench.builders"
"""The entry points' group."""
MAX_SOURCE_BYTES = 4 * 2**20
"""Of one file of code; the longest hand-written model files have a hundredth of it."""
MAX_SOURCE_FILES = 20_000
"""Of a builder's package; the largest library of models has a third of it."""
HOW = (
    "a builder of your own comes by --builders FILE_OR_MODULE or ZOO_BUILDERS, an installed one by its package's entry "
    f"point in {GROUP}"
)
_EVERYBODYS = {"segbench", "torch", "numpy"}
"""Libraries that every measurement rests on: the environment has their versions."""


class ArchitectureError(ValueError):
    """An architecture was asked for that does not exist, or with numbers that do not build it."""


class BuilderError(ArchitectureError):
    """A builder that is not ours cannot be had, or failed; the message names it and where it comes from."""


class Source(NamedTuple):
    """What the user named with `--builders`: a file with its bytes, or a module."""

    name: str
    """The file or module as the user wrote it."""
    text: bytes | None = None
    """Of a file; None for a module."""


class Builder(NamedTuple):
    """A builder that is not ours, loaded."""

    name: str
    build: Callable[..., Any]
    origin: str
    """Where it comes from, in words: `espnet.py`, `package my-nets 1.2`."""
    module: ModuleType | None
    """Whose code it is."""
    package: str = ""
    version: str = ""


class Code(NamedTuple):
    """What network a row's numbers stand for where the code is not ours; part of what its counts depend on."""

    builder: str
    origin: str
    package: str
    version: str
    sha256: str
    """Over the files of the builder and of what it uses that is no installed library; hex."""
    libraries: dict[str, str]
    """Name -> version of the installed libraries that it uses, without those that everything uses."""

    def digest(self, architecture: Mapping[str, object]) -> str:
        """SHA-256 (hex) of code, libraries and the numbers: the same network as far as can be told."""
        parts = [self.sha256, sorted(self.libraries.items()), sorted(architecture.items())]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


# What the user named -----------------------------------------------------------------------------------------

_sources: tuple[Source, ...] = ()


def source(reference: str) -> Source:
    """A file, read now, or a module, imported when a row asks for a builder that is not ours.

    Raises:
        BuilderError: there is no such file, it is too large, or the text is neither a file nor a module's name.
    """
    path = Path(reference)
    if reference.endswith(".py") or path.is_file():
        try:
            with opened(path) as file:
                text = file.read(MAX_SOURCE_BYTES + 1)
        except OSError as error:
            raise BuilderError(f"{reference}: cannot be read: {error.strerror or error}") from error
        if len(text) > MAX_SOURCE_BYTES:
            raise BuilderError(
                f"{reference}: more than {MAX_SOURCE_BYTES} bytes, which is no file of builders"
            )
        return Source(reference, text)
    if not all(part.isidentifier() for part in reference.split(".")):
        raise BuilderError(
            f"{reference}: expected a file of Python or the name of a module that can be imported; there is no such file"
        )
    return Source(reference)


def use(references: Iterable[str | Source]) -> None:
    """Let builders of these files and modules be used by this process, instead of those named before.

    Raises:
        BuilderError: see `source`.
    """
    global _sources  # noqa: PLW0603  (code that may run is a matter of the process)
    _sources = tuple(one if isinstance(one, Source) else source(one) for one in references)
    for cached in (_named, _installed, find, code_of):
        cached.cache_clear()


def sources() -> tuple[Source, ...]:
    """What is used, files with their bytes: whoever works in another process needs them there."""
    return _sources


# Finding one -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _named() -> tuple[list[Builder], list[str]]:
    """The builders of what the user named, and why some of it could not be loaded."""
    found, faults = [], []
    for one in _sources:
        try:
            module = _module(one)
            found += [
                Builder(name, build, one.name, module)
                for name, build in _offered(module, Path(one.name).stem)
            ]
        except (Exception, SystemExit) as error:  # noqa: BLE001, PERF203  (code of others raises what it likes)
            faults.append(f"{one.name} cannot be loaded: {told(error, Path(one.name))}")
    return found, faults


def _module(one: Source) -> ModuleType:
    if one.text is None:
        return import_module(one.name)
    path = str(Path(one.name).absolute())
    module = ModuleType(f"segbench_builders_{hashlib.sha256(path.encode() + one.text).hexdigest()[:16]}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # pickles and dataclasses look there
    try:
        exec(compile(one.text, path, "exec"), vars(module))  # noqa: S102  (the user named this file to be run)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _offered(module: ModuleType, stem: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of a module, or what it lists in `__all__`; `build` goes by the module's own name."""
    listed = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    for name in listed:
        if callable(build := getattr(module, name)):
            yield (stem.rpartition(".")[2] if name == "build" else name), build


@lru_cache(maxsize=1)
def _installed() -> dict[str, list[metadata.EntryPoint]]:
    """Name -> the entry points that have it; a package whose list cannot be read has none."""
    from importlib import metadata  # noqa: PLC0415  (entry points are read where a builder is not ours)

    found: dict[str, list[metadata.EntryPoint]] = {}
    packages = set()
    for package in metadata.distributions():
        try:
            points = [point for point in package.entry_points if point.group == GROUP]
            name = package.metadata["Name"] if points else None
        except Exception:  # noqa: BLE001, S112  (one package's broken record is not the others' matter)
            continue
        if points and name not in packages:
            packages.add(name)
            for point in points:
                found.setdefault(point.name, []).append(point)
    return found


def _package(point: metadata.EntryPoint) -> tuple[str, str]:
    package = point.dist
    return (package.metadata["Name"], package.version) if package else ("", "")


def _origin(point: metadata.EntryPoint) -> str:
    return f"package {' '.join(_package(point)).strip()}"


@lru_cache(maxsize=64)
def find(name: str) -> Builder | None:
    """The builder of this name that the user named or installed; None where there is none.

    Raises:
        BuilderError: two have this name, or it cannot be loaded.
    """
    named = [one for one in _named()[0] if one.name == name]
    points = [] if named else _installed().get(name, [])
    origins = [one.origin for one in named] or [_origin(point) for point in points]
    if len(origins) > 1:
        raise BuilderError(
            f"builder {name!r}: {' and '.join(origins)} both have one of this name; leave one of them out"
        )
    if named:
        return named[0]
    return _loaded(points[0]) if points else None


def is_offered(name: str) -> bool:
    """Whether the user named a builder of this name, or installed a package that says so; an installed one is not loaded."""
    return any(one.name == name for one in _named()[0]) or name in _installed()


def _loaded(point: metadata.EntryPoint) -> Builder:
    origin = _origin(point)
    try:
        build = point.load()
        module = import_module(point.module)
    except (Exception, SystemExit) as error:
        raise BuilderError(
            f"builder {point.name!r} of {origin} cannot be loaded ({point.value}): {told(error, _file_of(point.module))}; mend or update the package"
        ) from error
    if not callable(build):
        raise BuilderError(
            f"builder {point.name!r} of {origin}: {point.value} is no function but {build!r:.80}"
        )
    package, version = _package(point)
    return Builder(point.name, build, origin, module, package, version)


def _file_of(module: str) -> Path | None:
    """The file of a module that could not be imported, where it can be told."""
    try:
        found = util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


def elsewhere() -> dict[str, str]:
    """Name -> origin of every builder that is not ours."""
    installed = {name: _origin(points[0]) for name, points in _installed().items()}
    return installed | {one.name: one.origin for one in _named()[0]}


def missing(name: str, own: Iterable[str]) -> BuilderError:
    """The letter where nobody has a builder of this name."""
    known = dict.fromkeys(own, "") | {one: f" ({origin})" for one, origin in elsewhere().items()}
    close = get_close_matches(name, known, n=3, cutoff=0.4)
    nearest = f"; did you mean {' or '.join(one + known[one] for one in close)}?" if close else "."
    faults = "".join(f" {fault}." for fault in _named()[1])
    others = f", {', '.join(one + where for one, where in known.items() if where)}" if elsewhere() else ""
    return BuilderError(
        f"builder: expected one of {', '.join(own)}{others}; found {name}{nearest}{faults} {HOW[0].upper()}{HOW[1:]}."
    )


def require_unlike(name: str) -> None:
    """Refuse a builder of ours that the user's file has too: which of them is meant, nothing tells.

    Raises:
        BuilderError: they have.
    """
    for one in _named()[0] if _sources else ():
        if one.name == name:
            raise BuilderError(
                f"builder {name!r}: segbench has one of this name and so has {one.origin}; rename that one"
            )


# Building ----------------------------------------------------------------------------------------------------


def build(found: Builder, numbers: Mapping[str, object]) -> Any:
    """What a builder makes of the numbers.

    Raises:
        BuilderError: it takes others, or raises.
    """
    where = f"builder {found.name!r} of {found.origin}"
    try:
        inspect.signature(found.build).bind(**numbers)
    except TypeError as error:
        expected = str(inspect.signature(found.build))
        raise BuilderError(
            f"{where}: {error}; it takes {expected}, given {', '.join(numbers) or 'nothing'}"
        ) from error
    except ValueError:  # no signature to be had
        pass
    try:
        return found.build(**numbers)
    except (Exception, SystemExit) as error:
        raise BuilderError(f"{where} raised {told(error, _root(found))}") from error


def told(error: BaseException, root: Path | None = None) -> str:
    """The last line of a traceback and where it was raised: in the code below `root` where that took part.

    Args:
        error: With its traceback.
        root: A file or a folder.
    """
    if isinstance(error, SyntaxError) and error.lineno:
        return f"SyntaxError: {error.msg} ({_shown(error.filename or '', root)}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if root is not None and _is_below(frame.filename, root)]
    last = (own or frames)[-1:]
    place = f" ({_shown(last[0].filename, root)}:{last[0].lineno})" if last else ""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'without a word'}{place}"


def fault_of(found: Builder | None, error: BaseException) -> str:
    """What to say of an error while a network ran; empty where it took no part.

    Args:
        found: Whose network it is; None where it is ours.
        error: With its traceback.
    """
    if found is None:
        return ""
    root, frames = _root(found), traceback.extract_tb(error.__traceback__)
    ran = any(frame.name == "_call_impl" or (root and _is_below(frame.filename, root)) for frame in frames)
    return (
        f"the network of builder {found.name!r} of {found.origin} raised {told(error, root)}" if ran else ""
    )


def _root(found: Builder) -> Path | None:
    """The file or the package's folder that a builder's code lies in."""
    file = getattr(found.module, "__file__", None)
    if file is None or found.module is None:
        return None
    package = sys.modules.get(found.module.__name__.partition(".")[0])
    folders = getattr(package, "__path__", None)
    return Path(next(iter(folders))) if folders else Path(file)


def _is_below(filename: str, root: Path) -> bool:
    return Path(filename).absolute().is_relative_to(root.absolute())


def _shown(filename: str, root: Path | None) -> str:
    if root is not None and _is_below(filename, root):
        return str(Path(filename).absolute().relative_to(root.absolute().parent))
    return "/".join(Path(filename).parts[-3:])


# Its code ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def code_of(name: str) -> Code | None:
    """What the builder's code is, as of now; None for ours.

    Raises:
        BuilderError: it cannot be found or loaded, or its files cannot be read.
    """
    found = find(name)
    if found is None:
        return None
    files, libraries = _reached(found)
    digest = hashlib.sha256()
    try:
        for label, path in sorted(files.items()):
            text = _text(found, path)
            digest.update(f"{label}\0{len(text)}\0".encode() + text)
    except OSError as error:
        raise BuilderError(f"builder {name!r} of {found.origin}: its code cannot be read: {error}") from error
    version = found.version or str(getattr(found.module, "__version__", ""))
    return Code(
        name, Path(found.origin).name, found.package, version, digest.hexdigest(), _versions(libraries)
    )


def _text(found: Builder, path: Path) -> bytes:
    """What a file held when it was loaded, where that is known."""
    given = next((one.text for one in _sources if one.name == found.origin and one.text is not None), None)
    if given is not None and path == Path(getattr(found.module, "__file__", "")):
        return given
    return path.read_bytes()


def _reached(found: Builder) -> tuple[dict[str, Path], set[str]]:
    """Label -> file of the builder's own code and of what it uses beside; and the installed libraries it uses."""
    files: dict[str, Path] = {}
    libraries: set[str] = set()
    todo, seen = [found.module], set()
    own = found.module.__name__.partition(".")[0] if found.module else ""
    while todo:
        module = todo.pop()
        top = module.__name__.partition(".")[0] if module else ""
        if module is None or module.__name__ in seen or top in sys.stdlib_module_names or top in _EVERYBODYS:
            continue
        seen.add(module.__name__)
        if top != own and _is_installed(module):
            libraries.add(top)
            continue
        more = _files(sys.modules.get(top, module), label="" if top == own else top)
        files |= more
        todo += [_home(value) for value in vars(module).values()]
        todo += [_unrun(name) for path in more.values() for name in _imported(path)]
    return files, libraries


def _imported(path: Path) -> set[str]:
    """The top names that a file imports anywhere: what a function imports is not there before it runs."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return set()  # no file of Python, or it cannot be read, which its digest will tell
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - _EVERYBODYS - {""}


def _unrun(name: str) -> ModuleType | None:
    """A module of that name, without running it where nobody has; None where none of Python's code is found."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = util.find_spec(name)
    except (ImportError, ValueError):
        return None
    is_python = spec is not None and (spec.submodule_search_locations or str(spec.origin).endswith(".py"))
    return util.module_from_spec(spec) if spec is not None and is_python else None


def _home(value: object) -> ModuleType | None:
    """The module that a value is, or stands in."""
    if isinstance(value, ModuleType):
        return value
    return sys.modules.get(str(getattr(value, "__module__", None)))


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or bool({"site-packages", "dist-packages"} & set(Path(file).parts))


def _files(module: ModuleType, label: str) -> dict[str, Path]:
    """A module's own file, or all of a package's."""
    folders = [Path(one) for one in getattr(module, "__path__", ())]
    if not folders:
        file = getattr(module, "__file__", None)
        return {label: Path(file)} if file else {}
    found = {
        f"{label}/{path.relative_to(folder).as_posix()}": path
        for folder in folders
        for path in folder.rglob("*.py")
    }
    if len(found) > MAX_SOURCE_FILES:
        raise BuilderError(
            f"{module.__name__}: more than {MAX_SOURCE_FILES} files of code, whose state cannot be told"
        )
    return found


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    from importlib import metadata  # noqa: PLC0415

    wanted = sorted(libraries)
    packages = metadata.packages_distributions() if wanted else {}
    return {
        name: " ".join(f"{one} {metadata.version(one)}" for one in sorted(set(packages.get(name, ()))))
        or str(getattr(sys.modules.get(name), "__version__", "unknown"))
        for name in wanted
    }
