"""What a GPU was doing besides: clocks, throttling, temperature, other processes (NVIDIA's NVML).

Needs the package nvidia-ml-py (`pip install segbench[nvml]`); without it a record says that nothing is known.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Bits of nvmlDeviceGetCurrentClocksThrottleReasons (nvml.h); idleness and an application's own clock setting,
# the two lowest, do not distort a measurement.
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
    """The device's state at this moment, as plain data; empty for a CPU, `{"known": False}` without NVML.

    What a driver does not tell (virtual and partitioned GPUs keep much to themselves) is None. Nothing is raised:
    a finished measurement must not be lost for its circumstances.
    """
    if device.type != "cuda":
        return {}
    try:
        nvml: Any = importlib.import_module("pynvml")  # an extra
        nvml.nvmlInit()
    except Exception as error:  # noqa: BLE001  (a missing package, driver or permission: all mean unknown)
        return {"known": False, "why": f"{type(error).__name__}: {error}"}
    try:
        return _state(nvml, _handle(nvml, device))
    except Exception as error:  # noqa: BLE001
        return {"known": False, "why": f"{type(error).__name__}: {error}"}
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, device: torch.device) -> Any:
    """By UUID: NVML counts all GPUs, torch only those that CUDA_VISIBLE_DEVICES shows."""
    import torch  # noqa: PLC0415

    uuid = str(torch.cuda.get_device_properties(device).uuid)
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    return nvml.nvmlDeviceGetHandleByUUID(name.encode())


def _state(nvml: Any, handle: Any) -> dict[str, Any]:
    reasons = _ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    processes = _ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    power = _ask(nvml.nvmlDeviceGetPowerUsage, handle)
    return {
        "known": True,
        "sm_clock_mhz": _ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        "max_sm_clock_mhz": _ask(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": _ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
        "temperature_celsius": _ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        "power_watts": None if power is None else power / 1000,
        "throttled_by": [name for bit, name in _REASONS.items() if reasons and reasons & bit],
        # One of them is this one; its number in here and out there differ where it runs in a container.
        "other_processes": None if processes is None else max(len(processes) - 1, 0),
    }


def _ask(question: Any, *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except Exception:  # noqa: BLE001  (NVML has an error of its own for each thing a GPU does not tell)
        return None


def warnings_of(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What of a device's states before and after a run makes its times doubtful."""
    found = []
    reasons = dict.fromkeys([*before.get("throttled_by", []), *after.get("throttled_by", [])])
    if reasons:
        found.append(f"the GPU is throttled: {', '.join(reasons)}")
    others = max(before.get("other_processes") or 0, after.get("other_processes") or 0)
    if others:
        found.append(f"{others} other process(es) use the GPU")
    if before.get("known") is False:
        found.append("clocks, throttling and other processes are unknown: pip install nvidia-ml-py")
    return found


def peak_gflops(device: torch.device, state: dict[str, Any]) -> float | None:
    """Float32 peak in 10^9 operations a second without tensor cores; None where the clock is not known.

    Two operations (a fused multiply-add) a lane and clock, at the highest clock the GPU has.
    """
    if device.type != "cuda" or not state.get("max_sm_clock_mhz"):
        return None
    import torch  # noqa: PLC0415

    properties = torch.cuda.get_device_properties(device)
    lanes = _LANES.get((properties.major, properties.minor))
    return (
        None if lanes is None else 2e-3 * lanes * properties.multi_processor_count * state["max_sm_clock_mhz"]
    )
