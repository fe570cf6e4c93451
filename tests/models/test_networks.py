"""Every recorded network of both publishers' zoos: their keys, and under the weights of the rule their scores.

`tests/golden/networks` holds an entry a head and a publisher, so that every clone can tell. The largest are marked
`golden`, and so is the rest, which is beside the repository; what names a part that nobody has built yet is skipped with that part's name.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from functools import cache, partial
from itertools import islice
from unittest import mock

import golden_files
import numpy as np
import pytest
import torch
import weights_rule
import zoo_index
from torch import nn

from segbench.evaluate import EvalProtocol, SlidingWindow, predict
from segbench.evaluate.inference.tiles import predict_labels
from segbench.models import build_model, load_weights
from segbench.models.heads.ham import Factorisation
from segbench.models.heads.san import TextEncoder, sentences_about
from segbench.models.load import winograd
from segbench.models.load.folding import folded
from segbench.models.load.layouts import publisher_names
from segbench.models.rooms import amplifies_rounding
from segbench.models.segmentor import Cascade

COMPACT = {
    name: (path.stem, entry)
    for path in sorted((golden_files.GOLDEN / "networks").glob("*.json"))
    for name, entry in sorted(golden_files.load(path).items(), key=lambda one: str(one[1]["architecture"]))
}
"""Name -> the file that its scores are in, and what it is; those of one backbone mostly together."""
MASKS_AND_CLASSES = {"cls_scores": 0, "mask_preds": 1, "mask_logits": 0, "mask_props": 1}
"""Of MaskFormer and Mask2Former, and what SAN calls the same."""
BAR = 1e-3
"""Of the scores' standard deviation. Measured with torch 2.14, one thread: 0, for ISANet 4e-6, for K-Net 5e-5."""


def their_forms(model, layout):
    """Shape and type of every tensor, under the publisher's names."""
    names = publisher_names(model, layout)
    return {
        names[key]: (list(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in model.state_dict().items()
    }


def filled(architecture, layout, multipliers=()):
    """A network with the weights that the rule gives the publisher's names, loaded as a file of theirs would be."""
    with torch.device("meta"):
        model = build_model(**architecture)
    forms = their_forms(model, layout)
    state = {
        name: weights_rule.tensor_for(name, tuple(shape))
        for name, (shape, _) in forms.items()
        if not name.endswith(weights_rule.STRUCTURAL)
    }
    if len(state) < len(forms):
        built = build_model(**architecture)
        kept = publisher_names(built, layout)
        state |= {kept[key]: value for key, value in built.state_dict().items() if kept[key] not in state}
    for pattern, factor in multipliers:
        state |= {
            name: value * factor
            for name, value in state.items()
            if value.is_floating_point() and re.search(pattern, name)
        }
    for names in shared_names(
        model, layout
    ):  # the publisher's own loading of the rule left the last one's value
        state |= dict.fromkeys(names, state[names[-1]])
    load_weights(model, state, layout=layout)
    for part in model.modules():
        if isinstance(part, Factorisation):
            part.bases = weights_rule.ham_bases(tuple(part.bases.shape))
    return model.requires_grad_(False)


def shared_names(model, layout):
    """The publisher's names of each tensor that has several, in their order."""
    names, of_tensors = publisher_names(model, layout), {}
    for key, value in model.state_dict(keep_vars=True).items():
        of_tensors.setdefault(id(value), []).append(names[key])
    return [found for found in of_tensors.values() if len(found) > 1]


def given_class_vectors(model):
    """SAN with the vectors of its recordings in place of what its text encoder makes of names; any other as it is."""
    for part in model.modules():
        if isinstance(part, TextEncoder):
            classes, channels = len(sentences_about(part.vocabulary)[0]), part.bg_embed.shape[1]
            part.forward = partial(weights_rule.class_vectors, classes + 1, channels)
    return model


def in_its_forms(model, architecture):
    """The network as its publisher's, then itself as a CPU runs it faster, if it does; each with its form's name.

    Recordings are of small images, where tiles would not pay: here they are taken all the same.
    """
    yield "published", model
    if not amplifies_rounding(architecture):
        with mock.patch.object(winograd, "saves_enough", return_value=True):
            yield "winograd", winograd.with_winograd(folded(model))


def differences(model, architecture, recordings, images):
    """Form -> recording -> difference: of all as published, in another form of the first alone.

    Outputs share their features; forms share them too where the backbone is the same in both.

    Args:
        model: With the weights of the rule.
        architecture: Its own.
        recordings: Name -> scores, and which of ours they are.
        images: What gives the images of a size, as a name ends with it.
    """
    found, parts, images = {}, [], cache(images)
    for form, network in in_its_forms(model, architecture):
        if parts != (parts := [type(part) for part in getattr(network, "backbone", network).modules()]):
            features = remembered(network.features)
        some = recordings if form == "published" else dict(islice(recordings.items(), 1))
        with mock.patch.object(network, "features", features):
            found[form] = {
                name: off(thinned(output(network, which, images(size)), strides), recorded)
                for name, (recorded, strides) in some.items()
                for which, _, size in [name.rpartition("_")]
            }
    return found


def off(scores, recorded):
    """Largest difference, as a part of the recorded standard deviation."""
    recorded = torch.from_numpy(recorded)
    assert scores.shape == recorded.shape
    return ((scores - recorded).abs().max() / recorded.std()).item()


def output(model, which, images):
    """What a recording calls `logits`, `aux1`, `stage1` of a cascade, or `head_out_N`: the decode head's output number N.

    Of a classifier of masks `logits` are its scores at the size of the image, made of `cls_scores` and `mask_preds`.
    """
    if which == "logits":
        return model(images)
    features = model.features(images)
    if which in MASKS_AND_CLASSES:
        return model.decode_head.decide(features)[MASKS_AND_CLASSES[which]]
    if which.startswith("head_out_"):
        return model.decode_head(features, whole=True)[int(which.removeprefix("head_out_"))]
    if which.startswith("stage"):
        return Cascade(list(model.decode_head)[: int(which[-1]) + 1])(features)
    auxiliary = model.auxiliary_head
    return (auxiliary[int(which[-1])] if isinstance(auxiliary, nn.ModuleList) else auxiliary)(features)


def remembered(features):
    """A network's features of the images asked about last: heads share them, each with copies of its own."""
    last = {}

    def known(images):
        if images not in last:
            last.clear()
            last[images] = features(images)
        return copy.deepcopy(last[images])

    return known


LARGE = (
    "mae-base_upernet_8xb2-amp-160k_ade20k-512x512",  # BEiT's network, as upernet_beitbase_ade20k
    "setr_vit-l_pup_8xb2-160k_ade20k-512x512",  # the backbone is setr_vit-l-mla's, the head that of the naive one
    "mcibi_deeplabv3_hrnetv2w48_cityscapes",  # its parts are mcibi_deeplabv3_resnet50os8_lip's and ocrnet_hrnetv2w18s's
)
"""What takes longest and has parts that smaller ones have too."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.golden] * (name in LARGE)) for name in COMPACT]
)
def test_a_network_of_each_head_has_its_publishers_keys_and_scores(golden, name):
    """Every fourth class's scores are kept, and of large maps some positions; a CPU's form gives the first recording alone."""
    family, entry = COMPACT[name]
    model = filled(entry["architecture"], entry["layout"], entry.get("multipliers", ()))
    keys = sorted((key, *form) for key, form in their_forms(model, entry["layout"]).items())
    assert (len(keys), hashlib.sha256(json.dumps(keys).encode()).hexdigest()) == (
        entry["tensors"],
        entry["keys_sha256"],
    )
    strides = entry.get("strides", {})
    recordings = {
        kept: (recorded, strides.get(kept, [1, 4, 1, 1]))
        for key, recorded in golden(f"networks/{family}.npz").items()
        for owner, _, kept in [key.partition("|")]
        if owner == name
    }
    assert recordings
    found = differences(model, entry["architecture"], recordings, partial(noise, golden))
    assert max(value for of_form in found.values() for value in of_form.values()) < BAR, found


def noise(golden, size):
    """(1, 3, H, W): what is stored, or repeated to a size that a network of large pools needs."""
    images = golden("mmseg/heads.npz")
    if f"in_{size}" in images:
        return torch.from_numpy(images[f"in_{size}"])
    if size == "96x128":  # for networks that take no odd sides
        return torch.from_numpy(images["in_97x129"])[:, :, :96, :128]
    return torch.from_numpy(weights_rule.widened(images["in_64x128"], *map(int, size.split("x"))))


def thinned(scores, strides):
    return scores[tuple(slice(None, None, stride) for stride in strides)]


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=f"{entry.layout}/{entry.name}") for entry in zoo_index.entries()]
)
def test_every_recorded_network_has_its_publishers_keys_and_scores(entry, record_property):
    """By tiles, its first recorded output alone: all of them twice take twenty minutes of two cores."""
    record_property("network", f"{entry.layout}/{entry.name}")
    try:
        architecture = entry.architecture()
    except zoo_index.Unbuilt as unbuilt:
        pytest.skip(f"not built yet: {unbuilt}")
    model = given_class_vectors(filled(architecture, entry.layout, entry.record["multipliers"]))
    theirs = {name: (shape, dtype.removeprefix("torch.")) for name, shape, dtype in entry.tensors()}
    assert their_forms(model, entry.layout) == theirs
    record_property("tensors", len(theirs))
    for form, found in differences(model, architecture, entry.scores(), entry.images).items():
        record_property(form, max(found.values()))
        assert max(found.values()) < BAR, (form, found)


def whole_predictions():
    """Network and view of each recorded label map; none where the recordings are not beside the repository."""
    path = zoo_index.REFERENCE / "golden/mmseg_zoo/predictions_meta.json"
    names = json.loads(path.read_text()) if path.exists() else {}
    return [(name, view) for name in names for view in ("single", "msflip")]


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize(("name", "view"), whole_predictions())
def test_a_photograph_through_the_whole_protocol_gets_mmsegmentations_labels(name, view):
    """Equal wherever the margin decides, by the plain engine and, as a CPU runs it fastest, in tiles; probabilities too."""
    folder = zoo_index.REFERENCE / "golden/mmseg_zoo"
    said = json.loads((folder / "predictions_meta.json").read_text())[name]
    recorded = json.loads((folder / "index.json").read_text())["rows"][name]["entry"]
    (entry,) = [one for one in zoo_index.entries() if (one.layout, one.name) == ("mmseg", recorded)]
    slide = said["test_cfg"]
    protocol = EvalProtocol(
        base_scale=tuple(said["base_scale"]),
        window=slide and SlidingWindow(crop=tuple(slide["crop_size"]), stride=tuple(slide["stride"])),
        align_corners=said["align_corners"],
        scales=tuple(said["ratios"]) if view == "msflip" else (1.0,),
        flip=view == "msflip",
    )
    with np.load(folder / "predictions.npz") as arrays:
        image = arrays["img_b"]
        expected, margin, sampled = (
            arrays[f"{name}|b|{view}|{part}"] for part in ("pred", "margin", "score_s8")
        )
    architecture = entry.architecture() | {"num_classes": len(sampled)}
    model = filled(architecture, "mmseg", entry.record["multipliers"])
    labels, scores = predict(model, image, protocol)
    *_, (_, fastest) = in_its_forms(model, architecture)
    tiled = predict_labels(fastest, image, protocol, classes=len(scores)).labels.numpy()
    decided = margin > 2e-3
    assert decided.mean() > 0.5
    assert (labels == expected)[decided].all()
    assert (tiled == expected)[decided].all()
    np.testing.assert_allclose(scores[:, ::8, ::8], sampled, atol=1e-3)
