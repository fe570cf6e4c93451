"""Models filled by the rule of the goldens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import weights_rule

from segbench.models import build_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """One thread: on a shared machine, threads that wait for each other made these tests ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rule_model() -> Iterator[Callable[..., Any]]:
    """Builds a model under the rule's weights, without gradients for the length of the test."""

    def build(builder: str, **numbers: Any) -> torch.nn.Module:
        with torch.device("meta"):
            model = build_model(builder, **numbers)
        return weights_rule.fill(model)

    with torch.inference_mode():
        yield build
