"""YAML is bounded before anything is made of it: aliases, nesting, and what is told of unknown names."""

import pytest

from segbench.zoo.files.yaml_nodes import DEEPEST, LEAST, YamlLimitError, compose
from segbench.zoo.manifest import ManifestError, load_manifest
from segbench.zoo.publishers import SourceError, read_sources

TOO_MUCH = f"its aliases stand for more than {LEAST} values; write out what differs, and repeat less"
TOO_DEEP = f"nested deeper than {DEEPEST} levels; write it flatter"
SELF = "an alias stands for a value that contains it"


def laughs(levels):
    """Ten times as many values a level."""
    lines = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 x", *lines]) + "\n"


REFUSED = {
    "a billion laughs": (laughs(10), TOO_MUCH),
    "a hundred lists of a hundred, a hundred times": (
        f"a: &a [{'x, ' * 100}]\nb: &b [{'*a, ' * 100}]\nc: [{'*b, ' * 100}]\n",
        TOO_MUCH,
    ),
    "a mapping that contains itself": ("a: &a {b: *a}\n", SELF),
    "a list that contains itself, far below": ("a: &a [[[{b: [*a]}]]]\n", SELF),
    "nesting": ("a: " + "[" * DEEPEST + "]" * DEEPEST + "\n", TOO_DEEP),
    "nesting that Python could not follow": ("a: " + "[" * 900 + "]" * 900 + "\n", TOO_DEEP),
    "nesting by aliases": (
        "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80)),
        TOO_DEEP,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stands_for_too_much_is_refused_by_whoever_reads_it(tmp_path, name):
    text, message = REFUSED[name]
    with pytest.raises(YamlLimitError) as refused:
        compose(text)
    assert refused.value.problem == message
    path = tmp_path / "zoo.yaml"
    path.write_text(f"Models:\n- b\n{text}")
    with pytest.raises(ManifestError) as told:
        load_manifest(path)
    assert str(told.value).endswith(f": {message}")
    with pytest.raises(SourceError) as told:
        read_sources(path)
    assert str(told.value).endswith(f": {message}")


def test_aliases_that_repeat_little_are_what_they_stand_for():
    root = compose("a: &a [x, y]\nb: [*a, *a]\n")
    assert root.value[1][1].value == [root.value[0][1]] * 2


def test_a_long_file_without_aliases_is_never_too_much():
    assert len(compose("[" + "a," * 3 * LEAST + "]").value) == 3 * LEAST


def test_of_many_unknown_names_the_first_are_told_their_nearest_and_of_many_known_ones_twenty(tmp_path):
    documents = "".join(f"  doc{number}: {{title: t, publisher: p}}\n" for number in range(30))
    listed = ", ".join(f"{{document: {'z' * 9}{number}, section: s, row: 1}}" for number in range(60))
    path = tmp_path / "zoo.yaml"
    path.write_text(
        f"version: 1\ndocuments:\n{documents}datasets: {{}}\nprotocols: {{}}\ncheckpoints:\n  - listed_in: [{listed}]\n"
    )
    with pytest.raises(ManifestError) as refused:
        load_manifest(path)
    messages = [fault.message for fault in refused.value.faults if "document" in fault.message]
    known = ", ".join(f"doc{number}" for number in range(20))
    assert messages[0] == f"unknown document 'zzzzzzzzz0', known are {known} and 10 more"
    assert messages[-1] == "unknown document 'zzzzzzzzz59'"
