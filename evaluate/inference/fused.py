"""Label maps on a GPU in one kernel: low-resolution scores of all views in, labels, margins and runners-up out.

`tiles.decide` writes and reads each tile some ten times a view. Here a pixel's sum over the views stays in registers
(`label_kernel`), and memory sees each score at the head's stride and each pixel's three answers.

The kernel runs where it is asked for, and needs Triton, which torch brings with its CUDA builds; `tiles.decide` is the
default on every device, and does the work for sliding windows. The kernel has been run in Triton's interpreter and
compiled for NVIDIA GPUs, but not run on one, so it is never trusted unseen: `LabelMaps` compares it with
`tiles.decide` first.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..count.margins import LIMITS
from . import tiles
from .device import DeviceError
from .tiles import Decision, Whole, softmax_at_original_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..geometry import Size
    from ..protocol import EvalProtocol
    from .choices import Kernel
    from .tiles import Taps, View

    Decide = Callable[[Sequence[View], Size, EvalProtocol], Decision]

ROUNDING = 1e-5
"""Closer than this the order of additions decides, in either path; for scores above 4 in proportion to them."""
_VALUES = 2048
"""Pixels times classes of a program: 16 values of each array a thread. Compiled for sm_90 with 150 classes that is 80
registers (Triton 3.9; 146 with 3.6), so that several programs share a multiprocessor; twice as many values take 255."""
_LAUNCH: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": True}
"""Triton 3.9 warns where nobody says how products and sums are fused, and means to change what it does then."""
_VECTOR = 4
"""Floats that a GPU loads at once; pixels in the packed scores begin at multiples of it."""
_MOST_TAPS = 4
"""Sources an axis may reach, for each is a copy of the inner loop; two steps reach 3, and more where both shrink."""
_OTHER_RUNNERS_UP = 0.01
"""Share of the close pixels whose second and third class may be as good as equal."""


class LabelMapWarning(UserWarning):
    """The kernel is not used for the rest of a run; the message says why."""


class Shape(NamedTuple):
    """What a compiled kernel depends on."""

    views: int
    classes: int
    row_taps: int
    column_taps: int
    softmax: bool


def kernel_for(device: torch.device, kernel: Kernel) -> Decide | None:
    """`decide` where `triton` is asked for, None for `tiles`.

    Raises:
        DeviceError: the device is no GPU, or Triton is not installed.
    """
    if kernel == "tiles":
        return None
    advice = "leave it out, and label maps are made in tiles, which give the same numbers"
    if device.type != "cuda":
        raise DeviceError(f"--kernel {kernel}: the kernel runs on a CUDA device, this is {device}; {advice}")
    if importlib.util.find_spec("triton") is None:
        raise DeviceError(
            f"--kernel {kernel}: Triton is not installed, which torch's CUDA builds bring; {advice}"
        )
    return decide


def supports(found: Sequence[View], protocol: EvalProtocol) -> bool:
    """True for whole views, of no more classes than its uint8 labels can name, that lie near the image's size."""
    if protocol.window is not None:
        return False
    shape = shape_of(found, protocol)
    return shape.classes <= 256 and max(shape.row_taps, shape.column_taps) <= _MOST_TAPS


def shape_of(found: Sequence[View], protocol: EvalProtocol) -> Shape:
    """Of the views of one image."""
    return Shape(
        views=len(found),
        classes=_whole(found[0]).shape[1],
        row_taps=max(view.rows.taps.weights.shape[1] for view in found),
        column_taps=max(view.columns.taps.weights.shape[1] for view in found),
        softmax=softmax_at_original_size(protocol),
    )


def decide(found: Sequence[View], size: Size, protocol: EvalProtocol) -> Decision:
    """What `tiles.decide` decides of views that `supports` accepts, in one launch and without a wait.

    Of classes with equal sums the lowest is taken. Beside the answer it needs the memory of one more copy of the
    views' scores.
    """
    from .label_kernel import label_map  # noqa: PLC0415  (Triton is optional)

    shape, device = shape_of(found, protocol), found[0].rows.weights.device
    stride = -(-shape.classes // _VECTOR) * _VECTOR
    padded = 1 << (stride - 1).bit_length()
    block = _VALUES // padded
    decision = tiles.undecided(size, device, shape.classes)
    launch: Any = label_map[size[0] * -(-size[1] // block),]
    with torch.cuda.device_of(
        decision.labels
    ):  # Triton launches on the current device, whatever its arguments
        launch(
            *_packed([_whole(view) for view in found], stride),
            *_stacked([view.rows.taps for view in found]),
            *_stacked([view.columns.taps for view in found]),
            *decision,
            *size,
            VIEWS=shape.views,
            CLASSES=shape.classes,
            STRIDE=stride,
            PADDED=padded,
            ROW_TAPS=shape.row_taps,
            COLUMN_TAPS=shape.column_taps,
            SOFTMAX=shape.softmax,
            BLOCK=block,
            **_LAUNCH,
        )
    return decision


def _whole(view: View) -> torch.Tensor:
    """Its scores (h, C, w)."""
    assert isinstance(view.scores, Whole), "`supports` is asked first"
    return view.scores.scores


def _packed(scores: Sequence[torch.Tensor], stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (h, C, w) of all views as one array of (h, w, stride), and (views, 3) int64: begin in pixels, h, w."""
    pixels = [one.shape[0] * one.shape[2] for one in scores]
    packed = scores[0].new_zeros(sum(pixels), stride)
    places, begin = [], 0
    for one, count in zip(scores, pixels, strict=True):
        height, classes, width = one.shape
        target = packed[begin : begin + count].view(height, width, stride)
        target[:, :, :classes] = one.permute(0, 2, 1)
        places.append((begin, height, width))
        begin += count
    return packed, torch.tensor(places).to(packed.device, non_blocking=True)


def _stacked(taps: Sequence[Taps]) -> tuple[torch.Tensor, torch.Tensor]:
    """First sources (views, out) and weights (views, out, K), K as many as any view needs."""
    most = max(one.weights.shape[1] for one in taps)
    weights = [torch.nn.functional.pad(one.weights, (0, most - one.weights.shape[1])) for one in taps]
    return torch.stack([one.first for one in taps]), torch.stack(weights)


class LabelMaps:
    """Decides images by the kernel as far as it is seen to agree with `tiles.decide`, by that otherwise.

    The first image of every shape is decided both ways. The first failure or difference ends the kernel's use for
    good, with a `LabelMapWarning`; no answer of it is handed on that was not made by a kernel that agreed.
    """

    def __init__(self, kernel: Decide | None, tile: Size, used: set[Kernel] | None = None) -> None:
        self._kernel = kernel
        self._used = set() if used is None else used
        """What made label maps so far."""
        self._tile = tile
        self._agreed: set[Shape] = set()
        self.reason = ""
        """Why the kernel is used no more."""

    def decide(self, found: Sequence[View], size: Size, protocol: EvalProtocol, tile: Size) -> Decision:
        """As `tiles.decide`; a `tile` smaller than the first says that memory is short, and there is no extra copy.

        Raises:
            torch.cuda.OutOfMemoryError: also by the kernel's path.
        """
        decision = None
        if self._kernel and tile == self._tile and supports(found, protocol):
            decision = self._by_kernel(self._kernel, found, size, protocol)
        # Not within the handler of a failure, which would keep the failed call's tensors.
        self._used.add("tiles" if decision is None else "triton")
        return tiles.decide(found, size, protocol, tile) if decision is None else decision

    def _by_kernel(
        self, kernel: Decide, found: Sequence[View], size: Size, protocol: EvalProtocol
    ) -> Decision | None:
        """The kernel's decision, or None and never again where it fails or differs."""
        try:
            shape, decision = shape_of(found, protocol), kernel(found, size, protocol)
            difference = "" if shape in self._agreed else self._compare(decision, found, size, protocol)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a compiler or driver may raise)
            difference = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        else:
            if not difference:
                self._agreed.add(shape)
                return decision
        self._distrust(difference)
        return None

    def _compare(self, decision: Decision, found: Sequence[View], size: Size, protocol: EvalProtocol) -> str:
        largest = max(float(_whole(view).abs().max()) for view in found)
        reference = tiles.decide(found, size, protocol, self._tile)
        return difference(decision, reference, ROUNDING * max(1.0, largest / 4))

    def _distrust(self, reason: str) -> None:
        self._kernel, self.reason = None, reason
        warnings.warn(
            f"label maps are made without the Triton kernel from here on, slower and just as right: {reason}",
            LabelMapWarning,
            stacklevel=2,
        )


def difference(decision: Decision, reference: Decision, rounding: float) -> str:
    """What tells two decisions of one image apart by more than `rounding` of scores; empty where nothing does.

    Runners-up count where margins are counted (`margins.LIMITS`); second and third class may be equal.
    """
    decided = reference.margins > rounding
    labels = int(((decision.labels != reference.labels) & decided).sum())
    if labels:
        return f"{labels} labels differ from those made in tiles"
    same = torch.isclose(decision.margins, reference.margins, rtol=ROUNDING, atol=rounding, equal_nan=True)
    if not bool(same.all()):
        return f"{int((~same).sum())} margins differ from those made in tiles"
    close = decided & (reference.margins < LIMITS[-1])
    others = int(((decision.runners_up != reference.runners_up) & close).sum())
    if others > _OTHER_RUNNERS_UP * int(close.sum()):
        return f"{others} runners-up differ from those made in tiles"
    return ""
