"""Evaluation end to end: ours against mmsegmentation's own test loop, and label maps in tiles against the plain path.

    python benchmarks/evaluate.py --mmseg PYTHON     # Markdown on stdout; PYTHON has mmsegmentation installed
    python benchmarks/evaluate.py --device cuda      # label maps on a GPU alone: tiles against the Triton kernel

Every measurement runs in a process of its own, so that peak resident memory is its own; the sides alternate.
`PYTHON` is the interpreter of an environment of its own (rival.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ours import counted
from rival import import_mmseg

STREETS = Path(__file__).resolve().parents[1] / "zoo" / "streets"
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
STRIDE = 8
VOLUME = (150, 1500, 2000)
"""Classes, height, width of the label map bar."""


def main() -> int:
    """Run every case and print the tables."""
    parser = argparse.ArgumentParser(
        description="Evaluation against mmsegmentation and against the plain path."
    )
    parser.add_argument(
        "--mmseg", metavar="PYTHON", help="interpreter that has mmsegmentation (default: left out)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: label maps on a GPU")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(CASES[arguments.case]()))
        return 0
    if arguments.device == "cuda":
        return on_gpu(arguments.repeats)
    print("label maps on a GPU: left out, they need CUDA (--device cuda)", file=sys.stderr)
    sides = {"mmsegmentation": (arguments.mmseg, "mmseg")} if arguments.mmseg else {}
    table("demo, 12 images, ms+flip", sides | {"ours": (sys.executable, "demo")}, arguments.repeats)
    volume = "x".join(map(str, VOLUME))
    both = {"plain": (sys.executable, "plain"), "tiles": (sys.executable, "tiles")}
    table(f"label map {volume}, ms+flip, without the network", both, arguments.repeats)
    table("R-50, 512x1024, one view", {"ours": (sys.executable, "profile")}, arguments.repeats)
    return 0


def on_gpu(repeats: int) -> int:
    """Tiles against the kernel, on a machine that can."""
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        print(f"--device cuda: torch {torch.__version__} sees no CUDA device here", file=sys.stderr)
        return 2
    both = {name: (sys.executable, name) for name in ("tiles on GPU", "kernel on GPU")}
    volume = "x".join(map(str, VOLUME))
    table(f"label map {volume}, ms+flip, {torch.cuda.get_device_name()}", both, repeats)
    return 0


def table(title: str, sides: dict[str, tuple[str, str]], repeats: int) -> None:
    """Alternate the sides and print medians."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (interpreter, case) in sides.items():
            command = [interpreter, __file__, "--case", case]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    keys = list(next(iter(found.values()))[0])
    print(f"| {title} | {' | '.join(keys)} |\n| --- |{' ---: |' * len(keys)}")
    for name, rows in found.items():
        medians = [statistics.median(row[key] for row in rows) for key in keys]
        print(f"| {name} | {' | '.join(f'{median:.2f}' for median in medians)} |", flush=True)
    print()


def peak_gb() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def demo() -> dict[str, float]:
    """Our loop over the demo's images as `zoo verify` runs it: files to counts in an evidence file."""
    import torch  # noqa: PLC0415

    from segbench.evaluate.data.datasets import locate  # noqa: PLC0415
    from segbench.zoo.manifest import load_manifest  # noqa: PLC0415
    from segbench.zoo.measuring.network_form import ready  # noqa: PLC0415

    row = next(one for one in load_manifest(STREETS / "zoo.yaml") if one.id.startswith("isanet"))
    weights = next((STREETS / "weights").glob("isanet*.pth"))
    network = ready(row, weights, torch.device("cpu"), "winograd")
    seconds, scores = counted(network, locate(row.dataset_spec, STREETS), row.protocol("miou_ms_flip"))
    return {
        "seconds": seconds,
        "images/s": 12 / seconds,
        "mIoU": scores.miou_percent,
        "peak GB": peak_gb(),
    }


def mmseg() -> dict[str, float]:
    """Mmsegmentation's own runner: its data loader, test-time augmentation model, hooks and IoUMetric."""
    import tempfile  # noqa: PLC0415

    import_mmseg()
    from mmengine.config import Config  # noqa: PLC0415
    from mmengine.runner import Runner  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(Config(rival_config(folder)))
        started = time.perf_counter()
        metrics = runner.test()
        seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "images/s": 12 / seconds,
        "mIoU": float(metrics["mIoU"]),
        "peak GB": peak_gb(),
    }


def rival_config(folder: str) -> dict[str, object]:
    """The demo checkpoint as mmsegmentation 1.2.2 configures it, ms+flip, as `tools/test.py --tta` runs it."""
    classes = ["road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car"]
    norm = {"type": "BN", "requires_grad": True}
    scales = [
        [
            {"type": "Resize", "scale": (int(512 * ratio), int(256 * ratio)), "keep_ratio": True}
            for ratio in RATIOS
        ],
        [{"type": "RandomFlip", "prob": flip, "direction": "horizontal"} for flip in (0.0, 1.0)],
        [{"type": "LoadAnnotations"}],
        [{"type": "PackSegInputs"}],
    ]
    model = {
        "type": "EncoderDecoder",
        "data_preprocessor": {
            "type": "SegDataPreProcessor", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
            "bgr_to_rgb": True, "pad_val": 0, "seg_pad_val": 255, "size_divisor": 1,
        },
        "backbone": {
            "type": "ResNetV1c", "depth": 50, "base_channels": 16, "stem_channels": 32, "num_stages": 4,
            "out_indices": (0, 1, 2, 3), "dilations": (1, 1, 2, 4), "strides": (1, 2, 1, 1), "norm_cfg": norm,
            "contract_dilation": True, "style": "pytorch",
        },
        "decode_head": {
            "type": "ISAHead", "in_channels": 512, "in_index": 3, "channels": 128, "isa_channels": 64,
            "down_factor": (8, 8), "num_classes": 8, "norm_cfg": norm, "align_corners": False,
        },
        "auxiliary_head": {
            "type": "FCNHead", "in_channels": 256, "in_index": 2, "channels": 64, "num_convs": 1,
            "concat_input": False, "num_classes": 8, "norm_cfg": norm, "align_corners": False,
        },
        "test_cfg": {"mode": "whole"},
    }  # fmt: skip
    return {
        "model": {"type": "SegTTAModel", "module": model},
        "work_dir": folder,
        "load_from": rival_weights(folder),
        "default_scope": "mmseg",
        "log_level": "ERROR",
        "test_dataloader": {
            "batch_size": 1,
            "num_workers": 2,
            "persistent_workers": True,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": {
                "type": "BaseSegDataset", "data_root": str(STREETS), "img_suffix": ".jpg", "seg_map_suffix": ".png",
                "data_prefix": {"img_path": "images/val", "seg_map_path": "annotations/val"},
                "metainfo": {"classes": classes, "palette": [[index] * 3 for index in range(8)]},
                "pipeline": [{"type": "LoadImageFromFile"}, {"type": "TestTimeAug", "transforms": scales}],
            },
        },
        "test_cfg": {"type": "TestLoop"},
        "test_evaluator": {"type": "IoUMetric", "iou_metrics": ["mIoU"]},
    }  # fmt: skip


def rival_weights(folder: str) -> str:
    """The demo's weights under the names a test-time augmentation model looks for."""
    import torch  # noqa: PLC0415

    (published,) = (STREETS / "weights").glob("isanet*.pth")
    states = torch.load(published, map_location="cpu", weights_only=False)["state_dict"]
    target = Path(folder) / "weights.pth"
    torch.save({"state_dict": {f"module.{name}": value.float() for name, value in states.items()}}, target)
    return str(target)


def gpu_label_map(*, fused: bool) -> dict[str, float]:
    """From scores drawn before the clock starts to a label map, the device awaited; compiling is not timed."""
    import torch  # noqa: PLC0415

    from segbench.evaluate import EvalProtocol  # noqa: PLC0415
    from segbench.evaluate.inference import fused as kernel  # noqa: PLC0415
    from segbench.evaluate.inference.tiles import decide, scored_views  # noqa: PLC0415

    classes, height, width = VOLUME
    protocol = EvalProtocol(base_scale=(width, height), scales=RATIOS, flip=True)
    sizes = [(int(height * ratio), int(width * ratio)) for ratio in RATIOS]
    inputs = [torch.zeros(1, 3, *size, device="cuda") for size in sizes]

    def network(images: torch.Tensor) -> torch.Tensor:
        tall, wide = (-(-length // STRIDE) for length in images.shape[2:])
        return 4 * torch.randn(len(images), classes, tall, wide, device="cuda")

    seconds = []
    with torch.inference_mode():
        (found,) = scored_views(network, [inputs], (height, width), protocol)
        inputs.clear()
        for _ in range(4):
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before, started = torch.cuda.memory_allocated(), time.perf_counter()
            (kernel.decide if fused else decide)(found, (height, width), protocol)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    added = torch.cuda.max_memory_allocated() - before
    return {"milliseconds": 1000 * statistics.median(seconds[1:]), "GB beside the scores": added / 1e9}


def label_map(*, tiled: bool) -> dict[str, float]:
    """Seconds outside a stand-in network that hands out scores drawn before the clock starts."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from segbench.evaluate import EvalProtocol  # noqa: PLC0415
    from segbench.evaluate.inference.plain import predict_scores  # noqa: PLC0415
    from segbench.evaluate.inference.tiles import predict_labels  # noqa: PLC0415

    classes, height, width = VOLUME
    protocol = EvalProtocol(base_scale=(width, height), scales=RATIOS, flip=True)
    sizes = {-(-int(height * ratio) // STRIDE): -(-int(width * ratio) // STRIDE) for ratio in RATIOS}
    drawn = {tall: 4 * torch.randn(1, classes, tall, wide) for tall, wide in sizes.items()}
    image = np.zeros((height, width, 3), np.uint8)

    def network(images: torch.Tensor) -> torch.Tensor:
        return drawn[-(-images.shape[2] // STRIDE)]

    started = time.perf_counter()
    if tiled:
        predict_labels(network, image, protocol)
    else:
        with torch.inference_mode():
            predict_scores(network, image, protocol, torch.device("cpu")).argmax(dim=0)
    return {"seconds": time.perf_counter() - started, "peak GB": peak_gb()}


def profile() -> dict[str, float]:
    """Where the time of one image goes: R-50 ISANet with random weights, a PNG of 512 x 1024, 19 classes."""
    import tempfile  # noqa: PLC0415

    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from segbench.evaluate import EvalProtocol  # noqa: PLC0415
    from segbench.evaluate.count.confusion import confusion_matrix  # noqa: PLC0415
    from segbench.evaluate.inference.plain import views  # noqa: PLC0415
    from segbench.evaluate.inference.tiles import decide, scored_views  # noqa: PLC0415
    from segbench.evaluate.pixels import read_image  # noqa: PLC0415
    from segbench.models.build import build_model  # noqa: PLC0415

    model = build_model("isanet_mmseg", depth=50, num_classes=19)
    protocol = EvalProtocol(base_scale=(1024, 512))
    pixels = np.random.RandomState(0).randint(0, 256, (64, 128, 3), dtype=np.uint8)
    pixels = cv2.resize(pixels, (1024, 512))
    marks: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "image.png"
        cv2.imwrite(str(path), pixels)
        for _ in range(4):
            times = [time.perf_counter()]
            inputs = list(views(read_image(path), protocol, torch.device("cpu")))
            times.append(time.perf_counter())
            (found,) = scored_views(model, [inputs], (512, 1024), protocol)
            times.append(time.perf_counter())
            labels = decide(found, (512, 1024), protocol).labels.numpy()
            times.append(time.perf_counter())
            confusion_matrix(labels, labels, 19)
            times.append(time.perf_counter())
            marks.append(np.diff(times).tolist())
    load, network, tiles, count = (statistics.median(part) for part in zip(*marks[1:], strict=True))
    outside = load + tiles + count
    return {
        "load s": load, "network s": network, "tiles s": tiles, "count s": count,
        "outside network %": 100 * outside / (outside + network),
    }  # fmt: skip


CASES = {
    "demo": demo,
    "mmseg": mmseg,
    "plain": lambda: label_map(tiled=False),
    "tiles": lambda: label_map(tiled=True),
    "profile": profile,
    "tiles on GPU": lambda: gpu_label_map(fused=False),
    "kernel on GPU": lambda: gpu_label_map(fused=True),
}

if __name__ == "__main__":
    sys.exit(main())
