"""Configurations in Python are read without running anything: values, bases, and what is refused."""

import pytest

from segbench.zoo.publishers import SourceError
from segbench.zoo.publishers.configs import python_config
from segbench.zoo.publishers.configs.python_config import read_config


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return tmp_path / f"{list(texts)[-1]}.py"

    return write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = dict(x=1, **dict(y=(2, 3)))", {"x": 1, "y": [2, 3]}),
        ("n = 3\na = [dict(i=n) for i in range(2)]", [{"i": 3}, {"i": 3}]),
        ("a = [int(640 * x * 0.1) for x in range(5, 8)]", [320, 384, 448]),
        ("a = sum([18, 36]) / 4.0 - -1", 14.5),
        ("a = {'b': [True, None] * 2}", {"b": [True, None, True, None]}),
        ("a = 1\na = 2", 2),
        ("a = 1\na = open('x')", 1),
        ("a = 1\n'words'\nfor a in []: pass", 1),
    ],
)
def test_plain_values_are_read(files, text, value):
    assert read_config(files(one=text))["a"] == value


def test_what_would_have_to_run_is_left_out_with_all_that_is_made_of_it(files, tmp_path):
    ran = tmp_path / "ran"
    text = f"import os\na = os.mkdir({str(ran)!r})\nb = dict(a=a)\nc = __import__('os').sep\nd = 1\n"
    assert read_config(files(one=text)) == {"d": 1}
    assert not ran.exists()


def test_a_files_values_go_on_top_of_its_bases(files):
    path = files(
        model="model = dict(backbone=dict(type='A', depth=50), head=[dict(n=1)])\nleft = 1",
        data="data = dict(batch=2)",
        own="_base_ = ['./model.py', './data.py']\n"
        "model = dict(backbone=dict(depth=101), head=[dict(n=2)])\n"
        "data = dict(_delete_=True, size=3)",
    )
    assert read_config(path) == {
        "model": {"backbone": {"type": "A", "depth": 101}, "head": [{"n": 2}]},
        "left": 1,
        "data": {"size": 3},
    }


def test_a_name_assigned_twice_loses_its_first_value(files):
    """As running it would: mmsegmentation 1.2.2's `fpn_r101_4xb4-160k_ade20k-512x512` loses its depth so."""
    path = files(
        base="model = dict(backbone=dict(depth=50))",
        own="_base_ = './base.py'\nmodel = dict(backbone=dict(depth=101))\nmodel = dict(head=dict(n=150))",
    )
    assert read_config(path)["model"] == {"backbone": {"depth": 50}, "head": {"n": 150}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = (", "one.py:1: cannot be read as Python"),
        ("_base_ = './one.py'", "builds on itself"),
        ("_base_ = './none.py'", "none.py: cannot read the configuration"),
        ("a = [0] * 1000000000", "more than 100000 values"),
        ("a = range(1000000000)", "more than 100000 values"),
        ("a = [[i for i in range(999)] for j in range(999)]", "more than 100000 values"),
        ("a = " + "-" * 100_000 + "1", "cannot be read as Python"),
    ],
)
def test_what_is_no_configuration_is_refused(files, text, message):
    with pytest.raises(SourceError, match=message):
        read_config(files(one=text))


def test_a_file_that_is_too_long_is_refused(files, monkeypatch):
    monkeypatch.setattr(python_config, "MAX_CONFIG_BYTES", 10)
    with pytest.raises(SourceError, match="more than 10 bytes"):
        read_config(files(one="a = 'long enough'"))


def test_a_file_that_builds_on_too_many_is_refused(files):
    """Seventy files, each on the one before."""
    chain = {f"f{number}": f"_base_ = './f{number - 1}.py'" for number in range(1, 70)}
    with pytest.raises(SourceError, match="builds on more than 64 files"):
        read_config(files(f0="a = 1", **chain))
