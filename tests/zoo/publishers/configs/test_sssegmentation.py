"""What sssegmentation's configurations say of rows: network, protocols of one, two or three numbers, and what is not read."""

import pytest

from segbench.evaluate.protocol import EvalProtocol, SlidingWindow
from segbench.zoo.publishers.configs import read_configs
from segbench.zoo.publishers.records import SourceError

SEGMENTOR = """\
from .default_segmentor import SegmentorConfig

NET_SEGMENTOR_CFG = SegmentorConfig(
    type='FCN', num_classes=-1, align_corners=False,
    norm_cfg={'type': 'SyncBatchNorm'}, act_cfg={'type': 'LeakyReLU'},
    backbone={'type': 'ResNet', 'depth': 50, 'outstride': 16, 'pretrained': True},
    head={'in_channels': 2048, 'feats_channels': 512},
    auxiliary={'in_channels': 1024, 'out_channels': 256},
    inference={
        'forward': {'mode': 'whole', 'cropsize': None, 'stride': None},
        'tta': {'multiscale': [1], 'flip': False, 'use_probs_before_resize': False},
    },
)
"""
STEPS = """[
    ('Resize', {{'output_size': ({0}, {0}), 'keep_ratio': False, 'scale_range': None}}),
    ('Normalize', {{'mean': [1.0, 2.0, 3.0], 'std': [1.0, 1.0, 2.0]}}),
    ('ToTensor', {{}}),
]"""
DATASET = f"""\
from .default_dataset import DatasetConfig

DATASET_CFG_PEOPLE = DatasetConfig(
    type='People',
    train={{'data_pipelines': [
        ('RandomCrop', {{'crop_size': (8, 16)}}), ('RandomFlip', {{'fixed_seg_target_pairs': [(1, 2)]}}),
    ]}},
    test={{'data_pipelines': {STEPS.format(473)}}},
)
"""
CONFIG = f"""\
SEGMENTOR_CFG = REGISTERED_SEGMENTOR_CONFIGS['NET_SEGMENTOR_CFG'].copy()
SEGMENTOR_CFG['dataset'] = REGISTERED_DATASET_CONFIGS['DATASET_CFG_PEOPLE'].copy()
SEGMENTOR_CFG['num_classes'] = 3
# --single-scale with flipping
'''
SEGMENTOR_CFG['inference']['tta'] = {{'multiscale': [1], 'flip': True, 'use_probs_before_resize': False}}
'''
# --multi-scale with flipping
'''
SEGMENTOR_CFG['dataset']['test']['data_pipelines'] = {STEPS.format(520)}
SEGMENTOR_CFG['inference'] = {{
    'forward': {{'mode': 'slide', 'cropsize': (473, 400), 'stride': (315, 200)}},
    'tta': {{'multiscale': [0.75, 1, 1.25], 'flip': True, 'use_probs_before_resize': True}},
}}
'''
"""
PIXELS = {
    "keep_ratio": False, "mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 2.0), "views": "tensor", "upsampling": "one-step",
    "normalisation": "float64 multiplication",
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(text, dataset=DATASET):
        files = {
            "_base_/segmentors/net": SEGMENTOR,
            "_base_/datasets/people": dataset,
            "fcn/fcn_people": text,
        }
        for name, content in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return read_configs(tmp_path).configs["fcn/fcn_people"]

    return read


def test_three_ways_to_test_are_three_protocols(read):
    config = read(CONFIG)
    plain = EvalProtocol(base_scale=(473, 473), average="scores", **PIXELS)
    mirrored = EvalProtocol(
        base_scale=(473, 473), average="scores", flip=True, flip_pairs=((1, 2),), **PIXELS
    )
    several = EvalProtocol(
        base_scale=(520, 520),
        scales=(0.75, 1.0, 1.25),
        flip=True,
        flip_pairs=((1, 2),),
        window=SlidingWindow(crop=(473, 400), stride=(315, 200)),
        average="probabilities",
        softmax_at="window",
        **PIXELS,
    )
    assert (config.single, config.mirrored, config.second) == (plain, mirrored, several)
    assert (config.dataset, config.crop) == ("People", (8, 16))


def test_a_file_that_tests_at_several_scales_alone_has_no_other_protocol(read):
    several = "SEGMENTOR_CFG['inference']['tta']['multiscale'] = [0.5, 1.0]\n"
    config = read(
        CONFIG.replace("# --single-scale", several + "# --single-scale", 1).partition("# --multi")[0]
    )
    assert (config.single, config.mirrored is not None) == (None, True)
    assert config.second.scales == (0.5, 1.0)


def test_the_network_is_kept_without_what_trains_it(read):
    assert read(CONFIG).network == {
        "segmentor": "FCN",
        "classes": 3,
        "backbone": {"type": "ResNet", "depth": 50, "outstride": 16},
        "head": {"in_channels": 2048, "feats_channels": 512},
        "auxiliary": {"in_channels": 1024, "out_channels": 256},
        "norm_cfg": {"type": "SyncBatchNorm"},
        "act_cfg": {"type": "LeakyReLU"},
        "align_corners": False,
    }


def test_a_number_of_the_network_that_would_have_to_be_computed_is_told(read):
    with pytest.raises(
        SourceError, match=r"fcn_people\.py: expected a plain value in the network, found <not comp.*2 \*\* 9"
    ):
        read(CONFIG + "SEGMENTOR_CFG['head']['feats_channels'] = 2 ** 9\n")
