"""Rows of documents against themselves: each contradiction is planted beside a sound neighbour of the same kind."""

import pytest
from planted_faults import YAML, ZOO, counted, counted_before, findings
from publisher_pages import metafile, mmseg_readme, ssseg_readme

from segbench.zoo.publishers.file_names import facts_in, network_in, other_run, recipe_in

NEW = metafile(ZOO, "1.2")
FIRST = "isanet_r50-d8_4xb2-40k_cityscapes-512x1024"
SECOND = "isanet_r101-d8_4xb2-40k_cityscapes-512x1024"
WORDS = ZOO.publishers["mmsegmentation"].file_words


@pytest.fixture
def found_in(tmp_path):
    """What a page adds to the findings of a sound one."""

    def found(page, planted):
        every = findings(tmp_path, YAML, planted)
        extra = counted(every) - counted_before(page)
        return {key: [one.what for one in every if (one.kind, one.subject) == key] for key in extra}

    return found


@pytest.mark.slow
def test_a_name_that_two_models_have_is_told_once_with_their_weights(found_in):
    found = found_in(NEW, NEW.replace(f"- Name: {SECOND}\n", f"- Name: {FIRST}\n"))
    assert found["name-twice", FIRST][0].endswith(
        "whose weights are isanet_r50-d8_512x1024_40k_cityscapes and isanet_r101-d8_512x1024_40k_cityscapes"
    )
    assert set(found) == {("name-twice", FIRST), ("row-differs", "isanet_r101-d8_512x1024_40k_cityscapes")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fact", "old", "new", "kind", "words"),
    [
        ("weights of another network", "isanet_r50-d8_512x1024_40k_cityscapes_2021", "isanet_r101-d8_512x1024_40k_cityscapes_2021", "weights-name", "backbone R-50 by name and the configuration's name and the log's name"),
        ("name of another schedule", f"Name: {FIRST}", "Name: isanet_r50-d8_4xb2-80k_cityscapes-512x1024", "row-differs", "schedule 80k by name, 40k by"),
        ("images a GPU", f"Name: {FIRST}", "Name: isanet_r50-d8_4xb4-40k_cityscapes-512x1024", "row-differs", "images a GPU 4 by name, 2 by the configuration's name"),
        ("heading for a data set", "Dataset: Cityscapes", "Dataset: '# ResNet backbone'", "row-differs", "'# ResNet backbone' by data set"),
    ],
)  # fmt: skip
def test_a_row_that_says_two_things_of_itself_is_told_with_both(found_in, fact, old, new, kind, words):
    assert NEW.count(old) >= 1
    found = found_in(NEW, NEW.replace(old, new, 1))
    told = [what for (found_kind, _), every in found.items() if found_kind == kind for what in every]
    assert any(words in what for what in told), (fact, found)


@pytest.mark.slow
def test_a_number_in_the_devices_place_is_found(tmp_path):
    found = findings(tmp_path, YAML, NEW.replace("4x V100 GPUS", "4x 42.20 GPUS", 1))
    assert [one.what for one in found if one.kind == "row-differs"] == [
        "training resources 4x 42.20 GPUS: the devices are numbers"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["Cityscapes", "ADE20K", "Pascal VOC 2012 + Aug"], []),
        (["Cityscapes", "ADE20K"], ["its collection lacks Pascal VOC 2012 + Aug, which models have"]),
        (
            ["Cityscapes", "ADE20K", "Pascal VOC 2012 + Aug", "Usage"],
            ["its collection names Usage, which no model has"],
        ),
    ],
)
def test_collections_and_models_name_the_same_data_sets(tmp_path, named, words):
    data = "".join(f"    - {name}\n" for name in named)
    page = NEW.replace("- Name: ISANet\n", f"- Name: ISANet\n  Metadata:\n    Training Data:\n{data}", 1)
    assert page != NEW
    found = findings(tmp_path, YAML, page)
    assert [one.what for one in found if one.kind == "collection-differs"] == words


@pytest.mark.slow
@pytest.mark.parametrize("page", [NEW, metafile(ZOO), mmseg_readme(ZOO), ssseg_readme(ZOO, "ISNet")])
def test_sound_rows_say_one_thing_of_themselves(tmp_path, page):
    kinds = {kind for kind, _ in counted(findings(tmp_path, YAML, page)) - counted_before()}
    assert not kinds & {"row-differs", "weights-name", "name-twice", "collection-differs"}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "upernet_swin_base_patch4_window12_512x512_160k_ade20k_pretrain_384x384_22K",
            {"crop": "512x512", "schedule": "160k", "data set": "ade20k", "backbone": "Swin-b"},
        ),
        (
            "mask2former_swin-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640",
            {"crop": "640x640", "schedule": "160k", "data set": "ade20k", "backbone": "Swin-b", "GPUs": "8"}
            | {"images a GPU": "2", "images a step": "16"},
        ),
        (
            "fcn_unet_s5-d16_64x64_40k_drive",
            {"crop": "64x64", "schedule": "40k", "data set": "drive"},
        ),
        ("setr_mla_512x512_160k_b8_ade20k", {"crop": "512x512", "schedule": "160k", "data set": "ade20k", "images a step": "8"}),
        ("deeplabv3_r101-d8_480x480_40k_pascal_context_59", {"crop": "480x480", "schedule": "40k", "data set": "pascal_context_59", "backbone": "R-101"}),
    ],
)  # fmt: skip
def test_names_of_both_schemes_say_their_facts(name, facts):
    assert facts_in(name, WORDS) == facts


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("ocrnet_hr18s_512x1024_40k_cityscapes", "HRNetV2p-W18-Small"),
        ("upernet_deit-s16_ln_mln_512x512_160k_ade20k", "DeiT-S + LN + MLN"),
        ("segformer_mit-b5_640x640_160k_ade20k", "MIT-B5"),
        ("twins_svt-l_uperhead_8x2_512x512_160k_ade20k", "SVT-L"),
        ("upernet_swinlarge_ade20k", "Swin-Large"),
        ("fcn_resnest101os8_voc", "S-101-D8"),
        ("pspnet_r18b-d8_512x1024_80k_cityscapes", "R-18b-D8"),
        ("bisenetv1_r18-d32_in1k-pre_4x8_1024x1024_160k_cityscapes", "R-18-D32"),
    ],
)
def test_a_name_and_its_tables_cell_mean_one_network(name, cell):
    assert network_in(name) == network_in(cell) != ""


def test_rows_of_other_trainings_have_other_recipes():
    names = ["icnet_r50-d8_832x832_80k_cityscapes", "icnet_r101-d8_832x832_160k_cityscapes"]
    assert len({recipe_in(name) for name in names}) == 1
    assert recipe_in("icnet_r50-d8_in1k-pre_832x832_80k_cityscapes") != recipe_in(names[0])


LOGS = {
    "run/run-20200101_000000.log.json": "",
    "run/20200101_000000.log.json": "",
    "old-run/old-run-20200101_000000.log.json": "",
    "run/run_20200102_000000.log.json": "is stamped otherwise than",
    "run_20200101_000000.log.json": "is not beside",
}


@pytest.mark.parametrize("log", LOGS)
def test_a_log_is_that_of_its_weights_in_their_folder_or_its_own(log):
    assert (
        other_run(f"https://x.org/a/{log}", "https://x.org/a/run/run_20200101_000000-01234567.pth")
        == LOGS[log]
    )
