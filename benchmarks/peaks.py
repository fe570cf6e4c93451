"""What label maps of 150 classes at 2048x1024 with ms+flip add to resident memory, by every way that a protocol has.

    python benchmarks/peaks.py     # Markdown on stdout; minutes, for windows overlap

No network runs: a stand-in hands out scores at stride 8, so that what is left is views, scores, tiles and the decision.
Each case in a process of its own (Linux). The limit is 1.5 GB; the plain path's volume of one view is 1.26 GB, ten times.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

CLASSES, SIZE, STRIDE = 150, (1024, 2048), 8
MANY = {"base_scale": (2048, 1024), "scales": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75), "flip": True}
SLIDING = {"window": {"crop": (769, 769), "stride": (513, 513)}}
CASES = {
    "whole": MANY,
    "whole, one step, scores": MANY | {"upsampling": "one-step", "average": "scores"},
    "whole, aligned corners": MANY | {"align_corners": True},
    "whole, padded to multiples of 32": MANY | {"size_divisor": 32},
    "views of the tensor, probabilities at the head": MANY
    | {"views": "tensor", "upsampling": "one-step", "softmax_at": "window"},
    "windows of 769x769": MANY | SLIDING,
    "windows of 769x769, probabilities in them": MANY | SLIDING | {"softmax_at": "window"},
    "windows of 769x769, one view": {"base_scale": (2048, 1024)} | SLIDING,
}


def main() -> int:
    """Run every case and print the table."""
    parser = argparse.ArgumentParser(description="Peak resident memory of label maps.")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    case = parser.parse_args().case
    if case:
        print(json.dumps(added(case)))
        return 0
    print("| 150 classes, 2048x1024, ms+flip | GB added | seconds |\n| --- | ---: | ---: |")
    for name in CASES:
        done = subprocess.run(
            [sys.executable, __file__, "--case", name], check=True, capture_output=True, text=True
        )
        memory, seconds = json.loads(done.stdout)
        print(f"| {name} | {memory:.2f} | {seconds:.1f} |", flush=True)
    return 0


def added(case: str) -> tuple[float, float]:
    """GB at the peak above what the process held before, and seconds."""
    import msgspec  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from segbench.evaluate import EvalProtocol  # noqa: PLC0415
    from segbench.evaluate.inference.tiles import predict_labels  # noqa: PLC0415

    def network(images: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(images), CLASSES, *(-(-side // STRIDE) for side in images.shape[2:]))

    protocol = msgspec.convert(CASES[case], EvalProtocol)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    predict_labels(network, image[:64, :64].copy(), EvalProtocol(base_scale=None), classes=CLASSES)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak so far is forgotten
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9
    started = time.perf_counter()
    predict_labels(network, image, protocol, classes=CLASSES)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e9
    return peak - before, seconds


if __name__ == "__main__":
    sys.exit(main())
