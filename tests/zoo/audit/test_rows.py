"""What documents say of their rows beside the figures: every wrong fact is found, once, at its own line."""

from pathlib import Path

import pytest
from planted_faults import YAML, ZOO, counted, counted_before, findings, replace
from publisher_pages import metafile, mmseg_readme, ssseg_readme

README, OLD, NEW = mmseg_readme(ZOO), metafile(ZOO, "0.18"), metafile(ZOO, "1.2")
SSSEG = ssseg_readme(ZOO, "ISANet")
FIRST, VOC = "isanet_r50-d8_512x1024_40k_cityscapes", "isanet_resnet50os8_voc"


def first(old, new):
    """An edit of the first of several places."""

    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


def pretrained(text):
    """A sssegmentation page with the Pretrain column of today."""
    lines = text.replace("| Crop Size |", "| Pretrain | Crop Size |").split("\n")
    return "\n".join(
        line.replace(" | 512x", " | ImageNet-1k-224x224 | 512x", 1) if line.startswith("| R-") else line
        for line in lines
    ).replace("| :-: " * 6 + "|", "| :-: " * 7 + "|")


FAULTS = {
    "name": (
        OLD,
        first("Name: isanet_r50-d8_512x1024_40k", "Name: isanet_r50-d8_512x1024_60k"),
        FIRST,
        "schedule 60k by name, 40k by the configuration's name and the weights' name",
    ),
    "data set": (
        OLD,
        first("Dataset: Cityscapes", "Dataset: ADE20K"),
        FIRST,
        "ade20k by data set",
    ),
    "training data": (
        NEW,
        first("Training Data: Cityscapes", "Training Data: ADE20K"),
        FIRST,
        "ade20k by training data",
    ),
    "backbone": (
        OLD,
        first("backbone: R-50-D8", "backbone: R-101-D8"),
        FIRST,
        "R-101 by backbone",
    ),
    "architecture": (
        NEW,
        first("- R-50-D8", "- R-101-D8"),
        FIRST,
        "R-101 by backbone",
    ),
    "schedule": (
        OLD,
        first("lr schd: 40000", "lr schd: 60000"),
        FIRST,
        "60k by schedule",
    ),
    "crop": (OLD, first("(512,1024)", "(769,769)"), FIRST, "769x769 by crop size"),
    "hardware": (OLD, first("hardware: V100", "hardware: A100"), FIRST, "device A100, V100 in the manifest"),
    "precision": (
        OLD,
        first("mode: FP32", "mode: FP16"),
        FIRST,
        "precision of the timing FP16, FP32 elsewhere",
    ),
    "timing batch": (
        OLD,
        first("batch size: 1", "batch size: 8"),
        FIRST,
        "batch of the timing 8, 1 elsewhere",
    ),
    "resources": (
        NEW,
        first("4x V100 GPUS", "8x V100 GPUS"),
        FIRST,
        "GPUs 4 by name and the configuration's name, 8 by training resources",
    ),
    "training device": (
        NEW,
        first("4x V100 GPUS", "4x A100 GPUS"),
        FIRST,
        "device A100, V100 in the manifest",
    ),
    "batch": (
        NEW,
        first("Batch Size: 8", "Batch Size: 16"),
        FIRST,
        "images a step 8 by name and the configuration's name, 16 by batch size",
    ),
    "device column": (README, first("| V100 |", "| A100 |"), FIRST, "device A100, V100 in the manifest"),
    "schedule column": (
        README,
        first("| 40000 |", "| 160000 |"),
        FIRST,
        "160k by schedule",
    ),
    "backbone of another row": (
        README,
        first("| R-50-D8 |", "| R-101-D8 |"),
        FIRST,
        "R-101 by backbone",
    ),
    "backbone column": (
        README,
        first("| R-50-D8 |", "| R-18-D8 |"),
        FIRST,
        "R-18 by backbone",
    ),
    "method column": (
        README,
        first("| ISANet |", "| PSPNet |"),
        FIRST,
        "method PSPNet, ISANet in the manifest",
    ),
    "train set": (
        SSSEG,
        first("trainaug/val", "train/val"),
        VOC,
        "train/eval set train/val, trainaug/val else",
    ),
    "pretraining": (
        pretrained(SSSEG),
        first("ImageNet-1k-224x224", "ImageNet-22k-224x224"),
        VOC,
        "pretraining ImageNet-22k-224x224, ImageNet-1k-224x224 in the other R-50-D8 rows",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fact", FAULTS)
def test_a_wrong_fact_of_a_row_is_the_only_new_finding_and_points_at_its_line(tmp_path, fact):
    page, plant, row, message = FAULTS[fact]
    sound, found = counted_before(page), findings(tmp_path, YAML, plant(page))
    assert list((counted(found) - sound).elements()) == [("row-differs", row)]
    assert not sound - counted(found)
    (one,) = [one for one in found if one.kind == "row-differs"]
    assert message in one.what
    lines = zip(page.splitlines(), plant(page).splitlines(), strict=True)
    (changed,) = [number for number, (old, new) in enumerate(lines, start=1) if old != new]
    assert changed in {place.line for place in one.where if Path(place.file).name == "page0"}


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, SSSEG])
def test_a_row_told_twice_is_found_with_both_lines_and_nothing_else(tmp_path, page):
    lines = page.split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith(("| ISANet", "| R-50")))
    twice = "\n".join([*lines[: place + 1], *lines[place:]])
    extra = counted(findings(tmp_path, YAML, twice)) - counted_before(page)
    assert [kind for kind, _ in extra.elements()] == ["duplicate-row"]
    (one,) = [one for one in findings(tmp_path, YAML, twice) if one.kind == "duplicate-row"]
    assert [where.line for where in one.where] == [place + 1, place + 2]


@pytest.mark.slow
def test_documents_are_compared_with_each_other_where_the_manifest_has_no_row(tmp_path):
    new = README.replace("| R-50-D8 |", "| R-18-D8 |").replace("r50-d8", "r18-d8")
    other = new.replace("| 78.49 |", "| 78.94 |")
    extra = counted(findings(tmp_path, YAML, new, other)) - counted_before(new, new)
    assert list(extra.elements()) == [("numbers-differ", "ISANet R-18-D8 Cityscapes 40000")]


def test_a_missing_row_does_not_put_the_others_out_of_order(tmp_path):
    lines = README.split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("| ISANet"))
    extra = counted(findings(tmp_path, YAML, "\n".join(lines[:place] + lines[place + 1 :])))
    extra -= counted_before(README)
    assert list(extra.elements()) == [("missing-row", FIRST)]


def test_a_row_that_the_manifest_has_twice_is_found(tmp_path):
    start = YAML.index(f"  - id: {VOC}\n")
    block = YAML[start : YAML.index("\n  - id: ", start + 1)]
    copy = block.replace(f"id: {VOC}", "id: copy").replace("aliases: [", "aliases: [copied_")
    found = findings(tmp_path, replace(block, f"{block}\n{copy}")(YAML))
    assert ("duplicate-row", VOC) in counted(found)


@pytest.mark.slow
def test_training_resources_that_metafiles_word_differently_are_found(tmp_path):
    other = NEW.replace("4x V100 GPUS", "V100")
    extra = counted(findings(tmp_path, YAML, NEW, other)) - counted_before(NEW, NEW)
    assert ("renamed-field", "training resources") in extra
