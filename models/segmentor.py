"""Backbone, neck and heads under one roof, with mmsegmentation's key prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

AUXILIARY_WEIGHT = 0.4
"""Weight of an auxiliary head's loss beside the decode head's, in both publishers' configurations."""


def head_loss(head: nn.Module, given: tuple, loss_of: Callable[[Tensor], Tensor]) -> Tensor:
    """The loss of one head: of its scores, or what it says itself with a `training_loss(*given, loss_of)`.

    Args:
        head: A head or a `Cascade`.
        given: What its `forward` is given.
        loss_of: Scores (N, C, h, w) to their loss.
    """
    own: Any = getattr(head, "training_loss", None)
    return loss_of(head(*given)) if own is None else own(*given, loss_of)


class Cascade(nn.ModuleList):
    """Heads one behind the other: each but the first is given the features and the scores of the one before."""

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features -> scores of the last head."""
        first, *others = self
        scores = first(features)
        for head in others:
            scores = head(features, scores)
        return scores

    def training_loss(self, features: tuple[Tensor, ...], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The losses of all heads, those before the last weighed as auxiliary ones.

        A head whose scores are handed on runs a second time for it: mmsegmentation 0.18 and 1.2.2,
        segmentors/cascade_encoder_decoder.py. It takes memory.
        """
        *before, last = self
        given: tuple = (features,)
        losses = []
        for head in before:
            losses.append(AUXILIARY_WEIGHT * head_loss(head, given, loss_of))
            given = (features, head(*given))
        return sum(losses, head_loss(last, given, loss_of))


class Segmentor(nn.Module):
    """A whole model; keys `backbone.*`, `neck.*`, `decode_head.*`, `auxiliary_head.*`.

    Args:
        backbone: Images to a tuple of feature maps.
        decode_head: Features to scores: a head or a `Cascade`.
        auxiliary_head: A head, or a list of them, that training alone looks at. Its keys are in published
            files, so loading strictly needs it.
        neck: Features to features, for all heads.

    Attributes:
        training_only: Submodules that no evaluation runs; their weights may be missing in a file.
    """

    training_only = ("auxiliary_head",)

    def __init__(
        self,
        backbone: nn.Module,
        decode_head: nn.Module,
        auxiliary_head: nn.Module | None = None,
        neck: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.decode_head = decode_head
        self.auxiliary_head = auxiliary_head

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """What every head is given.

        Args:
            images: (N, 3, H, W), normalised, of any size that the backbone takes.
        """
        maps = self.backbone(images)
        return maps if self.neck is None else self.neck(maps)

    def forward(self, images: Tensor) -> Tensor:
        """Scores before the softmax, (N, num_classes, h, w) at the decode head's own stride.

        A head that scores pixels at the size of the image offers `predict(features, size)` and is asked that.

        Args:
            images: (N, 3, H, W), normalised.
        """
        features = self.features(images)
        predict: Any = getattr(self.decode_head, "predict", None)
        return self.decode_head(features) if predict is None else predict(features, images.shape[2:])

    def prepare(self) -> None:
        """Does what is done once for all images, where a decode head has such a thing, a `prepare` of its own: encodes names."""
        prepare: Any = getattr(self.decode_head, "prepare", None)
        if prepare is not None:
            prepare()

    @property
    def training_note(self) -> str:
        """Where `training_loss` is not the publisher's: how not, as the decode head says."""
        return getattr(self.decode_head, "training_note", "")

    def training_loss(self, images: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss of a training step; each head is followed by its own, as mmsegmentation's EncoderDecoder has it.

        Any network may offer this; `trace.memory` takes the loss of its scores alone where it does not.

        Args:
            images: (N, 3, H, W), normalised.
            loss_of: Scores (N, C, h, w) to their loss.
        """
        features = self.features(images)
        loss = head_loss(self.decode_head, (features,), loss_of)
        for head in self._auxiliary_heads():
            loss = loss + AUXILIARY_WEIGHT * head_loss(head, (features,), loss_of)
        return loss

    def _auxiliary_heads(self) -> Iterable[nn.Module]:
        if self.auxiliary_head is None:
            return ()
        return (
            self.auxiliary_head if isinstance(self.auxiliary_head, nn.ModuleList) else (self.auxiliary_head,)
        )
