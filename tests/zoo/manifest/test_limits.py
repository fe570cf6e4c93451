"""Whatever the engine cannot do, or YAML reads otherwise than people, is refused with its line when the manifest is read."""

import json

import msgspec
import pytest
from small_manifest import SMALL

from segbench.evaluate import EvalProtocol
from segbench.evaluate.limits import ignore_breach
from segbench.zoo.manifest import ManifestError, load_manifest

CHOOSE = "choose one from 255 to 65535 and mark the labels with it"
TINY = "zoo.yaml:{}: datasets.tiny"
LIMITS = {
    "the ignored value is a class": (
        "    classes: [a, b]",
        "    ignore_index: 1\n    classes: [a, b]",
        f"13: datasets.tiny.ignore_index: label value 1 cannot be ignored, it is one of the 2 classes; {CHOOSE}",
    ),
    "the ignored value is the last class before 0 is taken away": (
        "value_map: {7: 0, 8: 1}}]\n",
        "reduce_zero: true}]\n    ignore_index: 2\n",
        (
            "13: datasets.tiny.ignore_index: label value 2 cannot be ignored, it is the last class before 0 is taken "
            f"away; {CHOOSE}"
        ),
    ),
    "a negative ignored value": (
        "    classes: [a, b]",
        "    ignore_index: -1\n    classes: [a, b]",
        "13: datasets.tiny.ignore_index: expected a label value from 0 to 65535, found -1",
    ),
    "an ignored value of more than 16 bits": (
        "    classes: [a, b]",
        "    ignore_index: 65536\n    classes: [a, b]",
        "13: datasets.tiny.ignore_index: expected a label value from 0 to 65535, found 65536",
    ),
    "a map to no class": (
        "{7: 0, 8: 1}",
        "{7: 0,\n      8: 2}",
        "13: datasets.tiny.labels[0].value_map: 8: 2 is no class, expected 0 to 1 or the ignored 255",
    ),
    "a map from no label value": (
        "{7: 0, 8: 1}",
        "{7: 0, 8: 1, -1: 255}",
        "12: datasets.tiny.labels[0].value_map: expected label file values from 0 to 65535, found -1",
    ),
    "two rules for one form": (
        "value_map: {7: 0, 8: 1}",
        "reduce_zero: true, value_map: {7: 0, 8: 1}",
        "12: datasets.tiny.labels[0]: reduce_zero and value_map exclude each other; give 1 and up in the map",
    ),
    "no label form": (
        "labels: [{folder: labels, suffix: .png, value_map: {7: 0, 8: 1}}]",
        "labels: []",
        "12: datasets.tiny.labels: expected something here, found nothing",
    ),
    "a label suffix that every file has": (
        "suffix: .png, value_map",
        'suffix: "", value_map',
        "12: datasets.tiny.labels[0].suffix: expected what the label files' names end with, found nothing",
    ),
    "an image suffix that every file has": (
        "image_suffix: .png",
        'image_suffix: ""',
        "11: datasets.tiny.image_suffix: expected something here, found nothing",
    ),
    "a class twice": (
        "classes: [a, b]",
        "classes: [a,\n      a]",
        "14: datasets.tiny.classes[1]: class 'a' stands there more than once",
    ),
    "a class twice in two Unicode forms": (
        "classes: [a, b]",
        "classes: [caf\u00e9, cafe\u0301]",
        "13: datasets.tiny.classes[1]: class 'cafe\u0301' stands there more than once",
    ),
    "a class without a name": (
        "classes: [a, b]",
        'classes: [a, ""]',
        "13: datasets.tiny.classes[1]: class 1 has no name that can be read: ''",
    ),
    "a class with a blank": (
        "classes: [a, b]",
        'classes: [a, "b "]',
        "13: datasets.tiny.classes[1]: class 'b ' begins or ends with a blank; write 'b'",
    ),
    "a class that YAML takes for a truth value": (
        "classes: [a, b]",
        "classes: [a,\n      on]",
        "14: datasets.tiny.classes[1]: expected text, found on: put it in quotes",
    ),
    "a colour past 255": (
        "[4, 5, 6]",
        "[4, 256, 6]",
        "14: datasets.tiny.palette[1]: expected a colour as three numbers from 0 to 255, found 4, 256, 6",
    ),
    "a negative colour": (
        "[4, 5, 6]",
        "[4, 5, -6]",
        "14: datasets.tiny.palette[1]: expected a colour as three numbers from 0 to 255, found 4, 5, -6",
    ),
    "a class in two categories": (
        "    classes: [a, b]",
        "    categories: {x: [a], y: [a, b]}\n    classes: [a, b]",
        "13: datasets.tiny.categories: y: class 'a' is in 'x' already",
    ),
    "the name of an own folder": (
        "  tiny:\n    title",
        '  "folder:tiny":\n    title',
        "6: datasets.folder:tiny: a data set's name cannot begin with 'folder:': own folders have it",
    ),
    "a stride past the window": (
        "crop: [4, 4], stride: [2, 2]",
        "crop: [4, 4],\n    stride: [4, 5]",
        (
            "18: protocols.flipped.window.stride: the horizontal stride 5 is larger than the window's 4 pixels, so no "
            "window would see the pixels between; expected at most 4"
        ),
    ),
    "a stride of nothing": (
        "stride: [2, 2]",
        "stride: [2, 0]",
        "17: protocols.flipped.window.stride[1]: expected int >= 1, found 0",
    ),
    "an endless scale": (
        "description: Once.",
        "scales: [1.0, .inf]",
        (
            "16: protocols.whole.scales: .inf is no number that can be used; write plain decimal digits, or put it in "
            "quotes where it is a text"
        ),
    ),
    "a scale past all numbers": (
        "description: Once.",
        "scales: [1.0, 1.0e+999]",
        "16: protocols.whole.scales: 1.0e+999 is too large for a number",
    ),
    "a mean that is no number": (
        "description: Once.",
        "mean: [.nan, 1, 1]",
        (
            "16: protocols.whole.mean: .nan is no number that can be used; write plain decimal digits, or put it in "
            "quotes where it is a text"
        ),
    ),
    "a scale that leaves nothing": (
        "description: Once.",
        "scales: [0.1]",
        "16: protocols.whole.scales[0]: 0.1 of the base scale 8 x 4 leaves no pixel",
    ),
    "a scale beyond all": (
        "description: Once.",
        "scales: [1.0, 100000]",
        "16: protocols.whole.scales[1]: expected float <= 16.0, found 100000",
    ),
    "a scale that makes a side too long": (
        "whole: {base_scale: [8, 4], description: Once.",
        "whole: {base_scale: [2049, 4], scales: [16]",
        "16: protocols.whole.scales[0]: 16 of the base scale 2049 x 4 makes a side of more than 32767 pixels",
    ),
    "a base scale beyond all": (
        "base_scale: [8, 4]",
        "base_scale: [8, 32768]",
        "16: protocols.whole.base_scale[1]: expected int <= 32767, found 32768",
    ),
    "a window beyond all": (
        "crop: [4, 4], stride",
        "crop: [4, 99999999999], stride",
        "17: protocols.flipped.window.crop[1]: expected int <= 32767, found 99999999999",
    ),
    "images beyond all": (
        "image_count: 3",
        "image_count: 100000001",
        "8: datasets.tiny.image_count: expected int <= 100000000, found 100000001",
    ),
    "a batch beyond all": (
        "batch: 2",
        "batch: 65537",
        "32: checkpoints[0].claims[2].batch: expected int <= 65536, found 65537",
    ),
    "a fraction of classes": (
        "num_classes: 2}",
        "num_classes: 2.0}",
        "27: checkpoints[0].architecture: num_classes: expected a whole number, found 2.0; write 2",
    ),
    "a fraction of layers": (
        "depth: 50",
        "depth: 50.0",
        "27: checkpoints[0].architecture: depth: expected a whole number, found 50.0; write 50",
    ),
    "a truth value of classes": (
        "classes: [a, b]",
        "classes: [a]",
        "27: checkpoints[0].architecture: num_classes is 2, but data set 'tiny' has 1 classes",
    ),
    "a category that is no list": (
        "    classes: [a, b]",
        "    categories: {x: 3}\n    classes: [a, b]",
        "13: datasets.tiny.categories.x: expected array, found 3",
    ),
    "a figure with leading zeros": (
        '"78.70"',
        '"078.70"',
        (
            '30: checkpoints[0].claims[0].printed: expected a plain decimal number in quotes, such as "78.70", found '
            "'078.70'"
        ),
    ),
    "a figure of ten digits": (
        '"78.70"',
        '"7777777777"',
        (
            '30: checkpoints[0].claims[0].printed: expected a plain decimal number in quotes, such as "78.70", found '
            "'7777777777'"
        ),
    ),
    "a date of no month": (
        '"2021-10-13"',
        '"2021-13-10"',
        "3: documents.readme.date: expected a date in quotes, such as \"2021-10-13\", found '2021-13-10'",
    ),
    "a pair of no classes": (
        "flip: true,",
        "flip: true, flip_pairs: [[0, 2]],",
        "31: checkpoints[0].claims[1].protocol: flipped: flip_pairs: 2 is no class, expected 0 to 1",
    ),
    "a class in two pairs": (
        "flip: true,",
        "flip: true, flip_pairs: [[0, 1], [1, 0]],",
        "17: protocols.flipped.flip_pairs[0]: class 0 stands in more than one pair",
    ),
    "a class paired with itself": (
        "flip: true,",
        "flip: true, flip_pairs: [[1, 1]],",
        "17: protocols.flipped.flip_pairs[0]: class 1 cannot change places with itself",
    ),
    "void classes that are none": (
        "description: Once.",
        "void: {classes: []}",
        "16: protocols.whole.void.classes: expected at least one class, found none",
    ),
    "a void class twice": (
        "description: Once.",
        "void: {classes: [1, 1]}",
        "16: protocols.whole.void.classes: class 1 stands there more than once",
    ),
    "a void class below the first": (
        "description: Once.",
        "void: {classes: [-1]}",
        "16: protocols.whole.void.classes: -1 is no class, expected 0 or more",
    ),
    "a void class that the data set lacks": (
        "description: Once.",
        "void: {classes: [2]}",
        "30: checkpoints[0].claims[0].protocol: whole: void: 2 is no class, expected 0 to 1",
    ),
    "nothing but void": (
        "description: Once.",
        "void: {classes: [0, 1]}",
        "30: checkpoints[0].claims[0].protocol: whole: void: all of the 2 classes are void: no mean is left",
    ),
    "void pixels of no rule": (
        "description: Once.",
        "void: {classes: [1], pixels: drop}",
        "16: protocols.whole.void.pixels: unknown value 'drop', nearest is 'dropped'",
    ),
    "more channels than the network has": (
        "description: Once.",
        "score_channels: 3",
        "30: checkpoints[0].claims[0].protocol: whole: score_channels is 3, but the network has 2 channels",
    ),
    "channels that leave no choice": (
        "description: Once.",
        "score_channels: 1",
        "16: protocols.whole.score_channels: expected int >= 2, found 1",
    ),
    "padding beyond all": (
        "description: Once.",
        "size_divisor: 4097",
        "16: protocols.whole.size_divisor: expected int <= 4096, found 4097",
    ),
    "padding that could not be cut off": (
        "description: Once.",
        "size_divisor: 32, upsampling: one-step",
        (
            "16: protocols.whole.size_divisor: size_divisor pads the network's input, and one-step upsampling has no scores at "
            "that size to cut the padding off; take upsampling: two-step, or a window"
        ),
    ),
    "labels that are not resized": (
        "description: Once.",
        "label_resize: cv2 nearest",
        (
            "16: protocols.whole.label_resize: labels are resized with compared_at: input size only; add it or leave this out"
        ),
    ),
    "values divided by nothing": (
        "description: Once.",
        "value_divisor: 0",
        "16: protocols.whole.value_divisor: expected float > 0.0, found 0",
    ),
    "a void class that is none of the data set's": (
        "    classes: [a, b]",
        "    void_class: c\n    classes: [a, b]",
        "13: datasets.tiny.void_class: unknown class 'c', known are a, b",
    ),
    "ratios of nothing": (
        "base_scale: [8, 4]",
        "base_scale: null, scales: [0.5, 1.0]",
        "16: protocols.whole.scales: with base_scale: null ratios have nothing to scale; write views: image_scale, which scales the image itself",
    ),
    "pairs without a mirror": (
        "flip: true,",
        "flip_pairs: [[0, 1]],",
        "17: protocols.flipped.flip_pairs: there are mirrored views with flip: true only; add it or leave these out",
    ),
}


def faults(tmp_path, text):
    path = tmp_path / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    return str(caught.value).replace(f"{path}:", "").splitlines()


@pytest.mark.parametrize(("old", "new", "expected"), LIMITS.values(), ids=LIMITS)
def test_a_limit_stands_at_the_door(tmp_path, old, new, expected):
    assert old in SMALL
    assert expected in faults(tmp_path, SMALL.replace(old, new, 1))


@pytest.mark.parametrize("text", ["first", "eins", "78.70", "2021-10-13", "01234567"])
def test_a_line_break_is_no_part_of_a_text_with_a_pattern(tmp_path, text):
    """Python's `$` stands before it as well."""
    old = f'"{text}"' if f'"{text}"' in SMALL else text
    (fault,) = faults(tmp_path, SMALL.replace(old, f'"{text}\\n"', 1))
    assert fault.endswith(f"found {text + chr(10)!r}")


def test_a_value_that_cannot_be_read_is_told_once(tmp_path):
    """Not by checks that compare it with others as well."""
    assert faults(tmp_path, SMALL.replace("num_classes: 2", "num_classes: 010", 1)) == [
        (
            "27: checkpoints[0].architecture.num_classes: 010 is another number to YAML; write plain decimal digits, or put it "
            "in quotes where it is a text"
        )
    ]


def test_values_beyond_what_fits_a_manifests_labels_get_no_impossible_advice():
    assert ignore_breach(255, 70_000) == (
        "label value 255 cannot be ignored, it is one of the 70000 classes; so many classes leave no value for it"
    )
    assert "choose one from 4096 to 65535" in ignore_breach(255, 4096)


@pytest.mark.parametrize("number", ["010", "0x10", "0b11", "1_000", "1:30", "0400", "+1:30"])
@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("image_count: 3", "image_count: {}", "8: datasets.tiny.image_count"),
        ("depth: 50", "depth: {}", "27: checkpoints[0].architecture.depth"),
        ("crop: [4, 8]\n    schedule", "crop: [{}, 8]\n    schedule", "25: checkpoints[0].crop"),
        ("{7: 0, 8: 1}", "{{{}: 0}}", "12: datasets.tiny.labels[0].value_map"),
    ],
)
def test_a_number_that_yaml_reads_as_another_is_refused(tmp_path, number, old, new, place):
    assert old in SMALL
    assert (
        f"{place}: {number} is another number to YAML; write plain decimal digits, or put it in quotes where it is "
        "a text"
    ) in faults(tmp_path, SMALL.replace(old, new.format(number), 1))


@pytest.mark.parametrize("text", ["yes", "no", "on", "Off"])
def test_a_truth_value_in_other_words_is_refused_where_texts_may_stand(tmp_path, text):
    changed = SMALL.replace("depth: 50", f"depth: 50, norm: {text}", 1)
    assert faults(tmp_path, changed) == [
        (
            f"27: checkpoints[0].architecture.norm: {text} is a truth value to YAML; write true or false, or put it in "
            "quotes where it is a text"
        )
    ]


@pytest.mark.parametrize("text", ["1e3", "1.0e3"])
def test_a_number_that_yaml_takes_for_a_text_is_refused_where_texts_may_stand(tmp_path, text):
    changed = SMALL.replace("depth: 50", f"depth: 50, width: {text}", 1)
    assert faults(tmp_path, changed) == [
        (
            f"27: checkpoints[0].architecture.width: {text} is a text to YAML; write the number's digits, or put it in quotes "
            "where it is a text"
        )
    ]


def test_256_classes_with_the_usual_ignored_value_are_refused(tmp_path):
    """Class 255 would count nowhere, without a word."""
    classes = ", ".join(f"c{number}" for number in range(256))
    changed = SMALL.replace("classes: [a, b]", f"classes: [{classes}]", 1)
    assert (
        "6: datasets.tiny.ignore_index: label value 255 cannot be ignored, it is one of the 256 classes; choose one from "
        "256 to 65535 and mark the labels with it"
    ) in faults(tmp_path, changed)


@pytest.mark.parametrize(
    ("classes", "outputs", "fields"),
    [
        (3, 2, "void: {classes: [2]}"),
        (3, 3, "void: {classes: [0]}"),
        (2, 3, "score_channels: 2"),
        (3, 3, "score_channels: 2, void: {classes: [2]}"),
    ],
)
def test_a_network_may_lack_void_classes_at_the_end_and_have_channels_that_take_no_part(
    tmp_path, classes, outputs, fields
):
    """As eleven channels on CamVid's twelve classes, and 21 on a data set of 20: with one of the two fields alone."""
    listed = ", ".join("abc"[:classes])
    changed = SMALL.replace("classes: [a, b]", f"classes: [{listed}]").replace(
        "palette: [[1, 2, 3], [4, 5, 6]]", ""
    )
    changed = changed.replace("num_classes: 2}", f"num_classes: {outputs}}}")
    path = tmp_path / "zoo.yaml"
    path.write_text(
        changed.replace("description: Once.", fields).replace("flip: true,", f"flip: true, {fields},"),
        "utf-8",
    )
    assert len(load_manifest(path)) == 2
    if outputs != classes:
        assert (
            f"num_classes is {outputs}, but data set 'tiny' has {classes} classes"
            in faults(tmp_path, changed)[0]
        )


def test_a_protocol_may_be_written_out_in_full(tmp_path):
    """With every field at its default it is the short one."""
    fields = msgspec.to_builtins(EvalProtocol(base_scale=(8, 4)))
    full = json.dumps({key: value for key, value in fields.items() if key != "name"})
    path = tmp_path / "zoo.yaml"
    path.write_text(SMALL.replace("{base_scale: [8, 4], description: Once.}", full), encoding="utf-8")
    assert load_manifest(path).protocols["whole"].digest() == EvalProtocol(base_scale=(8, 4)).digest()


def test_a_stride_as_long_as_the_window_and_the_packaged_zoo_are_accepted(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(SMALL.replace("stride: [2, 2]", "stride: [4, 4]"), encoding="utf-8")
    assert load_manifest(path).protocols["flipped"].window.stride == (4, 4)
    assert len(load_manifest()) > 0
