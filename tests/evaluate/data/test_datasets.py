"""Finding data sets on disk: layouts, fingerprints, and what is said when something is missing."""

import hashlib
import re
import unicodedata

import msgspec
import numpy as np
import pytest
from PIL import Image

from segbench.evaluate import DatasetSpec, LabelFiles
from segbench.evaluate.data.datasets import DatasetError, files_below, locate

SPEC = DatasetSpec(
    title="Tiny",
    split="val",
    image_count=3,
    roots=("tiny", "Tiny"),
    images="images",
    image_suffix="_image.png",
    labels=(LabelFiles(folder="labels", suffix="_ids.png"), LabelFiles(folder="labels", suffix="_raw.png")),
    classes=("a", "b"),
    homepage="https://example.org/tiny",
)


def make(root, names=("x/2", "x/10", "y/1"), suffix="_ids.png"):
    for name in names:
        for folder, end in (("images", "_image.png"), ("labels", suffix)):
            path = root / folder / f"{name}{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((4, 6), np.uint8)).save(path)


@pytest.mark.parametrize("place", ["tiny", "Tiny", "."])
def test_a_data_set_is_found_by_folder_name_or_at_the_root_itself(tmp_path, place):
    make(tmp_path / place)
    found = locate(SPEC, tmp_path)
    assert [sample.id for sample in found.samples] == ["x/10", "x/2", "y/1"]
    assert found.samples[0].label == tmp_path / place / "labels" / "x/10_ids.png"


def test_the_second_label_form_serves_where_the_first_is_absent(tmp_path):
    make(tmp_path, suffix="_raw.png")
    assert locate(SPEC, tmp_path).label_files is SPEC.labels[1]


def test_the_form_that_labels_most_images_is_used(tmp_path):
    make(tmp_path, names=("x/2", "x/10"))
    make(tmp_path, suffix="_raw.png")
    assert locate(SPEC, tmp_path).label_files is SPEC.labels[1]
    make(tmp_path)
    assert locate(SPEC, tmp_path).label_files is SPEC.labels[0]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"classes": ("a", "a")}, "class 'a' stands there more than once"),
        ({"palette": ((0, 0, 0),)}, "expected 2 colours, one a class, found 1"),
        ({"ignore_index": 1}, "label value 1 cannot be ignored, it is one of the 2 classes; choose one from 255 to 65535"),
        ({"ignore_index": 2, "labels": (LabelFiles(folder="labels", suffix="_ids.png", reduce_zero=True),)},
         "label value 2 cannot be ignored, it is the last class before 0 is taken away"),
        ({"labels": (LabelFiles(folder="labels", suffix="_ids.png", value_map={7: 2}),)},
         "7: 2 is no class, expected 0 to 1 or the ignored 255"),
        ({"labels": (LabelFiles(folder="labels", suffix="_ids.png", value_map={7: 1}, reduce_zero=True),)},
         "reduce_zero and value_map exclude each other"),
        ({"unscored": "nobody labelled it"}, "nobody labelled it"),
    ],
)  # fmt: skip
def test_a_spec_made_in_python_is_held_to_a_manifests_rules(tmp_path, fields, refusal):
    make(tmp_path)
    with pytest.raises(DatasetError, match=f"^Tiny val: {re.escape(refusal)}"):
        locate(msgspec.structs.replace(SPEC, **fields), tmp_path)


def test_files_that_only_look_like_labels_are_none(tmp_path):
    make(tmp_path, suffix="_other_ids.png")
    other = msgspec.structs.replace(SPEC, lookalikes={"_other_ids.png": "another data set's"})
    with pytest.raises(DatasetError, match="no label files"):
        locate(other, tmp_path)


def test_the_images_may_have_another_folder(tmp_path):
    make(tmp_path)
    (tmp_path / "images").rename(tmp_path / "unpacked")
    found = locate(msgspec.structs.replace(SPEC, other_images=("gone", "unpacked")), tmp_path)
    assert found.samples[0].image == tmp_path / "unpacked/x/10_image.png"


def test_hidden_files_are_no_images(tmp_path):
    make(tmp_path)
    (tmp_path / "images/x/._2_image.png").write_bytes(b"left by a Mac")
    assert len(locate(SPEC, tmp_path).samples) == 3


def test_a_list_file_gives_ids_and_order(tmp_path):
    make(tmp_path)
    (tmp_path / "val.txt").write_text("y/1\nx/2\n\nx/10\n")
    found = locate(msgspec.structs.replace(SPEC, id_list="val.txt"), tmp_path)
    assert [sample.id for sample in found.samples] == ["y/1", "x/2", "x/10"]


def test_a_list_from_windows_is_read_as_it_is_meant(tmp_path):
    make(tmp_path)
    (tmp_path / "val.txt").write_bytes(b"\xef\xbb\xbfy/1\r\nx/2\r\nx/10\r\n")
    found = locate(msgspec.structs.replace(SPEC, id_list="val.txt"), tmp_path)
    assert [sample.id for sample in found.samples] == ["y/1", "x/2", "x/10"]


def test_an_id_listed_twice_is_no_measurement(tmp_path):
    make(tmp_path)
    (tmp_path / "val.txt").write_text("y/1\nx/2\ny/1\n")
    with pytest.raises(DatasetError) as error:
        locate(msgspec.structs.replace(SPEC, id_list="val.txt"), tmp_path)
    assert str(error.value) == f"{tmp_path / 'val.txt'}: ids stand there more than once; see zoo data"


def test_the_hash_of_the_ids_is_that_of_their_list(tmp_path):
    """As `sha256sum val.txt` prints it."""
    make(tmp_path)
    (tmp_path / "val.txt").write_text("y/1\nx/2\nx/10\n")
    found = locate(msgspec.structs.replace(SPEC, id_list="val.txt"), tmp_path)
    assert found.ids_sha256() == hashlib.sha256((tmp_path / "val.txt").read_bytes()).hexdigest()


def test_no_root_says_how_to_set_one():
    with pytest.raises(DatasetError) as error:
        locate(SPEC, None)
    assert str(error.value) == (
        "Tiny: no data root; set --data-root or ZOO_DATA_ROOT; get it from https://example.org/tiny"
    )


def test_an_empty_root_says_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError) as error:
        locate(SPEC, tmp_path)
    assert str(error.value) == (
        f"Tiny not found under {tmp_path} (looked for tiny/images, Tiny/images, images): set --data-root or "
        "ZOO_DATA_ROOT; get it from https://example.org/tiny"
    )


def test_an_incomplete_split_is_no_measurement(tmp_path):
    make(tmp_path, names=("x/2",))
    with pytest.raises(DatasetError) as error:
        locate(SPEC, tmp_path)
    assert str(error.value) == (
        f"Tiny val: found 1 images in {tmp_path / 'images'}, expected 3: the number is defined on the full split; "
        "complete the copy"
    )


def test_no_labels_at_all_are_named(tmp_path):
    make(tmp_path, suffix="_colour.png")
    with pytest.raises(DatasetError, match=r"no label files in .*expected labels/\*\*/\*_ids.png or labels"):
        locate(SPEC, tmp_path)


def test_copies_share_a_fingerprint_and_a_changed_label_breaks_it(tmp_path):
    """The same bytes elsewhere are the same data; one other pixel is not."""
    make(tmp_path / "one")
    make(tmp_path / "two")
    first, second = (locate(SPEC, tmp_path / name) for name in ("one", "two"))
    assert first.fingerprint(first.contents()) == second.fingerprint(second.contents())
    Image.fromarray(np.ones((4, 6), np.uint8)).save(second.samples[1].label)
    assert first.fingerprint(first.contents()) != second.fingerprint(second.contents())
    assert [a == b for a, b in zip(first.contents().values(), second.contents().values(), strict=True)] == [
        True, False, True,
    ]  # fmt: skip


def test_another_reading_of_the_label_files_is_another_rule(tmp_path):
    """Counts made under one value map are not counts under another, nor under none."""
    make(tmp_path)
    dataset = locate(SPEC, tmp_path)
    digests = {
        msgspec.structs.replace(
            dataset, label_files=msgspec.structs.replace(dataset.label_files, **change)
        ).rules_digest()
        for change in ({}, {"value_map": {7: 0, 8: 1}}, {"value_map": {7: 1, 8: 0}}, {"reduce_zero": True})
    }
    assert len(digests) == 4


def test_a_linked_folder_is_listed_under_its_own_name_whatever_the_links_is(tmp_path):
    """The order in which a disk lists its folders must not decide what images are called."""
    make(tmp_path / "real")
    for name in ("a", "z"):
        (tmp_path / "real/images" / name).symlink_to("x")
    assert files_below(tmp_path / "real/images") == {"x/2_image.png", "x/10_image.png", "y/1_image.png"}


@pytest.mark.parametrize("forms", ["NFC NFD NFD", "NFD NFC NFD", "NFD NFD NFC", "NFC NFC NFC"])
def test_list_images_and_labels_may_spell_a_name_in_different_unicode_forms(tmp_path, forms):
    """A list from an editor, images from a Mac's archive, labels from another: one name, one sample, one hash."""
    listed, image, label = (unicodedata.normalize(form, "café") for form in forms.split())
    root = tmp_path / "tiny"
    make(root, [image])
    (root / "labels" / f"{image}_ids.png").rename(root / "labels" / f"{label}_ids.png")
    (root / "val.txt").write_text(f"{listed}\n", encoding="utf-8")
    (sample,) = locate(msgspec.structs.replace(SPEC, image_count=1, id_list="val.txt"), tmp_path).samples
    assert (sample.id, sample.image.is_file(), sample.label.is_file()) == ("café", True, True)
    (sample,) = locate(msgspec.structs.replace(SPEC, image_count=1), tmp_path).samples
    assert (sample.id, sample.image.is_file(), sample.label.is_file()) == ("café", True, True)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_in_another_encoding_is_told(tmp_path, encoding):
    make(tmp_path / "tiny")
    (tmp_path / "tiny/val.txt").write_text("café\n", encoding=encoding)
    with pytest.raises(DatasetError, match="cannot read the split's list: expected text in UTF-8, found "):
        locate(msgspec.structs.replace(SPEC, id_list="val.txt"), tmp_path)
