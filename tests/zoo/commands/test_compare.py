"""`zoo compare`: did a change keep the number? From stored counts alone."""

import json

import html5lib
import pytest
import torch
from own_builders import TINY, own_zoo, verify_arguments

from segbench.models.builders import use
from segbench.zoo.cli import main

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


def test_within_is_a_bar_for_ci(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--within", "70")[0] == 0
    assert compared(root, capsys, *series, "--within", "60")[0] == 1
    assert compared(root, capsys, series[0], series[0], "--within", "0.001")[0] == 0


def test_a_page_with_a_picture(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--out", root / "page.html")[0] == 0
    page = (root / "page.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<svg") == 1
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


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


def test_other_classes_are_not_compared(runs, capsys):
    root, series = runs
    manifest = (
        (root / "zoo.yaml")
        .read_text(encoding="utf-8")
        .replace("lamp]", "light]")
        .replace("id: own", "id: new")
    )
    (root / "zoo.yaml").write_text(manifest, encoding="utf-8")
    torch.save(torch.load(root / "own.pth"), root / "own.pth")
    main(verify_arguments(root, "--builders", root / "tiny.py"))
    capsys.readouterr()
    code, _, err = compared(root, capsys, series[0], "new")
    assert code == 3
    assert "other classes or label rules, so nothing can be compared" in err


def test_an_unknown_form_is_refused(runs, capsys):
    root, series = runs
    assert compared(root, capsys, *series, "--out", root / "page.pdf")[0] == 2
