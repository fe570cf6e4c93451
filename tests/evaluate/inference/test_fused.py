"""The label map kernel against the tiles, over every protocol that is no sliding window, and what a bad one meets.

There need be no GPU: Triton's interpreter runs the kernel on the processor, in a process that is told before Triton is
imported.
"""

import importlib.util
import inspect
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import msgspec
import numpy as np
import pytest
import torch

from segbench.evaluate import EvalProtocol, SlidingWindow
from segbench.evaluate.accuracy import Loading
from segbench.evaluate.inference import fused, tiles
from segbench.evaluate.inference.device import DeviceError
from segbench.evaluate.inference.fused import (
    LabelMaps,
    LabelMapWarning,
    Shape,
    difference,
    kernel_for,
    shape_of,
    supports,
)
from segbench.evaluate.inference.plain import taking_part, views
from segbench.evaluate.inference.tiles import scored_views

from .test_tiles import CPU, PROTOCOLS, ROUNDING, Noise, small

WHOLE = [name for name, protocol in PROTOCOLS.items() if protocol.window is None]


SHAPES_A_VIEW = (
    "keep_ratio", "resize_divisor", "size_divisor", "scales", "flip", "flip_pairs", "views", "upsampling", "average",
    "softmax_at", "score_channels",
)  # fmt: skip
"""What can make other views of an image, or otherwise one label map of them."""


def each_kind_then_golden(names):
    """Protocols, without and with `align_corners`: those of which an earlier one is alike are left to `golden`.

    Alike are those of the same views, resizing and averaging; with `align_corners` those of the same scales and upsampling.
    """
    kinds, found = set(), []
    for name in names:
        for align_corners, fields in ((False, SHAPES_A_VIEW), (True, ("scales", "upsampling"))):
            kind = align_corners, *(getattr(PROTOCOLS[name], field) for field in fields)
            found.append(pytest.param(name, align_corners, marks=[pytest.mark.golden] * (kind in kinds)))
            kinds.add(kind)
    return found


SLIDING = [name for name, protocol in PROTOCOLS.items() if protocol.window is not None]
TILE = (16, 16)
MS_FLIP = EvalProtocol(base_scale=(40, 30), scales=(0.5, 1.75), flip=True)
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="missing: triton")


@pytest.fixture(scope="module")
def by_kernel():
    """`fused.decide` in a process of its own, interpreted."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            process.submit(fused.kernel_for, CPU, "tiles").result()  # it starts with the first work
        yield lambda *arguments: process.submit(fused.decide, *arguments).result()


def scored(protocol, size=(7, 11), classes=19, strength=4.0, seed=0):
    """The views of one image, scored by noise."""
    image = np.zeros((*size, 3), np.uint8)
    with torch.inference_mode():
        inputs = list(views(image, protocol, CPU))
        (found,) = scored_views(Noise(classes, strength, seed), [inputs], size, protocol)
    return found


def assert_agrees(by_kernel, protocol, size=(7, 11), classes=19, strength=4.0):
    found = scored(protocol, size, classes, strength)
    reference = tiles.decide(found, size, protocol)
    decided = reference.margins > ROUNDING
    assert decided.float().mean() > 0.95
    decision = by_kernel(found, size, protocol)
    assert [(part.shape, part.dtype) for part in decision] == [(part.shape, part.dtype) for part in reference]
    assert difference(decision, reference, ROUNDING) == ""
    assert torch.equal(decision.runners_up[decided], reference.runners_up[decided])


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize(("name", "align_corners"), each_kind_then_golden(WHOLE))
def test_every_whole_protocol_of_the_zoo(by_kernel, name, align_corners):
    """Labels, margins and runners-up are those of the tiles, flip pairs and all six scales included."""
    protocol = msgspec.structs.replace(small(PROTOCOLS[name]), align_corners=align_corners)
    assert_agrees(by_kernel, protocol, (5, 9), classes=20)


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize(
    ("average", "classes"),
    [
        *(("probabilities", classes) for classes in (1, 2, 19, 150, 256)),
        *(("scores", classes) for classes in (1, 2, 19)),
        *(pytest.param("scores", classes, marks=pytest.mark.golden) for classes in (150, 256)),
    ],
)
def test_any_number_of_classes(by_kernel, classes, average):
    """As many as a label has values; 11 pixels are more than a program's 8 of 150 classes, and no multiple of it."""
    assert_agrees(by_kernel, msgspec.structs.replace(MS_FLIP, average=average), classes=classes)


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (31, 1), (30, 40)], ids=str)
def test_slivers_and_identity(by_kernel, size):
    """One pixel, one row of more than a program's 64, one column; and views of the image's own size."""
    assert_agrees(by_kernel, EvalProtocol(base_scale=(40, 30), keep_ratio=False, views="tensor"), size)


@pytest.mark.slow
@needs_triton
def test_a_network_without_stride(by_kernel):
    """Scores as large as the image, and larger ones that shrink: positions reach past their neighbours."""

    def full(images):
        return 4 * torch.randn(len(images), 3, *images.shape[2:], generator=torch.Generator().manual_seed(0))

    size = (9, 12)
    protocol = EvalProtocol(base_scale=(12, 9), scales=(1.0, 3.0), flip=True)
    inputs = list(views(np.zeros((*size, 3), np.uint8), protocol, CPU))
    (found,) = scored_views(full, [inputs], size, protocol)
    assert difference(by_kernel(found, size, protocol), tiles.decide(found, size, protocol), ROUNDING) == ""


@pytest.mark.slow
@needs_triton
def test_equal_scores_and_no_numbers(by_kernel):
    """Of equals the first class is taken; where a score is no number, neither is the margin, and labels stay classes."""
    protocol = EvalProtocol(base_scale=(16, 16), average="scores", upsampling="one-step")
    (view,) = scored(protocol, (16, 16), classes=5)
    scores = torch.tensor([1.0, 2.0, 2.0, 0.0, 2.0])[:, None, None].repeat(1, 2, 2)
    view = view._replace(scores=tiles.Whole(scores))
    even = by_kernel([view], (16, 16), protocol)
    assert even.labels.unique().tolist() == [1]
    assert even.runners_up.unique().tolist() == [2]
    assert even.margins.unique().tolist() == [0]
    view.scores.scores[0, 3, 0] = float("nan")
    broken = by_kernel([view], (16, 16), protocol)
    lost = broken.margins.isnan()
    assert lost.any()
    assert (
        tiles.decide([view], (16, 16), protocol).margins[lost].isnan().all()
    )  # there the whole tile is lost
    assert broken.labels[lost].unique().tolist() == [3]


@pytest.mark.slow
@needs_triton
def test_a_kernel_that_agrees_is_compared_once_a_shape(by_kernel, monkeypatch):
    """The first image of a shape is decided both ways, later ones by the kernel alone."""
    compared = []

    def reference(*arguments):
        compared.append(arguments)
        return decide(*arguments)

    decide = tiles.decide
    monkeypatch.setattr(tiles, "decide", reference)
    label_maps = LabelMaps(by_kernel, TILE)
    for classes in (19, 19, 5, 19):
        label_maps.decide(scored(MS_FLIP, classes=classes, seed=len(compared)), (7, 11), MS_FLIP, TILE)
    assert len(compared) == 2
    assert label_maps.reason == ""


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize("capability", [80, 90])
def test_it_compiles_for_a_gpu(tmp_path, monkeypatch, capability):
    """The interpreter accepts more than the compiler does; 150 classes, to the machine code of a real GPU."""
    compiler = pytest.importorskip("triton.compiler", reason="missing: triton")
    from triton.backends.compiler import GPUTarget

    from segbench.evaluate.inference.label_kernel import label_map

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kinds = ["fp32", "i64", "i32", "fp32", "i32", "fp32", "u8", "fp32", "u8"]
    sizes = {
        "VIEWS": 12, "CLASSES": 150, "STRIDE": 152, "PADDED": 256, "ROW_TAPS": 3, "COLUMN_TAPS": 3, "SOFTMAX": True, "BLOCK": 8,
    }  # fmt: skip
    types = [*(f"*{kind}" for kind in kinds), "i32", "i32"]
    if (
        "constexprs" in inspect.signature(compiler.ASTSource).parameters
    ):  # before Triton 3.3 they have no type
        types += ["constexpr" for _ in sizes]
    source = compiler.ASTSource(label_map, dict(zip(label_map.arg_names, types, strict=False)), sizes)
    options = {"num_warps": 4, "enable_fp_fusion": True}
    compiled = compiler.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert compiled.asm["cubin"]


def wrong_label(found, size, protocol):
    decision = tiles.decide(found, size, protocol)
    decision.labels[0, 0] = (decision.labels[0, 0] + 1) % 19
    return decision


def wrong_margin(found, size, protocol):
    decision = tiles.decide(found, size, protocol)
    decision.margins[0, :2] += 1e-3
    return decision


def wrong_runners_up(found, size, protocol):
    decision = tiles.decide(found, size, protocol)
    close = decision.margins < 1e-2
    assert close.any()
    decision.runners_up[close] = decision.labels[close]
    return decision


def failing(found, size, protocol):
    raise RuntimeError("no machine code\nfor this GPU")


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (wrong_label, "1 labels differ from those made in tiles"),
        (wrong_margin, "2 margins differ from those made in tiles"),
        (wrong_runners_up, r"\d+ runners-up differ from those made in tiles"),
        (failing, "RuntimeError: no machine code"),
    ],
)
def test_a_kernel_that_differs_or_fails_is_told_and_never_used_again(kernel, reason):
    """Its answer is not handed on, not even the first."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return kernel(*arguments)

    label_maps = LabelMaps(counted, TILE)
    found = scored(MS_FLIP, (40, 40))
    with pytest.warns(LabelMapWarning, match=f"slower and just as right: {reason}$") as told:
        decisions = [label_maps.decide(found, (40, 40), MS_FLIP, TILE) for _ in range(3)]
    assert (len(calls), len(told)) == (1, 1)
    reference = tiles.decide(found, (40, 40), MS_FLIP, TILE)
    for decision in decisions:
        assert all(map(torch.equal, decision, reference))


def test_a_kernel_that_fails_later_is_replaced_too():
    """Having agreed once does not shield it."""
    later = iter([tiles.decide, failing])

    def kernel(*arguments):
        return next(later)(*arguments)

    label_maps = LabelMaps(kernel, TILE)
    found = scored(MS_FLIP)
    label_maps.decide(found, (7, 11), MS_FLIP, TILE)
    with pytest.warns(LabelMapWarning, match="RuntimeError: no machine code"):
        label_maps.decide(found, (7, 11), MS_FLIP, TILE)
    assert label_maps.reason == "RuntimeError: no machine code"


def test_memory_that_ends_is_no_fault_of_the_kernel():
    """The error goes on to whoever halves the tile; a smaller tile then needs no further copy of the scores."""
    calls = []

    def hungry(*arguments):
        calls.append(arguments)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    label_maps = LabelMaps(hungry, TILE)
    found = scored(MS_FLIP)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        label_maps.decide(found, (7, 11), MS_FLIP, TILE)
    label_maps.decide(found, (7, 11), MS_FLIP, (8, 16))
    assert (len(calls), label_maps.reason) == (1, "")


@pytest.mark.parametrize("name", SLIDING)
def test_sliding_windows_stay_with_the_tiles(name):
    protocol = small(PROTOCOLS[name])
    classes = 1 + max((index for pair in protocol.flip_pairs for index in pair), default=2)
    found = scored(protocol, (64, 128), classes=classes)
    assert not supports(found, protocol)
    decision = LabelMaps(failing, TILE).decide(found, (64, 128), protocol, TILE)
    assert all(map(torch.equal, decision, tiles.decide(found, (64, 128), protocol, TILE)))


def test_more_classes_than_a_label_can_name_stay_with_the_tiles():
    assert supports(scored(MS_FLIP, classes=256), MS_FLIP)
    assert not supports(scored(MS_FLIP, classes=257), MS_FLIP)


def test_scores_that_shrink_twice_stay_with_the_tiles():
    """An output position reaches six sources there: the kernel would be long to compile and short of registers."""
    protocol = EvalProtocol(base_scale=(60, 60), scales=(1.0,), upsampling="two-step")
    (view,) = scored(protocol, (60, 60), classes=3)
    shrunk = view._replace(
        rows=tiles.axis((8, 60, 3), protocol, CPU), columns=tiles.axis((30, 8, 3), protocol, CPU)
    )
    assert supports([view], protocol)
    assert not supports([shrunk], protocol)


@pytest.mark.parametrize("device", [CPU, torch.device("cuda", 0)], ids=str)
def test_tiles_are_the_default_on_every_device(device):
    assert kernel_for(device, Loading().kernel) is None


def test_a_processor_has_no_kernel_and_says_what_to_do():
    with pytest.raises(DeviceError) as caught:
        kernel_for(CPU, "triton")
    assert str(caught.value) == (
        "--kernel triton: the kernel runs on a CUDA device, this is cpu; leave it out, and label maps are made in "
        "tiles, which give the same numbers"
    )


def test_what_made_label_maps_is_kept():
    used = set()
    label_maps = LabelMaps(tiles.decide, TILE, used)
    found = scored(MS_FLIP)
    label_maps.decide(found, (7, 11), MS_FLIP, TILE)
    assert used == {"triton"}
    label_maps.decide(found, (7, 11), MS_FLIP, (8, 16))
    assert used == {"triton", "tiles"}


def test_a_kernel_is_compiled_by_views_classes_taps_and_softmax():
    """Two chained steps reach three sources where one reaches two; sizes change nothing."""
    chained = Shape(views=4, classes=19, row_taps=3, column_taps=3, softmax=True)
    assert shape_of(scored(MS_FLIP, (17, 23)), MS_FLIP) == chained
    plain = msgspec.structs.replace(MS_FLIP, upsampling="one-step", softmax_at="window", scales=(1.0,))
    assert shape_of(scored(plain, (17, 23)), plain) == Shape(
        views=2, classes=19, row_taps=2, column_taps=2, softmax=False
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("lengths", [(5, 40, 23), (5, 40, 90), (40, 7), (7, 7), (1, 9), (30, 8, 3)], ids=str)
def test_taps_are_the_matrix_without_its_zeros(lengths, mirrored):
    axis = tiles.axis(lengths, EvalProtocol(base_scale=None), CPU, mirrored=mirrored)
    first, weights = axis.taps
    rebuilt = torch.zeros_like(axis.weights)
    for tap in range(weights.shape[1]):
        sources = (first.long() + tap).clamp(max=lengths[0] - 1)
        rebuilt.scatter_add_(1, sources[:, None], weights[:, tap : tap + 1])
    assert torch.equal(rebuilt, axis.weights)


def test_a_sliding_window_as_large_as_the_image_is_still_one():
    protocol = EvalProtocol(base_scale=(32, 32), window=SlidingWindow(crop=(64, 64), stride=(32, 32)))
    assert not supports(scored(protocol, (32, 32)), protocol)


@pytest.mark.slow
@needs_triton
def test_padding_and_fewer_channels_are_the_kernels_own(by_kernel):
    """A cut lies in the weights of an axis, and channels that take no part never reach it."""
    padded = EvalProtocol(base_scale=(40, 30), scales=(0.5, 1.0), flip=True, size_divisor=16)
    assert_agrees(by_kernel, padded)
    inputs = list(views(np.zeros((7, 11, 3), np.uint8), padded, CPU))
    kept = msgspec.structs.replace(padded, score_channels=5)
    (found,) = scored_views(taking_part(Noise(19), kept), [inputs], (7, 11), kept)
    assert by_kernel(found, (7, 11), kept).labels.max() < 5
