"""Documents against the configurations that they link, each fault planted in one of a sound release's."""

import msgspec
import pytest
import yaml
from planted_faults import ZOO
from publisher_pages import metafile, ssseg_readme

from segbench.zoo.audit import audit
from segbench.zoo.publishers import read_source
from segbench.zoo.publishers.configs import PublishedConfig, Release

FIRST = "isanet_r50-d8_4xb2-40k_cityscapes-512x1024"
ROW = "isanet_r50-d8_512x1024_40k_cityscapes"
CLASSES = {"cityscapes": "CityscapesDataset", "ade20k": "ADE20KDataset", "voc2012aug": "PascalVOCDataset"}


def config(row):
    """What a sound configuration of a row says."""
    depth = row.architecture["depth"]
    return PublishedConfig(
        network={"backbone": {"type": "ResNetV1c", "depth": depth}},
        dataset=CLASSES[row.dataset],
        crop=row.crop,
        iterations=int(row.schedule),
        batch_per_gpu=row.training.batch_per_gpu,
    )


SOUND = {
    f"isanet/{row.aliases[0]}": config(row) for row in ZOO if (row.publisher, row.method) == ("mmsegmentation", "ISANet")
}  # fmt: skip


def found(tmp_path, configs, page=None):
    """Kind, subject and text of what a metafile's links add, with configurations and without."""
    path = tmp_path / "metafile.yaml"
    path.write_text(page or metafile(ZOO, "1.2"), encoding="utf-8")
    document = read_source(path)
    release = Release(publisher="mmsegmentation", revision="v1.2.2", age="1.x", configs=configs)
    every = audit(ZOO, [document], (), [release])
    return [
        (one.kind, one.subject, one.what) for one in every if one.kind in ("dead-config", "config-differs")
    ]


def changed(**fields):
    return {**SOUND, f"isanet/{FIRST}": msgspec.structs.replace(SOUND[f"isanet/{FIRST}"], **fields)}


FAULTS = {
    "crop": ({"crop": (512, 512)}, "crops of 512x512, 512x1024 by the configuration's name"),
    "schedule": ({"iterations": 20000}, "iterations 20k, 40k by the configuration's name"),
    "depth": (
        {"network": {"backbone": {"type": "X", "inner": {"depth": 101}}}},
        "a backbone of depth 101, R-50 by the configuration's name",
    ),
    "batch": (
        {"batch_per_gpu": 4},
        "images a GPU 4, 2 by the configuration's name; 4 images a GPU, 8 by batch size on 4 GPUs",
    ),
    "data set": (
        {"dataset": "ADE20KDataset"},
        "data set ADE20KDataset, CityscapesDataset in others of cityscapes",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_configuration_that_trains_something_else_is_told_beside_sound_ones(tmp_path, fault):
    fields, words = FAULTS[fault]
    what = f"isanet/{FIRST}.py of v1.2.2 has {words}"
    assert found(tmp_path, changed(**fields)) == [("config-differs", ROW, what)]


@pytest.mark.slow
def test_sound_configurations_add_nothing(tmp_path):
    assert not found(tmp_path, SOUND)


@pytest.mark.slow
def test_a_link_to_no_configuration_of_its_release_is_dead(tmp_path):
    configs = {path: one for path, one in SOUND.items() if not path.endswith(FIRST)}
    assert found(tmp_path, configs) == [
        ("dead-config", ROW, f"isanet/{FIRST}.py is no configuration of v1.2.2"),
    ]


@pytest.mark.slow
def test_a_folder_that_the_release_lacks_and_another_publishers_page_are_not_judged(tmp_path):
    data = yaml.safe_load(metafile(ZOO, "1.2"))
    for model in data["Models"]:
        model["Config"] = model["Config"].replace("configs/isanet/", "configs/other/")
    assert not found(tmp_path, SOUND, yaml.safe_dump(data, sort_keys=False))
    assert not found(tmp_path, SOUND, ssseg_readme(ZOO, "ISANet"))
