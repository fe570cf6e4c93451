"""The command as a user meets it: output, exit codes, and one clear message for every mistake."""

import json
import re
import shutil
import subprocess
import sys

import full_zoo
import pytest

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS

pytestmark = pytest.mark.slow

ROW = "isanet_r50-d8_512x1024_40k_cityscapes"
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
def demo_zoo(tmp_path, monkeypatch):
    """A writable copy of the demo zoo with its weights fetched: manifest, data root, files."""
    root = tmp_path / "demo"
    shutil.copytree(STREETS, root)
    weights = next((root / "weights").glob("isanet*"))
    cached = tmp_path / "zoo-home/weights" / DEMO / weights.name
    cached.parent.mkdir(parents=True)
    shutil.copy(weights, cached)
    monkeypatch.chdir(tmp_path)
    return root


@pytest.fixture
def counted_zoo(demo_zoo, counted_isanet):
    """The same, its images counted before."""
    shutil.copy(counted_isanet, demo_zoo.parent / "zoo-home/evidence.sqlite")
    return demo_zoo


def verify(capsys, root, *arguments):
    return zoo(
        capsys,
        "verify",
        DEMO,
        "--manifest",
        root / "zoo.yaml",
        "--data-root",
        root,
        "-q",
        "--offline",
        *arguments,
    )


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        ((), ["list", "verify", "demo", "audit"]),
        (("evidence",), ["list", "show", "export", "merge", "prune"]),
    ],
)
def test_without_the_command_it_needs_it_prints_what_there_is(capsys, arguments, offered):
    code, out, err = zoo(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err == zoo(capsys, *arguments, "--help")[1]
    assert all(re.search(rf"^    {name} ", err, re.MULTILINE) for name in offered)


def test_list_json_has_every_row_and_claim(capsys):
    """34 rows; 34 + 25 + 3 + 16 + 16 published claims, and the nine revised figures on top."""
    code, out, _ = zoo(capsys, "list", "--json", "--manifest", full_zoo.PATH)
    rows = json.loads(out)
    claims = [claim for row in rows for claim in row["claims"] if claim["value"] is not None]
    revised = [claim for claim in claims if claim.get("supersedes")]
    first = [claim["metric"] for claim in claims if not claim.get("supersedes")]
    counts = {metric: first.count(metric) for metric in dict.fromkeys(first)}
    assert code == 0
    assert len(rows) == 34
    assert counts == {"miou": 34, "miou_ms_flip": 25, "miou_flip": 3, "train_memory": 16, "fps": 16}
    assert [claim["metric"] for claim in revised] == ["miou_ms_flip"] * 9
    wanted = {
        "id",
        "aliases",
        "publisher",
        "method",
        "backbone",
        "dataset",
        "crop",
        "schedule",
        "weights",
        "claims",
    }
    assert all(wanted <= set(row) for row in rows)
    assert all({"metric", "value", "protocol", "source"} <= set(claim) for claim in claims)


def test_show_tells_everything_of_a_row(capsys):
    code, out, _ = zoo(capsys, "show", "isanet_r50-d8_4xb2-40k_cityscapes-512x1024")
    assert code == 0
    for text in (ROW, "78.49", "79.44", "5.869", "2.91", "981bd763", "37,707,398", "v0.5/isanet"):
        assert text in out


def test_show_protocol_speaks_in_words(capsys):
    _, out, _ = zoo(capsys, "show", "isanet_r50-d8_769x769_40k_cityscapes", "--protocol")
    for text in (
        "fit into 2049x1025 (w x h)",
        "769x769 (h x w), stride 513x513",
        "align_corners=True",
        "0.5, 0.75",
    ):
        assert text in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["list", "nope_*"], 5, "nothing selected"),
        (["list", "--where", "dataset=lip backbone=X*"], 5, "nothing selected"),
        (["list", "--where", "datset=lip"], 2, "dataset"),
        (["show", "isanet_r50-d8_512x1024_40k_cityscape"], 2, ROW),
        (["list", "--manifest", "missing.yaml"], 2, "missing.yaml"),
        (["report", "--ledger", "missing.jsonl"], 2, "missing.jsonl: no ledger there"),
        (["verify", ROW, "--device", "tpu:0"], 3, "--device tpu:0: expected cpu, cuda or cuda:N"),
        (["verify", ROW, "--protocol", "nope"], 2, "unknown protocol 'nope'"),
        (["verify", "isnet_resnet50os8_lip", "--metric", "miou_ms_flip"], 5, "no chosen checkpoint claims"),
        (["verify", ROW, "--out", "."], 2, "--out .: expected a file that can be written, found a folder"),
        (["verify", ROW, "--ledger", "/dev/null/x"], 2, "--ledger /dev/null/x: expected a file that can be"),
        (["verify", ROW, "--tolerance", "nan"], 2, "expected points from 0 on, such as 0.1, found 'nan'"),
        (["verify", ROW, "--tolerance", "1_0"], 2, "expected points from 0 on, such as 0.1, found '1_0'"),
        (["compare", "a", "b", "--within", "１"], 2, "such as 0.05, found '１'"),  # noqa: RUF001  (a digit that float() takes)
        (["diagnose", ROW, "--value", "７３.2"], 2, "expected a percentage such as 71.92, found '７３.2'"),  # noqa: RUF001
        (["frobnicate"], 2, "invalid choice: 'frobnicate'"),
    ],
)
def test_mistakes_have_one_message_and_a_code(capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = zoo(capsys, *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("zoo: ")
    assert message in err
    assert "Traceback" not in err


def test_a_dry_run_says_whose_weights_it_would_measure(capsys, tmp_path):
    """The file that is named, which needs no download."""
    file = tmp_path / "mine.pth"
    file.write_bytes(b"")
    code, out, _ = zoo(capsys, "verify", ROW, "--file", file, "--data-root", tmp_path, "--dry-run")
    assert (code, out.splitlines()[2].split()[:2]) == (0, [ROW, str(file)])
    assert zoo(capsys, "verify", "isanet_*", "--file", file, "--dry-run")[0] == 2


def test_broken_yaml_names_the_line(capsys, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text("version: 1\ncheckpoints: [\n  }\n")
    code, _, err = zoo(capsys, "list", "--manifest", path)
    assert code == 2
    assert f"{path}:3" in err


def test_a_misspelt_key_is_named_with_its_neighbour(capsys, demo_zoo):
    path = demo_zoo / "zoo.yaml"
    path.write_text(path.read_text().replace("    flip: true", "    filp: true"))
    code, _, err = zoo(capsys, "list", "--manifest", path)
    assert code == 2
    assert "filp" in err
    assert "flip" in err.replace("filp", "")


def test_verify_reproduces_stores_and_reports(capsys, demo_zoo):
    """Measured once, the number comes from evidence the second time and from the ledger in the report."""
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json")
    verdict = json.loads(out)[0]
    assert (code, verdict["status"], verdict["published"]) == (0, "reproduced", "76.63")
    assert verdict["measured"] == pytest.approx(76.6284764748448, abs=0.01)
    assert verify(capsys, demo_zoo, "--metric", "miou")[0] == 0
    ledger = demo_zoo.parent / "results/measurements.jsonl"
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [record["new_images"] for record in records] == [12]
    code, out, _ = zoo(capsys, "report", DEMO, "--manifest", demo_zoo / "zoo.yaml", "--json")
    statuses = {verdict["metric"]: verdict["status"] for verdict in json.loads(out)}
    assert (code, statuses) == (0, {"miou": "reproduced", "miou_ms_flip": "not measured"})


def test_counts_of_two_forms_are_on_record_as_both_and_a_form_that_stored_counts_lack_is_told(
    capsys, caplog, demo_zoo
):
    """What a figure's counts were made with is never that of the last of them alone."""
    for number, form in ((1, "folded"), (1, "published"), (2, "published"), (3, "winograd")):
        assert verify(capsys, demo_zoo, "--metric", "miou", "--limit", number, "--form", form)[0] == 0
    (told,) = caplog.messages
    assert told == (
        f"{DEMO}: the answer is of stored counts, made in form folded and not made again in form published: "
        "that needs an evidence file of its own (--evidence FILE)"
    )
    ledger = demo_zoo.parent / "results/measurements.jsonl"
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [record["environment"]["network"] for record in records] == [
        "folded",
        "folded and published",
        "folded and published and winograd",
    ]


def test_another_protocol_gives_another_number(capsys, counted_zoo):
    """Stored evidence of one protocol is never taken for another's, nor is the figure held against the claim."""
    path = counted_zoo / "zoo.yaml"
    narrow = "  narrow:\n    base_scale: [256, 128]\n\ncheckpoints:"
    path.write_text(path.read_text().replace("\ncheckpoints:", narrow, 1))
    code, out, _ = verify(capsys, counted_zoo, "--metric", "miou", "--protocol", "narrow", "--json")
    (verdict,) = json.loads(out)
    assert (code, verdict["status"]) == (0, "not comparable")
    assert verdict["reason"] == "measured by narrow, the figure is by mmseg-streets-whole"
    assert abs(verdict["measured"] - 76.63) > 1


def test_a_refuted_claim_exits_1(capsys, counted_zoo):
    path = counted_zoo / "zoo.yaml"
    path.write_text(path.read_text().replace('"76.63"', '"77.63"'))
    code, out, _ = verify(capsys, counted_zoo, "--metric", "miou", "--json")
    assert (code, json.loads(out)[0]["status"]) == (1, "refuted")


def test_without_data_nothing_is_measured_and_the_reason_is_told(capsys, demo_zoo, tmp_path):
    code, out, _ = verify(capsys, demo_zoo, "--data-root", tmp_path / "empty", "--json")
    assert code == 3
    assert {verdict["status"] for verdict in json.loads(out)} == {"not measured"}
    assert all("Streets (demo) not found under" in verdict["reason"] for verdict in json.loads(out))


def test_an_image_without_label_is_named(capsys, demo_zoo):
    (demo_zoo / "annotations/val/street_003.png").unlink()
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json")
    assert code == 3
    assert json.loads(out)[0]["reason"].startswith("1 of 12 images could not be used, the rest is kept: ")
    assert "annotations/val/street_003.png: the label file is missing" in json.loads(out)[0]["reason"]


def test_a_corrupt_image_is_named_and_mended_cheaply(capsys, demo_zoo):
    """After the file is copied again only that one image is measured."""
    image = demo_zoo / "images/val/street_007.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json")
    assert code == 3
    assert "street_007.jpg: the image has no proper end" in json.loads(out)[0]["reason"]
    image.write_bytes(whole)
    assert verify(capsys, demo_zoo, "--metric", "miou")[0] == 0
    ledger = demo_zoo.parent / "results/measurements.jsonl"
    assert [json.loads(line)["new_images"] for line in ledger.read_text().splitlines()] == [1]


def cached_weights(root):
    return next((root.parent / "zoo-home/weights" / DEMO).iterdir())


def test_truncated_weights_exit_4(capsys, demo_zoo):
    path = cached_weights(demo_zoo)
    path.write_bytes(path.read_bytes()[:-1000])
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json")
    assert code == 4
    assert "sha256 does not agree with the published one" in json.loads(out)[0]["reason"]


def test_a_downloaded_file_is_measured_where_it_lies(capsys, demo_zoo):
    """No cache is asked; the file is held to the published hash, and another row's is refused."""
    downloads = demo_zoo.parent / "downloads"
    downloads.mkdir()
    shutil.move(cached_weights(demo_zoo), downloads / "mine.pth")
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json", "--file", downloads / "mine.pth")
    assert (code, json.loads(out)[0]["status"]) == (0, "reproduced")
    other = next((demo_zoo / "weights").glob("isnet*"))
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json", "--file", other)
    assert code == 4
    assert "does not agree with the published one" in json.loads(out)[0]["reason"]
    assert f"zoo check-weights {DEMO} --file {other}" in json.loads(out)[0]["reason"]
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json", "--file", downloads / "nothing.pth")
    assert (code, json.loads(out)[0]["status"]) == (3, "not measured")
    code, _, err = zoo(capsys, "verify", "--manifest", demo_zoo / "zoo.yaml", "--file", other)
    assert (code, err) == (2, "zoo: --file belongs to one checkpoint; 2 were selected\n")


def test_weights_of_another_architecture_exit_4(capsys, demo_zoo):
    path = demo_zoo / "zoo.yaml"
    path.write_text(path.read_text().replace("depth: 50", "depth: 101"))
    code, out, _ = verify(capsys, demo_zoo, "--metric", "miou", "--json")
    assert code == 4
    assert "backbone.layer3" in json.loads(out)[0]["reason"]


def test_tables_can_be_written_to_a_file(capsys, counted_zoo, tmp_path):
    target = tmp_path / "new/table.md"
    code, out, _ = verify(capsys, counted_zoo, "--metric", "miou", "--format", "md", "--out", target)
    assert (code, out) == (0, "")
    assert "76.63" in target.read_text()


def test_schema_is_json_schema(capsys):
    code, out, _ = zoo(capsys, "schema")
    assert code == 0
    assert "$defs" in json.loads(out)


def test_doctor_says_what_is_missing(capsys, tmp_path):
    code, out, _ = zoo(capsys, "doctor", "--json", "--data-root", tmp_path, "--manifest", full_zoo.PATH)
    findings = json.loads(out)
    assert code == 0
    assert findings["cache"] | {"free_gib": 0} == {
        "folder": str(tmp_path / "zoo-home"), "writable": True, "free_gib": 0, "fetched": 0, "of": len(full_zoo.ZOO),
    }  # fmt: skip
    assert {name: found["found"] for name, found in findings["datasets"].items()} == dict.fromkeys(
        full_zoo.ZOO.datasets, False
    )
    assert f"not found under {tmp_path}" in findings["datasets"]["cityscapes"]["missing"]


def test_fetch_dry_run_downloads_nothing(capsys, tmp_path):
    code, out, _ = zoo(capsys, "fetch", ROW, "--dry-run")
    assert code == 0
    assert out.startswith(f"{ROW}: download, {tmp_path / 'zoo-home'}")


def test_a_closed_pipe_is_no_error():
    """`zoo list | head -1` ends quietly."""
    done = subprocess.run(
        f"{sys.executable} -c 'from segbench.zoo.cli import main; raise SystemExit(main([\"list\", \"--json\"]))' | head -1",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "[\n"
    assert done.stderr == ""


def test_check_weights_tells_of_good_and_absent_files(capsys, demo_zoo):
    """The fetched row is sound; the other one is not there, which is exit 3."""
    code, out, _ = zoo(capsys, "check-weights", "--manifest", demo_zoo / "zoo.yaml", "--json")
    reports = {report["checkpoint"]: report for report in json.loads(out)}
    assert code == 3
    assert reports[DEMO]["ok"]
    assert [finding["gravity"] for finding in reports["isnet_resnet50os8_w16_streets"]["findings"]] == [
        "absent"
    ]


def test_check_weights_refuses_another_rows_file(capsys, demo_zoo):
    other = demo_zoo / "weights/isnet_resnet50os8_w16_streets.pth"
    code, _, _ = zoo(capsys, "check-weights", DEMO, "--manifest", demo_zoo / "zoo.yaml", "--file", other)
    assert code == 4


def test_a_converted_file_verifies_like_the_original(capsys, demo_zoo, tmp_path):
    target = tmp_path / "demo.safetensors"
    manifest = ("--manifest", demo_zoo / "zoo.yaml")
    assert zoo(capsys, "convert", DEMO, cached_weights(demo_zoo), target, *manifest)[0] == 0
    digests = []
    for file in (target, cached_weights(demo_zoo)):
        _, out, _ = zoo(capsys, "check-weights", DEMO, *manifest, "--file", file, "--json")
        digests.append(json.loads(out)[0]["content_digest"])
    assert digests[0] == digests[1]
    code, _, err = zoo(capsys, "convert", DEMO, tmp_path / "missing.pth", target, *manifest)
    assert code == 4
    assert "missing.pth" in err


def test_unsafe_loading_warns(capsys, demo_zoo):
    _, _, err = zoo(capsys, "check-weights", DEMO, "--manifest", demo_zoo / "zoo.yaml", "--unsafe-load")
    assert "zoo: warning: --unsafe-load runs whatever code a checkpoint contains" in err
