"""`zoo compare`: did a change keep the number? From stored counts alone."""

import json
import re

import html5lib
import numpy as np
import pytest
import torch
from own_builders import TINY, own_zoo, tiny_weights, verify_arguments
from PIL import Image

from segbench.models.builders import use
from segbench.zoo.cli import main
from segbench.zoo.results.changed_pictures import CHANGES, changes

TURNED = TINY.replace("nn.Conv2d(3", "Turned(3") + (
    "\n\nclass Turned(nn.Conv2d):\n    def forward(self, images):\n        return super().forward(images)[:, [1, 0, 2]]\n"
)


@pytest.fixture
def runs(tmp_path, monkeypatch, capsys):
    """One evidence file with two runs: the right network, and one that takes floors for walls and walls for floors."""
    for name in ("ZOO_BUILDERS", "ZOO_DATA_ROOT", "ZOO_OFFLINE", "ZOO_LOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    own_zoo(tmp_path)
    for text in (TINY, TURNED):
        (tmp_path / "tiny.py").write_text(text, encoding="utf-8")
        main(verify_arguments(tmp_path, "--builders", tmp_path / "tiny.py"))
    use([])
    capsys.readouterr()
    main(["evidence", "list", "--json", "--evidence", str(tmp_path / "evidence.sqlite")])
    listed = json.loads(capsys.readouterr().out)
    return tmp_path, [one["series"] for one in listed]


def compared(root, capsys, *arguments):
    code = main(["compare", *map(str, arguments), "--evidence", str(root / "evidence.sqlite")])
    return code, *capsys.readouterr()


def test_two_series_of_one_file(runs, capsys):
    root, series = runs
    code, out, _ = compared(root, capsys, *series, "--json")
    record = json.loads(out)
    assert (code, record["differs_in"], record["images"], record["changed_images"]) == (0, ["code"], 8, 8)
    assert [(one["name"], one["first"], one["second"]) for one in record["classes"]] == [
        ("floor", 100, 0), ("wall", 100, 0), ("lamp", 100, 100),
    ]  # fmt: skip
    assert record["miou"]["points"] == pytest.approx(-200 / 3)
    moved = sum(one["least_changed_pixels"] for one in record["changed"])
    assert (record["least_changed_pixels"], record["pixels"]) == (moved, 512)
    assert moved == -sum(one["right_pixels"] for one in record["changed"])


def test_text_says_it_in_a_table_and_words(runs, capsys):
    root, series = runs
    code, out, err = compared(root, capsys, *series)
    assert (code, err) == (0, "")
    assert "mIoU    100.00     33.33        -66.67  -66.67 to -66.67" in out
    assert "The two differ in code." in out
    assert "it keeps to one side of 0" in " ".join(out.split())


@pytest.mark.slow
def test_within_is_a_bar_for_ci(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--within", "70")[0] == 0
    assert compared(root, capsys, *series, "--within", "60")[0] == 1
    assert compared(root, capsys, series[0], series[0], "--within", "0")[0] == 0
    assert compared(root, capsys, *series, "--within", "0")[0] == 1


def test_a_page_with_a_picture(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--out", root / "page.html")[0] == 0
    page = (root / "page.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<svg") == 1
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


@pytest.fixture
def two_files(tmp_path, monkeypatch, capsys):
    """Two runs of one network with two weights files: in the second, nothing is a wall."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    own_zoo(tmp_path)
    changed = tiny_weights()
    changed["bias"][1] = -9
    torch.save(changed, tmp_path / "second.pth")
    for name in ("own.pth", "second.pth"):
        arguments = verify_arguments(tmp_path, "--builders", tmp_path / "tiny.py")
        main([str(tmp_path / name) if one.endswith("own.pth") else one for one in arguments])
    capsys.readouterr()
    main(["evidence", "list", "--json", "--evidence", str(tmp_path / "evidence.sqlite")])
    series = [one["series"] for one in json.loads(capsys.readouterr().out)]
    given = [
        "--manifest",
        tmp_path / "zoo.yaml",
        "--data-root",
        tmp_path / "data",
        "--out",
        tmp_path / "page.html",
    ]
    return tmp_path, series, [*given, "--builders", tmp_path / "tiny.py", "--pictures", 3]


def test_the_images_that_changed_most_are_drawn_as_both_runs_label_them(two_files, capsys):
    """A wall that became something else is red: it was right. Nothing else changes."""
    root, series, given = two_files
    files = ["--files", root / "own.pth", root / "second.pth"]
    assert compared(root, capsys, *series, *given, *files)[0] == 0
    page = html5lib.parse((root / "page.html").read_text(encoding="utf-8"), namespaceHTMLElements=False)
    told = [one.text for one in page.iter("h2")]
    assert len(told) == 3
    scene = page.find(".//div[@class='scene']")
    assert len(list(scene.iter("img"))) == 5
    assert [one.text for one in scene.iter("figcaption")] == [
        "the image", "its labels", "the first run", "the second run", "changes",
    ]  # fmt: skip
    for words in told:
        name, share = re.fullmatch(r"(\d): ([\d.]+) % of the pixels changed", words).groups()
        labels = np.asarray(Image.open(root / "data/pictures/labels" / f"{name}.png"))
        assert float(share) == pytest.approx(100 * (labels == 1).mean(), abs=0.0051)


def test_changes_are_coloured_by_what_they_made_of_a_pixel():
    """Same, became right, became wrong, wrong in another way, and a label that counts nowhere."""
    truth = np.array([[0, 0, 0, 0, 255, 255]])
    first, second = np.array([[0, 1, 0, 1, 1, 1]]), np.array([[0, 0, 1, 2, 1, 2]])
    picture = changes(truth, first, second, truth < 3)
    colours = ["same", "gained", "lost", "moved", "ignored", "moved"]
    assert np.asarray(picture).tolist() == [[list(CHANGES[name]) for name in colours]]


@pytest.mark.slow
def test_pictures_are_drawn_of_the_very_files_and_code_that_were_counted(two_files, capsys):
    root, series, given = two_files
    files = ["--files", root / "own.pth", root / "own.pth"]
    code, _, err = compared(root, capsys, *series, *given, *files)
    assert code == 3
    assert "name the two runs' own with --files FIRST SECOND" in err
    files = ["--files", root / "own.pth", root / "second.pth"]
    (root / "tiny.py").write_text(TURNED, encoding="utf-8")
    code, _, err = compared(root, capsys, *series, *given, *files)
    assert code == 3
    assert "was counted with other code than is there now" in err
    assert not (root / "page.html").exists()
    assert compared(root, capsys, *series, "--pictures", "3")[0] == 2


def test_evidence_files_are_runs_too(runs, capsys):
    root, series = runs
    for number, name in enumerate(series):
        store = str(root / "evidence.sqlite")
        assert main(["evidence", "export", str(root / f"{number}.sqlite"), name, "--evidence", store]) == 0
    capsys.readouterr()
    code, out, _ = compared(root, capsys, root / "0.sqlite", root / "1.sqlite", "--json")
    assert (code, json.loads(out)["miou"]["second"]) == (0, pytest.approx(100 / 3))


def test_an_ambiguous_name_lists_what_there_is(runs, capsys):
    root, series = runs
    code, _, err = compared(root, capsys, "own", series[0])
    assert code == 3
    assert "own: 2 series go by this name; take one of" in err
    assert all(name[:12] in err for name in series)


def test_an_unknown_name_is_told(runs, capsys):
    root, series = runs
    assert compared(root, capsys, "nobody", series[0])[0] == 5


@pytest.mark.slow
def test_other_classes_are_not_compared(runs, capsys):
    root, series = runs
    manifest = (
        (root / "zoo.yaml")
        .read_text(encoding="utf-8")
        .replace("lamp]", "light]")
        .replace("id: own", "id: new")
    )
    (root / "zoo.yaml").write_text(manifest, encoding="utf-8")
    torch.save(torch.load(root / "own.pth", weights_only=True), root / "own.pth")
    main(verify_arguments(root, "--builders", root / "tiny.py"))
    capsys.readouterr()
    code, _, err = compared(root, capsys, series[0], "new")
    assert code == 3
    assert "other classes or label rules, so nothing can be compared" in err


def test_an_unknown_form_is_refused(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--out", root / "page.pdf")[0] == 2
