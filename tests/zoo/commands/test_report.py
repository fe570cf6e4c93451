"""`zoo report`: the tables again from the repository's own ledger, and whether a written file still agrees."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import full_zoo
import html5lib
import msgspec
import pytest

from segbench.reports.ledger import append
from segbench.reports.verdict import Status
from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.results.pictures import TOTAL_BYTES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
LEDGER = ROOT / "results/measurements.jsonl"
TABLES = ROOT / "results/tables"


def report(capsys, *arguments):
    """Exit code, stdout and stderr of `zoo report` on the repository's ledger."""
    code = main(["report", "--ledger", str(LEDGER), *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_tables_in_the_repository_are_what_its_ledger_gives(capsys):
    assert report(capsys, "--check", TABLES) == (0, "", "")


@pytest.fixture
def written(capsys, tmp_path):
    """The tables of the tests' own manifest."""
    path = tmp_path / "tables.md"
    assert report(capsys, "--out", path, "--manifest", full_zoo.PATH)[0] == 0
    return path


def test_a_changed_table_fails_the_check_with_the_line(capsys, written):
    copy = written
    copy.write_text(copy.read_text().replace("| 79.58 not measured [1] |", "| 79.85 not measured [1] |"))
    code, out, err = report(capsys, "--check", copy, "--manifest", full_zoo.PATH)
    assert code == 1
    found, expected = (line for line in out.splitlines() if line.startswith(("-|", "+|")) or line[1:2] == "|")
    assert found.replace("79.85", "79.58")[1:] == expected[1:]
    assert f"zoo report --out {copy}" in err


def test_a_ledger_without_a_measurement_fails_the_check(capsys, tmp_path, written):
    shorter = tmp_path / "measurements.jsonl"
    shorter.write_text("".join(LEDGER.read_text().splitlines(keepends=True)[1:]))
    manifest = ["--manifest", str(full_zoo.PATH)]
    code = main(["report", "--ledger", str(shorter), *manifest, "--check", str(written)])
    assert code == 1
    assert "5.869 not measured [1]" in capsys.readouterr().out


def test_a_file_that_is_not_there_cannot_be_checked(capsys, tmp_path):
    code, out, err = report(capsys, "--check", tmp_path / "none.md")
    assert (code, out) == (2, "")
    path = tmp_path / "none.md"
    assert (
        err
        == f"zoo: --check {path}: cannot read it: No such file or directory; zoo report --out {path} writes it\n"
    )


@pytest.mark.parametrize("name", ["html", "junit"])
def test_other_definitions_are_a_plain_table(capsys, name):
    code, out, err = report(capsys, "--definitions", "--format", name)
    assert (code, out) == (2, "")
    assert err == "zoo: --definitions is a plain table: --format text, md, csv or json\n"


def test_checking_writes_nothing(capsys, tmp_path):
    code, out, err = report(capsys, "--check", TABLES, "--out", tmp_path / "t.md")
    assert (code, out, err) == (
        2,
        "",
        "zoo: --check writes nothing, --out writes a file, --files a folder: give one of them\n",
    )


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("t.md", "# Published tables"), ("t.csv", "checkpoint,publisher"), ("t.json", "[\n"),
        ("t.txt", "mmsegmentation, Cityscapes\n"),
    ],
)  # fmt: skip
def test_the_suffix_says_the_format(capsys, tmp_path, name, begins):
    code, out, _ = report(capsys, "--out", tmp_path / name)
    assert (code, out) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)


def test_a_report_never_imports_torch(tmp_path):
    """Not in any format that needs no weights."""
    shutil.copytree(ROOT / "results", tmp_path / "results")
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(['report', '--format', 'md']);"
        "heavy = {'torch', 'cv2', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_ledger_names_no_machine():
    """Versions and kinds only: no path, host or build of a kernel."""
    text = LEDGER.read_text()
    assert not re.search(r"[\"' ]/(?:home|root|tmp|work|usr|mnt)", text)
    assert set(re.findall(r'"platform":"([^"]*)"', text)) <= set(
        re.findall(r"Linux [0-9.]+, glibc [0-9.]+", text)
    )


def full_measurement(row, claim):
    """As if the claim had been measured: its own figure, and every class somewhere."""
    spec = row.dataset_spec
    protocol = row.protocol(claim.metric) if claim.protocol else None
    classes = {name: 100.0 * number / len(spec.classes) for number, name in enumerate(spec.classes)}
    return Measurement(
        checkpoint=row.id, metric=claim.metric, value=float(claim.printed), details={"iou_percent": classes},
        protocol=protocol.name if protocol else "", protocol_digest=protocol.digest() if protocol else "",
        weights_sha256="", dataset=row.dataset, dataset_fingerprint="", image_count=500, seconds=1.0, new_images=500,
        precision="fp32", environment={"device": "cpu"}, taken_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def test_the_page_of_a_whole_measured_zoo_is_valid_and_small(capsys, tmp_path):
    """All 34 rows with every class, and room for the most that pictures may take."""
    ledger = tmp_path / "measurements.jsonl"
    for row in full_zoo.ZOO:
        for claim in row.published:
            if claim.protocol:
                append(ledger, full_measurement(row, claim))
    out = tmp_path / "report.html"
    manifest = ["--manifest", str(full_zoo.PATH)]
    assert main(["report", "--ledger", str(ledger), "--out", str(out), *manifest]) in {0, 1}
    page = out.read_text()
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<figure aria") == 6
    assert len(page.encode()) + TOTAL_BYTES * 4 / 3 < 3_000_000


def with_values(tmp_path, *values, **changes):
    """A ledger of the repository's first row with other values, one mIoU each."""
    path = tmp_path / "ledger.jsonl"
    row = next(iter(load_manifest()))
    for value in values:
        append(path, msgspec.structs.replace(full_measurement(row, row.claims[0]), value=value, **changes))
    return path


@pytest.mark.parametrize("value", [1e308, -5.0, 100.5])
def test_an_impossible_accuracy_is_refused_with_its_line(capsys, tmp_path, value):
    path = with_values(tmp_path, 78.0, value)
    assert main(["report", "--ledger", str(path)]) == 2
    told = f"zoo: {path}:2: expected a miou from 0 to 100, found {value:g}; mend the line or delete it\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    "changes",
    [{"image_count": -1}, {"seconds": -1.0}, {"label_pixels": {"road": -1}}, {"taken_at": "then"}],
    ids=str,
)
def test_what_cannot_be_counted_is_refused_with_its_line(capsys, tmp_path, changes):
    path = with_values(tmp_path, 78.0, **changes)
    assert main(["report", "--ledger", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"zoo: {path}:1: expected ")


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {"iou_percent": 3}},
        {"details": {"definitions": {"a": "1"}}},
        {"details": {"rounding": []}},
        {"details": {"rounding": [{"below": 0.1}]}},
        {"environment": {"packages": [1]}},
        {"environment": {"device": {"a": 1}}},
    ],
    ids=str,
)
def test_details_of_another_shape_are_refused_with_their_line(capsys, tmp_path, changes):
    path = with_values(tmp_path, 78.0, **changes)
    assert main(["report", "--ledger", str(path), "--out", str(tmp_path / "r.html")]) == 2
    assert f"{path}:1: expected details and environment as zoo writes them" in capsys.readouterr().err


def test_a_share_of_one_in_place_of_a_percentage_is_doubted(capsys, tmp_path):
    path = with_values(tmp_path, 0.766)
    assert main(["report", "--ledger", str(path)]) == 1
    assert "miou 0.766 is taken for percent; is it a share of one?" in capsys.readouterr().err
    path.unlink()
    path = with_values(tmp_path, 0.766, details={"iou_percent": {"road": 1.5, "sky": 0.032, "car": None}})
    assert main(["report", "--ledger", str(path)]) == 1
    assert "share of one" not in capsys.readouterr().err


def test_a_ledger_of_another_manifest_is_told(capsys):
    code, _, err = report(capsys, "--manifest", ROOT / "zoo/streets/zoo.yaml")
    assert code == 0
    assert err.startswith(
        f"zoo: warning: {LEDGER}: 16 of 16 measurements are of no row of the manifest: "
        "isanet_r50-d8_512x1024_40k_cityscapes, "
    )
    assert err.endswith(" and 12 more; is it another manifest's ledger? --manifest names one\n")


def test_a_ledger_whose_only_line_was_cut_is_no_unmeasured_zoo(capsys, tmp_path):
    path = tmp_path / "cut.jsonl"
    path.write_bytes(LEDGER.read_bytes()[:900])
    assert main(["report", "--ledger", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"zoo: {path}: no whole measurement is left in it: skipped a line whose end was never written; "
        "restore it from a copy\n"
    )


def test_a_folder_has_a_file_for_each_method_and_an_index(capsys, tmp_path):
    """Every row in its method's file and nowhere else; the index counts them and links to it; a later check agrees."""
    folder = tmp_path / "tables"
    arguments = ("--manifest", full_zoo.PATH)
    code, out, err = report(capsys, "--files", folder, *arguments)
    assert (code, out, err) == (0, f"{folder}: 4 files\n", "")
    index = (folder / "README.md").read_text()
    links = {link: int(count) for link, count in re.findall(r"\]\((\S+\.md)\) +\| (\d+) ", index)}
    assert links == {
        "mmsegmentation/isanet.md": 16,
        "sssegmentation/isanet.md": 6,
        "sssegmentation/isnet.md": 12,
    }
    for link, count in links.items():
        text = (folder / link).read_text()
        assert sum(bool(re.match(r"\| (ISANet|[RS]-)", line)) for line in text.splitlines()) == count
        assert text.startswith("# IS")
        assert "[All methods](../README.md)" in text
    assert "103 claims of 34 checkpoints: 16 reproduced" in index
    assert report(capsys, "--check", folder, *arguments)[0] == 0
    path = folder / "sssegmentation/isnet.md"
    path.write_text(path.read_text().replace("78.78", "78.87"))
    code, out, err = report(capsys, "--check", folder, *arguments)
    assert (code, "78.87" in out) == (1, True)
    assert f"{path}: not what the measurements give" in err
    assert f"write it again with zoo report --files {folder}" in err
    path.rename(path.with_name("gone.md"))
    assert "gone.md: is not among the tables" in report(capsys, "--check", folder, *arguments)[2]
    assert "gone.md: was not written by this run" in report(capsys, "--files", folder, *arguments)[2]
    assert report(capsys, "--files", folder, "--json")[0] == 2


@pytest.mark.parametrize("name", ["x.docx", "x", "report.htm"])
def test_a_suffix_that_names_no_format_is_refused(capsys, tmp_path, name):
    path = tmp_path / name
    suffixes = ".md, .csv, .json, .html, .xml, .txt"
    message = f"zoo: {path}: its suffix names no format; end it in {suffixes}, or add --format\n"
    assert report(capsys, "--out", path) == (2, "", message)
    assert not path.exists()
    assert report(capsys, "--out", path, "--format", "md") == (0, "", "")
    assert path.read_text().startswith("# Published tables")


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("x.md", ("--format", "csv"), "csv"),
        ("x.html", ("--json",), "json"),
        ("x.txt", ("--format", "md"), "md"),
    ],
)
def test_a_suffix_and_a_flag_that_disagree_are_refused(capsys, tmp_path, name, flags, said):
    path = tmp_path / name
    code, out, err = report(capsys, "--out", path, *flags)
    assert (code, out) == (2, "")
    assert err.endswith(f"the flags say {said}; change one of them\n")
    assert not path.exists()


def test_the_suffix_is_looked_at_before_anything_is_measured(capsys, tmp_path):
    assert main(["verify", "--out", str(tmp_path / "x.docx")]) == 2
    assert "its suffix names no format" in capsys.readouterr().err
    row = next(iter(load_manifest())).id
    assert main(["diagnose", row, "--out", str(tmp_path / "x.html")]) == 2
    assert "a diagnosis is text or JSON: end it in .txt or .json" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_of_any_encoding_gets_the_tables(encoding):
    program = "import sys; from segbench.zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    asked = ("report", "isanet_r50-d8_512x1024_40k_cityscapes", "--ledger", LEDGER)
    done = subprocess.run(
        [sys.executable, "-c", program, *asked],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    arrow = "→" if encoding == "utf-8" else "->"
    assert f"5.869 {arrow} 5.865 (-0.004) reproduced" in done.stdout.decode(encoding)


def test_the_note_is_the_command_that_makes_the_file_again(capsys, tmp_path, monkeypatch):
    """And its check, typed in with --check in place of --out, passes."""
    shutil.copytree(ROOT / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    asked = ["isanet_r50*", "--where", "dataset=ade20k backbone=R-50*", "--tolerance", "0.3"]
    assert main(["report", *asked, "--out", "t.md"]) == 0
    command, checked = re.findall("`(.*?)`", Path("t.md").read_text())[:2]
    assert command == "zoo report 'isanet_r50*' --where 'dataset=ade20k backbone=R-50*' --tolerance 0.3"
    assert checked == "--check FILE"
    assert main([*shlex.split(command)[1:], "--check", "t.md"]) == 0
    assert capsys.readouterr().err == ""


def test_records_say_how_each_figure_was_measured_and_judged(capsys):
    """A program can do the sums again: `delta` is `rounded` minus `published`."""
    code, out, _ = report(capsys, "--json")
    measured = [record for record in json.loads(out) if record["measured"] is not None]
    assert (code, len(measured)) == (0, 16)
    for record in measured:
        assert record["delta"] == pytest.approx(record["rounded"] - float(record["published"]), abs=1e-9)
        assert abs(record["delta"]) <= record["reproduced_up_to"] < record["drift_up_to"]
        assert (record["protocol"], record["device"]) == ("training-step-trace-v1", "cpu")
        assert record["environment"].startswith("cpu, fp32, Linux ")
        assert record["taken_at"].startswith("2026-11-21T")


def test_a_limit_of_the_users_own_is_named_where_the_verdicts_are_explained(capsys):
    code, out, _ = report(capsys, "--tolerance", "2")
    assert code == 0
    assert (
        "\nreproduced: our figure agrees with the printed one, within 2 points as set with --tolerance\n"
        in out
    )
    bands = " ".join(out.split())
    assert "beyond is refuted (limit set by the user with --tolerance)." in bands
    assert "neither may count as reproduced. --tolerance does not change it." in bands


def test_a_document_explains_every_verdict_that_it_counts():
    text = (TABLES / "README.md").read_text()
    for status in Status:
        assert f"\n- {status.value}: " in text
