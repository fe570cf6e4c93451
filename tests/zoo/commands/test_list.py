"""`zoo list` and `zoo show`: rows in columns and orders that are asked for, methods in a line each."""

import json

from full_zoo import PATH

from segbench.zoo.cli import main

UNBUILT = """\
version: 1
include: ["segbench:datasets.yaml", "segbench:protocols.yaml"]
checkpoints:
  - {id: mask2former_a, publisher: somebody, method: Mask2Former, backbone: R-50, dataset: ade20k, crop: [512, 512],
     schedule: "160000", architecture: {backbone: {type: resnet}, head: {type: no_such_head}, num_classes: 150},
     weights: {urls: ["https://example.org/a.pth"]}, claims: [{metric: miou, printed: "47.2", protocol: mmseg-2048x512-whole}]}
  - {id: fcn_a, publisher: somebody, method: FCN, backbone: R-50, dataset: ade20k, crop: [512, 512], schedule: "80000",
     architecture: {backbone: {type: resnet, depth: 50}, head: {type: fcn}, num_classes: 150},
     weights: {urls: ["https://example.org/b.pth"]}, claims: [{metric: miou, printed: "36.1", protocol: mmseg-2048x512-whole}]}
"""


def zoo(capsys, *arguments):
    code = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_columns_and_order_are_what_was_asked_for(capsys):
    code, out, err = zoo(
        capsys,
        "list",
        "--manifest",
        PATH,
        "--where",
        "miou>80",
        "--sort=-miou",
        "--columns",
        "id,miou,method",
    )
    assert (code, err) == (0, "")
    assert out == (
        "id                                        mIoU  method\n"
        "--------------------------------------  ------  --------\n"
        "isanet_r101-d8_769x769_80k_cityscapes    80.61  ISANet\n"
        "isanet_resnet101os8_cityscapes           80.58  ISANet\n"
        "isnet_resnet101os8_cityscapes            80.56  ISNet\n"
        "isanet_r101-d8_512x1024_80k_cityscapes   80.32  ISANet\n"
    )


def test_columns_of_json_are_values_as_printed(capsys):
    _, out, _ = zoo(
        capsys, "list", "isnet_*50*lip", "--manifest", PATH, "--columns", "id,miou,fps,built", "--json"
    )
    assert json.loads(out) == [{"id": "isnet_resnet50os8_lip", "miou": "53.14", "fps": None, "built": "yes"}]


def test_methods_are_a_line_each(capsys):
    _, out, _ = zoo(capsys, "list", "--methods", "--manifest", PATH)
    assert out == (
        "method      mmsegmentation    sssegmentation  data sets                              built\n"
        "--------  ----------------  ----------------  -------------------------------------  -------\n"
        "ISANet                  16                 6  cityscapes, ade20k, voc2012aug         yes\n"
        "ISNet                                     12  cocostuff10k, ade20k, cityscapes, lip  yes\n"
        "\n2 methods, 34 rows\n"
    )


def test_a_network_that_is_not_there_yet_is_said_to_be(capsys, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(UNBUILT)
    _, out, _ = zoo(capsys, "list", "--methods", "--json", "--manifest", path)
    assert json.loads(out) == [
        {
            "method": "Mask2Former",
            "rows": {"somebody": 1},
            "datasets": ["ade20k"],
            "built": 0,
            "missing": ["head no_such_head"],
        },
        {"method": "FCN", "rows": {"somebody": 1}, "datasets": ["ade20k"], "built": 1, "missing": []},
    ]
    _, out, _ = zoo(capsys, "list", "--methods", "--manifest", path, "--where", "built=no")
    assert out.splitlines()[2] == "Mask2Former           1  ade20k       not built yet: head no_such_head"
    _, out, _ = zoo(capsys, "list", "--manifest", path)
    assert [line.split(None, 5)[5:] for line in out.splitlines()[2:]] == [["not built yet"], ["yes"]]
    _, out, _ = zoo(capsys, "show", "mask2former_a", "--manifest", path)
    assert "network    not built yet: head no_such_head" in out
    _, out, _ = zoo(capsys, "list", "--columns", "id,built", "--manifest", path)
    assert out.splitlines()[2:] == ["mask2former_a  not built yet", "fcn_a          yes"]


def test_a_method_is_shown_in_short_and_a_row_in_full(capsys):
    code, out, err = zoo(capsys, "show", "isnet", "isanet_resnet50os8_voc", "--manifest", PATH)
    short, full = out.split("\n\n\n")
    assert (code, err) == (0, "")
    assert short.splitlines()[0] == (
        "ISNet: 12 rows (12 of sssegmentation) on cocostuff10k, ade20k, cityscapes, lip; built: yes"
    )
    assert len(short.splitlines()) == 4 + 12
    assert full.startswith("isanet_resnet50os8_voc\n\npublisher   sssegmentation\n")


def test_a_method_as_json_is_its_rows(capsys):
    _, out, _ = zoo(capsys, "show", "ISNet", "--manifest", PATH, "--json", "--where", "dataset=lip")
    assert [row["id"] for row in json.loads(out)] == [
        "isnet_resnet50os8_lip",
        "isnet_resnet101os8_lip",
        "isnet_resnest101os8_lip",
    ]
