"""Records mmsegmentation 0.30.0: the same setups as `mmseg1.py`, through its own data sets, transforms and tests.

Run in an environment with mmsegmentation 0.30.0 and mmcv 1.7.2 (built with MMCV_WITH_OPS=0).
"""

import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from setups import (
    HERE,
    PICTURE,
    PICTURES,
    RATIOS,
    SETUPS,
    fill,
    save,
    stored_prediction,
    undecided,
    write_tree,
)

operators = ModuleType("mmcv._ext")  # compiled operators that are not built here and ISANet never calls
operators.__getattr__ = lambda name: None
sys.modules["mmcv._ext"] = operators

import mmcv  # noqa: E402
import mmseg  # noqa: E402
from mmcv.cnn.utils import revert_sync_batchnorm  # noqa: E402
from mmseg.datasets import build_dataset  # noqa: E402
from mmseg.datasets.pipelines import Normalize  # noqa: E402
from mmseg.models import build_segmentor  # noqa: E402

CONFIGS = Path(mmseg.__file__).parent / ".mim/configs/isanet"


def configured(setup, mode, root):
    _, _, name, base_scale, window = SETUPS[setup]
    config = mmcv.Config.fromfile(str(CONFIGS / f"isanet_r50-d8_{name}.py"))
    config.model.pretrained = None
    if window:
        config.model.test_cfg = mmcv.ConfigDict(window)
    config.data.test.update(data_root=str(root), test_mode=True)
    augmentation = config.data.test.pipeline[1]
    augmentation.update(img_scale=base_scale, img_ratios=list(RATIOS[mode]), flip=mode == "msflip")
    return config


def answer(model, sample):
    """Label map and scores of one sample, as the library's test adds them up."""
    kept = []
    inference = model.inference

    def keeping(*arguments):
        kept.append(inference(*arguments).clone())
        return kept[-1].clone()

    model.inference = keeping
    images = [image[None] for image in sample["img"]]
    metas = [[meta.data] for meta in sample["img_metas"]]
    with torch.no_grad():
        (label,) = model.forward_test(images, metas, rescale=True)
    model.inference = inference
    scores = kept[0]
    for one in kept[1:]:
        scores += one
    scores /= len(kept)
    assert (scores[0].argmax(dim=0).numpy() == label).all()
    return label, scores[0].numpy()


def main():
    torch.set_num_threads(1)
    arrays, facts = {}, {}
    for setup, (layout, _, name, base_scale, window) in SETUPS.items():
        for mode, ratios in RATIOS.items():
            with tempfile.TemporaryDirectory() as root:
                write_tree(Path(root), layout)
                config = configured(setup, mode, root)
                model = fill(revert_sync_batchnorm(build_segmentor(config.model)))
                dataset = build_dataset(config.data.test)
                counts, close = [], 0
                for index in range(len(PICTURES)):
                    label, scores = answer(model, dataset[index])
                    counts += dataset.pre_eval([label], [index])
                    close += undecided(scores, "probabilities")
                    if dataset.img_infos[index]["filename"].startswith(PICTURE):
                        stored = stored_prediction(scores)
                        arrays |= {f"{setup}|{mode}|0.x|{key}": value for key, value in stored.items()}
                summary = dataset.evaluate(counts, logger="silent")
            facts[f"{setup}|{mode}|0.x"] = {
                "config": f"isanet_r50-d8_{name}",
                "base_scale": base_scale,
                "test_cfg": window,
                "ratios": ratios,
                "summary": {key: 100 * float(summary[key]) for key in ("aAcc", "mIoU", "mAcc")},
                "areas": [sum(column).tolist() for column in zip(*counts, strict=True)],
                "undecided": close.tolist(),
            }
            print(setup, mode, facts[f"{setup}|{mode}|0.x"]["summary"], flush=True)
    versions = {"mmsegmentation": mmseg.__version__, "mmcv": mmcv.__version__, "torch": torch.__version__}
    save("0.x", arrays, {"recorded with": versions, **facts})
    record_normalised()


def record_normalised():
    """Its Normalize on the crop that mmseg1.py stored."""
    normalise = Normalize(
        **mmcv.Config.fromfile(str(CONFIGS / "isanet_r50-d8_512x1024_40k_cityscapes.py")).img_norm_cfg
    )
    crop = np.load(HERE / "mmseg/prep_1.x.npz")["crop"]
    found = normalise({"img": crop.copy(), "img_fields": ["img"]})["img"]
    np.savez_compressed(HERE / "mmseg/prep_0.x.npz", normalised=found)


if __name__ == "__main__":
    main()
