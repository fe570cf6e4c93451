"""sssegmentation's configurations are read without running them: bases copied and changed, other tests in quotes."""

import pytest

from segbench.zoo.publishers.configs.ssseg_files import Unknown, read_bases, read_config
from segbench.zoo.publishers.records import SourceError

SEGMENTOR = """\
'''NET_SEGMENTOR_CFG'''
import os
from .default_segmentor import SegmentorConfig

NET_SEGMENTOR_CFG = SegmentorConfig(
    type='Net',
    num_classes=-1,
    head={'in_channels': sum([18, 36]), 'sizes': (1, 2), 'momentum': 0.1 * 0.9},
    inference={'forward': {'mode': 'whole', 'cropsize': None}, 'tta': {'multiscale': [1], 'flip': False}},
    losses={'a': 1, 'b': 2},
    scheduler={'optimizer': {'params_rules': {}}},
)
for stage in range(2):
    NET_SEGMENTOR_CFG['scheduler']['optimizer']['params_rules'].update({f'stage{stage}': dict(lr=0.1)})
"""
DATASET = """\
from .default_dataset import DatasetConfig

DATASET_CFG_A = DatasetConfig(type='A', rootdir=os.path.join(os.getcwd(), 'A'), test={'set': 'val'})
"""
HEAD = """\
import os
from .._base_ import REGISTERED_SEGMENTOR_CONFIGS, REGISTERED_DATASET_CONFIGS

SEGMENTOR_CFG = REGISTERED_SEGMENTOR_CONFIGS['NET_SEGMENTOR_CFG']
"""
CONFIG = f"""\
{HEAD}SEGMENTOR_CFG['dataset'] = REGISTERED_DATASET_CONFIGS['DATASET_CFG_A'].copy()
SEGMENTOR_CFG['num_classes'] = 19
SEGMENTOR_CFG.update({{'align_corners': False}})
SEGMENTOR_CFG['losses'].pop('b')
SEGMENTOR_CFG['work_dir'] = os.path.split(__file__)[-1].split('.')[0]
# --multi scale with flipping
'''
SEGMENTOR_CFG['inference']['tta'] = {{'multiscale': [0.5, 1.0], 'flip': True}}
SEGMENTOR_CFG['dataset']['test']['set'] = 'test'
'''
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in {
        "segmentors/net": SEGMENTOR,
        "datasets/a": DATASET,
        "segmentors/default_segmentor": "x",
    }.items():
        path = tmp_path / "_base_" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def read(folder, text):
    path = folder / "config.py"
    path.write_text(text, encoding="utf-8")
    return read_config(path, read_bases(folder / "_base_"))


def test_a_file_is_its_bases_with_what_it_changes(folder):
    settings = read(folder, CONFIG).settings
    momentum, work_dir = settings["head"].pop("momentum"), settings.pop("work_dir")
    root = settings["dataset"].pop("rootdir")
    assert all(isinstance(one, Unknown) for one in (momentum, work_dir, root))
    assert repr(momentum) == "<not computed: 0.1 * 0.9>"
    assert settings == {
        "type": "Net",
        "num_classes": 19,
        "head": {"in_channels": 54, "sizes": [1, 2]},
        "inference": {
            "forward": {"mode": "whole", "cropsize": None},
            "tta": {"multiscale": [1], "flip": False},
        },
        "losses": {"a": 1},
        "scheduler": {"optimizer": {"params_rules": {}}},
        "dataset": {"type": "A", "test": {"set": "val"}},
        "align_corners": False,
    }


def test_statements_in_quotes_are_another_way_to_test(folder):
    config = read(folder, CONFIG)
    (words,) = config.quoted
    other = config.quoted[words]
    assert words == "multi-scale with flipping"
    assert other["inference"]["tta"] == {"multiscale": [0.5, 1.0], "flip": True}
    assert (other["dataset"]["test"], config.settings["dataset"]["test"]) == ({"set": "test"}, {"set": "val"})


def test_a_file_that_would_change_its_base_changes_it_for_no_other(folder):
    bases = read_bases(folder / "_base_")
    one, other = folder / "one.py", folder / "other.py"
    one.write_text(CONFIG, encoding="utf-8")
    other.write_text(HEAD, encoding="utf-8")
    assert read_config(one, bases).settings["num_classes"] == 19
    assert read_config(other, bases).settings["num_classes"] == -1


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("SEGMENTOR_CFG = (", 1, "expected Python"),
        ("X = 1", None, "expected settings named SEGMENTOR_CFG, found none"),
        (HEAD + "SEGMENTOR_CFG['losses'].clear()", 5, "found SEGMENTOR_CFG['losses'].clear()"),
        (HEAD + "SEGMENTOR_CFG['nothing']['a'] = 1", 5, "found SEGMENTOR_CFG['nothing']['a'] = 1"),
        (HEAD + "for a in range(3):\n    SEGMENTOR_CFG['losses'].update({'a': a})", 5, "found for a in range(3)"),
        (HEAD + "def f(): pass", 5, "found def f()"),
        (HEAD + "a = b = 1", 5, "found a = b = 1"),
        (HEAD + "a = not 'b'", 5, "found a = not 'b'"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_told_with_its_line(folder, text, line, found):
    with pytest.raises(SourceError) as error:
        read(folder, text)
    place = f"{folder / 'config.py'}:" + (f"{line}:" if line else "")
    assert str(error.value).startswith(place)
    assert found in str(error.value)
