"""`zoo export`: what other tools read is what the authors print and what the ledger has, told apart."""

import csv
import io
from pathlib import Path

import full_zoo
import pytest
import yaml
from full_zoo import ZOO

from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.measuring.training_memory import claim_protocol
from segbench.zoo.quantities.fps import claim_digest

ROW = ZOO["isnet_resnet50os8_cityscapes"]


@pytest.fixture
def measured(tmp_path):
    """A ledger with one measurement of the row's ms+flip figure."""
    path = tmp_path / "measurements.jsonl"
    protocol = ROW.protocol("miou_ms_flip")
    record = Measurement(
        checkpoint=ROW.id,
        metric="miou_ms_flip",
        value=81.3149,
        protocol=protocol.name,
        protocol_digest=protocol.digest(),
        weights_sha256="0" * 64,
        dataset="cityscapes",
        dataset_fingerprint="",
        image_count=500,
        seconds=1.0,
        new_images=500,
        precision="fp32",
        environment={},
        taken_at="2026-11-21T09:00:00+00:00",
    )
    ledger.append(path, record)
    return path


def export(capsys, *arguments):
    assert main(["export", "--manifest", str(full_zoo.PATH), *map(str, arguments)]) == 0
    return capsys.readouterr().out


def values(index):
    return [
        (model["name"], metric["name"], metric["value"])
        for model in index["model-index"]
        for result in model["results"]
        for metric in result["metrics"]
    ]


def test_the_model_index_has_every_printed_figure_and_no_other(capsys):
    index = yaml.safe_load(export(capsys))
    found = [(name, value) for name, _, value in values(index)]
    assert found == [(one.id, float(claim.printed)) for one in ZOO for claim in current(one)]
    results = [result for model in index["model-index"] for result in model["results"]]
    assert {result["task"]["type"] for result in results} == {"image-segmentation"}
    assert {metric["verified"] for result in results for metric in result["metrics"]} == {False}


def current(row):
    """The last state of each figure, in the order of the documents they cite."""
    claims = list({claim.metric: claim for claim in row.published}.values())
    documents = list(dict.fromkeys(claim.source.document for claim in claims))
    return sorted(claims, key=lambda claim: documents.index(claim.source.document))


def test_printed_decimals_and_places_are_kept(capsys):
    text = export(capsys, "isanet_r50-d8_769x769_40k_cityscapes")
    (result,) = yaml.safe_load(text)["model-index"][0]["results"]
    assert [metric["args"]["printed"] for metric in result["metrics"]] == ["78.70", "80.28", "6.759", "1.54"]
    assert {metric["args"]["where"] for metric in result["metrics"]} == {"Cityscapes, row 3"}
    assert "value: 78.70\n" in text
    assert result["metrics"][0]["value"] == 78.7


def test_reported_and_measured_values_are_named(capsys, measured):
    index = yaml.safe_load(export(capsys, ROW.id, "--ledger", measured))
    assert values(index) == [
        (ROW.id, "mIoU, reported", 79.32),
        (ROW.id, "mIoU(ms+flip), reported, 2024-12-03", 81.31),
        (ROW.id, "mIoU(ms+flip), measured 2026-11-21", 81.31),
    ]
    sources = [result.get("source", {}).get("url") for result in index["model-index"][0]["results"]]
    assert sources == [
        ZOO.documents["ssseg-isnet-readme-2021"].url,
        ZOO.documents["ssseg-isnet-readme"].url,
        None,
    ]


def test_hugging_faces_own_reader_takes_it(capsys, measured):
    reader = pytest.importorskip(
        "huggingface_hub.repocard_data", reason="huggingface_hub is not installed (pip install -e .[test])"
    )
    index = yaml.safe_load(export(capsys, "--ledger", measured))["model-index"]
    for model, row in zip(index, ZOO, strict=True):
        name, results = reader.model_index_to_eval_results([model])
        assert name == row.id
        assert len(results) == len(current(row)) + (row.id == ROW.id)
        assert all(result.dataset_name == row.dataset_spec.title for result in results)
        card = reader.ModelCardData(model_name=name, eval_results=results)
        assert [one["name"] for one in card.to_dict()["model-index"]] == [row.id]


def test_the_csv_has_every_claim_as_printed(capsys, measured):
    lines = list(csv.DictReader(io.StringIO(export(capsys, "--format", "csv", "--ledger", measured))))
    claims = [(one, claim) for one in ZOO for claim in one.claims]
    assert [(line["checkpoint"], line["metric"], line["printed"], line["row"]) for line in lines] == [
        (one.id, claim.metric, claim.printed or "", str(claim.source.row)) for one, claim in claims
    ]
    assert [line["measured"] for line in lines if line["measured"]] == ["81.31", "81.31"]


def test_measured_training_memory_and_speed_are_exported(capsys, tmp_path):
    """Their protocols are no EvalProtocol of the manifest: the digest is the claim's own."""
    row, path = ZOO["isanet_r50-d8_512x1024_40k_cityscapes"], tmp_path / "measurements.jsonl"
    digests = {"train_memory": claim_protocol(row).digest(), "fps": claim_digest(row, "cityscapes")}
    for metric, value in (("train_memory", 5.8653), ("fps", 2.876)):
        record = Measurement(
            checkpoint=row.id,
            metric=metric,
            value=value,
            protocol="own",
            protocol_digest=digests[metric],
            weights_sha256="",
            dataset="cityscapes" if metric == "fps" else "",
            dataset_fingerprint="",
            image_count=200,
            seconds=1.0,
            new_images=0,
            precision="fp32",
            environment={"device": "cpu"},
            taken_at="2026-11-21T09:00:00+00:00",
        )
        ledger.append(path, record)
    index = yaml.safe_load(export(capsys, row.id, "--ledger", path))
    measured = index["model-index"][0]["results"][-1]["metrics"]
    assert {one["args"]["device"] for one in measured} == {"cpu"}
    assert [(one["name"], one["value"]) for one in measured] == [
        ("Mem (GB), measured 2026-11-21", 5.865),
        ("Inf time (fps), measured 2026-11-21", 2.88),
    ]
    lines = csv.DictReader(io.StringIO(export(capsys, row.id, "--format", "csv", "--ledger", path)))
    assert [line["measured"] for line in lines] == ["", "", "5.865", "2.88"]


def test_this_repositorys_own_ledger_is_exported_whole(capsys):
    path = Path(__file__).parents[3] / "results" / "measurements.jsonl"
    text = export(capsys, "--format", "csv", "--ledger", path)
    measured = {line["checkpoint"] for line in csv.DictReader(io.StringIO(text)) if line["measured"]}
    assert measured == {record.checkpoint for record in ledger.read(path, Measurement)}


def test_it_can_be_written_to_a_file(capsys, tmp_path):
    target = tmp_path / "cards" / "card.yaml"
    assert export(capsys, ROW.id, "--out", target) == ""
    assert target.read_text(encoding="utf-8") == export(capsys, ROW.id)


def test_an_absent_ledger_is_a_usage_error(capsys, tmp_path):
    assert main(["export", "--ledger", str(tmp_path / "none.jsonl")]) == 2
    assert "no ledger there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "first"),
    [("card.yaml", "model-index:"), ("claims.csv", "checkpoint,publisher"), ("card", "model-index:")],
)
def test_the_files_suffix_says_the_form(tmp_path, capsys, name, first):
    assert export(capsys, ROW.id, "--out", tmp_path / name) == ""
    assert (tmp_path / name).read_text("utf-8").startswith(first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--out", "claims.json"],
            "claims.json: its suffix names no format; end it in .yaml, .yml, .md, .csv, or add --format",
        ),
        (
            ["--out", "a.csv", "--format", "model-index"],
            "a.csv: its suffix says csv, --format says model-index; change one of them",
        ),
    ],
)
def test_a_suffix_that_names_no_form_or_another_is_refused(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["export", ROW.id, *arguments]) == 2
    assert (capsys.readouterr().err, [one for one in tmp_path.iterdir() if one.name != "zoo-home"]) == (
        f"zoo: {message}\n",
        [],
    )


def test_rows_that_print_nothing_are_named_and_depth_is_no_segmentation(capsys, caplog):
    assert main(["export", "fcn_unets5os16_drive", "vpd_sd_4xb8-25k_nyu-480x480"]) == 0
    out = capsys.readouterr().out
    [model] = yaml.safe_load(out)["model-index"]
    assert model["results"][0]["task"] == {"type": "depth-estimation", "name": "Depth Estimation"}
    assert caplog.messages == ["no figure is printed of fcn_unets5os16_drive: left out"]
