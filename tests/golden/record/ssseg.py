"""Records sssegmentation 1.7.0: resizing, normalisation, whole predictions, one evaluation.

Run in an environment that has torch, cv2, numpy, PIL, pandas, scipy and tqdm, with the folder `ssseg` of its source
distribution as the first argument. Its own Tester demands CUDA and NCCL; what stands here is that loop on the processor.
"""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from setups import HERE

sys.path.insert(0, sys.argv[1])
sys.path.append(str(HERE.parents[1]))
import weights_rule
from modules import BuildSegmentor
from modules.datasets.cityscapes import CityScapesDataset
from modules.datasets.pipelines import BuildDataTransform, Compose
from ssseg_names import canonical_for

FACTS = json.loads((HERE / "facts/ssseg_models.json").read_text())
TINY = {"output_size": (192, 96), "keep_ratio": True}
FEW, MANY = [0.5, 1.0, 1.75], [0.5, 0.75, 1.25]
TWO = [0.5, 1.0]  # in windows: one larger than the view, then two by three
# case: configuration, Resize or None for the configuration's, window and stride, scales, flip, probabilities, pictures
CASES = {
    "isanet_tiny_whole_single": ("isanet_resnet50os8_cityscapes", TINY, None, [1], False, False, "ad"),
    "isanet_tiny_whole_msflip_logits": ("isanet_resnet50os8_cityscapes", TINY, None, MANY, True, False, "d"),
    "isanet_tiny_slide_single": (
        "isanet_resnet50os8_cityscapes", TINY, ((64, 96), (43, 61)), [1], False, False, "ad",
    ),
    "isanet_tiny_slide_msflip_probs": (
        "isanet_resnet50os8_cityscapes", TINY, ((64, 128), (61, 61)), TWO, True, True, "a",
    ),
    "isanet_voc_config_single": ("isanet_resnet50os8_voc", None, None, [1], False, False, "c"),
    "isnet_tiny_whole_single": ("isnet_resnet50os8_cityscapes", TINY, None, [1], False, False, "ad"),
    "isnet_tiny_whole_msflip_logits": ("isnet_resnet50os8_cityscapes", TINY, None, MANY, True, False, "d"),
    "isnet_tiny_whole_msflip_probs": ("isnet_resnet50os8_cityscapes", TINY, None, FEW, True, True, "d"),
    "isnet_tiny_slide_msflip_probs": (
        "isnet_resnet50os8_cityscapes", TINY, ((64, 128), (61, 61)), TWO, True, True, "a",
    ),
    "isnet_tiny_slide_swapped_msflip_logits": (
        "isnet_resnet50os8_cityscapes", TINY, ((128, 64), (61, 61)), TWO, True, False, "a",
    ),
    "isnet_lip_config_single": ("isnet_resnet50os8_lip", None, None, [1], False, False, "b"),
    "isnet_lip_config_flip": ("isnet_resnet50os8_lip", {"output_size": (121, 120), "keep_ratio": False}, None, [1], True, False, "b"),
}  # fmt: skip


def transforms(steps):
    return Compose([BuildDataTransform({"type": kind, **arguments}) for kind, arguments in steps])


def configured(case):
    name, resize, window, scales, flip, probabilities, _ = CASES[case]
    facts = FACTS[name]
    steps = [[kind, dict(arguments)] for kind, arguments in facts["test_pipelines"]]
    if resize:
        steps[0][1].update(resize)
    mode = {
        "mode": "slide" if window else "whole",
        "cropsize": window and window[0],
        "stride": window and window[1],
    }
    tta = {"multiscale": scales, "flip": flip, "use_probs_before_resize": probabilities}
    pairs = {"fixed_seg_target_pairs": facts["flip_pairs"]} if facts["flip_pairs"] else {}
    return facts, steps, {"forward": mode, "tta": tta | pairs}


def segmentor(facts, inference):
    """The network as its configuration builds it, under the rule's weights."""
    network = {
        "type": "ISANet" if "isa_channels" in facts["head"] else "ISNet",
        "num_classes": facts["num_classes"],
        "benchmark": False,
        "align_corners": facts["align_corners"],
        "norm_cfg": {"type": "BatchNorm2d"},
        "act_cfg": facts["act_cfg_head"],
        "backbone": facts["backbone"] | {"pretrained": False},
        "head": facts["head"],
        "auxiliary": facts["auxiliary"],
        "inference": inference,
        "dataset": {"train": {"data_pipelines": []}},
    }
    model = BuildSegmentor(network, mode="TEST")
    names = canonical_for(model.state_dict())
    state = {
        key: weights_rule.tensor_for(names[key], tuple(value.shape))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()


def predicted(model, steps, picture):
    """Scores (C x H x W) at the picture's size, as the loop in its `test.py` makes them."""
    height, width = picture.shape[:2]
    image = transforms(steps)({"image": picture.copy(), "width": width, "height": height})["image"]
    with torch.no_grad():
        found = model.auginference(image[None])
        found = [
            F.interpolate(one, size=(height, width), mode="bilinear", align_corners=model.align_corners)
            for one in found
        ]
        return (sum(found) / len(found))[0].numpy()


def record_predictions(pictures, cases=CASES):
    for case in cases:
        name, *_, chosen = CASES[case]
        facts, steps, inference = configured(case)
        model = segmentor(facts, inference)
        arrays = {}
        for picture in chosen:
            scores = predicted(model, steps, pictures[picture])
            best = np.sort(scores, axis=0)[-2:]
            arrays[f"label_{picture}"] = scores.argmax(axis=0).astype(np.uint8)
            arrays[f"margin_{picture}"] = np.minimum(best[1] - best[0], 0.01).astype(np.float16)
            arrays[f"scores_{picture}"] = (
                np.round(scores[:, ::8, ::8].astype(float) * 2**16) / 2**16
            ).astype("f4")
        meta = {"name": name, "inference": inference, "test_pipelines": steps}
        np.savez_compressed(HERE / f"ssseg/predict_{case}.npz", meta=json.dumps(meta), **arrays)
        print(case, {key: value.shape for key, value in arrays.items()}, flush=True)


def record_pipeline(pictures):
    """Both kinds of fit, the normalised picture, and the views of several scales."""
    arrays = {}
    normalise = FACTS["isanet_resnet50os8_voc"]["test_pipelines"][1:]
    for name, size, keep in (
        ("a", (192, 96), True),
        ("d", (192, 96), True),
        ("c", (768, 192), True),
        ("d", (121, 120), False),
    ):
        resize = ["Resize", {"output_size": size, "keep_ratio": keep, "scale_range": None}]
        rule = f"{name}_{size[0]}x{size[1]}_{'keep' if keep else 'stretch'}"
        sample = {"image": pictures[name].copy()}
        arrays[f"resized_{rule}"] = transforms([resize])(sample)["image"].copy()
        sample = transforms(normalise)({"image": arrays[f"resized_{rule}"].copy()})
        if keep and size == (192, 96):
            arrays[f"input_{rule}"] = sample["image"].numpy()
    facts, _, inference = configured("isanet_tiny_slide_msflip_probs")
    model = segmentor(facts, inference)
    seen = []
    model.inference = lambda images, forward_args: seen.append(images.numpy()) or images
    model.cfg["inference"]["tta"]["flip"] = False
    model.auginference(torch.from_numpy(arrays["input_d_192x96_keep"])[None])
    arrays |= {f"view_{scale}": view for scale, view in zip(FEW, seen, strict=True)}
    np.savez_compressed(HERE / "ssseg/pipeline.npz", **arrays)


def record_evaluation(pictures, labels):
    """Two pictures in Cityscapes' folders with labelIds, read, predicted and scored by its own classes."""
    facts, steps, inference = configured("isanet_tiny_whole_single")
    model = segmentor(facts, inference)
    ids = {train: number for number, train in CityScapesDataset.clsid2label.items() if train >= 0}
    arrays = {}
    with tempfile.TemporaryDirectory() as root:
        for folder in ("leftImg8bit/val", "gtFine/val"):
            (Path(root) / folder).mkdir(parents=True)
        for name in "ad":
            numbers = np.vectorize(lambda value: ids.get(value, 0))(labels[f"cityscapes|{name}"]).astype(
                np.uint8
            )
            numbers[-4:] = (np.arange(numbers.shape[1]) // 4 % 34).astype(np.uint8)  # every id, void ones too
            arrays[f"labelIds_{name}"] = numbers
            cv2.imwrite(f"{root}/leftImg8bit/val/{name}_leftImg8bit.png", pictures[name])
            cv2.imwrite(f"{root}/gtFine/val/{name}_gtFine_labelIds.png", numbers)
        (Path(root) / "val.txt").write_text("a_leftImg8bit\nd_leftImg8bit\n")
        dataset = CityScapesDataset(
            "TEST", None, {"type": "CityScapesDataset", "rootdir": root, "set": "val", "eval_env": "local"}
        )
        predictions, truths = [], []
        for index, name in enumerate("ad"):
            sample = dataset[index]
            truth = np.asarray(sample["seg_target"]).astype(np.int32)
            truth[(truth >= dataset.num_classes) | (truth < 0)] = -1  # as in its test.py
            predictions.append(predicted(model, steps, sample["image"]).argmax(axis=0).astype(np.int32))
            truths.append(truth)
            arrays |= {
                f"truth_{name}": truth.astype(np.int16),
                f"predicted_{name}": predictions[-1].astype(np.uint8),
            }
        metrics = ["iou", "miou", "accuracy", "all_accuracy"]
        result = dataset.evaluate(predictions, truths, metrics, num_classes=19, ignore_index=-1)
    meta = {"inference": inference, "test_pipelines": steps}
    np.savez_compressed(
        HERE / "ssseg/evaluate.npz",
        meta=json.dumps(meta),
        result=json.dumps(result, default=lambda value: value.tolist()),
        **arrays,
    )
    print(result["miou"], result["all_accuracy"])


def main():
    torch.set_num_threads(1)
    pictures, labels = np.load(HERE / "pictures.npz"), np.load(HERE / "labels.npz")
    record_pipeline(pictures)
    record_evaluation(pictures, labels)
    record_predictions(pictures)


if __name__ == "__main__":
    main()
