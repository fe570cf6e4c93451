"""Colours that label files carry against the colours that their values should have: are the indices still the classes'?

A palette PNG that went through RGB and back looks the same and holds other indices, in every file other ones.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..datasets import Colour
    from .tally import Tally


class _Swap(NamedTuple):
    """A value drawn in another class's colour."""

    image_id: str
    value: int
    meant: int
    """The class that the value is read as."""
    shown: int
    """The class whose colour it has."""


def palette_findings(tally: Tally) -> Iterator[Finding]:
    """Sampled palette labels whose values have the colours of other classes.

    An error, unless all of them are shifted by one and the same number: then only the palette may have begun
    elsewhere. Colours of no class prove nothing, since everybody may choose his own.
    """
    swaps = list(_swaps(tally))
    if not swaps:
        yield from _reordered(tally)
        return
    classes, first = tally.spec.classes, swaps[0]
    files = {swap.image_id for swap in swaps}
    pixels = sum(tally.files[swap.image_id][swap.value] for swap in swaps)
    shifted = len({swap.shown - swap.meant for swap in swaps}) == 1
    yield Finding(
        kind="palette disagrees",
        gravity="warning" if shifted else "error",
        what=f"{len(files)} of {len(tally.palettes)} sampled palette labels draw classes in other classes' colours: in "
        f"{first.image_id} {first.value} is {classes[first.meant]} and has the colour of {classes[first.shown]}; {some(files)}",
        effect=f"{100 * pixels / max(1, tally.total):.2f}% of the pixels count as another class than the one they show",
        remedy="use the palette PNGs as they were made; whatever opens them as RGB and saves a palette again deals out the "
        "indices anew",
    )


def _reordered(tally: Tally) -> Iterator[Finding]:
    """Palettes in which one colour has other values from file to file, whatever the colours mean.

    A file that has a colour at a value, too, is no witness: its palette may hold the colour twice.
    """
    first: dict[Colour, tuple[int, str]] = {}
    for name, palette in tally.palettes.items():
        for value, colour in _own_colours(palette, tally.files.get(name, {})):
            other, witness = first.setdefault(colour, (value, name))
            if (
                value == other
                or palette[other : other + 1] == (colour,)
                or _at(tally, witness, value) == colour
            ):
                continue
            yield Finding(
                kind="palette disagrees",
                gravity="error",
                what=f"one colour ({', '.join(map(str, colour))}) is {other} in {witness} and {value} in {name}",
                effect="the same class has other indices from file to file, and the number is about none of them",
                remedy="use the palette PNGs as they were made; optimisers and whatever opens them as RGB deal out the indices "
                "anew",
            )
            return


def _at(tally: Tally, name: str, value: int) -> Colour | None:
    palette = tally.palettes[name]
    return palette[value] if value < len(palette) else None


def _swaps(tally: Tally) -> Iterator[_Swap]:
    spec, meaning = tally.spec, tally.meaning()
    colours = {colour: index for index, colour in _own_colours(spec.palette, range(len(spec.palette)))}
    for name, palette in tally.palettes.items():
        for value, colour in _own_colours(palette, tally.files.get(name, {})):
            index, shown = meaning[value], colours.get(colour)
            if shown is not None and shown != index and index in range(len(spec.classes)):
                yield _Swap(name, value, index, shown)


def _own_colours(palette: tuple[Colour, ...], values: Iterable[int]) -> Iterator[tuple[int, Colour]]:
    """Those of the values whose colour no other has: what a palette lacks is often filled with black."""
    drawn = {value: palette[value] for value in sorted(values) if 0 <= value < len(palette)}
    shared = Counter(drawn.values())
    yield from ((value, colour) for value, colour in drawn.items() if shared[colour] == 1)
