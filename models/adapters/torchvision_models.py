"""torchvision's segmentation networks as a builder: `{builder: torchvision, model: fcn_resnet50, num_classes: 21}`.

Keys are the library's own (layout `plain`), and so are the scores: at the input's size, since its networks resize them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import nn  # noqa: TC002  (`build_model` reads the annotations)

if TYPE_CHECKING:
    from torch import Tensor

Model = Literal[
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
]
_WITHOUT_AUXILIARY = {"lraspp_mobilenet_v3_large"}


def build(*, model: Model, num_classes: int = 21, auxiliary: bool = True) -> nn.Module:
    """The library's network with random weights; nothing is fetched.

    Args:
        model: Its name in `torchvision.models.segmentation`.
        num_classes: Channels of the scores.
        auxiliary: With the head that training alone looks at, as in the published files; LR-ASPP has none.
    """
    from torchvision.models import get_model  # noqa: PLC0415

    more = {} if model in _WITHOUT_AUXILIARY else {"aux_loss": auxiliary, "weights_backbone": None}
    network: Any = get_model(
        model, weights=None, num_classes=num_classes, **{"weights_backbone": None, **more}
    )
    network.training_only = ("aux_classifier",)
    network.register_forward_hook(_scores)
    return network


def _scores(network: nn.Module, images: tuple[Tensor], output: dict[str, Tensor]) -> Tensor:
    """What the library's networks call `out`, of a dictionary."""
    del network, images
    return output["out"]
