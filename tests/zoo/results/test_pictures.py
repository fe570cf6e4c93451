"""`zoo report --pictures`: images of measured rows in the page, and a reason where there can be none."""

import base64
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.results import pictures


@pytest.fixture
def measured(kept_demo):
    """A folder with the demo's weights and a ledger of both single-scale mIoU, among others."""
    return kept_demo


def report(capsys, folder, *arguments):
    code = main(["report", "--manifest", str(STREETS / "zoo.yaml"), "--ledger", str(folder / "measurements.jsonl"),
                 *map(str, arguments)])  # fmt: skip
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def page(capsys, measured, tmp_path, monkeypatch):
    """The page of two images a row."""
    monkeypatch.setenv("ZOO_HOME", str(measured))
    out = tmp_path / "report.html"
    assert report(capsys, measured, "--pictures", 2, "--data-root", STREETS, "--out", out) == (0, "", "")
    return out.read_text()


@pytest.mark.slow
def test_input_truth_prediction_and_errors_stand_side_by_side(page):
    headings = re.findall(r"<h3>(\S+), (street_\d+): ([\d.]+) % wrong</h3>", page)
    assert [heading[:2] for heading in headings] == [
        ("isanet_r50-d8_w16_256x512_0.8k_streets", "street_000"),
        ("isanet_r50-d8_w16_256x512_0.8k_streets", "street_011"),
        ("isnet_resnet50os8_w16_streets", "street_000"),
        ("isnet_resnet50os8_w16_streets", "street_011"),
    ]
    jpegs = [base64.b64decode(text) for text in re.findall(r"data:image/jpeg;base64,([\w+/=]+)", page)]
    shown = [Image.open(io.BytesIO(jpeg)) for jpeg in jpegs]
    assert len(shown) == 16
    assert all({one.size for one in shown[at : at + 4]} == {shown[at].size} for at in range(0, 16, 4))
    reds = [(np.asarray(one)[:, :, 1] < 128).mean() * 100 for one in shown[3::4]]
    assert reds == pytest.approx([float(heading[2]) for heading in headings], abs=2)


@pytest.mark.slow
def test_a_row_without_weights_at_hand_is_told_and_left_out(capsys, measured, tmp_path):
    out = tmp_path / "report.html"
    code, _, err = report(capsys, measured, "--pictures", 1, "--data-root", STREETS, "--out", out)
    assert code == 3
    assert re.findall("^zoo: warning: (.*)", err, re.MULTILINE) == [
        f"{name}: no pictures: its weights are not in the cache; zoo fetch {name} brings them"
        for name in ("isanet_r50-d8_w16_256x512_0.8k_streets", "isnet_resnet50os8_w16_streets")
    ]
    assert 'id="pictures"' not in out.read_text()


@pytest.mark.slow
def test_pictures_that_cannot_be_made_are_no_reason_to_call_a_file_outdated(capsys, measured, tmp_path):
    file = tmp_path / "report.html"
    file.write_text("")
    code, out, err = report(capsys, measured, "--pictures", 1, "--data-root", STREETS, "--check", file)
    assert (code, out) == (3, "")
    assert f"--check {file}: cannot be compared for want of its pictures: isanet_r50" in err


@pytest.mark.slow
def test_a_page_with_pictures_agrees_with_its_check_and_nothing_is_recorded(
    capsys, measured, tmp_path, monkeypatch
):
    """Beside a manifest that has no lock, a report leaves none."""
    monkeypatch.setenv("ZOO_HOME", str(measured))
    monkeypatch.delenv("ZOO_LOCK", raising=False)
    folder = tmp_path / "zoo"
    folder.mkdir()
    shutil.copy(STREETS / "zoo.yaml", folder)
    manifest, page = folder / "zoo.yaml", tmp_path / "report.html"
    command = ["report", "--manifest", manifest, "--ledger", measured / "measurements.jsonl", "--pictures", "1",
               "--data-root", STREETS]  # fmt: skip
    assert main([*map(str, command), "--out", str(page)]) == 0
    assert main([*map(str, command), "--check", str(page)]) == 0
    assert [file.name for file in folder.iterdir()] == ["zoo.yaml"]
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_pictures_belong_to_html(capsys, measured):
    code, out, err = report(capsys, measured, "--pictures", 1)
    assert (code, out, err) == (2, "", "zoo: --pictures belongs to --format html\n")


def test_a_noisy_image_is_shrunk_until_it_keeps_to_its_share():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 1024, 3), dtype=np.uint8))
    for share in (200_000, 40_000):
        assert sum(map(len, pictures.jpegs([noise] * 4, share))) <= share
