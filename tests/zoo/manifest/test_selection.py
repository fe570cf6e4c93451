"""Patterns and conditions choose checkpoints, in the manifest's order."""

import pytest
from full_zoo import ZOO

from segbench.zoo.manifest import UnknownCheckpoint
from segbench.zoo.manifest.selection import SelectionError, select


@pytest.fixture(scope="module")
def zoo():
    return ZOO


def ids(checkpoints):
    return [checkpoint.id for checkpoint in checkpoints]


def test_nothing_asked_is_everything(zoo):
    assert select(zoo, []) == list(zoo)


def test_an_id_and_an_alias_name_one_checkpoint_each(zoo):
    chosen = select(zoo, ["isnet_resnet50os8_lip_train", "isanet_r50-d8_512x1024_40k_cityscapes"])
    assert ids(chosen) == ["isanet_r50-d8_512x1024_40k_cityscapes", "isnet_resnet50os8_lip"]


def test_a_checkpoint_named_twice_comes_once(zoo):
    chosen = select(zoo, ["isnet_resnet50os8_lip", "isnet_*50*_lip", "isnet_resnet50os8_lip_train"])
    assert ids(chosen) == ["isnet_resnet50os8_lip"]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("*", 34),
        ("isnet_*", 12),
        ("ISNET_*", 12),
        ("*4xb4-*", 8),
        ("isanet_resnet[15]0*", 6),
        ("nothing*", 0),
    ],
)
def test_globs_go_over_ids_and_aliases(zoo, pattern, count):
    assert len(select(zoo, [pattern])) == count


def test_an_unknown_id_names_its_neighbours(zoo):
    with pytest.raises(UnknownCheckpoint) as caught:
        select(zoo, ["isnet_resnet50os8_lipp"])
    assert str(caught.value) == (
        "unknown checkpoint 'isnet_resnet50os8_lipp', nearest are isnet_resnet50os8_lip, "
        "isnet_resnet101os8_lip, isnet_resnest101os8_lip; zoo list shows all"
    )


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("", 34),
        ("publisher=mmsegmentation", 16),
        ("publisher!=mmsegmentation", 18),
        ("method=ISNet", 12),
        ("method=isnet", 12),
        ("dataset=ade20k", 9),
        ("dataset=ade20k backbone=R-50", 4),
        ("backbone=R-50-D8", 15),
        ("backbone=r-*", 30),
        ("backbone!=r-*", 4),
        ("crop=512x1024", 9),
        ("schedule=40000", 6),
        ("schedule='LR/POLICY/BS/EPOCH: 0.01/poly/16/130'", 4),
        ('schedule="lr*/poly/16/*"', 12),
        ("metric=miou", 34),
        ("metric=miou_ms_flip", 25),
        ("metric=miou_flip", 3),
        ("metric=fps", 16),
        ("metric!=fps", 18),
        ("id=*_train", 12),
        ("dataset=kitti", 0),
        ("dataset=", 0),
    ],
)
def test_conditions_all_hold(zoo, where, count):
    assert len(select(zoo, [], where)) == count


def test_patterns_and_conditions_restrict_each_other(zoo):
    assert ids(select(zoo, ["isanet_resnet50*", "isnet_resnet50*"], "dataset=ade20k")) == [
        "isanet_resnet50os8_ade20k",
        "isnet_resnet50os8_ade20k",
    ]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "datset=ade20k",
            (
                "--where: unknown field 'datset', nearest is 'dataset'; fields are id, publisher, method, backbone, "
                "dataset, crop, schedule, metric"
            ),
        ),
        (
            "x=1",
            "--where: unknown field 'x'; fields are id, publisher, method, segmentor, backbone, dataset, crop, schedule, metric",
        ),
        ("ade20k", "--where: expected field=value or field!=value, found 'ade20k'"),
        ("dataset = ade20k", "--where: expected field=value or field!=value, found 'dataset'"),
        ("dataset='ade20k", '--where "dataset=\'ade20k": no closing quotation'),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(zoo, where, message):
    with pytest.raises(SelectionError) as caught:
        select(zoo, [], where)
    assert str(caught.value) == message
