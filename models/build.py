"""From an architecture's record to a network: parts found by name, their numbers checked, put together.

A part is a module of one of the rooms (`rooms`) whose `build` takes numbers by name and gives an `nn.Module`. Its type is the
module's name and its signature says which numbers it takes: nothing else has to know of it.
"""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from torch import nn

from . import builders
from .adapters import LIBRARIES
from .builders import ArchitectureError, BuilderError
from .named import NAMED
from .rooms import ROOMS, is_own, known_types, own_builders
from .segmentor import Cascade, Segmentor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_EXAMPLE = "{backbone: {type: resnet, depth: 50}, head: {type: fcn}, num_classes: 19}, or a builder's name and its numbers"


def build_model(builder: str | None = None, **numbers: Any) -> nn.Module:
    """Builds an architecture in evaluation mode, with random weights on the current default device.

    Under `torch.device("meta")` it takes no memory and no time to speak of; `load_weights` fills it.

    Args:
        builder: Name of a whole network: a module of `nets/`, a composition of `named`, or a builder that is not ours
            (`builders`); None for a composition.
        **numbers: The builder's keyword arguments, or those of `compose`.

    Raises:
        ArchitectureError: Unknown name; unknown, missing or impossible numbers; a builder of others that fails.
    """
    if builder is None:
        if "backbone" not in numbers or "head" not in numbers:
            raise ArchitectureError(
                f"architecture: expected {_EXAMPLE}; found {', '.join(numbers) or 'nothing'}"
            )
        return compose(**_checked("architecture", compose, numbers)).eval()
    if not is_own(builder):
        return _of_others(builder, numbers)
    builders.require_unlike(builder)
    if builder in LIBRARIES:
        library = import_module(f".adapters.{LIBRARIES[builder]}", __package__)
        return library.build(**_checked(builder, library.build, numbers)).eval()
    if builder in NAMED:
        return compose(**NAMED[builder](**_checked(builder, NAMED[builder], numbers))).eval()
    return _part("builder", {"type": builder, **numbers}, {}).eval()


def _of_others(name: str, numbers: Mapping[str, object]) -> nn.Module:
    found = builders.find(name)
    if found is None:
        raise builders.missing(name, own_builders())
    network = builders.build(found, numbers)
    if not isinstance(network, nn.Module):
        raise BuilderError(
            f"builder {name!r} of {found.origin}: expected a torch.nn.Module, given {type(network).__name__}"
        )
    return network.eval()


def compose(
    *,
    backbone: dict,
    head: dict | list,
    num_classes: int,
    auxiliary: dict | list | None = None,
    neck: dict | None = None,
    align_corners: bool = False,
) -> Segmentor:
    """A network of parts, each a `type` and its numbers.

    Args:
        backbone: Of `backbones/`.
        head: Of `heads/`; a list is a cascade, in which each head sees the scores of the one before.
        num_classes: Channels of the scores of every head.
        auxiliary: The head, or list of heads, that only training looks at.
        neck: Of `necks/`, between the backbone and all heads.
        align_corners: Corner convention of the resizes inside heads that have any.

    Raises:
        ArchitectureError: No such type, or numbers that do not build it.
    """
    given: dict[str, Any] = {"num_classes": num_classes, "align_corners": align_corners}
    trunk = _part("backbone", backbone, given)
    between = None if neck is None else _part("neck", neck, {**given, "in_channels": trunk.channels})
    given["in_channels"] = (between or trunk).channels
    if head == []:
        raise ArchitectureError("head: expected a head, or several; found an empty list")
    heads = [_part("head", one, given) for one in _listed(head)]
    auxiliaries = [_part("auxiliary", one, given) for one in _listed(auxiliary)]
    return Segmentor(
        trunk,
        Cascade(heads) if isinstance(head, list) else heads[0],
        nn.ModuleList(auxiliaries) if isinstance(auxiliary, list) else next(iter(auxiliaries), None),
        between,
    )


def _listed(records: dict | list | None) -> list[dict]:
    return records if isinstance(records, list) else [] if records is None else [records]


def random_in_evaluation(architecture: Mapping[str, Any]) -> str:
    """What a network draws at random when it is evaluated, in the words of its parts; empty where nothing, or if it is built whole.

    A part says so as `random_in_evaluation` of its `build`. A score of such a network is one draw of many.

    Raises:
        ArchitectureError: a part has no such type.
    """
    if "builder" in architecture:
        return ""
    said = (
        getattr(_builder(key, one["type"]), "random_in_evaluation", "")
        for key in ("backbone", "neck", "head", "auxiliary")
        for one in _listed(architecture.get(key))
    )
    return "; ".join(filter(None, said))


# Parts by name ----------------------------------------------------------------------------------------------


def _part(key: str, record: object, given: Mapping[str, object]) -> Any:
    """A part of a network.

    Args:
        key: One of `ROOMS`.
        record: Its `type` and its numbers.
        given: What the rest of the network tells the part, where its signature asks for it.
    """
    if not isinstance(record, dict) or "type" not in record:
        raise ArchitectureError(f"{key}: expected a type and its numbers, {{type: ...}}; found {record!r}")
    name = record["type"]
    build = _builder(key, name)
    told = {number: value for number, value in given.items() if number in inspect.signature(build).parameters}
    said = {number: value for number, value in record.items() if number != "type"}
    within = _parts_within(build)
    numbers = {
        number: _part(key, value, given) if number in within else value for number, value in said.items()
    }
    where = name if key == "builder" else f"{key} {name}"
    checked = _checked(where, build, numbers, told)
    try:
        return build(**told, **checked)
    except ArchitectureError:  # of a part within
        raise
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:  # torch asserts, too
        raise ArchitectureError(f"{where}: cannot be built of {said}: {error}") from error


def _builder(key: str, name: object) -> Any:
    """What makes a part of a type."""
    name = _choose(key, name, known_types(key))
    return import_module(f".{ROOMS[key]}.{name}", __package__).build


def _choose(what: str, name: object, choices: Iterable[Any]) -> Any:
    choices = tuple(choices)
    if name in choices:
        return name
    close = get_close_matches(str(name), [str(choice) for choice in choices], n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    known = ", ".join(map(str, choices)) or "none, for there is none yet"
    raise ArchitectureError(f"{what}: expected one of {known}; found {name}{hint}")


# Their numbers ----------------------------------------------------------------------------------------------


def _checked(
    where: str, build: Callable[..., Any], numbers: Mapping[str, object], told: Iterable[str] = ()
) -> dict[str, Any]:
    """Numbers as a builder takes them, held against its signature.

    Args:
        where: Begins the message.
        build: A function or a class with annotations.
        numbers: What the record says.
        told: Parameters that are not the record's to say.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(build).parameters.items()
        if name not in set(told)
    }
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    unknown, missing = sorted(numbers.keys() - parameters.keys()), sorted(required - numbers.keys())
    if unknown or missing:
        raise ArchitectureError(
            f"{where}: expected {', '.join(parameters)}; "
            f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}"
        )
    hints = _hints(build)
    return {name: _value(where, name, value, hints[name]) for name, value in numbers.items()}


def _hints(build: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(build.__init__ if inspect.isclass(build) else build, include_extras=True)


def _parts_within(build: Callable[..., Any]) -> set[str]:
    """What of a part is a part of the same kind, as a record: K-Net's head holds another."""
    return {
        name for name, hint in _hints(build).items() if inspect.isclass(hint) and issubclass(hint, nn.Module)
    }


def _value(where: str, name: str, value: object, hint: Any) -> object:
    """A number as a hint asks for it: `int` from 1 on, `Natural`, `bool`, `float`, `str`, a tuple of ints, a Literal."""
    if get_origin(hint) is Literal:
        return _choose(f"{where}: {name}", value, get_args(hint))
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        many = "" if kinds[-1] is Ellipsis else f"{len(kinds)} "
        if not isinstance(value, list | tuple) or (many and len(value) != len(kinds)):
            raise ArchitectureError(f"{where}: {name}: expected a list of {many}numbers; found {value!r}")
        return tuple(_value(where, name, one, kinds[0]) for one in value)
    kind, least = get_args(hint) if get_origin(hint) is Annotated else (hint, 1)
    is_flag = isinstance(value, bool)  # a bool is an int to isinstance, and 1 channel is never meant by it
    if not isinstance(value, kind) or is_flag != (kind is bool):
        expected = getattr(kind, "__name__", str(kind))
        raise ArchitectureError(f"{where}: {name}: expected {expected}; found {value!r}")
    if isinstance(value, int) and not is_flag and value < least:
        what = "a positive number" if least else "a number from 0 on"
        raise ArchitectureError(f"{where}: {name}: expected {what}; found {value}")
    return value
