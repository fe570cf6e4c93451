"""Patterns and conditions choose checkpoints, in the manifest's order."""

import pytest
from full_zoo import ZOO

from segbench.zoo.manifest import UnknownCheckpoint, load_manifest
from segbench.zoo.manifest.selection import SelectionError, select, sorted_by, values_of

FIELDS = (
    "fields are id, publisher, method, segmentor, backbone, dataset, crop, schedule, metric, built, parameters, gflops, and the "
    "metrics, such as miou"
)


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
        ("dataset='pascal voc*'", 6),
        ("segmentor=upernet", 0),
        ("miou>80", 4),
        ("miou>=80.61", 1),
        ("miou>80.61", 0),
        ("miou<40", 1),
        ("miou=80.61", 1),
        ("miou>80 publisher=sssegmentation", 2),
        ("fps>9", 6),
        ("fps<=0", 0),
        ("schedule>40000", 8),
        ("parameters<40000000", 8),
        ("gflops>1000", 11),
        ("built=yes", 34),
        ("built=no", 0),
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
        ("datset=ade20k", f"--where: unknown field 'datset', nearest is 'dataset'; {FIELDS}"),
        ("miuo>80", f"--where: unknown field 'miuo', nearest is 'miou'; {FIELDS}"),
        ("x=1", f"--where: unknown field 'x'; {FIELDS}"),
        ("ade20k", "--where: expected field=value, field!=value or field>number, found 'ade20k'"),
        ("dataset = ade20k", "--where: expected field=value, field!=value or field>number, found 'dataset'"),
        ("crop>512", "--where: crop has no numbers to compare; use crop=GLOB, found 'crop>512'"),
        ("miou>high", "--where: expected a number after >, such as miou>80, found 'miou>high'"),
        ("miou>=", "--where: expected a number after >=, such as miou>=80, found 'miou>='"),
        ("dataset='ade20k", '--where "dataset=\'ade20k": no closing quotation'),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(zoo, where, message):
    with pytest.raises(SelectionError) as caught:
        select(zoo, [], where)
    assert str(caught.value) == message


def test_a_method_is_its_rows_in_whatever_case(zoo):
    assert select(zoo, ["isnet"]) == [row for row in zoo if row.method == "ISNet"]
    assert len(select(zoo, ["ISANet"], "publisher=sssegmentation")) == 6


def test_methods_that_differ_in_case_alone_are_two_and_either_is_meant_by_its_own_name():
    counts = {name: len(select(load_manifest(), [name])) for name in ("Segformer", "SegFormer", "segformer")}
    assert counts == {"Segformer": 13, "SegFormer": 10, "segformer": 23}


def test_a_revised_figure_is_the_newest_one_in_the_list_and_its_order():
    rows = sorted_by(select(load_manifest(), ["Segformer"], "dataset=ade20k miou<42"), "miou")
    assert [(row.id[10:16], values_of("miou", row)) for row in rows] == [
        ("mit-b0", ["37.41", "37.85"]),
        ("mit-b1", ["40.97", "42.13"]),
    ]


def test_an_unknown_name_may_have_meant_a_method_or_have_an_ids_words(zoo):
    with pytest.raises(UnknownCheckpoint) as caught:
        select(zoo, ["isnt"])
    assert caught.value.nearest[0] == "ISNet"
    with pytest.raises(UnknownCheckpoint) as caught:
        select(zoo, ["ISANet 101 voc"])
    assert caught.value.nearest[0] == "isanet_r101-d8_512x512_20k_voc12aug"


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [
        ("miou", "isnet_resnet50os8_cocostuff10k", "isanet_r101-d8_769x769_80k_cityscapes"),
        ("-miou", "isanet_r101-d8_769x769_80k_cityscapes", "isnet_resnet50os8_cocostuff10k"),
        ("dataset,-miou", "isnet_resnest101os8_ade20k", "isanet_r50-d8_512x512_40k_voc12aug"),
        ("-fps", "isanet_r50-d8_512x512_20k_voc12aug", "isnet_resnest101os8_lip"),
    ],
)
def test_rows_are_sorted_by_fields(zoo, order, first, last):
    """Numbers as numbers; a row without a figure comes last, whatever the direction."""
    found = ids(sorted_by(list(zoo), order))
    assert (found[0], found[-1]) == (first, last)
    assert sorted(found) == sorted(ids(zoo))


def test_an_order_by_what_is_no_field_is_refused(zoo):
    with pytest.raises(SelectionError, match="--sort: unknown field 'mioh', nearest is 'miou'"):
        sorted_by(list(zoo), "dataset,mioh")


def test_a_name_that_its_publisher_gives_to_several_rows_names_them():
    with pytest.raises(UnknownCheckpoint) as caught:
        select(load_manifest(), ["twins_pcpvt-l_uperhead_8xb2-160k_ade20k-512x512"])
    assert str(caught.value) == (
        "'twins_pcpvt-l_uperhead_8xb2-160k_ade20k-512x512' is its publisher's name of several checkpoints; name one: "
        "twins_pcpvt-l_uperhead_8x2_512x512_160k_ade20k, twins_svt-l_uperhead_8x2_512x512_160k_ade20k"
    )


def test_numbers_may_have_an_exponent_and_built_is_yes_or_no():
    zoo = load_manifest()
    assert (
        select(zoo, [], "parameters<2e6 parameters>1e6")
        == select(zoo, [], "parameters<2000000 parameters>1000000")
        != []
    )
    with pytest.raises(SelectionError, match=r"^--where: built is yes or no, found 'built=maybe'$"):
        select(zoo, [], "built=maybe")
