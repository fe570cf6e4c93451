"""sssegmentation's 449 rows: made again of its pages and configurations, and held against a reading of both made apart."""

import json
import lzma
import re
from collections import Counter

import published_rows
import pytest
import zoo_index
from golden_files import GOLDEN

from segbench.zoo.manifest import load_manifest
from segbench.zoo.publishers.configs.parts import Unbuilt

BEIT_LARGE = "upernet_beitlarge_ade20k"
"""The facts were read in one process with BEiT-base, whose file changes the settings that both share; a test reads one."""
COLUMNS = {
    "mIoU/mIoU (flip)/mIoU (ms+flip)": ("miou", "miou_flip", "miou_ms_flip"),
    "mIoU/mIoU (flip)": ("miou", "miou_flip"),
    "mIoU/mIoU(flip)": ("miou", "miou_flip"),
    "mIoU/mIoU (ms+flip)": ("miou", "miou_ms_flip"),
    "mIoU/mIoU(ms+flip)": ("miou", "miou_ms_flip"),
    "mIoU (ms+flip)": ("miou_ms_flip",),
    "mIoU (EMA)": ("miou",),
    "mIoU": ("miou",),
    "mDice": ("mdice",),
    "Dice": ("dice",),
}


@pytest.fixture(scope="module")
def rows():
    return {row.weights.urls[0]: row for row in load_manifest() if row.publisher == "sssegmentation"}


@pytest.fixture(scope="module")
def facts():
    """Weights' address -> what a reader of its own found on the page and in the configuration."""
    found = json.loads(lzma.decompress((GOLDEN / "facts/ssseg_rows.json.xz").read_bytes()))
    return {one["weights"]: one for one in found}


@pytest.mark.slow
def test_the_pages_and_configurations_give_the_packaged_files(tmp_path):
    files = published_rows.sssegmentation(published_rows.unpacked("sssegmentation", tmp_path))
    for path, text in files.items():
        assert (published_rows.PUBLISHED / path).read_text(encoding="utf-8") == text, path


def test_every_row_prints_what_its_page_does_in_the_page_s_order(rows, facts):
    assert len(rows) == 449
    assert rows.keys() == facts.keys()
    for address, fact in facts.items():
        row = rows[address]
        crop = f"{row.crop[0]}x{row.crop[1]}"
        assert [row.segmentor, row.pretrain or "-", row.backbone, crop, row.schedule, row.train_eval_set] == [
            fact.get("Segmentor", "") if row.method not in ("ISANet", "ISNet") else "",
            fact["Pretrain"] if row.method != "ISNet" else "-",
            fact["Backbone"],
            fact["Crop Size"],
            fact["Schedule"],
            fact["Train/Eval Set"],
        ]
        assert row.dataset_spec.split.startswith(re.split(r"[/ ]", fact["Train/Eval Set"])[-1])
        assert fact["config"] in row.config_urls
        figures = {claim.metric: claim.printed for claim in row.claims}
        for column in COLUMNS.keys() & fact.keys():
            texts = [text.removesuffix("%") or None for text in fact[column].split("/")]
            assert [figures[metric] for metric in COLUMNS[column]] == texts, row.id


def test_every_accuracy_has_the_protocol_of_its_configuration(rows, facts):
    for address, fact in facts.items():
        row, test = rows[address], fact["cfg_inference"]
        resize = dict(fact["cfg_test"]).get("Resize")
        metric = (
            "miou_ms_flip"
            if len(test["tta"]["multiscale"]) > 1
            else "mdice"
            if row.method == "UNet"
            else "miou"
        )
        for claim in row.published:
            assert claim.protocol, row.id
        if metric not in row.protocols or resize is None:
            continue
        protocol = row.protocols[metric]
        window = protocol.window
        assert {
            "scale": list(protocol.base_scale),
            "ratio": protocol.keep_ratio,
            "mode": "slide" if window else "whole",
            "cropsize": window and list(window.crop),
            "stride": window and list(window.stride),
            "multiscale": list(protocol.scales),
            "flip": protocol.flip,
            "use_probs_before_resize": (protocol.average, protocol.softmax_at) == ("probabilities", "window"),
            "align": protocol.align_corners,
            "mean": list(protocol.mean),
            "std": list(protocol.std),
        } == {
            "scale": resize["output_size"],
            "ratio": resize["keep_ratio"],
            **test["forward"],
            **test["tta"],
            **({"use_probs_before_resize": False} if row.id == BEIT_LARGE else {}),
            "align": fact["cfg_align"],
            **dict(fact["cfg_test"])["Normalize"],
        }, row.id  # fmt: skip


def test_second_and_third_numbers_are_by_the_settings_that_stand_in_quotes(rows):
    """Counted in the configurations by eye; Cityscapes' ms+flip of MCIBI and MCIBI++ is what those files run."""
    found = Counter(
        (row.dataset, claim.metric, claim.protocol)
        for row in rows.values()
        for claim in {one.metric: one for one in row.published if "flip" in one.metric}.values()
    )
    assert found == {
        ("ade20k", "miou_ms_flip", "ssseg-ade20k-whole-ms-flip-probs"): 7,
        ("ade20k", "miou_ms_flip", "ssseg-2048x512-whole-3-scales-flip-probs"): 1,
        ("ade20k", "miou_ms_flip", "ssseg-2048x512-slide-512x512-ms-flip-probs"): 2,
        ("ade20k", "miou_ms_flip", "ssseg-2560x640-slide-640x640-ms-flip-probs"): 2,
        ("cocostuff10k", "miou_ms_flip", "ssseg-ade20k-whole-ms-flip-probs"): 2,
        ("cocostuff10k", "miou_ms_flip", "ssseg-2048x512-whole-ms-flip-scores"): 1,
        ("cocostuff10k", "miou_ms_flip", "ssseg-2048x512-whole-3-scales-flip-probs"): 1,
        ("cocostuff10k", "miou_ms_flip", "ssseg-2048x512-slide-512x512-ms-flip-probs"): 1,
        ("cocostuff10k", "miou_ms_flip", "ssseg-2048x512-slide-512x512-5-scales-flip-probs"): 1,
        ("cocostuff10k", "miou_ms_flip", "ssseg-2560x640-slide-640x640-ms-flip-probs"): 1,
        ("cocostuff10k", "miou_ms_flip", "ssseg-cocostuff10k-whole-ms-flip-probs"): 3,
        ("cocostuff10k", "miou_ms_flip", "ssseg-cocostuff10k-whole-ms-flip-scores"): 2,
        ("cityscapes", "miou_ms_flip", "ssseg-cityscapes-slide-512x1024-ms-flip-probs"): 2,
        ("cityscapes", "miou_ms_flip", "ssseg-cityscapes-slide-1024x512-ms-flip-scores"): 1,
        ("cityscapes_test", "miou_ms_flip", "ssseg-2048x1024-slide-1024x512-stride-341-ms-flip-probs"): 7,
        ("pascal_context_59", "miou_ms_flip", "ssseg-520x520-slide-480x480-ms-flip-probs"): 3,
        ("pascal_context_59", "miou_ms_flip", "ssseg-2560x640-slide-640x640-ms-flip-probs"): 1,
        ("lip", "miou_flip", "ssseg-lip-whole-flip-scores"): 12,
        ("lip", "miou_ms_flip", "ssseg-520x520-stretched-slide-473x473-3-scales-flip-probs"): 5,
    }


def test_a_network_scores_the_classes_of_its_data_set(rows):
    for row in rows.values():
        assert row.architecture["num_classes"] == len(row.dataset_spec.classes), row.id


@pytest.mark.golden
def test_every_built_network_is_the_recorded_one(rows):
    """Of the publisher's own list of networks, whose entries other tests run against its scores."""
    by_config = {row.config_urls[0].rpartition("/")[2].removesuffix(".py"): row for row in rows.values()}
    for entry in (one for one in zoo_index.entries() if one.layout == "ssseg"):
        for name in entry.record["row_configs"]:
            own = by_config[name].architecture
            try:
                assert own | {"num_classes": 0} == entry.architecture() | {"num_classes": 0}, name
            except Unbuilt:
                assert own.keys() == {"backbone", "head", "num_classes"}, name
