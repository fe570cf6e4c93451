"""The packaged rows that came from documents: made again they are the same, and another reading of them agrees."""

import json
import lzma
import re
from collections import Counter
from decimal import Decimal

import golden_files
import msgspec
import published_rows
import pytest
import yaml
import zoo_index

from segbench.reports.metrics import METRICS
from segbench.zoo.manifest import CheckpointEntry, load_manifest
from segbench.zoo.publishers.configs.mmseg_networks import mmseg_network
from segbench.zoo.publishers.configs.parts import Unbuilt
from segbench.zoo.publishers.import_documents import entries_of

ZOO = load_manifest()
ROWS = {url: one for one in ZOO if one.publisher == "mmsegmentation" for url in one.weights.urls}
FACTS = json.loads(lzma.decompress((golden_files.GOLDEN / "facts/mmseg_rows.json.xz").read_bytes()))
"""The 626 rows of mmsegmentation 1.2.2's metafiles with the ms of 0.30.0's, parsed by another program."""


def entry(row):
    return {name: getattr(row, name) for name in CheckpointEntry.__struct_fields__}


def latest(row, metric):
    printed = [claim.printed for claim in row.claims if claim.metric == metric]
    return printed[-1] if printed else None


# Made again


@pytest.mark.slow
def test_mmsegmentations_documents_give_the_packaged_files_again(tmp_path):
    texts = published_rows.mmsegmentation(published_rows.unpacked("mmsegmentation", tmp_path))
    different = [
        path for path, text in texts.items() if (published_rows.PUBLISHED / path).read_text("utf-8") != text
    ]
    assert different == [], "run tests/support/published_rows.py mmsegmentation"
    assert {path.name for path in (published_rows.PUBLISHED / "mmsegmentation").iterdir()} == {
        *(path.name for path in texts),
        "isanet.yaml",
        "publisher.yaml",
    }


@pytest.mark.slow
def test_the_short_form_loses_nothing_of_a_row(tmp_path, monkeypatch):
    made = {}

    def keep(states, known):
        found = entries_of(states, known)
        made.update({one.id: entry(one) for one in found})
        return found

    monkeypatch.setattr(published_rows, "entries_of", keep)
    published_rows.mmsegmentation(published_rows.unpacked("mmsegmentation", tmp_path))
    assert len(made) == 610
    counted = {"parameters": None, "cost": None}  # of no document: zoo/published/counted.json has them
    assert {name: entry(ZOO[name]) | counted for name in made} == made


# Another reading


def test_every_file_with_its_hash_and_configuration_is_a_row():
    assert len(FACTS) == 626
    assert len({ROWS[fact["weights"]].id for fact in FACTS}) == 626
    assert len({one.id for one in ROWS.values()}) == 626
    for fact in FACTS:
        row = ROWS[fact["weights"]]
        assert row.weights.sha256_prefix == fact["hash8"]
        assert row.config_urls[0].endswith(f"/{fact['config']}")


@pytest.mark.parametrize(
    ("metric", "field"), [("miou", "mIoU"), ("miou_ms_flip", "mIoU_ms_flip"), ("train_memory", "memory_gb")]
)
def test_every_figure_is_the_documents(metric, field):
    different = {
        row.id: (found, fact[field])
        for fact in FACTS
        for row in [ROWS[fact["weights"]]]
        if (found := latest(row, metric)) is not None or fact[field] is not None
        if found is None or fact[field] is None or float(found) != float(fact[field])
    }
    # 1.2.2 leaves out PoolFormer's second numbers, which 0.30.0 prints.
    poolformer = {name for name in different if name.startswith("fpn_poolformer_")}
    assert different.keys() == (poolformer if metric == "miou_ms_flip" else set())
    assert len(poolformer) == (5 if metric == "miou_ms_flip" else 0)


def test_other_metrics_are_the_documents():
    found = {
        (ROWS[fact["weights"]].id, name, float(latest(ROWS[fact["weights"]], name.lower())), float(value))
        for fact in FACTS
        for name, value in (fact["other_metrics"] or {}).items()
    }
    assert len(found) == 24 * 2 + 2
    assert all(ours == theirs for _, _, ours, theirs in found)


def test_speed_has_as_many_digits_as_the_ms_leave_certain():
    digits = Counter()
    for fact in FACTS:
        printed, ms = latest(ROWS[fact["weights"]], "fps"), fact["ms_per_image_0x"]
        if ms is None or printed is None:
            continue
        half = Decimal("0.005")
        places = Decimal(1).scaleb(-len(printed.partition(".")[2]))
        ends = {(1000 / (Decimal(str(ms)) + side)).quantize(places) for side in (half, -half)}
        assert ends == {Decimal(printed)}, fact["name"]
        digits[len(printed.partition(".")[2])] += 1
    assert digits[2] > 300
    assert sum(digits.values()) == sum(fact["ms_per_image_0x"] is not None for fact in FACTS)


def test_what_rows_are_is_what_the_documents_say_but_where_those_contradict_the_weights():
    """The row follows the file, and 0.30.0, which says more than 1.2.2's names."""
    different = {"backbone": set(), "crop": set(), "schedule": set(), "dataset": set(), "batch": set()}
    for fact in FACTS:
        row = ROWS[fact["weights"]]
        theirs = {
            "backbone": fact["backbone"],
            "crop": fact["crop"],
            "schedule": (fact["schedule"] or row.schedule).replace("k", "000"),
            "dataset": fact["dataset_fixed"].replace("_", " "),
            "batch": fact["batch_size"],
        }
        ours = {
            "backbone": row.backbone,
            "crop": f"{row.crop[0]}x{row.crop[1]}",
            "schedule": row.schedule,
            "dataset": row.dataset_spec.title.replace("_", " "),
            "batch": row.training.gpus * row.training.batch_per_gpu,
        }
        for name, rows in different.items():
            if ours[name] != theirs[name]:
                rows.add(row.id)
    assert (different["crop"], different["dataset"]) == (set(), set())
    # The name says 160k; the file, or 0.30.0, another schedule.
    assert different["schedule"] == {
        "deeplabv3plus_r101-d8_512x512_80k_ade20k",
        "ocrnet_hr18_512x512_160k_ade20k",
        "ocrnet_hr18s_512x512_160k_ade20k",
        "upernet_beit-large_fp16_8x1_640x640_160k_ade20k",
    }
    # The configuration trains on another batch than 1.2.2's metafile says.
    assert different["batch"] == {
        "cgnet_680x680_60k_cityscapes",
        *(f"fastfcn_r50-d32_jpu_{head}_4x4_512x1024_80k_cityscapes" for head in ("aspp", "enc", "psp")),
        "san-vit-b16",
        "san-vit-l14",
    }
    # 0.30.0 says more: `M-V3-D8 (scratch)`, `ViT-B + MLN`; or less: `SVT-S`, which is `Twins-SVT-S` since.
    for name in different["backbone"]:
        assert re.search(r"scratch|rsb|MLN|PCPVT|SVT", ZOO[name].backbone), name


@pytest.mark.golden
@pytest.mark.slow
def test_rows_have_the_recorded_networks():
    """`fpn_r101`: the recording followed 1.2.2's configuration, which assigns its model twice and is R-50 by that."""
    path = zoo_index.REFERENCE / "golden" / "mmseg_zoo" / "index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    seen, different, compared = Counter(), [], 0
    for fact in FACTS:
        seen[fact["name"]] += 1
        repeated = f"#{seen[fact['name']]}" if seen[fact["name"]] > 1 else ""
        known, row = index["rows"].get(fact["name"] + repeated), ROWS[fact["weights"]]
        if known is None or "builder" in row.architecture:
            continue
        try:
            network = mmseg_network(zoo_index.whole(known["entry"], index["entries"][known["entry"]]))
        except Unbuilt:
            assert row.not_built
            continue
        network |= {"align_corners": known["align_corners"]}
        network |= {"num_classes": known["num_classes"] or network["num_classes"]}
        compared += 1
        different += [row.id] if msgspec.to_builtins(network) != row.architecture else []
    assert compared > 500
    assert different == ["fpn_r101_512x512_160k_ade20k"]


# Protocols


def test_no_protocol_stands_under_two_names():
    names = {}
    for name, protocol in ZOO.protocols.items():
        names.setdefault(protocol.digest(), []).append(name)
    assert [found for found in names.values() if len(found) > 1] == []


def test_every_accuracy_has_a_protocol_or_a_reason():
    reasons = Counter(
        claim.note
        for one in ZOO
        for claim in one.published
        if "protocol" in METRICS[claim.metric].claim_needs and claim.protocol is None
    )
    assert all(reasons)
    # mmsegmentation's ResizeToMultiple.
    twice = {
        one.id: protocol.resize_divisor
        for one in ZOO
        for protocol in one.protocols.values()
        if protocol.resize_divisor > 1
    }
    assert twice == {one.id: 32 for one in ZOO if one.id.startswith("fpn_poolformer_")}
    assert len(twice) == 5


def test_a_files_figures_are_by_the_release_that_made_them():
    """ms+flip of what 0.x made rests on base scales, of what 1.x made on the images' own sizes."""
    views = {
        name: ZOO[name].protocol("miou_ms_flip").views
        for name in ("segformer_mit-b0_512x512_160k_ade20k", "segnext_mscan-t_1x16_512x512_adamw_160k_ade20k")
    }
    assert views == {
        "segformer_mit-b0_512x512_160k_ade20k": "base_scale",
        "segnext_mscan-t_1x16_512x512_adamw_160k_ade20k": "image_scale",
    }


def test_a_figure_of_a_file_that_was_replaced_stays_as_such():
    row = ZOO["segformer_mit-b0_512x512_160k_ade20k"]
    old, new = (claim for claim in row.claims if claim.metric == "miou")
    assert (old.printed, old.date, new.printed, new.supersedes, new.date) == (
        "37.85", "2023-01-11", "37.41", "37.85", "2023-12-14",
    )  # fmt: skip
    assert old.note == "of an earlier file, -c00b9603.pth"


@pytest.mark.slow
def test_every_figure_and_name_of_the_older_release_stands_in_its_row(tmp_path):
    folder = published_rows.unpacked("mmsegmentation", tmp_path) / "0.30.0"
    models = [
        model
        for path in folder.glob("*.yml")
        for model in yaml.load(path.read_text("utf-8"), yaml.BaseLoader)["Models"]
    ]
    metrics = {"mIoU": "miou", "mIoU(ms+flip)": "miou_ms_flip", "mDice": "mdice", "Dice": "dice"}
    gone, lost = set(), []
    for model in models:
        if model["Name"] not in ZOO:
            gone.add(model["Name"].partition("_5")[0].partition("_6")[0])
            continue
        row = ZOO[model["Name"]]
        printed = {(claim.metric, Decimal(claim.printed)) for claim in row.published}
        figures = {
            (metrics[name], Decimal(text))
            for result in model["Results"]
            for name, text in result["Metrics"].items()
        }
        lost += [(row.id, *figure) for figure in figures - printed]
        if "inference time (ms/im)" in model["Metadata"] and "fps" not in dict(printed):
            lost.append((row.id, "fps", None))
    assert len(models) == 602
    assert lost == []
    # Nine that 1.2.2 lists no more.
    assert gone == {
        "segmenter_vit-l_mask_8x1",
        "upernet_r18",
        "upernet_swin_large_patch4_window12",
        "upernet_swin_large_patch4_window7",
    }
