"""Forward passes on the CPU: our networks against mmsegmentation's own, with the same weights.

    python benchmarks/networks.py --mmseg PYTHON     # Markdown on stdout; PYTHON has mmsegmentation installed (rival.py)

Every measurement runs in a process of its own, with torch's own number of threads; the sides alternate. Memory is
what the forward passes add at their peak to what the process held with the network loaded. The share of the peak is that
of this machine's own product of two matrices of 4096 x 4096, measured in the same process.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from rival import import_mmseg, published_config

NETWORKS = {
    "SegFormer-B0": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "Swin-T + UPerNet": "swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
    "PSPNet R-50-D8": "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024",
    "DeepLabV3+ R-50-D8": "deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024",
}
"""Of each, the row's name in mmsegmentation 1.x, which is its configuration's."""
SIZE = (512, 1024)
FORWARDS = 3
RIVAL = "mmsegmentation 1.2.2"


def main() -> int:
    """Race every network and print the table."""
    parser = argparse.ArgumentParser(description="Forward passes on the CPU against mmsegmentation's.")
    parser.add_argument(
        "--mmseg", metavar="PYTHON", required=True, help="interpreter that has mmsegmentation"
    )
    parser.add_argument("--repeats", type=int, default=3, help="processes of each side (default: 3)")
    parser.add_argument("--network", choices=list(NETWORKS), action="append", help="these alone")
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "NETWORK", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, network, folder = arguments.side
        print(json.dumps(SIDES[side](NETWORKS[network], Path(folder))))
        return 0
    interpreters = {RIVAL: arguments.mmseg, "ours": sys.executable, "ours, as published": sys.executable}
    print(
        "| 1x3x512x1024, CPU | side | seconds | GB | time to theirs | share of matmul peak | scores, to their spread |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for network in arguments.network or NETWORKS:
        race(network, interpreters, arguments.repeats)
    return 0


def race(network: str, interpreters: dict[str, str], repeats: int) -> None:
    """Alternate the sides and print a line of medians for each."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in interpreters}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            for side, interpreter in interpreters.items():
                command = [interpreter, __file__, "--mmseg", "-", "--side", side, network, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
        scores = {side: np.load(Path(folder) / f"{side}.npy") for side in interpreters}
    seconds, memory = (
        {side: statistics.median(one[key] for one in runs) for side, runs in found.items()}
        for key in ("seconds", "GB")
    )
    gflop = found["ours"][0]["GFLOP"]
    for side in interpreters:
        share = statistics.median(gflop / run["seconds"] / run["GFLOP/s"] for run in found[side])
        difference = np.abs(scores[side] - scores[RIVAL]).max() / scores[RIVAL].std()
        ratio = seconds[side] / seconds[RIVAL]
        print(
            f"| {network if side == RIVAL else ''} | {side} | {seconds[side]:.2f} | {memory[side]:.2f} | {ratio:.2f} | "
            f"{share:.0%} | {difference:.1e} |",
            flush=True,
        )


def theirs(config: str, folder: Path) -> dict[str, float]:
    """The rival's network by its own configuration; the first process draws the weights."""
    import_mmseg()
    import torch  # noqa: PLC0415
    from mmengine.model import revert_sync_batchnorm  # noqa: PLC0415
    from mmseg.registry import MODELS  # noqa: PLC0415

    model_config = published_config(config).model
    torch.manual_seed(0)
    network = revert_sync_batchnorm(MODELS.build(model_config)).eval()
    weights = folder / "weights.pth"
    if weights.exists():
        network.load_state_dict(torch.load(weights)["state_dict"])
    else:
        torch.save({"state_dict": network.state_dict()}, weights)

    def forward(images: torch.Tensor) -> torch.Tensor:
        return network.decode_head(network.extract_feat(images))

    return measured(forward, folder / f"{RIVAL}.npy")


def ours(config: str, folder: Path, side: str, form: str) -> dict[str, float]:
    """Our network of the row, with the rival's weights, in the form that `zoo verify` runs on a CPU or as published."""
    import torch  # noqa: PLC0415

    from segbench.models.trace.cost import network_cost  # noqa: PLC0415
    from segbench.zoo.manifest import load_manifest  # noqa: PLC0415
    from segbench.zoo.measuring.network_form import ready  # noqa: PLC0415

    row, weights, cpu = load_manifest()[config], folder / "weights.pth", torch.device("cpu")
    found = measured(ready(row, weights, cpu, form), folder / f"{side}.npy")
    return found | {"GFLOP": network_cost(row.build, SIZE).gflops}


def measured(forward, scores: Path) -> dict[str, float]:  # noqa: ANN001  (torch is not imported up here)
    """Median of some forward passes after a first one, and what they add to resident memory at their peak."""
    import torch  # noqa: PLC0415

    images = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak so far is forgotten
    before = resident_gb()
    seconds = []
    with torch.inference_mode():
        for _ in range(1 + FORWARDS):
            started = time.perf_counter()
            found = forward(images)
            seconds.append(time.perf_counter() - started)
    np.save(scores, found.numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": statistics.median(seconds[1:]), "GB": peak - before, "GFLOP/s": matmul_gflops()}


def matmul_gflops(side: int = 4096, products: int = 4) -> float:
    """What this machine multiplies at its best, in 10^9 operations a second."""
    import torch  # noqa: PLC0415

    square = torch.randn(side, side)
    square @ square
    started = time.perf_counter()
    for _ in range(products):
        square @ square
    return products * 2 * side**3 / (time.perf_counter() - started) / 1e9


def resident_gb() -> float:
    """What this process holds now (Linux, proc(5): the second field of statm, in pages)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9


SIDES = {
    RIVAL: theirs,
    "ours": partial(ours, side="ours", form="winograd"),
    "ours, as published": partial(ours, side="ours, as published", form="published"),
}

if __name__ == "__main__":
    sys.exit(main())
