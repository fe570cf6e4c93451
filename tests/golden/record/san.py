"""Records a small SAN of mmsegmentation 1.2.2 with its own text encoder: `networks/san.json` and `san.npz`.

Run in the environment of `mmseg1.py`. The sentences' numbers of pieces are those of its tokenizer for the classes of its three configurations.
"""

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE.parent / "support"))
import weights_rule  # noqa: E402

operators = ModuleType("mmcv._ext")  # compiled operators that mmcv-lite lacks and SAN never calls
operators.__getattr__ = lambda name: None
sys.modules["mmcv._ext"] = operators

import mmseg  # noqa: E402
import mmseg.models  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.utils import get_classes, get_predefined_templates, tokenizer  # noqa: E402

del sys.modules["mmcv._ext"]

NAME = "san_small"
VOCABULARIES = ("coco-stuff164k", "pascal_context", "voc")
CHANNELS, HEADS, DEPTH, LAST, TEXT, OUT = 48, 4, 4, 2, 32, 24
OURS = {
    "backbone": {
        "type": "clip",
        "scale": 0.7,
        "patch": 14,
        "grid": 5,
        "channels": CHANNELS,
        "depth": DEPTH,
        "heads": HEADS,
        "outputs": [0, 2, 3],
    },
    "head": {
        "type": "san",
        "vocabulary": "coco-stuff164k",
        "queries": 20,
        "depth": LAST,
        "heads": HEADS,
        "out_channels": OUT,
        "text_channels": TEXT,
        "text_depth": 2,
        "text_heads": 2,
    },
    "num_classes": 171,
    "align_corners": False,
}
STRIDES = {"mask_logits": [1, 1, 3], "mask_props": [1, 2, 1, 1], "logits": [1, 16, 4, 4]}


def network():
    """Theirs, of the published L/14's configuration with smaller numbers."""
    folder = Path(mmseg.__file__).parent / ".mim/configs/san"
    model = Config.fromfile(folder / "san-vit-l14_coco-stuff164k-640x640.py").model
    model.pretrained = None
    model.image_encoder.update(
        img_size=(70, 70), embed_dims=CHANNELS, num_layers=DEPTH, num_heads=HEADS, out_indices=(0, 2, 3)
    )
    model.text_encoder.update(embed_dims=TEXT, num_layers=2, num_heads=2, output_dims=OUT)
    model.decode_head.san_cfg.update(clip_channels=CHANNELS, num_queries=20)
    model.decode_head.san_cfg.cfg_decoder.num_heads = HEADS
    model.decode_head.maskgen_cfg.update(
        sos_token_num=20, num_layers=LAST, embed_dims=CHANNELS, num_heads=HEADS, out_dims=OUT
    )
    model.decode_head.train_cfg = None
    return MODELS.build(model).eval()


def filled(model):
    """With the weights of the rule; what is no weight stays."""
    state = {
        key: value
        if key.endswith(weights_rule.STRUCTURAL)
        else weights_rule.tensor_for(key, tuple(value.shape))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return state


def sentences(vocabulary):
    """Numbers of pieces of each sentence with each class's name, zeros behind the end: (14, K, longest)."""
    names = get_classes(vocabulary)
    names = names[1:] if names[0] == "background" else names  # as CLIPTextEncoder has it
    pieces = [
        tokenizer.tokenize([sentence.format(name) for name in names]).numpy()
        for sentence in get_predefined_templates("vild")
    ]
    pieces = np.stack(pieces).astype(np.uint16)
    return pieces[..., : np.count_nonzero(pieces, axis=2).max()]


def main():
    torch.set_num_threads(1)
    init_default_scope("mmseg")
    model = network()
    state = filled(model)
    keys = sorted((key, list(one.shape), str(one.dtype).removeprefix("torch.")) for key, one in state.items())
    entry = {
        "layout": "mmseg",
        "architecture": OURS,
        "tensors": len(keys),
        "keys_sha256": hashlib.sha256(json.dumps(keys).encode()).hexdigest(),
        "strides": {f"{name}_97x129": strides for name, strides in STRIDES.items()},
    }
    with np.load(HERE / "mmseg/heads.npz") as stored, torch.inference_mode():
        images = torch.from_numpy(stored["in_97x129"])
        copy = torch.nn.functional.interpolate(images, scale_factor=model.encoder_resolution, mode="bilinear")
        given = [images, model.image_encoder(copy), model.text_encoder()]
        masks, logits = model.decode_head(given, [])
        scores = model.encode_decode(images, [{"img_shape": images.shape[2:]}])
    found = {"mask_logits": logits[-1], "mask_props": masks[-1], "logits": scores}
    arrays = {
        f"{NAME}|{name}_97x129": found[name][tuple(slice(None, None, one) for one in strides)].numpy()
        for name, strides in STRIDES.items()
    }
    arrays |= {f"sentences|{one}": sentences(one) for one in VOCABULARIES}
    np.savez_compressed(HERE / "networks/san.npz", **arrays)
    (HERE / "networks/san.json").write_text(json.dumps({NAME: entry}, indent=1) + "\n")


if __name__ == "__main__":
    main()
