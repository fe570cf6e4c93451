"""From one image to a label map, by the letter of an `EvalProtocol`.

One engine for every publisher: views, windows, upsampling, averaging. It knows no model; a model is any
callable from images (N, 3, H, W) to scores (N, C, h, w) at whatever stride its head has.

Shapes: H, W the image's own size; h, w a view's; C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ..geometry import compared_size, padded_size, resizes, sliding_windows
from ..limits import channels_breach
from ..pixels import resize
from .strangers import may_overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..geometry import Size
    from ..pixels import Labels, Pixels
    from ..protocol import EvalProtocol

_MOST_IN_8_BITS = 256
Model = Callable[[torch.Tensor], torch.Tensor]


def label_type(classes: int) -> torch.dtype:
    """The smallest type that a label map of so many classes fits into."""
    return torch.uint8 if classes <= _MOST_IN_8_BITS else torch.int16


def predict(model: Any, image: Pixels, protocol: EvalProtocol) -> tuple[Labels, NDArray[np.float32]]:
    """Label map and averaged scores of one image.

    Args:
        model: images (N, 3, H, W) -> scores (N, C, h, w); runs on the device of its parameters (else the CPU).
        image: H x W x 3, BGR, uint8, as `cv2.imread` gives it.
        protocol: how the published number was measured.

    Returns:
        labels (H, W), uint8 up to 256 classes and int16 above, and scores (C, H, W) float32: probabilities or raw scores,
        whichever the protocol averages. H and W are the image's, or those at which the protocol compares; C is how many
        channels take part.

    Raises:
        ValueError: the image is not H x W x 3 uint8.
    """
    with torch.inference_mode():
        scores = predict_scores(model, image, protocol, model_device(model))
        labels = scores.argmax(dim=0).to(label_type(len(scores)))
    return labels.cpu().numpy(), scores.cpu().numpy()


def predict_scores(model: Model, image: Pixels, protocol: EvalProtocol, device: torch.device) -> torch.Tensor:
    """Scores (C, H, W) on `device`: the plain mean over the protocol's views, in their order."""
    require_image(image)
    model = checked(model, protocol=protocol)
    size = compared_size((image.shape[0], image.shape[1]), protocol)
    total: torch.Tensor | None = None
    for view in views(image, protocol, device):
        scores = view_scores(model, view, protocol, size)
        total = scores if total is None else total.add_(scores)
        if protocol.flip:
            mirrored = view_scores(model, view.flip(3), protocol, size)
            total.add_(unflip(mirrored, protocol.flip_pairs))
    assert total is not None, "a protocol has at least one scale"
    count = len(protocol.scales) * (2 if protocol.flip else 1)
    return total[0] if count == 1 else total[0].div_(count)


class NetworkError(ValueError):
    """What a network gives is no scores for the classes asked for; the message says what it is."""


def checked(model: Model, classes: int | None = None, protocol: EvalProtocol | None = None) -> Model:
    """The model, whose scores are looked at before anything is made of them.

    Args:
        model: images (N, 3, H, W) -> scores (N, C, h, w).
        classes: C of the data set; None for whatever it scores.
        protocol: says how many channels take part, and which classes a network need not know.

    Raises:
        NetworkError: by what is returned, where it gives anything else.
    """
    is_known = may_overlap(model)

    def scores(images: torch.Tensor) -> torch.Tensor:
        # A copy, since networks change their input in place, and windows lie in one view.
        found = model(images.clone())
        if not isinstance(found, torch.Tensor) or found.dim() != 4 or not found.is_floating_point():
            raise NetworkError(f"expected scores (N, C, h, w); the network gave {_form(found)}")
        if not found.numel():
            raise NetworkError(f"expected scores of at least one pixel; the network gave {_form(found)}")
        if len(found) != len(images):
            raise NetworkError(f"expected scores of {len(images)} images; the network gave {_form(found)}")
        if breach := _misfit(found.shape[1], classes, protocol):
            raise NetworkError(breach)
        return found if is_known else found.clone()  # some give the same memory each time

    return scores


def _misfit(channels: int, classes: int | None, protocol: EvalProtocol | None) -> str:
    """Why a network of so many channels does not suit data set and protocol; empty where it does."""
    kept = protocol.score_channels if protocol else None
    if kept is not None and kept > channels:
        return f"the protocol's score_channels is {kept}, the network scores {channels} classes"
    taken = channels if kept is None else kept
    if protocol and any(max(pair) >= taken for pair in protocol.flip_pairs):
        return (
            f"the protocol's flip_pairs name class {max(map(max, protocol.flip_pairs))}, {taken} are scored"
        )
    void = protocol.void.classes if protocol and protocol.void else ()
    if classes is not None and channels_breach(channels, classes, void, kept):
        part = "" if kept is None else f" of which score_channels lets {kept} take part"
        return f"the network scores {channels} classes{part}, the data set has {classes}"
    return ""


def _form(found: object) -> str:
    if isinstance(found, torch.Tensor):
        return f"{tuple(found.shape)} {str(found.dtype).removeprefix('torch.')}"
    inside = ", ".join(map(str, found)) if isinstance(found, Mapping) else ""
    return f"a {type(found).__name__}{inside and f' with {inside}'}"


def require_image(image: Pixels) -> None:
    """Refuse what is no picture.

    Raises:
        ValueError: the image is not H x W x 3 uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"expected an H x W x 3 BGR uint8 image, found shape {image.shape} of {image.dtype}")


def views(image: Pixels, protocol: EvalProtocol, device: torch.device) -> Iterator[torch.Tensor]:
    """The unmirrored network inputs (1, 3, h, w) of an image, one a scale."""
    size = (image.shape[0], image.shape[1])
    for ratio in protocol.scales:
        pixels = image
        for target in resizes(size, protocol, ratio):
            pixels = resize(pixels, target, protocol.interpolation)
        view = normalise(pixels, protocol, device)
        if protocol.views == "tensor" and ratio != 1.0:
            # sssegmentation `segmentors/base/base.py`: scale_factor=, not size=: the source coordinates
            # follow the nominal factor even where height * factor is not a whole number.
            view = F.interpolate(view, scale_factor=ratio, mode="bilinear", align_corners=False)
        yield view


def normalise(pixels: Pixels, protocol: EvalProtocol, device: torch.device) -> torch.Tensor:
    """H x W x 3 BGR uint8 to a 1 x 3 x H x W float32 tensor, (value - mean) / std on the 0-255 scale.

    Bit-identical to the publisher's own; scaling to [0, 1] first, or a float32 1/std, is not. What a protocol divides
    by afterwards (`value_divisor`) comes last.
    """
    ordered = pixels if protocol.channels == "BGR" else pixels[:, :, ::-1]
    values = torch.from_numpy(np.ascontiguousarray(ordered)).to(device)
    batch = values.permute(2, 0, 1).unsqueeze(0).float()
    centred = batch - torch.tensor(protocol.mean, device=device).view(1, 3, 1, 1)
    if protocol.normalisation == "float32 division":
        values = centred / torch.tensor(protocol.std, device=device).view(1, 3, 1, 1)
    else:
        inverse = 1.0 / torch.tensor(protocol.std, device=device, dtype=torch.float64).view(1, 3, 1, 1)
        values = (centred.double() * inverse).float()
    return values if protocol.value_divisor == 1 else values / protocol.value_divisor


def view_scores(model: Model, view: torch.Tensor, protocol: EvalProtocol, size: Size) -> torch.Tensor:
    """One view (N, 3, h, w) to scores or probabilities (N, C, H, W) at `size`, where labels are compared."""
    network, whole = taking_part(model, protocol), padded(view, protocol)
    at_window = protocol.average == "probabilities" and protocol.softmax_at == "window"
    at_original = protocol.average == "probabilities" and protocol.softmax_at == "original size"
    if protocol.window is not None:
        scores = _slide(network, whole, protocol, softmax=at_window)
    else:
        scores = network(whole)
        if at_window:
            scores = scores.softmax(dim=1)
        if protocol.upsampling == "two-step":
            scores = upsample(scores, (whole.shape[2], whole.shape[3]), protocol)
    if whole is not view:
        scores = scores[:, :, : view.shape[2], : view.shape[3]]
    scores = upsample(scores, size, protocol)
    return scores.softmax(dim=1) if at_original else scores


def padded(view: torch.Tensor, protocol: EvalProtocol) -> torch.Tensor:
    """A view (N, 3, h, w) with zeros at its right and lower end, as the network gets it; itself where none are due."""
    height, width = view.shape[2], view.shape[3]
    down, across = padded_size((height, width), protocol)
    if (down, across) == (height, width):
        return view
    return F.pad(view, (0, across - width, 0, down - height))


def taking_part(model: Model, protocol: EvalProtocol) -> Model:
    """The model with the channels of its scores that the protocol lets take part."""
    kept = protocol.score_channels
    return model if kept is None else lambda images: model(images)[:, :kept]


def _slide(model: Model, view: torch.Tensor, protocol: EvalProtocol, *, softmax: bool) -> torch.Tensor:
    """Scores (N, C, h, w) of a view, averaged over the windows that cover each pixel."""
    assert protocol.window is not None
    height, width = view.shape[2], view.shape[3]
    total = view.new_zeros(0)
    cover = view.new_zeros(1, 1, height, width)
    for top, left, bottom, right in sliding_windows((height, width), protocol.window):
        crop = view[:, :, top:bottom, left:right]
        scores = upsample(model(crop), (bottom - top, right - left), protocol)
        if softmax:
            scores = scores.softmax(dim=1)
        if total.numel() == 0:
            total = scores.new_zeros(*scores.shape[:2], height, width)
        total[:, :, top:bottom, left:right] += scores
        cover[:, :, top:bottom, left:right] += 1
    return total / cover


def forward(model: Model, inputs: Sequence[torch.Tensor], batch: int = 1) -> Iterator[torch.Tensor]:
    """Scores (1, C, h, w) of every input (1, 3, h, w), in order; up to `batch` neighbours of one size run at once.

    A batch of its own size may pick other kernels: last bits differ from those of a batch of one.
    """
    start = 0
    while start < len(inputs):
        stop = start + 1
        while stop < min(start + batch, len(inputs)) and inputs[stop].shape == inputs[start].shape:
            stop += 1
        scores = model(inputs[start] if stop == start + 1 else torch.cat(list(inputs[start:stop])))
        yield from scores.split(1)
        start = stop


def upsample(scores: torch.Tensor, size: Size, protocol: EvalProtocol) -> torch.Tensor:
    """Bilinear resize of (N, C, h, w) to `size`; equal sizes pass through (interpolation is exact there)."""
    if scores.shape[2:] == size:
        return scores
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=protocol.align_corners)


def unflip(scores: torch.Tensor, pairs: tuple[tuple[int, int], ...]) -> torch.Tensor:
    """Mirror (N, C, H, W) back and let the two classes of each left/right pair change places."""
    order = list(range(scores.shape[1]))
    for left, right in pairs:
        order[left], order[right] = order[right], order[left]
    swapped = scores[:, order] if pairs else scores
    return swapped.flip(3)


def model_device(model: Any) -> torch.device:
    """The device of a module's parameters; the CPU for a plain function."""
    first = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if first is None else first.device
