"""Networks of ours run in their fastest form on a CPU; what is not proven runs as published."""

import pytest
from own_builders import own_zoo

from segbench.models import use_builders
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.network_form import form_of

OURS = "pspnet_r50-d8_512x1024_40k_cityscapes"


@pytest.mark.parametrize(
    ("device", "options", "form"),
    [
        ("cpu", {}, "winograd"),
        ("cpu", {"asked": "folded"}, "folded"),
        ("cpu", {"asked": "published"}, "published"),
        ("cpu", {"precision": "bf16"}, "published"),
        ("cpu", {"precision": "bf16", "asked": "folded"}, "published"),
        ("cuda", {}, "published"),
        ("cuda", {"asked": "folded"}, "folded"),
        ("cpu", {"weights": "model.onnx", "asked": "folded"}, "published"),
        ("cpu", {"weights": "model.pt2"}, "published"),
        ("cpu", {"weights": "model.pth"}, "winograd"),
    ],
)
def test_a_network_of_ours_runs_in_its_fastest_form_on_a_cpu_in_fp32(device, options, form, tmp_path):
    if "weights" in options:
        options = options | {"weights": tmp_path / options["weights"]}
    assert form_of(load_manifest()[OURS], device, **options) == form


@pytest.mark.parametrize(
    "name", ["ccnet_r101-d8_512x1024_40k_cityscapes", "pidnet-s_2xb6-120k_1024x1024-cityscapes"]
)
def test_what_amplifies_rounding_is_changed_only_if_asked(name):
    row = load_manifest()[name]
    assert [form_of(row, "cpu"), form_of(row, "cpu", asked="folded")] == ["published", "folded"]


def test_what_is_not_ours_runs_as_its_authors_wrote_it(tmp_path):
    own_zoo(tmp_path)
    use_builders([str(tmp_path / "tiny.py")])
    try:
        (row,) = load_manifest(tmp_path / "zoo.yaml")
        assert form_of(row, "cpu", asked="folded") == "published"
    finally:
        use_builders([])
    library = next(one for one in load_manifest() if one.architecture.get("builder") == "torchvision")
    assert form_of(library, "cpu", asked="folded") == "published"
