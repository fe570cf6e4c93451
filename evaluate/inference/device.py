"""The device and the arithmetic a measurement runs with, set in one place and written down."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .choices import Precision

_HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class DeviceError(Exception):
    """The asked-for device is not here; the message lists what is."""


def resolve_device(name: str) -> torch.device:
    """`cpu`, `cuda` or `cuda:N` to a device that exists.

    Raises:
        DeviceError: unknown name, no CUDA, or no such GPU.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name}: expected cpu, cuda or cuda:N") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise DeviceError(f"--device {name}: expected cpu, cuda or cuda:N, found {device.type!r}")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"--device {name}: torch {torch.__version__} sees no CUDA device here; use --device cpu, or check the "
            "driver with nvidia-smi and the torch build with zoo doctor"
        )
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise DeviceError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s), from cuda:0"
        )
    return torch.device("cuda", index)


def device_kind(device: torch.device) -> str:
    """`cpu`, or the GPU's product name: results of the same kind share their evidence."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


@contextmanager
def numerics(precision: Precision = "fp32", *, cudnn_benchmark: bool = False) -> Iterator[None]:
    """The publishers' arithmetic for the body, the former settings after it.

    TF32 is off in both publishers' runs (sssegmentation 1.7.0 `test.py` says so; V100s have none), and
    cuDNN's benchmark mode picks kernels by timing, so two runs may differ in the last bits.
    """
    before = _settings()
    tf32 = precision == "tf32"
    _set(matmul_tf32=tf32, cudnn_tf32=tf32, cudnn_benchmark=cudnn_benchmark)
    try:
        yield
    finally:
        _set(**before)


def in_precision(
    model: Callable[[torch.Tensor], torch.Tensor], precision: str, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model under torch's autocast for `fp16` and `bf16`, itself for the rest (`numerics` sets TF32)."""
    half = _HALVES.get(precision)
    if half is None:
        return model

    def cast(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, dtype=half):
            return model(images)

    return cast


def _settings() -> dict[str, bool]:
    return {
        "matmul_tf32": bool(torch.backends.cuda.matmul.allow_tf32),
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }


def _set(*, matmul_tf32: bool, cudnn_tf32: bool, cudnn_benchmark: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
    torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.backends.cudnn.benchmark = cudnn_benchmark


_PACKAGES = ("segbench", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow")


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers may depend on: versions, device, arithmetic as set at this moment."""
    return {
        "python": platform.python_version(),
        "platform": _platform(),
        "machine": platform.machine(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": device_kind(device),
        "cpu": _cpu_model(),
        "threads": torch.get_num_threads(),
        **_settings(),
        **(_cuda_facts(device) if device.type == "cuda" else {}),
    }


def _platform() -> str:
    """System, kernel and C library without what a machine's builder appended: `Linux 6.1.0, glibc 2.36`."""
    kernel = re.match(r"[0-9.]*", platform.release())
    parts = (f"{platform.system()} {kernel[0] if kernel else ''}", " ".join(platform.libc_ver()))
    return ", ".join(part.strip() for part in parts if part.strip())


def _cpu_model() -> str:
    """As Linux names it; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _version(package: str) -> str | None:
    if package == "torch":
        return str(torch.__version__)  # names the CUDA build, which the package's own metadata may not
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda_facts(device: torch.device) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "device_memory_mib": properties.total_memory // 2**20,
    }
