"""The publishers' recorded outputs, and models filled by the weights rule, for the evaluator's tests."""

import functools

import numpy as np
import pytest
import torch
import weights_rule

from segbench.models.builders import build_model


@pytest.fixture
def golden(shared):
    """A function from a name below `golden/` to its arrays."""

    def load(name):
        path = shared / "golden" / name
        if not path.is_file():
            pytest.skip(f"missing: {path}")
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays}

    return load


@pytest.fixture(scope="session")
def rule_model():
    """A function from a builder and its numbers to that model with the weights of the rule."""

    @functools.cache
    def build(builder, **numbers):
        with torch.inference_mode(False):  # whoever asks first, others fill it again
            return weights_rule.fill(build_model(builder, **numbers))

    return build
