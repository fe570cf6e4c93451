"""mmsegmentation's configurations of both ages, as records: network, protocols, batch, and a test that none describes."""

import msgspec
import pytest

from segbench.evaluate.protocol import EvalProtocol, SlidingWindow
from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest
from segbench.zoo.publishers import SourceError
from segbench.zoo.publishers.configs import Configs, PublishedConfig, Release, read_configs, release_bytes
from segbench.zoo.publishers.configs.mmseg_networks import mmseg_network
from segbench.zoo.publishers.configs.mmsegmentation import published_config
from segbench.zoo.publishers.configs.parts import Unbuilt

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
MODEL = {
    "type": "EncoderDecoder",
    "backbone": {"type": "ResNetV1c", "depth": 18, "dilations": [1, 1, 2, 4], "strides": [1, 2, 1, 1], "init_cfg": 1},
    "decode_head": {
        "type": "FCNHead", "in_index": 3, "channels": 128, "num_convs": 2, "concat_input": True, "num_classes": 19,
        "align_corners": True, "loss_decode": {"type": "CrossEntropyLoss"},
    },
    "auxiliary_head": None,
    "test_cfg": {"mode": "slide", "crop_size": [4, 6], "stride": [2, 3]},
}  # fmt: skip
NORMALISE = {"type": "Normalize", "mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": False}
OLD_VIEWS = {
    "type": "MultiScaleFlipAug",
    "img_scale": [2049, 1025],
    "flip": False,
    "transforms": [{"type": "Resize", "keep_ratio": True}, {"type": "RandomFlip"}, NORMALISE],
}
OLD = {
    "model": MODEL,
    "fp16": {},
    "runner": {"type": "IterBasedRunner", "max_iters": 40000},
    "data": {
        "samples_per_gpu": 2,
        "train": {"dataset": {"pipeline": [{"type": "RandomCrop", "crop_size": [512, 1024]}]}},
        "test": {"type": "CityscapesDataset", "pipeline": [{"type": "LoadImageFromFile"}, OLD_VIEWS]},
    },
}
NEW = {
    "model": MODEL
    | {
        "test_cfg": {"mode": "whole"},
        "data_preprocessor": {
            "mean": [1, 2, 3],
            "std": [4, 5, 6],
            "bgr_to_rgb": True,
            "test_cfg": {"size_divisor": 32},
        },
    },
    "train_cfg": {"max_iters": 90000},
    "train_dataloader": {
        "batch_size": 4,
        "dataset": {"pipeline": [{"type": "RandomCrop", "crop_size": [8, 9]}]},
    },
    "test_dataloader": {
        "dataset": {
            "type": "ADE20KDataset",
            "pipeline": [
                {"type": "ResizeShortestEdge", "scale": [640, 640], "max_size": 2560},
                {"type": "LoadAnnotations"},
            ],
        }
    },
    "tta_pipeline": [
        {"type": "TestTimeAug", "transforms": [[{"type": "Resize", "scale_factor": one} for one in RATIOS]]}
    ],
}


def test_a_configuration_of_0x():
    found = published_config(OLD)
    shared = {
        "base_scale": (2049, 1025),
        "window": SlidingWindow(crop=(4, 6), stride=(2, 3)),
        "align_corners": True,
        "channels": "BGR",
        "mean": (1.0, 2.0, 3.0),
        "std": (4.0, 5.0, 6.0),
    }
    assert (found.single, found.second) == (
        EvalProtocol(**shared),
        EvalProtocol(**shared, scales=RATIOS, flip=True),
    )
    assert (found.dataset, found.crop, found.iterations, found.batch_per_gpu, found.mixed_precision) == (
        "CityscapesDataset", (512, 1024), 40000, 2, True,
    )  # fmt: skip
    assert "loss_decode" not in found.network["decode_head"]
    assert "init_cfg" not in found.network["backbone"]


def test_a_configuration_of_1x():
    found = published_config(NEW)
    shared = {"align_corners": True, "mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0), "size_divisor": 32}
    assert (found.single, found.second) == (
        EvalProtocol(base_scale=(2560, 640), **shared),
        EvalProtocol(base_scale=None, **shared, scales=RATIOS, flip=True, views="image_scale"),
    )
    assert (found.crop, found.iterations, found.batch_per_gpu, found.mixed_precision) == (
        (8, 9),
        90000,
        4,
        False,
    )


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (
            {"type": "ResizeToMultiple", "interpolation": "nearest"},
            "its test resizes a second time by nearest interpolation",
        ),
        ({"type": "Rotate"}, "its test has a step Rotate"),
    ],
)
def test_a_test_that_no_protocol_describes_says_why(step, reason):
    views = OLD_VIEWS | {"transforms": [*OLD_VIEWS["transforms"], step]}
    data = OLD["data"] | {"test": {"type": "X", "pipeline": [views]}}
    found = published_config(OLD | {"data": data})
    assert (found.single, found.second, found.unmet) == (None, None, reason)


@pytest.mark.parametrize(("said", "divisor"), [({}, 32), ({"size_divisor": 48, "interpolation": None}, 48)])
def test_a_second_resize_to_multiples_is_of_every_view(said, divisor):
    views = OLD_VIEWS | {"transforms": [*OLD_VIEWS["transforms"], {"type": "ResizeToMultiple"} | said]}
    data = OLD["data"] | {"test": {"type": "X", "pipeline": [views]}}
    found, without = published_config(OLD | {"data": data}), published_config(OLD)
    assert (found.single, found.second) == tuple(
        msgspec.structs.replace(one, resize_divisor=divisor) for one in (without.single, without.second)
    )
    (views,) = NEW["tta_pipeline"]
    again = [[{"type": "ResizeToMultiple"} | said], [{"type": "LoadAnnotations"}]]
    views = views | {"transforms": [*views["transforms"], *again]}
    found, without = published_config(NEW | {"tta_pipeline": [views]}), published_config(NEW)
    assert found.single == without.single
    assert found.second == msgspec.structs.replace(without.second, resize_divisor=divisor)


def test_the_wrappers_optimizer_trains_whatever_stands_beside_it():
    """1.x's `_base_/schedules` still leave an `optimizer` of their own beside the wrapper that a configuration replaces."""
    left = {"optimizer": {"type": "SGD"}}
    wrapper = {"optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "AdamW"}}}
    assert published_config(NEW | left | wrapper).optimizer == "AdamW"
    assert published_config(OLD | left).optimizer == "SGD"


SAN = {
    "image_encoder": {
        "type": "VisionTransformer", "img_size": [28, 28], "patch_size": 14, "embed_dims": 8, "num_layers": 2,
        "num_heads": 1, "out_indices": [0, 1],
    },
    "text_encoder": {
        "type": "CLIPTextEncoder", "dataset_name": "voc", "templates": "vild", "embed_dims": 8, "num_layers": 1, "num_heads": 2,
    },
    "encoder_resolution": 0.5,
    "decode_head": {
        "type": "SideAdapterCLIPHead",
        "num_classes": 20,
        "san_cfg": {
            "embed_dims": 240, "patch_size": 16, "num_queries": 3, "fusion_index": [0, 1, 2, 3],
            "cfg_encoder": {"num_encode_layer": 8, "num_heads": 6, "mlp_ratio": 4},
        },
        "maskgen_cfg": {
            "sos_token_format": "cls_token", "cross_attn": False, "num_layers": 2, "embed_dims": 8, "num_heads": 4,
            "out_dims": 6, "final_norm": True,
        },
    },
}  # fmt: skip


def test_a_network_of_images_and_texts_has_two_encoders_in_place_of_a_backbone():
    found = published_config(
        NEW | {"model": NEW["model"] | SAN | {"type": "MultimodalEncoderDecoder"}}
    ).network
    assert mmseg_network(found) == {
        "backbone": {
            "type": "clip", "scale": 0.5, "patch": 14, "grid": 2, "channels": 8, "depth": 2, "heads": 1, "outputs": [0, 1],
        },
        "head": {
            "type": "san", "vocabulary": "voc", "queries": 3, "depth": 2, "heads": 4, "out_channels": 6, "text_channels": 8,
            "text_depth": 1, "text_heads": 2,
        },
        "num_classes": 20,
        "align_corners": False,
    }  # fmt: skip
    found["decode_head"]["maskgen_cfg"]["cross_attn"] = True
    with pytest.raises(Unbuilt, match="SideAdapterCLIPHead"):
        mmseg_network(found)


def test_what_was_read_is_kept_whole(tmp_path):
    release = Release(
        publisher="mmsegmentation",
        revision="v1.2.2",
        age="1.x",
        configs={"fcn/one": published_config(OLD), "fcn/two": published_config(NEW)},
    )
    path = tmp_path / "configs.json"
    path.write_bytes(release_bytes(release))
    assert read_configs(path) == release
    path.write_bytes(b"[]")
    with pytest.raises(SourceError, match="no configurations of a release"):
        read_configs(path)


def test_the_weights_files_name_says_which_configuration_made_it():
    def release(revision, *names):
        return Release(
            publisher="us", revision=revision, configs={name: PublishedConfig(network={}) for name in names}
        )

    configs = Configs([release("old", "a/one", "a/two"), release("new", "a/one", "a/three")])

    def found(stem, printed):
        one = configs.find("us", stem, printed)
        return one and (one.release.revision, one.path)

    assert found("one", "configs/a/three.py") == ("old", "a/one")
    assert found("four", "configs/a/three.py") == ("new", "a/three")
    assert found("four", "configs/a/four.py") is None


METAFILE = """\
Models:
- Name: fcn_r18_4xb4-90k_ade20k-8x9
  In Collection: FCN
  Results: {Task: Semantic Segmentation, Dataset: ADE20K, Metrics: {mIoU: 41.5, mIoU(ms+flip): 42.59}}
  Config: configs/fcn/fcn_r18_4xb4-90k_ade20k-8x9.py
  Metadata: {Architecture: [R-18-D8, FCN], Training Resources: 8x A100 GPUS, Memory (GB): 3.5}
  Weights: https://example.org/fcn_r18_4xb4-90k_ade20k-8x9_20230210_140244-05bd8466.pth
"""
CONFIG = """\
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNetV1c', depth=18, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1)),
    decode_head=dict(type='%s', in_index=3, channels=128, num_convs=2, concat_input=True, num_classes=150),
    auxiliary_head=None,
    data_preprocessor=dict(bgr_to_rgb=True))
train_dataloader = dict(batch_size=4)
test_dataloader = dict(dataset=dict(pipeline=[dict(type='Resize', scale=(2048, 512), keep_ratio=True)]))
"""


@pytest.fixture
def imported(tmp_path):
    def run(head):
        page, folder, into = tmp_path / "metafile.yaml", tmp_path / "v1.2.2", tmp_path / "zoo.yaml"
        page.write_text(METAFILE, encoding="utf-8")
        (folder / "_base_" / "models").mkdir(parents=True)
        (folder / "fcn").mkdir()
        (folder / "fcn" / "fcn_r18_4xb4-90k_ade20k-8x9.py").write_text(CONFIG % head, encoding="utf-8")
        assert main(["import", str(page), "--configs", str(folder), "--into", str(into)]) == 0
        (row,) = load_manifest(into)
        return row

    return run


def test_zoo_import_takes_network_protocol_and_batch_from_configurations(imported):
    row = imported("FCNHead")
    assert row.architecture == {
        "backbone": {"type": "resnet", "depth": 18, "dilations": [1, 1, 2, 4], "strides": [1, 2, 1, 1]},
        "head": {"type": "fcn", "in_index": 3, "channels": 128, "num_convs": 2, "concat_input": True},
        "num_classes": 150,
        "align_corners": False,
    }
    assert (row.training.gpus, row.training.batch_per_gpu, row.crop, row.schedule) == (4, 4, (8, 9), "90000")
    assert row.protocol("miou") == load_manifest().protocols["mmseg-2048x512-whole"]
    # The configuration has no --tta: the second number stays without a protocol, and says so.
    (second,) = [claim for claim in row.claims if claim.metric == "miou_ms_flip"]
    assert (second.protocol, second.note) == (None, "no protocol: its configuration has no such test")


def test_a_network_that_is_not_there_is_known_by_its_parts_names(imported):
    row = imported("NewHead")
    assert row.architecture == {
        "backbone": {"type": "resnet"},
        "head": {"type": "NewHead"},
        "num_classes": 150,
    }
    assert row.not_built == "not built yet: head NewHead"
