"""Devices that exist, settings that are put back, and what a measurement writes down about both."""

import pytest
import torch

from segbench.evaluate.inference.device import DeviceError, environment, numerics, resolve_device

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def settings():
    cudnn = torch.backends.cudnn
    return torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark


def test_tf32_and_benchmark_are_off_unless_asked_and_put_back():
    before = settings()
    with numerics():
        assert settings() == (False, False, False)
        with numerics("tf32", cudnn_benchmark=True):
            assert settings() == (True, True, True)
        assert settings() == (False, False, False)
    assert settings() == before


@pytest.mark.parametrize("name", ["tpu", "gpu:0", "mps", "cuda:x"])
def test_a_device_of_another_kind_is_refused(name):
    with pytest.raises(DeviceError, match=f"--device {name}: expected cpu, cuda or cuda:N"):
        resolve_device(name)


@no_cuda
def test_a_missing_gpu_says_what_to_do():
    with pytest.raises(DeviceError) as error:
        resolve_device("cuda:1")
    assert str(error.value) == (
        f"--device cuda:1: torch {torch.__version__} sees no CUDA device here; use --device cpu, or check the "
        "driver with nvidia-smi and the torch build with zoo doctor"
    )


@needs_cuda
def test_a_gpu_beyond_the_last_is_refused():
    with pytest.raises(DeviceError, match="this machine has"):
        resolve_device("cuda:99")


def test_the_environment_names_versions_device_and_settings():
    with numerics():
        facts = environment(torch.device("cpu"))
    assert facts["device"] == "cpu"
    assert facts["packages"]["torch"] == torch.__version__
    assert None not in facts["packages"].values()
    assert not any(facts[name] for name in ("matmul_tf32", "cudnn_tf32", "cudnn_benchmark"))
