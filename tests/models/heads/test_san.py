"""SAN's classes: the sentences that are encoded, when, and what of the network training moves."""

import golden_files
import numpy as np
import pytest
import torch

from segbench.models import build_model
from segbench.models.builders import ArchitectureError
from segbench.models.heads import san
from segbench.models.heads.maskformer import MaskClassifier
from segbench.models.trace.caching_allocator import ROUNDING
from segbench.models.trace.cost import forward_cost
from segbench.models.trace.memory import training_memory
from segbench.models.trace.training import BUCKET, TrainingStep
from segbench.zoo.manifest import load_manifest

pytestmark = pytest.mark.slow

SMALL = golden_files.load("networks/san.json")["san_small"]["architecture"]


def network():
    """A small one whose weights are not 0."""
    torch.manual_seed(0)
    model = build_model(**SMALL)
    encoder = model.decode_head.text_encoder
    for weight in (encoder.positional_embedding, encoder.text_projection, encoder.bg_embed):
        torch.nn.init.normal_(weight)
    return model


@pytest.mark.parametrize("vocabulary", san.prompts()["vocabularies"])
def test_the_sentences_are_those_that_mmsegmentations_tokenizer_makes(vocabulary):
    """Its `tokenize` of each of 14 sentences with each class's name in it, zeros behind the end."""
    recorded = golden_files.load("networks/san.npz")[f"sentences|{vocabulary}"]
    found = np.zeros_like(recorded)
    for sentence, row in zip(san.sentences_about(vocabulary), found, strict=True):
        for pieces, place in zip(sentence, row, strict=True):
            place[: len(pieces)] = pieces
    assert (found == recorded).all()


def test_the_vocabulary_names_the_data_sets_classes_in_its_order():
    """Of the data set that rows are published for, and of one that has no background either."""
    datasets = load_manifest().datasets
    for vocabulary, dataset in (("coco-stuff164k", "cocostuff164k"), ("pascal_context", "pascal_context_59")):
        assert list(san.prompts()["vocabularies"][vocabulary]) == list(datasets[dataset].classes)


def test_names_are_encoded_once_and_anew_for_other_weights(monkeypatch):
    model, encoder, counted = network(), san.TextEncoder.encode, []
    monkeypatch.setattr(san.TextEncoder, "encode", lambda *given: counted.append(given) or encoder(*given))
    images = torch.rand(1, 3, 64, 64)

    def encodings():
        before = len(counted)
        with torch.inference_mode():
            model(images.to(model.backbone.image_encoder.cls_token.dtype))
        return len(counted) - before

    assert [encodings(), encodings()] == [14, 0]
    with torch.no_grad():
        model.decode_head.text_encoder.ln_final.weight.mul_(2)
    assert [encodings(), encodings()] == [14, 0]
    other = {key: value.clone() for key, value in network().state_dict().items()}
    model.load_state_dict(other, assign=True)
    assert [encodings(), encodings()] == [14, 0]
    model.double()
    assert [encodings(), encodings()] == [14, 0]


def test_names_are_encoded_in_the_weights_precision_whatever_images_are_run_in():
    expected, encoder = network().decode_head.text_encoder.classes(), network().decode_head.text_encoder
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        found = encoder.classes()
        assert encoder.classes() is found
    assert torch.equal(found, expected)


def test_an_image_costs_what_it_costs_once_names_are_encoded():
    """A deeper text encoder makes no image dearer."""
    deeper = {**SMALL, "head": {**SMALL["head"], "text_depth": 5}}
    assert forward_cost(deeper, (64, 64)) == forward_cost(SMALL, (64, 64))


def test_training_moves_the_side_network_and_what_its_configuration_leaves_free():
    """As `frozen_exclude` says in mmsegmentation 1.2.2; the vector of no class is made after the text encoder is frozen."""
    moved = {name: one.numel() for name, one in network().named_parameters() if one.requires_grad}
    beside = {name for name in moved if not name.startswith("decode_head.side_adapter_network.")}
    assert beside == {"backbone.image_encoder.pos_embed", "decode_head.text_encoder.bg_embed"}
    foretold = training_memory(SMALL, TrainingStep(1, (64, 64), "AdamW"))
    assert foretold.note == MaskClassifier.training_note
    assert 0 <= foretold.breakdown[BUCKET] - 4 * sum(moved.values()) < ROUNDING


def test_another_number_of_classes_than_names_is_refused():
    with pytest.raises(ArchitectureError, match=r"coco-stuff164k names 171 classes; found num_classes: 19"):
        build_model(**{**SMALL, "num_classes": 19})
    with pytest.raises(
        ArchitectureError,
        match=r"vocabulary: expected one of coco-stuff164k, pascal_context, voc; found ade20k",
    ):
        build_model(**{**SMALL, "head": {**SMALL["head"], "vocabulary": "ade20k"}})
