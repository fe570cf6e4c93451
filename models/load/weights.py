"""Renaming a checkpoint's keys and loading them strictly: a model is filled completely or not at all.

How the tensors come out of a file is `checkpoint_file`'s matter.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .layouts import LAYOUTS, publisher_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor, nn

SHOWN = 3
"""Keys an error message shows of each kind; their number it always tells."""
SHOWN_CHARACTERS = 120
"""Of a key that is shown; the longest published one has 60."""

_ANOTHER = (
    "The file holds another architecture: compare builder, depth and widths with the publisher's config."
)
_COUNTER = ".num_batches_tracked"
_CLASSIFIER = ".conv_seg."


class WeightsError(Exception):
    """A checkpoint file cannot be read or does not fit: what, where, expected, found, what to do."""


def shown(key: str) -> str:
    """A key of a file as a message shows it: its beginning, where it is longer than any real one."""
    if len(key) <= SHOWN_CHARACTERS:
        return key
    return f"{key[:SHOWN_CHARACTERS]}... ({len(key)} characters)"


def shown_all(keys: Iterable[str]) -> str:
    """The first keys, quoted, and how many more there are."""
    known = list(keys)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{', '.join(repr(shown(key)) for key in known[:SHOWN])}{more}"


# Names ------------------------------------------------------------------------------------------------------


def convert_keys(state: Mapping[str, Tensor], layout: str, model: nn.Module) -> dict[str, Tensor]:
    """A state dict under our names; the tensors are shared, not copied, and a name that the model lacks stays.

    Args:
        state: Under a publisher's names.
        layout: A key of `LAYOUTS`.
        model: What the tensors are for.

    Raises:
        WeightsError: No such layout, or two keys with the same meaning.
    """
    if layout not in LAYOUTS:
        raise WeightsError(f"layout of the keys: expected one of {', '.join(LAYOUTS)}; found {layout!r}")
    ours = {theirs: key for key, theirs in publisher_names(model, layout).items()}
    return renamed(state, {key: ours.get(key, key) for key in state}, f"in layout {layout!r}")


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str], where: str) -> dict[str, Tensor]:
    """A state dict under other names, each of which one key alone may have.

    Args:
        state: The tensors.
        names: Every key of it -> its new name.
        where: Ends the sentence "two keys that mean one tensor ...".

    Raises:
        WeightsError: Two keys have one new name, so that their order would decide which tensor is used.
    """
    first: dict[str, str] = {}
    pairs = [(known, key) for key, name in names.items() if (known := first.setdefault(name, key)) != key]
    if pairs:
        one, other = map(shown, pairs[0])
        more = f", and so in {len(pairs) - 1} more cases" if len(pairs) > 1 else ""
        raise WeightsError(
            f"expected one key for each tensor; found two keys that mean one tensor {where}: {one!r} and {other!r}{more}. Nothing "
            "tells which of them the publisher evaluated: save the state dict with those alone and use that."
        )
    return {name: state[key] for name, key in first.items()}


# Loading ----------------------------------------------------------------------------------------------------


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, layout: str = "mmseg", source: str = "the weights"
) -> tuple[str, ...]:
    """Fills a model with exactly the tensors it has; floats are cast to its precision.

    Two kinds may be missing, because no evaluation looks at them: norms' counts of batches, and the whole auxiliary
    head. A model built under `torch.device("meta")` takes over the tensors and ends up where they lie; what is
    missing is zero there.

    Args:
        model: As `build_model` made it.
        state: As `checkpoint_file.read_checkpoint` returned it, under the publisher's names.
        layout: One of `LAYOUTS`.
        source: Name of the file or address, for the error message.

    Returns:
        Sentences on what was missing.

    Raises:
        WeightsError: Missing, unexpected or differently shaped keys. The model is then as it was before.
    """
    expected = model.state_dict()
    try:
        found = convert_keys(state, layout, model)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    unused = _unused(model)
    spared = _spared(expected, found, unused)
    required = {key: value for key, value in expected.items() if key not in spared}
    names = publisher_names(model, layout)
    names |= dict(zip(found, state, strict=True))  # where the file names a tensor, its own word counts
    if any(_problems(required, found, names)):
        problems = [*_problems(required, found, names), _hint(model, found, state, names)]
        raise WeightsError("\n  ".join([f"{source}: does not fit the model (layout {layout!r})", *problems]))
    fitted = {key: value.to(expected[key].dtype) for key, value in found.items()}
    fitted |= {key: _as_it_was(expected[key]) for key in spared}
    if unlike := _unlike_names(model, fitted):
        raise WeightsError(f"{source}: {_several_values([names[key] for key in unlike])}")
    on_meta = any(value.is_meta for value in expected.values())
    model.load_state_dict(fitted, strict=True, assign=on_meta)
    return _notes(spared, unused)


def _several_values(keys: list[str]) -> str:
    return (
        f"expected one value for the tensor that the network has under several names; found others under {shown_all(keys)}. "
        "Nothing tells which of them the publisher evaluated: use the file that the publisher offers for testing."
    )


def _unlike_names(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """The names of the first parameter that a model has under several and that a state dict gives more than one value."""
    shared: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in state:
            shared.setdefault(id(parameter), []).append(name)
    for first, *others in shared.values():
        value = state[first].nan_to_num()  # what is NaN under both names is no contradiction
        if not all(value.equal(state[other].nan_to_num()) for other in others):
            return [first, *others]
    return []


def _unused(model: nn.Module) -> tuple[str, ...]:
    """How the names of what no evaluation runs begin, as far as the model says (`Segmentor.training_only`)."""
    return tuple(f"{name}." for name in getattr(model, "training_only", ()))


def _spared(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], unused: tuple[str, ...]
) -> list[str]:
    """Missing keys that no evaluation looks at."""
    has_unused = any(key.startswith(unused) for key in found)
    return [
        key
        for key in expected
        if key not in found and (key.endswith(_COUNTER) or (key.startswith(unused) and not has_unused))
    ]


def _as_it_was(value: Tensor) -> Tensor:
    return value.new_zeros(value.shape, device="cpu") if value.is_meta else value


def _notes(spared: list[str], unused: tuple[str, ...]) -> tuple[str, ...]:
    counts = sum(key.endswith(_COUNTER) and not key.startswith(unused) for key in spared)
    notes = []
    if counts:
        notes.append(f"num_batches_tracked of {counts} norms is not in the file; evaluation does not use it.")
    if any(key.startswith(unused) and not key.endswith(_COUNTER) for key in spared):
        notes.append("The auxiliary head is not in the file; evaluation never runs it.")
    return tuple(notes)


def _problems(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], names: Mapping[str, str]
) -> Iterator[str]:
    """One line each for missing, unknown and misshapen keys, under the publisher's `names`."""
    missing = [key for key in expected if key not in found]
    unknown = [key for key in found if key not in expected]
    for what, lines, total in (
        ("missing in the file", [f"{shown(names[key])} {_form(expected[key])}" for key in missing], expected),
        ("unknown to the model", [f"{shown(names[key])} {_form(found[key])}" for key in unknown], found),
        (
            "of another shape",
            [
                f"{shown(names[key])} expected {_form(expected[key])}, found {_form(found[key])}"
                for key in _misshapen(expected, found)
            ],
            expected,
        ),
    ):
        if lines:
            more = "; ..." if len(lines) > SHOWN else ""
            yield f"{what}: {len(lines)} of {len(total)} keys: {'; '.join(lines[:SHOWN])}{more}"


def _misshapen(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    return [
        key
        for key in expected
        if key in found
        and (expected[key].shape, expected[key].is_floating_point())
        != (found[key].shape, found[key].is_floating_point())
    ]


def _form(tensor: Tensor) -> str:
    """Shape, and the type where it is not a float: `(512, 256, 1, 1)`, `() int64`."""
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"


def _hint(
    model: nn.Module,
    found: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    names: Mapping[str, str],
) -> str:
    """What the mismatch means, as far as names and shapes tell, and what to do; a cause only where they prove it."""
    expected, unused = model.state_dict(), _unused(model)
    if _names_fit(expected, found, unused):
        return _shape_hint(expected, found)
    for layout in LAYOUTS:
        if _names_fit(expected, _converted(state, layout, model), unused):
            return f"The keys are named as in layout {layout!r}: load with that one."
    spared = _spared(expected, {}, unused)
    required = {names[key]: value for key, value in expected.items() if key not in spared}
    places = _places(list(required), state)
    if len(places) > 1:
        return (
            f"The model's names stand in the file {len(places)} times, {' and '.join(places.values())}: nothing tells "
            "which of these networks the publisher evaluated; save that one's state dict alone with torch.save and use that."
        )
    if place := next((place for prefix, place in places.items() if prefix), ""):
        return f"The model's names all stand in the file {place}: save them alone, without it."
    if not places and all(averaged_name(name) in state for name in required):
        return (
            "The file holds averaged weights alone, under the names that mmcv's EMAHook gives them: swap them in with "
            "the publisher's program, where the claims are about them, and save the state dict."
        )
    return _difference(expected, found, unused)


def _names_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], unused: tuple[str, ...]) -> bool:
    lacking = expected.keys() - found.keys() - set(_spared(expected, found, unused))
    return not lacking and found.keys() <= expected.keys()


def _converted(state: Mapping[str, Tensor], layout: str, model: nn.Module) -> Mapping[str, Tensor]:
    try:
        return convert_keys(state, layout, model)
    except WeightsError:
        return {}


def _places(wanted: list[str], keys: Iterable[str]) -> dict[str, str]:
    """Every prefix behind which all wanted names stand in the keys, the empty one too -> where that is, in words."""
    known = set(keys)
    prefixes = {key.removesuffix(wanted[0]) for key in known if f".{key}".endswith(f".{wanted[0]}")}
    whole = sorted(one for one in prefixes if all(one + name in known for name in wanted))
    return {one: f"behind {shown(one)!r}" if one else "bare" for one in whole}


def averaged_name(key: str) -> str:
    """What mmcv's EMAHook calls the average of a tensor: a buffer of the whole model, so without dots."""
    return f"ema_{key.replace('.', '_')}"


def class_counts(state: Mapping[str, Tensor], model: nn.Module) -> set[int]:
    """How many classes are scored by the classifiers that evaluation runs; a tensor of no classifier's shape tells nothing.

    Args:
        state: Under our names.
        model: Says what training alone runs: an auxiliary head may score other things than classes, as STDC's scores
            edges.
    """
    return {
        len(value)
        for key, value in state.items()
        if key.startswith(("decode_head.", "auxiliary_head.")) and not key.startswith(_unused(model))
        if key.endswith(".conv_seg.weight") and value.dim() == 4
    }


def idle_keys(state: Mapping[str, Tensor], layout: str, model: nn.Module) -> frozenset[str]:
    """Keys, as the file has them, of tensors that evaluation never runs: the auxiliary head's."""
    return frozenset(
        theirs
        for ours, theirs in zip(_converted(state, layout, model), state, strict=False)
        if ours.startswith(_unused(model))
    )


def _shape_hint(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """For names that all fit."""
    misshapen = [key for key in _misshapen(expected, found) if expected[key].shape != found[key].shape]
    if not misshapen:
        return "Types alone differ: whole numbers stand where floats belong, or floats where numbers do."
    if all(expected[key].numel() == found[key].numel() for key in misshapen):
        return (
            "Shapes alone differ, with as many values in each: nothing tells in which order these lie; save the state "
            "dict from the publisher's own model."
        )
    if any(_CLASSIFIER not in key for key in misshapen):
        return _ANOTHER
    classifiers = {key: value for key, value in found.items() if _CLASSIFIER in key}
    sizes = {len(value) for value in classifiers.values() if value.dim()}
    if len(sizes) == 1 and all(
        value.dim() and value.shape[1:] == expected[key].shape[1:] for key, value in classifiers.items()
    ):
        return f"The classifiers alone differ: build the model with num_classes={sizes.pop()}."
    return "The classifiers alone differ, in more than one number of classes: use the file that the publisher offers for testing."


def _difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], unused: tuple[str, ...]) -> str:
    """For names that do not fit: another architecture only where both sides have weights that the other cannot hold."""
    if _lacks(expected, found) and _lacks(found, expected):
        return _ANOTHER
    spared = _spared(expected, found, unused)
    missing = {key: value for key, value in expected.items() if key not in found and key not in spared}
    unknown = {key: value for key, value in found.items() if key not in expected}
    parts = {key.partition(".")[0] for key in missing} - {key.partition(".")[0] for key in found}
    if parts:
        return f"Nothing of {' and '.join(sorted(parts))} is in the file: it holds a part of the network, or names it otherwise."
    if not unknown:
        return "Nothing in the file stands for what is missing: use the file that the publisher offers for testing."
    if not missing:
        return (
            "The whole model is in the file; whether the publisher's network uses what stands beside it, nothing here "
            "tells: compare builder and depth with the publisher's config."
        )
    if Counter(value.shape for value in missing.values()) == Counter(
        value.shape for value in unknown.values()
    ):
        return (
            "What is missing and what is unknown have the same shapes, one for one: where they are the same tensors, "
            "rename the keys to those of the layout."
        )
    return "Why these names differ, nothing here tells: compare them with the publisher's config and program."


def _lacks(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """True where one has a weight of a form that no tensor of the other has left; classifiers and lengths of 1 aside."""
    here, there = (
        Counter(
            tuple(length for length in value.shape if length != 1)
            for key, value in side.items()
            if value.dim() > 1 and _CLASSIFIER not in key
        )
        for side in (one, other)
    )
    return bool(here - there)
