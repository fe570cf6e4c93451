"""The Triton kernel of `fused.decide`: imported only where it is about to run, for Triton need not be installed."""

# Triton's language has no types, and may not be installed:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportMissingImports=false, reportOperatorIssue=false
# No `from __future__ import annotations` and no `if TYPE_CHECKING`: Triton reads this source and its annotations.

import triton
import triton.language as tl


@triton.jit
def _interpolated(  # noqa: ANN202
    scores,  # noqa: ANN001
    places,  # noqa: ANN001
    row_first,  # noqa: ANN001
    row_weights,  # noqa: ANN001
    column_first,  # noqa: ANN001
    column_weights,  # noqa: ANN001
    view,  # noqa: ANN001
    row,  # noqa: ANN001
    x,  # noqa: ANN001
    height,  # noqa: ANN001
    width,  # noqa: ANN001
    STRIDE: tl.constexpr,
    PADDED: tl.constexpr,
    ROW_TAPS: tl.constexpr,
    COLUMN_TAPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Scores (BLOCK, PADDED) of one view at the pixels `x` of a row of the image; arguments as of `label_map`."""
    inside, classes = x < width, tl.arange(0, PADDED)[None, :]
    begin = tl.load(places + 3 * view)
    last_row = tl.load(places + 3 * view + 1) - 1
    columns = tl.load(places + 3 * view + 2)
    last_column = (columns - 1).to(tl.int32)
    upper = tl.load(row_first + view * height + row)
    left = tl.load(column_first + view * width + x, mask=inside, other=0)
    found = tl.zeros((BLOCK, PADDED), tl.float32)
    for below in tl.static_range(ROW_TAPS):
        down = tl.load(row_weights + (view * height + row) * ROW_TAPS + below)
        if down != 0.0:
            line = scores + (begin + tl.minimum(upper + below, last_row) * columns) * STRIDE
            for right in tl.static_range(COLUMN_TAPS):
                place = (view * width + x) * COLUMN_TAPS + right
                across = tl.load(column_weights + place, mask=inside, other=0.0)
                pixel = tl.minimum(left + right, last_column)
                source = line + pixel[:, None] * STRIDE + classes
                found += (down * across)[:, None] * tl.load(source, mask=classes < STRIDE, other=0.0)
    return found


@triton.jit
def _two_best(total, classes, real, PADDED: tl.constexpr):  # noqa: ANN001, ANN202
    """Class of the largest of the (BLOCK, PADDED) sums, of the second largest, and how far apart the two are."""
    # As in torch, what is no number is the largest, and of equals the first is taken.
    total = tl.where(real, tl.where(total != total, float("inf"), total), float("-inf"))  # noqa: PLR0124
    best = tl.max(total, axis=1)
    label = tl.min(tl.where(total == best[:, None], classes, PADDED), axis=1)
    total = tl.where(classes == label[:, None], float("-inf"), total)
    second = tl.max(total, axis=1)
    runner_up = tl.min(tl.where(total == second[:, None], classes, PADDED), axis=1)
    margin = tl.where(best == float("inf"), float("nan"), best - second)
    return label, runner_up, margin


@triton.jit(do_not_specialize=["height", "width"])
def label_map(  # noqa: ANN201
    scores,  # noqa: ANN001  float32, view after view, each (h, w, STRIDE)
    places,  # noqa: ANN001  int64 (VIEWS, 3): the pixel in `scores` where a view begins, its h, its w
    row_first,  # noqa: ANN001  int32 (VIEWS, height)
    row_weights,  # noqa: ANN001  float32 (VIEWS, height, ROW_TAPS)
    column_first,  # noqa: ANN001  int32 (VIEWS, width)
    column_weights,  # noqa: ANN001  float32 (VIEWS, width, COLUMN_TAPS)
    labels,  # noqa: ANN001  uint8 (height, width), as the other two it writes
    margins,  # noqa: ANN001  float32
    runners_up,  # noqa: ANN001  uint8
    height,  # noqa: ANN001
    width,  # noqa: ANN001
    VIEWS: tl.constexpr,
    CLASSES: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDED: tl.constexpr,
    ROW_TAPS: tl.constexpr,
    COLUMN_TAPS: tl.constexpr,
    SOFTMAX: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Decide BLOCK pixels of one row: interpolate each view, add up, take the best two classes.

    Classes are contiguous in memory and lie across a warp's lanes, so loads are wide and sums over classes need no
    shared memory.
    """
    blocks = tl.cdiv(width, BLOCK)
    row = tl.program_id(0) // blocks
    x = (tl.program_id(0) % blocks) * BLOCK + tl.arange(0, BLOCK)
    inside = x < width
    classes = tl.arange(0, PADDED)[None, :]
    real = classes < CLASSES
    total = tl.zeros((BLOCK, PADDED), tl.float32)
    for view in range(VIEWS):
        found = _interpolated(
            scores, places, row_first, row_weights, column_first, column_weights, view, row, x, height, width,
            STRIDE, PADDED, ROW_TAPS, COLUMN_TAPS, BLOCK,
        )  # fmt: skip
        if SOFTMAX:
            found = tl.where(real, found, float("-inf"))
            found = tl.exp(found - tl.max(found, axis=1)[:, None])
            found = found * (1.0 / tl.sum(found, axis=1))[:, None]
        total += found
    label, runner_up, margin = _two_best(total, classes, real, PADDED)
    margin = margin / VIEWS
    pixels = row.to(tl.int64) * width + x
    tl.store(labels + pixels, label.to(tl.uint8), mask=inside)
    tl.store(margins + pixels, margin, mask=inside)
    tl.store(runners_up + pixels, runner_up.to(tl.uint8), mask=inside)
