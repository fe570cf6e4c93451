"""Records mmsegmentation 1.2.2: predictions of one picture, evaluations of three, and steps on the way.

Run in an environment with mmsegmentation 1.2.2, mmcv-lite 2.1.0, mmengine 0.10.7, ftfy and regex.
"""

import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from setups import HERE, PICTURE, RATIOS, SETUPS, fill, save, stored_prediction, undecided, write_tree

operators = ModuleType("mmcv._ext")  # compiled operators that mmcv-lite lacks and ISANet never calls
operators.__getattr__ = lambda name: None
sys.modules["mmcv._ext"] = operators

import mmcv  # noqa: E402
import mmseg  # noqa: E402
import mmseg.datasets  # noqa: E402
import mmseg.evaluation  # noqa: E402
import mmseg.models  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.dataset import Compose  # noqa: E402
from mmengine.model import revert_sync_batchnorm  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmseg.registry import DATASETS, METRICS, MODELS  # noqa: E402

del sys.modules["mmcv._ext"]  # mmengine looks whether they are there

CONFIGS = Path(mmseg.__file__).parent / ".mim/configs/isanet"


def configured(setup, mode):
    _, name, _, base_scale, window = SETUPS[setup]
    config = Config.fromfile(CONFIGS / f"isanet_r50-d8_{name}.py")
    config.model.pretrained = None
    if window:
        config.model.test_cfg = window
    for step in config.test_pipeline:
        if step["type"] == "Resize":
            step["scale"] = base_scale
    config.tta_pipeline[1]["transforms"][0] = [
        {"type": "Resize", "scale_factor": ratio, "keep_ratio": True} for ratio in RATIOS[mode]
    ]
    return config


def built(config, mode):
    model = fill(revert_sync_batchnorm(MODELS.build(config.model)))
    if mode == "single":
        return model, config.test_pipeline
    merged = MODELS.build({"type": "SegTTAModel", "module": model})
    return merged.eval(), config.tta_pipeline


def answers(model, pipeline, samples):
    """(merged data sample, its scores) of each sample that the data set lists."""
    kept = []
    network = getattr(model, "module", model)
    predict = network.predict

    def keeping(*arguments):
        found = predict(*arguments)
        kept.extend(one.seg_logits.data.clone() for one in found)
        return found

    network.predict = keeping
    for sample in samples:
        kept.clear()
        data = Compose(pipeline)(dict(sample))
        batch = {
            key: [value] if not isinstance(value, list) else [[v] for v in value]
            for key, value in data.items()
        }
        with torch.no_grad():
            (found,) = model.test_step(batch)
        if network is model:
            scores = kept[0]
        else:  # as SegTTAModel.merge_preds adds them up
            scores = torch.zeros_like(kept[0])
            for one in kept:
                scores += one.softmax(dim=0)
            scores /= len(kept)
        assert torch.equal(scores.argmax(dim=0), found.pred_sem_seg.data.squeeze(0))
        yield found, scores.numpy()


def main():
    init_default_scope("mmseg")
    torch.set_num_threads(1)
    arrays, facts = {}, {}
    for setup, (layout, name, _, base_scale, window) in SETUPS.items():
        for mode, ratios in RATIOS.items():
            config = configured(setup, mode)
            model, pipeline = built(config, mode)
            with tempfile.TemporaryDirectory() as root:
                write_tree(Path(root), layout)
                data = config.test_dataloader.dataset
                data.update(data_root=root, pipeline=[])
                dataset = DATASETS.build(data)
                samples = [dataset.get_data_info(index) for index in range(len(dataset))]
                metric = METRICS.build(config.test_evaluator)
                metric.dataset_meta = dataset.metainfo
                close = 0
                for sample, (found, scores) in zip(samples, answers(model, pipeline, samples), strict=True):
                    metric.process({}, [found.to_dict()])
                    close += undecided(scores, "scores" if mode == "single" else "probabilities")
                    if Path(sample["img_path"]).name.startswith(PICTURE):
                        stored = stored_prediction(scores)
                        arrays |= {f"{setup}|{mode}|1.x|{key}": value for key, value in stored.items()}
                areas = [sum(column).tolist() for column in zip(*metric.results, strict=True)]
                summary = metric.compute_metrics(metric.results)
            facts[f"{setup}|{mode}|1.x"] = {
                "config": f"isanet_r50-d8_{name}",
                "base_scale": base_scale,
                "test_cfg": window,
                "ratios": ratios,
                "summary": {key: float(value) for key, value in summary.items()},
                "areas": areas,
                "undecided": close.tolist(),
            }
            print(setup, mode, facts[f"{setup}|{mode}|1.x"]["summary"], flush=True)
    versions = {"mmsegmentation": mmseg.__version__, "mmcv": mmcv.__version__, "torch": torch.__version__}
    save("1.x", arrays, {"recorded with": versions, **facts})
    scene = HERE.parents[1] / "zoo/streets/images/val/street_002.jpg"
    decoded = mmcv.imread(str(scene))
    crop = decoded[40:140, 60:237]
    steps = {"decoded": decoded, "crop": crop}
    for ratio in (0.5, 0.75, 1.25, 1.75):
        size = mmcv.rescale_size(crop.shape[1::-1], ratio)
        steps[f"resized_{ratio}"] = mmcv.imresize(crop, size)
    preprocessor = MODELS.build(configured("city_whole", "single").model.data_preprocessor).eval()
    image = torch.from_numpy(crop.copy()).permute(2, 0, 1)
    steps["normalised_1.x"] = preprocessor({"inputs": [image]})["inputs"][0].permute(1, 2, 0).numpy()
    np.savez_compressed(HERE / "mmseg" / "prep_1.x.npz", **steps)
    record_resized_twice()


def record_resized_twice():
    """Its Resize and ResizeToMultiple, one after the other, at two ratios of a base scale."""
    pictures, found = np.load(HERE / "pictures.npz"), {}
    for name in "bc":
        for ratio in (1.0, 1.25):
            scale = (int(192 * ratio), int(64 * ratio))
            steps = Compose(
                [{"type": "Resize", "scale": scale, "keep_ratio": True}, {"type": "ResizeToMultiple"}]
            )
            found[f"{name}_{ratio:g}"] = steps({"img": pictures[name].copy()})["img"]
    np.savez_compressed(HERE / "mmseg" / "resized_twice.npz", **found)


if __name__ == "__main__":
    main()
