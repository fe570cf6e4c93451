"""Sliding windows of 769x769 over street scenes of 2048x1024: ours against mmsegmentation's own test loop.

    python benchmarks/sliding.py --mmseg PYTHON     # Markdown on stdout; PYTHON has mmsegmentation installed (rival.py)

PSPNet R-50-D8's row with weights that the rival draws, the demo's first scenes enlarged; files to counts, each run in a
process of its own, the sides in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ours import counted
from rival import import_mmseg, published_config

STREETS = Path(__file__).resolve().parents[1] / "zoo" / "streets"
ROW = "pspnet_r50-d8_4xb2-40k_cityscapes-769x769"
SIZE = (2048, 1024)
"""Width and height."""
IMAGES = 2


def main() -> int:
    """Alternate the sides and print medians."""
    parser = argparse.ArgumentParser(description="769x769 windows against mmsegmentation's test loop.")
    parser.add_argument(
        "--mmseg", metavar="PYTHON", required=True, help="interpreter that has mmsegmentation"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--side", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, folder = arguments.side
        print(json.dumps(SIDES[side](Path(folder))))
        return 0
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        lay_images(Path(folder))
        for _ in range(arguments.repeats):
            for side in SIDES:
                interpreter = arguments.mmseg if side == "mmsegmentation 1.2.2" else sys.executable
                command = [interpreter, __file__, "--mmseg", "-", "--side", side, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"| {IMAGES} images, 769x769 windows | seconds | mIoU |\n| --- | ---: | ---: |")
    for side, runs in found.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        print(f"| {side} | {seconds:.2f} | {runs[0]['mIoU']:.4f} |")
    return 0


def lay_images(folder: Path) -> None:
    """Images and labels of the size of Cityscapes."""
    from PIL import Image  # noqa: PLC0415

    for kind, source, how in (
        ("images", "images", Image.Resampling.BILINEAR),
        ("labels", "annotations", Image.Resampling.NEAREST),
    ):
        (folder / kind).mkdir()
        for path in sorted((STREETS / source / "val").iterdir())[:IMAGES]:
            with Image.open(path) as picture:
                picture.resize(SIZE, how).save(folder / kind / path.name)


def theirs(folder: Path) -> dict[str, float]:
    """The row's own configuration, its runner and pipeline; the first process draws the weights."""
    import_mmseg()
    import torch  # noqa: PLC0415
    from mmengine.runner import Runner  # noqa: PLC0415

    config = published_config(ROW)
    config.work_dir, config.log_level = str(folder / "work"), "ERROR"
    data = config.test_dataloader
    data.num_workers = 2
    classes = [f"class {index}" for index in range(19)]
    data.dataset = {
        "type": "BaseSegDataset", "data_root": str(folder), "img_suffix": ".jpg", "seg_map_suffix": ".png",
        "data_prefix": {"img_path": "images", "seg_map_path": "labels"}, "pipeline": config.test_pipeline,
        "metainfo": {"classes": classes, "palette": [[index] * 3 for index in range(19)]},
    }  # fmt: skip
    torch.manual_seed(0)
    runner = Runner.from_cfg(config)
    weights = folder / "weights.pth"
    if weights.exists():
        runner.model.load_state_dict(torch.load(weights)["state_dict"])
    else:
        torch.save({"state_dict": runner.model.state_dict()}, weights)
    started = time.perf_counter()
    scores = runner.test()
    return {"seconds": time.perf_counter() - started, "mIoU": float(scores["mIoU"])}


def ours(folder: Path) -> dict[str, float]:
    """The row as `zoo verify` runs it on a CPU."""
    import msgspec  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from segbench.evaluate.data.datasets import LabelFiles, locate  # noqa: PLC0415
    from segbench.zoo.manifest import load_manifest  # noqa: PLC0415
    from segbench.zoo.measuring.network_form import ready  # noqa: PLC0415

    row = load_manifest()[ROW]
    spec = msgspec.structs.replace(
        row.dataset_spec, image_count=IMAGES, roots=(folder.name,), images="images", image_suffix=".jpg",
        labels=(LabelFiles(folder="labels", suffix=".png"),),
    )  # fmt: skip
    network = ready(row, folder / "weights.pth", torch.device("cpu"), "winograd")
    seconds, scores = counted(network, locate(spec, folder), row.protocol("miou"))
    return {"seconds": seconds, "mIoU": scores.miou_percent}


SIDES = {"mmsegmentation 1.2.2": theirs, "ours": ours}

if __name__ == "__main__":
    sys.exit(main())
