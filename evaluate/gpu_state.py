"""What a GPU was doing besides: clocks, throttling, temperature, other processes (NVIDIA's NVML).

Needs the package nvidia-ml-py (`pip install segbench[nvml]`); without it a record says that nothing is known.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Bits of nvmlDeviceGetCurrentClocksThrottleReasons (nvml.h); an idle GPU and an application's own clock
# setting do not distort a measurement.
_HARMLESS = {0x1: "idle", 0x2: "application clocks"}
_REASONS = {
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "synchronised boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}

# Multiprocessors' float32 lanes by compute capability (CUDA C++ Programming Guide, arithmetic throughput).
_LANES = {
    (6, 0): 64, (6, 1): 128, (7, 0): 64, (7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 9): 128, (9, 0): 128,
    (10, 0): 128, (12, 0): 128,
}  # fmt: skip


def gpu_state(device: torch.device) -> dict[str, Any]:
    """The device's state at this moment, as plain data; empty for a CPU, `{"known": False}` without NVML."""
    if device.type != "cuda":
        return {}
    try:
        pynvml: Any = importlib.import_module("pynvml")  # an extra
        pynvml.nvmlInit()
    except Exception as error:  # noqa: BLE001  (a missing package, driver or permission: all mean unknown)
        return {"known": False, "why": f"{type(error).__name__}: {error}"}
    try:
        return _state(pynvml, _handle(pynvml, device))
    finally:
        pynvml.nvmlShutdown()


def _handle(nvml: Any, device: torch.device) -> Any:
    """By UUID: NVML counts all GPUs, torch only those that CUDA_VISIBLE_DEVICES shows."""
    import torch  # noqa: PLC0415

    return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode())


def _state(nvml: Any, handle: Any) -> dict[str, Any]:
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return {
        "known": True,
        "sm_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "max_sm_clock_mhz": nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "temperature_celsius": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_watts": nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttled_by": [name for bit, name in _REASONS.items() if reasons & bit],
        "other_processes": sum(process.pid != os.getpid() for process in processes),
    }


def warnings_of(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What of a device's states before and after a run makes its times doubtful."""
    found = []
    if after.get("throttled_by"):
        found.append(f"the GPU is throttled: {', '.join(after['throttled_by'])}")
    others = max(before.get("other_processes", 0), after.get("other_processes", 0))
    if others:
        found.append(f"{others} other process(es) use the GPU")
    if before.get("known") is False:
        found.append("clocks, throttling and other processes are unknown: pip install nvidia-ml-py")
    return found


def peak_gflops(device: torch.device, state: dict[str, Any]) -> float | None:
    """Float32 peak in 10^9 operations a second without tensor cores; None where the clock is not known.

    Two operations (a fused multiply-add) a lane and clock, at the highest clock the GPU has.
    """
    if device.type != "cuda" or "max_sm_clock_mhz" not in state:
        return None
    import torch  # noqa: PLC0415

    properties = torch.cuda.get_device_properties(device)
    lanes = _LANES.get((properties.major, properties.minor))
    return (
        None if lanes is None else 2e-3 * lanes * properties.multi_processor_count * state["max_sm_clock_mhz"]
    )
