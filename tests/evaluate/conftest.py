"""Networks that answer an input they have seen from memory, for tests that look at what is made of the answers."""

import functools

import pytest


class Remembering:
    """A network as a function of its input: each is computed once, whatever path of the evaluator asks for it."""

    def __init__(self, network):
        self.network = network
        self.known = {}

    def __call__(self, images):
        key = (tuple(images.shape), hash(images.numpy().tobytes()))
        if key not in self.known:
            self.known[key] = self.network(images)
        return self.known[key].clone()


@pytest.fixture(scope="session")
def remembering_model(rule_model):
    """As `rule_model`; paths that put the same pictures through a network share its answers."""
    return functools.cache(lambda builder, **numbers: Remembering(rule_model(builder, **numbers)))
