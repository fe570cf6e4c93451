"""`zoo data` as a user meets it, and measuring on one's own folder."""

import json
import shutil
import time

import msgspec
import pytest
import trees
from full_zoo import YAML, ZOO

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.commands.data import data_text, examine, exit_code
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest
from segbench.zoo.manifest.selection import select_datasets
from segbench.zoo.measuring.measurement import Measurement

DEMO = "isanet_r50-d8_w16_256x512_0.8k_streets"


def zoo(capsys, *arguments):
    """Exit code, stdout and stderr of one command."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def manifest(tmp_path):
    """The packaged manifest with the miniature trees' counts and sizes."""
    text = YAML
    for name in ZOO.datasets:
        spec = trees.packaged_spec(name)
        text = text.replace(f"    image_count: {spec.image_count}\n", f"    image_count: {trees.COUNT}\n")
        if spec.typical_size:
            height, width = spec.typical_size
            text = text.replace(f"    typical_size: [{height}, {width}]\n", "    typical_size: [32, 64]\n")
    path = tmp_path / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_usable_data_set_is_told_with_its_fingerprint(capsys, tmp_path, manifest, monkeypatch):
    trees.lip(tmp_path / "data")
    monkeypatch.chdir(tmp_path)  # a long path to the temporary folder would be put on a line of its own
    code, out, err = zoo(capsys, "data", "lip", "--manifest", manifest, "--data-root", "data")
    (record,) = json.loads(
        zoo(capsys, "data", "lip", "--manifest", manifest, "--data-root", "data", "--json")[1]
    )
    seconds = out.split("pixels, ")[1].split(" s\n")[0]
    assert (code, err) == (0, "")
    assert out == (
        "LIP val (lip): usable\n"
        "\n"
        f"images  4 of 4 in data/LIP/val_images\n"
        f"labels  data/LIP/val_segmentations, *.png\n"
        f"read    every name, 4 pairs' headers, 4 pairs' pixels, {seconds} s\n"
        f"ids     sha256 {record['fingerprint']['ids_sha256']}\n"
        f"sample  sha256 {record['fingerprint']['sample_sha256']}\n"
        "pixels  background 13.9%, hair 4.6%, glove 4.6%, sunglasses 4.6%, upperclothes 4.6%, dress 4.6%, 14 more\n"
        "        classes 62.9%, ignored 0.0%\n"
    )


def test_json_has_the_whole_report(capsys, tmp_path, manifest):
    trees.ade20k(tmp_path)
    code, out, _ = zoo(capsys, "data", "ade20k", "--manifest", manifest, "--data-root", tmp_path, "--json")
    (record,) = json.loads(out)
    fingerprint = record.pop("fingerprint")
    assert code == 0
    assert record.pop("seconds") < 10
    assert record == {
        "usable": True,
        "verdict": "usable",
        "dataset": "ade20k",
        "title": "ADE20K",
        "split": "validation",
        "expected_images": 4,
        "found_images": 4,
        "root": str(tmp_path / "ADEChallengeData2016"),
        "images": str(tmp_path / "ADEChallengeData2016/images/validation"),
        "label_files": {
            "folder": "annotations/validation",
            "suffix": ".png",
            "format": "png",
            "reduce_zero": True,
            "value_map": {},
        },
        "headers_read": 4,
        "pixels_read": 4,
        "findings": [],
    }
    assert fingerprint["sampled_ids"] == [f"ADE_val_{number:08d}" for number in range(1, 5)]
    assert sum(fingerprint["label_pixels"].values()) == 4 * (32 - trees.IGNORED_ROWS) * 64
    assert (fingerprint["ignored_pixels"], fingerprint["stray_pixels"]) == (4 * trees.IGNORED_ROWS * 64, 0)


def test_the_fingerprint_belongs_to_the_contents(tmp_path):
    """Copies share it; one other label pixel changes the sample's hash, and not that of the ids."""
    specs = [trees.voc(tmp_path / name) for name in ("one", "two", "three")]
    label = tmp_path / "three/VOCdevkit/VOC2012/SegmentationClass/2007_000000.png"
    trees.write_palette(label, trees.truth(specs[2], 1), specs[2].palette)
    prints = [
        next(examine([spec], tmp_path / name, quiet=True)).fingerprint
        for spec, name in zip(specs, ("one", "two", "three"), strict=True)
    ]
    assert prints[0] == prints[1]
    assert prints[2].ids_sha256 == prints[0].ids_sha256
    assert prints[2].sample_sha256 != prints[0].sample_sha256


def test_a_faulty_data_set_is_told_and_ends_with_3(capsys, tmp_path, manifest):
    spec = trees.cityscapes(tmp_path, forms=("labelTrainIds",))
    for path in (tmp_path / "cityscapes").rglob("*_labelTrainIds.png"):
        number = int(path.name.split("_")[1])
        trees.write_index(path, trees.to_label_ids(trees.truth(spec, number), spec))
    code, out, _ = zoo(capsys, "data", "cityscapes", "--manifest", manifest, "--data-root", tmp_path)
    assert code == 3
    assert out.startswith("Cityscapes val (cityscapes): NOT USABLE, 1 error\n")
    assert out.endswith(
        "ERROR: labelIds as trainIds\n"
        "  4 of 4 sampled *_gtFine_labelTrainIds.png hold raw ids as in *_gtFine_labelIds.png: values 19, 20,\n"
        "  21, 22, 23, 24, 25, 26 ..., expected 0 to 18 and 255; frankfurt/frankfurt_000000_000019,\n"
        "  frankfurt/frankfurt_000001_000019, munster/munster_000002_000019 and 1 more\n"
        "  effect road is read as traffic sign; a model right in every pixel would score 0.0% mIoU on the\n"
        "         sample\n"
        "  remedy delete the *_gtFine_labelTrainIds.png where *_gtFine_labelIds.png lie beside them, else\n"
        "         rename them to that: raw ids are converted while reading; or make them again by the data\n"
        "         set's own preparation\n"
    )


def test_what_is_not_found_is_told_with_how_to_get_it(capsys, tmp_path):
    code, out, _ = zoo(capsys, "data", "ade20k", "--data-root", tmp_path)
    assert code == 3
    assert out.startswith("ADE20K validation (ade20k): not found\n\nERROR: not found\n")
    assert out.endswith(
        "  remedy Download ADEChallengeData2016.zip (the scene parsing benchmark with 150 classes, not the\n"
        "         full ADE20K) and unpack it. Official page: http://sceneparsing.csail.mit.edu\n"
        "         Expected below the data root:\n"
        "         ADEChallengeData2016/\n"
        "         ├── images/validation/**/*.jpg  (2000 images)\n"
        "         └── annotations/validation/**/*.png  (labels)\n"
    )


def test_a_warning_alone_leaves_a_data_set_usable(capsys, tmp_path, manifest):
    trees.ade20k(tmp_path)
    for number in (1, 2):
        trees.write_index(
            tmp_path / f"ADEChallengeData2016/annotations/validation/ADE_val_{number:08d}.png",
            trees.truth(trees.small("lip"), 0) * 0,
        )
    code, out, _ = zoo(capsys, "data", "ade20k", "--manifest", manifest, "--data-root", tmp_path)
    assert code == 0
    assert out.startswith("ADE20K validation (ade20k): usable, 1 warning\n")
    assert "WARNING: everything ignored\n  2 of 4 sampled labels have no pixel of any class" in out


@pytest.mark.parametrize(
    ("present", "names", "code"),
    [
        (["ade20k", "lip"], [], 0),
        (["ade20k", "lip"], ["lip", "ade20k"], 0),
        (["ade20k"], ["lip", "ade20k"], 3),
        ([], [], 3),
        (["ade20k", "broken lip"], [], 3),
        (["ade20k", "broken lip"], ["ade20k"], 0),
    ],
)
def test_without_names_only_what_is_there_must_be_right(capsys, tmp_path, manifest, present, names, code):
    """Named data sets must all be usable; of the whole manifest, those that are there, and one at least."""
    for name in present:
        getattr(trees, name.removeprefix("broken "))(tmp_path)
        if name.startswith("broken"):
            shutil.rmtree(tmp_path / "LIP/val_segmentations")
    found, _, err = zoo(capsys, "data", *names, "--manifest", manifest, "--data-root", tmp_path, "-q")
    assert (found, err) == (code, "")


def test_an_unknown_name_has_the_nearest_ones(capsys):
    code, out, err = zoo(capsys, "data", "loveDB")
    known = ", ".join(load_manifest().datasets)
    assert (code, out) == (2, "")
    assert err == f"zoo: unknown data set 'loveDB', nearest are loveda; there are {known}\n"


def test_no_data_root_is_told_once_a_data_set(capsys):
    code, out, _ = zoo(capsys, "data", "lip", "voc2012aug")
    assert code == 3
    assert out.count("no data root is set: give --data-root or ZOO_DATA_ROOT") == 2


def test_the_demo_data_set_is_right(capsys):
    code, out, _ = zoo(capsys, "data", "--manifest", STREETS / "zoo.yaml", "--data-root", STREETS)
    assert code == 0
    assert out.startswith("Streets (demo) val (streets): usable\n")
    assert "12 of 12" in out


@pytest.mark.slow
def test_a_large_split_is_sampled(tmp_path):
    """3,000 pairs: every name is seen, 512 headers, 32 images; `full` reads them all."""
    spec = trees.lip(tmp_path)
    image, label = (
        next((tmp_path / "LIP" / folder).iterdir()) for folder in ("val_images", "val_segmentations")
    )
    for number in range(3000 - trees.COUNT):
        (image.parent / f"x{number:05d}.jpg").hardlink_to(image)
        (label.parent / f"x{number:05d}.png").hardlink_to(label)
    spec = msgspec.structs.replace(spec, image_count=3000)
    started = time.monotonic()
    sampled = next(examine([spec], tmp_path, quiet=True))
    took = time.monotonic() - started
    full = next(examine([spec], tmp_path, quiet=True, full=True))
    assert (sampled.found_images, sampled.headers_read, sampled.pixels_read) == (3000, 512, 32)
    assert (full.found_images, full.headers_read, full.pixels_read) == (3000, 3000, 3000)
    assert took < 10
    assert kinds(sampled) == kinds(full) == ["identical images"]
    (label.parent / "x01234.png").unlink()
    assert kinds(next(examine([spec], tmp_path, quiet=True))) == ["no partner", "identical images"]


def kinds(report):
    return [finding.kind for finding in report.findings]


# --- one's own folder --------------------------------------------------------------------------------


@pytest.fixture
def streets_folder(tmp_path):
    """Three of the demo's scenes as somebody's own data."""
    folder = tmp_path / "own"
    for kind, source, suffix in (("images", "images/val", ".jpg"), ("labels", "annotations/val", ".png")):
        (folder / kind).mkdir(parents=True)
        for number in range(3):
            shutil.copy(STREETS / source / f"street_{number:03d}{suffix}", folder / kind)
    classes = load_manifest(STREETS / "zoo.yaml").datasets["streets"].classes
    (folder / "classes.txt").write_text("\n".join(classes))
    return folder


def measure(capsys, tmp_path, folder, *arguments):
    weights = next((STREETS / "weights").glob("isanet*"))
    cached = tmp_path / "zoo-home/weights" / DEMO / weights.name
    cached.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(weights, cached)
    options = ("--manifest", STREETS / "zoo.yaml", "--ledger", tmp_path / "ledger.jsonl", "-q", "--offline")
    return zoo(capsys, "verify", DEMO, "--metric", "miou", "--folder", folder, *options, *arguments)


def test_a_folder_is_examined(capsys, streets_folder):
    code, out, _ = zoo(capsys, "data", "--folder", streets_folder)
    assert code == 0
    assert out.startswith("own all images (folder:own): usable\n")


@pytest.mark.slow
def test_a_checkpoint_is_measured_on_a_folder_and_not_compared(capsys, tmp_path, streets_folder):
    code, out, err = measure(capsys, tmp_path, streets_folder, "--json")
    (record,) = ledger.read(tmp_path / "ledger.jsonl", Measurement)
    (verdict,) = json.loads(out)
    assert (code, err) == (0, "")
    assert (verdict["status"], verdict["published"], verdict["delta"]) == ("not comparable", "76.63", None)
    assert verdict["reason"] == f"measured on {streets_folder}, not on the claim's data set"
    assert verdict["measured"] == pytest.approx(record.value)
    assert (record.dataset, record.image_count) == ("folder:own", 3)
    assert 20 < record.value < 100


@pytest.mark.slow
def test_a_measurement_carries_what_its_data_set_was(capsys, tmp_path, streets_folder):
    """Its id list's hash and the labelled pixels of each class, the same as the doctor finds in all images."""
    measure(capsys, tmp_path, streets_folder)
    (record,) = ledger.read(tmp_path / "ledger.jsonl", Measurement)
    (report,) = json.loads(zoo(capsys, "data", "--folder", streets_folder, "--json")[1])
    assert record.dataset_ids_sha256 == report["fingerprint"]["ids_sha256"]
    assert record.label_pixels == report["fingerprint"]["label_pixels"]
    assert record.stray_pixels == 0


@pytest.mark.slow
def test_a_folder_measurement_judges_no_claim_later(capsys, tmp_path, streets_folder):
    """`zoo report` must not take a number on one's own data for one on the published set."""
    measure(capsys, tmp_path, streets_folder)
    files = ("--manifest", STREETS / "zoo.yaml", "--ledger", tmp_path / "ledger.jsonl")
    _, out, _ = zoo(capsys, "report", DEMO, *files, "--json")
    assert {verdict["status"] for verdict in json.loads(out)} == {"not measured"}


@pytest.mark.slow
def test_stray_label_values_are_told_with_the_number(capsys, tmp_path, streets_folder):
    """What the sample missed is seen at the latest when every label was read."""
    label = next((streets_folder / "labels").iterdir())
    values = trees.np.array(trees.Image.open(label))
    values[0, :5] = 99
    trees.write_index(label, values)
    _, out, _ = measure(capsys, tmp_path, streets_folder, "--json")
    assert json.loads(out)[0]["reason"].endswith(
        "; 5 pixels have label values outside the classes; see zoo data --full"
    )


def test_a_folder_with_other_classes_is_refused(capsys, tmp_path, streets_folder):
    (streets_folder / "classes.txt").write_text("road\ncar\n")
    assert measure(capsys, tmp_path, streets_folder) == (
        2,
        "",
        (
            f"zoo: {streets_folder / 'classes.txt'}: 2 classes, but {DEMO} predicts the 8 of Streets (demo); list its classes in "
            "its order, and ignore what your labels lack\n"
        ),
    )


def test_a_folder_with_the_same_classes_in_another_order_is_refused(capsys, tmp_path, streets_folder):
    names = (streets_folder / "classes.txt").read_text().split("\n")
    (streets_folder / "classes.txt").write_text("\n".join(reversed(names)).title())
    assert measure(capsys, tmp_path, streets_folder) == (
        2,
        "",
        (
            f"zoo: {streets_folder / 'classes.txt'}: the classes of {DEMO} in another order: class 0 is {names[-1].title()!r} "
            f"here and {names[0]!r} there; sort the lines as there, and the label values with them\n"
        ),
    )


def test_a_folder_with_classes_of_other_names_is_measured_with_a_warning(
    capsys, tmp_path, streets_folder, caplog
):
    names = (streets_folder / "classes.txt").read_text().split("\n")
    (streets_folder / "classes.txt").write_text("\n".join(["autoroute", *names[1:]]))
    code, _, _ = measure(capsys, tmp_path, streets_folder, "--dry-run")
    assert (code, caplog.messages) == (
        0,
        [
            (
                f"{streets_folder / 'classes.txt'}: 1 of 8 names differ from those of {DEMO}, class 0 is 'autoroute' here and "
                f"{names[0]!r} there: make sure that they mean the same"
            )
        ],
    )


def test_an_incomplete_folder_is_told(capsys, tmp_path):
    (tmp_path / "images").mkdir()
    expected = (
        f"zoo: {tmp_path / 'labels'}: no such folder; expected images/, labels/ (index PNGs of the same names) and "
        "classes.txt (one class a line)\n"
    )
    assert zoo(capsys, "data", "--folder", tmp_path) == (3, "", expected)
    assert measure(capsys, tmp_path, tmp_path) == (3, "", expected)


def test_names_and_a_folder_exclude_each_other(capsys, tmp_path):
    code, _, err = zoo(capsys, "data", "lip", "--folder", tmp_path)
    assert (code, err) == (2, "zoo: name data sets of the manifest or give --folder, not both\n")


def test_older_measurements_read(tmp_path):
    """Ledgers from before these fields exist are still evidence."""
    old = {
        "checkpoint": "a", "metric": "miou", "value": 1.0, "protocol": "p", "protocol_digest": "d",
        "weights_sha256": "w", "dataset": "s", "dataset_fingerprint": "f", "image_count": 1, "seconds": 1.0,
        "new_images": 1, "precision": "fp32", "environment": {}, "taken_at": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    (tmp_path / "ledger.jsonl").write_text(json.dumps(old) + "\n")
    (record,) = ledger.read(tmp_path / "ledger.jsonl", Measurement)
    assert (record.dataset_ids_sha256, record.label_pixels, record.stray_pixels) == ("", {}, 0)


@pytest.mark.slow
def test_camvid_photographs_are_right_once_their_void_is_named(capsys, photographs, tmp_path):
    """34 street photographs whose void is 11, the number after the last class."""
    published = photographs / "camvid/published.json"
    if not published.is_file():
        pytest.skip(f"missing: {published}")
    classes = "\n".join(json.loads(published.read_text())["classes"])
    (tmp_path / "images").symlink_to(photographs / "camvid/images/val")
    (tmp_path / "labels").symlink_to(photographs / "camvid/annotations/val")
    (tmp_path / "classes.txt").write_text(classes)
    code, out, _ = zoo(capsys, "data", "--folder", tmp_path)
    assert code == 3
    assert "ERROR: values outside map\n  32 of 32 sampled labels hold values 11 (1.62% of pixels)" in out
    (tmp_path / "classes.txt").write_text(f"ignore: 11\n{classes}")
    code, out, _ = zoo(capsys, "data", "--folder", tmp_path, "--full")
    assert (code, out.split("\n")[0]) == (0, f"{tmp_path.name} all images (folder:{tmp_path.name}): usable")
    assert "34 pairs' headers, 34 pairs' pixels" in out


def test_exit_code_and_text_from_python(tmp_path):
    """The notebook's way: specs, reports, text."""
    trees.lip(tmp_path)
    specs = [trees.small("lip")]
    reports = list(examine(specs, tmp_path, quiet=True))
    assert exit_code(reports, named=True) == 0
    assert data_text(reports).startswith("LIP val (lip): usable")
    assert [spec.name for spec in select_datasets(load_manifest(), ["lip", "lip"])] == ["lip"]


def test_what_is_never_scored_is_called_so(capsys, tmp_path):
    code, out, _ = zoo(capsys, "data", "cityscapes_test", "--data-root", tmp_path)
    assert (code, out.splitlines()[0]) == (3, "Cityscapes test (cityscapes_test): not scored")
