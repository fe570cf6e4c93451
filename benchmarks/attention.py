"""Attention without score maps against the materialised form, as peak memory and time of whole forward passes.

    python benchmarks/attention.py            # Markdown on stdout; several minutes on two cores

Each case runs in a process of its own, so that peak resident memory is its own; ours and the rival (softmax of
the whole score matrix, as the publishers write it) alternate within one run of this script.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

CASES = {
    "ISNet R-50, 1x3x1024x2048": (
        {"builder": "isnet_ssseg", "backbone": "resnet50", "num_classes": 19},
        (1024, 2048),
    ),
    "ISANet R-50, 1x3x1024x2048": ({"builder": "isanet_mmseg", "depth": 50, "num_classes": 19}, (1024, 2048)),
    "ISANet R-50, 1x3x512x683": ({"builder": "isanet_mmseg", "depth": 50, "num_classes": 150}, (512, 683)),
}
FORMS = ("fused", "materialised")


def main() -> int:
    """Run every case in both forms and print the table."""
    parser = argparse.ArgumentParser(
        description="Peak memory and time of fused against materialised attention."
    )
    parser.add_argument("--repeats", type=int, default=2, help="timed forwards a process (default: 2)")
    parser.add_argument("--case", nargs=2, metavar=("NAME", "FORM"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(*arguments.case, repeats=arguments.repeats)))
        return 0
    print("| forward, CPU | form | peak resident GB | best s | time, materialised / fused |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name in CASES:
        found = {form: in_own_process(name, form, arguments.repeats) for form in FORMS}
        ratio = found["materialised"]["seconds"] / found["fused"]["seconds"]
        for form in FORMS:
            row = found[form]
            shown = f"{ratio:.2f}" if form == "fused" else ""
            print(f"| {name} | {form} | {row['peak_gb']:.2f} | {row['seconds']:.2f} | {shown} |", flush=True)
    return 0


def in_own_process(name: str, form: str, repeats: int) -> dict[str, float]:
    """Measure one case in a fresh interpreter."""
    command = [sys.executable, __file__, "--repeats", str(repeats), "--case", name, form]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(name: str, form: str, *, repeats: int) -> dict[str, float]:
    """Peak resident memory (GB) and the best of `repeats` forward passes (s) after one warm-up."""
    import torch  # noqa: PLC0415  (the parent process must stay small)

    from segbench.models.build import build_model  # noqa: PLC0415
    from segbench.models.heads import isa as isanet  # noqa: PLC0415
    from segbench.models.heads import isnet  # noqa: PLC0415

    if form == "materialised":
        isanet.attend = isnet.attend = materialised
    architecture, size = CASES[name]
    model = build_model(**architecture)
    images = torch.zeros(1, 3, *size)
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            started = time.perf_counter()
            model(images)
            seconds.append(time.perf_counter() - started)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_gb": peak_kib * 1024 / 1e9, "seconds": min(seconds[1:])}


def materialised(query, key, value):  # noqa: ANN001, ANN201  (torch is not imported up here)
    """The definition: softmax over all keys of the whole score matrix, then the weighted sum."""
    scores = (query @ key.mT) * query.shape[-1] ** -0.5
    return scores.softmax(dim=-1) @ value


if __name__ == "__main__":
    sys.exit(main())
