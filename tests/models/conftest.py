"""Models filled by the rule of the goldens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import weights_rule

from segbench.models import build_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def rule_model() -> Iterator[Callable[..., Any]]:
    """Builds a model under the rule's weights, without gradients for the length of the test."""

    def build(builder: str, **numbers: Any) -> torch.nn.Module:
        with torch.device("meta"):
            model = build_model(builder, **numbers)
        return weights_rule.fill(model)

    with torch.inference_mode():
        yield build
