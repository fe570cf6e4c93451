"""Foretold training memory: bytes counted by hand, torch's own tracker, a real run, and how it grows."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from segbench.models import build_model
from segbench.models.heads.isa import BLOCK, block_padding
from segbench.models.trace.memory import (
    SCORES_ALONE,
    predicted,
    replay,
    run_training,
    trace_training,
    training_memory,
)
from segbench.models.trace.storage import (
    WORKSPACE,
    Freed,
    Made,
    TraceError,
    unfolded_bytes,
    winograd_bytes,
)
from segbench.models.trace.training import (
    INPUT,
    OperatorsOfThen,
    SoftmaxKeepingItsInput,
    TrainingRun,
    TrainingStep,
)

SMALL = {
    "builder": "isanet_mmseg",
    "depth": 50,
    "num_classes": 19,
    "base_channels": 8,
    "stem_channels": 8,
    "channels": 16,
    "isa_channels": 8,
    "auxiliary_channels": 8,
}
STEP = TrainingStep(2, (64, 96))


class OneConvolution(nn.Module):
    """A backbone that is one 1x1 convolution, 3 to 4 channels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1, bias=False)
        self.maxpool = nn.Identity()

    def forward(self, images):
        return self.stem(images)


class TwoClassifiers(nn.Module):
    """Both heads are one 1x1 convolution to 8 classes on the same map, at the images' own size."""

    def __init__(self):
        super().__init__()
        self.backbone = OneConvolution()
        self.decode_head = nn.Conv2d(4, 8, 1, bias=False)
        self.auxiliary_head = nn.Conv2d(4, 8, 1, bias=False)

    def forward(self, images):
        return self.decode_head(self.backbone(images))

    def training_loss(self, images, loss_of):
        features = self.backbone(images)
        return loss_of(self.decode_head(features)) + 0.4 * loss_of(self.auxiliary_head(features))


class GroupedBeforeProjection(nn.Module):
    """The decode head with mmsegmentation's layout: the map itself is copied into groups, which are then projected."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def relate(self, relation, x):
        query = relation.query_project(x).flatten(2).transpose(1, 2).contiguous()
        key = relation.key_project(x).flatten(2)
        value = relation.value_project(x).flatten(2).transpose(1, 2).contiguous()
        scores = SoftmaxKeepingItsInput.apply((query @ key) * key.shape[1] ** -0.5, -1, False)
        context = (scores @ value).transpose(1, 2).contiguous().reshape(len(x), -1, *x.shape[2:])
        return relation.output_project(context)

    def forward(self, features):
        head, x = self.head, self.head.in_conv(features[-1])
        residual, (n, c, height, width) = x, x.shape
        left, right, top, bottom = block_padding(height, width)
        if left + right + top + bottom:
            x = F.pad(x, (left, right, top, bottom))
        rows, columns = x.shape[2] // BLOCK, x.shape[3] // BLOCK
        x = x.view(n, c, rows, BLOCK, columns, BLOCK).permute(0, 3, 5, 1, 2, 4).reshape(-1, c, rows, columns)
        x = self.relate(head.global_relation, x).view(n, BLOCK, BLOCK, c, rows, columns)
        x = x.permute(0, 4, 5, 3, 1, 2).reshape(-1, c, BLOCK, BLOCK)
        x = self.relate(head.local_relation, x).view(n, rows, columns, c, BLOCK, BLOCK)
        x = x.permute(0, 3, 1, 4, 2, 5).reshape(n, c, rows * BLOCK, columns * BLOCK)
        x = x[:, :, top : top + height, left : left + width]
        return head.conv_seg(head.dropout(head.out_conv(torch.cat([x, residual], 1))))


@pytest.fixture(scope="module")
def small_events():
    with FakeTensorMode():
        return trace_training(lambda: build_model(**SMALL), STEP)


def test_every_byte_of_a_small_net_by_hand():
    """16 x 16 pixels: 256 positions. The top is the gradient of the auxiliary log-softmax, the last of six maps."""
    with FakeTensorMode():
        prediction = replay(trace_training(TwoClassifiers, TrainingStep(1, (16, 16))))
    scores = 8 * 256 * 4
    by_hand = {
        "weights": 3 * 512,  # 48, 128 and 128 bytes, each rounded up
        "gradients": 3 * 512,
        "momentum": 3 * 512,
        "all-reduce bucket": 512,  # 76 numbers, 304 bytes
        "images and labels": 3 * 256 * 4 + 256 * 8,
        "stem": 4 * 256 * 4,
        # Of each head its upsampled scores and their logarithms; of the auxiliary one the gradients of both
        # as well; the decode head's weight sum of the loss, and the loss.
        "decode head": 0,
        "auxiliary head": 0,
        "logits and loss": 6 * scores + 2 * 512,
        "temporaries": 512,  # the gradient 1 that the backward pass begins with
        "convolution workspace": 0,
    }
    assert prediction.breakdown == by_hand
    assert prediction.peak_bytes == prediction.requested_bytes == sum(by_hand.values())
    assert prediction.peak_at == "logits and loss: _log_softmax_backward_data"
    assert prediction.reserved_bytes == 2**21


def test_adam_remembers_two_maps_a_weight():
    """The hand count's three weights of one block each; everything else is as with SGD."""
    sgd, adam, adamw = (
        predicted(TwoClassifiers, TrainingStep(1, (16, 16), name)) for name in ("SGD", "Adam", "AdamW")
    )
    assert (sgd.breakdown["momentum"], adam.breakdown["momentum"]) == (3 * 512, 6 * 512)
    assert adamw.breakdown == adam.breakdown


def test_an_optimizer_that_is_not_known_is_refused():
    with pytest.raises(TraceError, match="optimizer 'Lion': expected one of SGD, Adam, AdamW"):
        predicted(TwoClassifiers, TrainingStep(1, (16, 16), "Lion"))


@pytest.mark.slow
def test_the_meta_device_makes_and_frees_the_same_storages(small_events):
    """What a prediction is made of; the counters of the norms alone are made by an operator of another name."""
    meta = torch.device("meta")
    with meta:
        events = trace_training(lambda: build_model(**SMALL), STEP, meta)
    assert [one[:3] for one in events] == [one[:3] for one in small_events]


class OnTheCpu(TwoClassifiers):
    """Makes a tensor on the CPU by name, as networks of others do."""

    def forward(self, images):
        return super().forward(images) * torch.ones(1, device="cpu")

    training_loss = None


def test_a_network_that_names_the_cpu_is_traced_too():
    assert predicted(OnTheCpu, TrainingStep(1, (16, 16))).peak_bytes > 0


def test_a_peak_with_a_workspace_tells_the_one_without():
    """Three blocks, of which one is a workspace: 6 and 4 MiB; and a workspace below the peak changes nothing."""
    mib = 2**20
    workspace = [Made(2, 2 * mib, WORKSPACE, "convolution"), Freed(2)]
    high = replay([Made(1, 4 * mib, "stem", "empty"), *workspace])
    assert (high.peak_bytes, high.without_workspace_bytes) == (6 * mib, 4 * mib)
    low = replay([*workspace, Made(1, 4 * mib, "stem", "empty")])
    assert low.peak_bytes == low.without_workspace_bytes == 4 * mib


@pytest.mark.slow
def test_the_breakdown_adds_up_to_the_peak(small_events):
    prediction = replay(small_events)
    assert tuple(prediction.breakdown) == (
        *("weights", "gradients", "momentum", "all-reduce bucket", "images and labels"),
        *("stem", "layer1", "layer2", "layer3", "layer4", "decode head", "auxiliary head"),
        *("logits and loss", "temporaries", "convolution workspace"),
    )
    assert sum(prediction.breakdown.values()) == prediction.peak_bytes
    assert prediction.peak_bytes >= prediction.requested_bytes
    assert prediction.reserved_bytes >= prediction.peak_bytes


@pytest.mark.slow
def test_weights_gradients_and_momentum_are_the_parameters(small_events):
    """Each tensor rounded to 512 bytes; weights carry the running statistics and counters beside them."""
    model = build_model(**SMALL)
    rounded = [512 * -(-tensor.nbytes // 512) for tensor in model.parameters()]
    buffers = [512 * -(-tensor.nbytes // 512) for tensor in model.buffers()]
    bucket = sum(tensor.nbytes for tensor in model.parameters())
    breakdown = replay(small_events).breakdown
    assert breakdown["gradients"] == breakdown["momentum"] == sum(rounded)
    assert breakdown["weights"] == sum(rounded) + sum(buffers)
    assert breakdown["all-reduce bucket"] == 512 * -(-bucket // 512)


@pytest.mark.slow
def test_a_real_run_makes_and_frees_the_same_storages(small_events):
    """On real tensors of this machine: same sizes, same order, same operators."""
    assert trace_training(lambda: build_model(**SMALL), STEP) == small_events


@pytest.mark.slow
def test_torchs_own_tracker_finds_the_same_peak(small_events):
    """It rounds nothing and knows no workspace; its peak is of live storage."""
    tracking = pytest.importorskip(
        "torch.distributed._tools.mem_tracker", reason="missing: torch 2.5, the first with a tracker"
    )
    with FakeTensorMode(), tracking.MemTracker() as tracker:
        run = TrainingRun(build_model(**SMALL).train(), STEP, torch.device("cpu"))
        run.run(
            lambda part: tracker.reset_mod_stats() if part == INPUT else None
        )  # it follows one step at a time
    theirs = next(iter(tracker.get_tracker_snapshot("peak").values()))["Total"]
    live, peak = {}, 0
    for event in small_events:
        if isinstance(event, Made) and event.part != WORKSPACE:
            live[event.number] = event.nbytes
            peak = max(peak, sum(live.values()))
        elif isinstance(event, Freed):
            live.pop(event.number, None)
    assert peak == theirs


@pytest.mark.slow
def test_attention_keeps_scores_before_and_after_the_softmax(small_events):
    """Maps of 8 x 12 are padded to two blocks of 8 x 8: 64 groups of 2 positions, then 2 groups of 64, in 2 images."""
    made = [event for event in small_events if isinstance(event, Made)]
    results = [event for event in made if event.operator == "_softmax"]
    assert [event.nbytes for event in results] == [2 * 64 * 2 * 2 * 4, 2 * 2 * 64 * 64 * 4] * 2
    for result in results:
        scaled = made[made.index(result) - 1]
        assert (scaled.operator, scaled.nbytes) == ("mul", result.nbytes)
        last_use = next(
            event for event in made if event.number > result.number and "softmax_back" in event.operator
        )
        assert small_events.index(Freed(scaled.number)) > small_events.index(last_use)


@pytest.mark.slow
@pytest.mark.parametrize(
    "crop",
    [
        pytest.param((256, 256), id="whole blocks", marks=pytest.mark.golden),
        pytest.param((193, 321), id="padded"),
    ],
)
def test_mmsegmentations_layout_of_the_groups_takes_the_same_bytes(crop):
    """Our head copies keys and pads where theirs copies the map once a relation."""
    numbers = {**SMALL, "channels": 64, "isa_channels": 32}

    def theirs():
        model = build_model(**numbers)
        model.decode_head = GroupedBeforeProjection(model.decode_head)
        return model

    step = TrainingStep(2, crop)
    with FakeTensorMode():
        other = replay(trace_training(theirs, step))
    assert other.requested_bytes == training_memory(numbers, step).requested_bytes


@pytest.mark.slow
def test_six_score_maps_stand_at_the_peak_whatever_the_classes():
    """What the published difference of ADE20K and VOC shows; blocks of 6 and 38 MiB leave hardly anything unused."""
    few, many = (
        training_memory({**SMALL, "num_classes": classes}, TrainingStep(4, (128, 128)))
        for classes in (24, 152)
    )
    plane = 4 * 128 * 128 * 4
    more = many.breakdown["logits and loss"] - few.breakdown["logits and loss"]
    assert more == pytest.approx(6 * 128 * plane, rel=0.005)


def test_workspaces_by_hand():
    images, weight, maps = torch.empty(2, 16, 8, 10), torch.empty(32, 16, 3, 3), torch.empty(2, 32, 8, 10)
    tiles = 2 * 2 * 3
    assert winograd_bytes(images, weight, maps) == 36 * (tiles * (16 + 32) + 16 * 32) * 4
    assert unfolded_bytes(images, weight, maps) == 16 * 9 * 80 * 4
    point = torch.empty(32, 16, 1, 1)
    assert (winograd_bytes(images, point, maps), unfolded_bytes(images, point, maps)) == (0, 0)


@pytest.mark.slow
def test_only_plain_3x3_convolutions_take_winograds_workspace(small_events):
    """Going backward there is no other, so it is one a step for every 3x3 convolution of stride and dilation 1."""
    model = build_model(**SMALL)
    plain = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
    ]
    backward = [
        event
        for event in small_events
        if isinstance(event, Made) and (event.part, event.operator) == (WORKSPACE, "convolution_backward")
    ]
    assert len(backward) == 2 * len(plain)


@pytest.mark.parametrize("step", [TrainingStep(1, (8, 8)), TrainingStep(1, (1, 1))])
def test_too_small_a_step_is_refused_with_the_reason(step):
    with pytest.raises(
        TraceError, match=rf"^no training step with 1 image\(s\) of {step.crop[0]}x{step.crop[1]}: "
    ):
        training_memory(SMALL, step)


class Foreign(nn.Module):
    """A network of somebody else's, with names and a loss that nothing here knows."""

    def __init__(self, answer=lambda scores: scores):
        super().__init__()
        self.encoder = nn.ModuleList([nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)])
        self.dropout = nn.Dropout2d()
        self.classifier = nn.Conv2d(4, 8, 1)
        self.answer = answer

    def forward(self, images):
        for layer in self.encoder:
            images = layer(images)
        return self.answer(self.classifier(self.dropout(images)))


def test_a_network_that_says_nothing_of_its_training_is_traced_by_its_scores_and_that_is_told():
    found = predicted(Foreign, TrainingStep(2, (16, 16)))
    assert found.note == SCORES_ALONE
    assert list(found.breakdown)[5:-3] == ["encoder", "classifier"]
    kept = 2 * 4 * 256 * 4  # two images, four channels: what the second and the third convolution were given
    assert (
        found.breakdown["encoder"] == 2 * kept + 512
    )  # and the dropout's mask, a number a channel and image


class Activated(nn.Module):
    """A convolution, a norm, an activation and a classifier, at the images' own size."""

    def __init__(self, activation):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 64, 1), nn.BatchNorm2d(64), activation)
        self.classifier = nn.Conv2d(64, 2, 1)

    def forward(self, images):
        return self.classifier(self.body(images))


def test_activations_keep_as_many_maps_as_they_did_in_2021():
    """In place ReLU6 keeps its result like ReLU; a hard swish both factors of its product (at the peak that is gone itself).

    A ReLU that is not in place keeps its input, and the classifier behind it the result.
    """
    kept = {
        activation: predicted(lambda: Activated(activation(inplace=True)), STEP).breakdown["body"]  # noqa: B023
        for activation in (nn.ReLU, nn.ReLU6, nn.Hardswish)
    }
    apart = predicted(lambda: Activated(nn.ReLU()), STEP).breakdown["body"]
    one_map = 2 * 64 * 64 * 96 * 4
    assert apart == kept[nn.ReLU] + one_map
    assert kept[nn.ReLU6] == kept[nn.ReLU]
    assert kept[nn.Hardswish] == kept[nn.ReLU] + one_map


@pytest.mark.parametrize("activation", [nn.ReLU6, nn.Hardswish, lambda **_: nn.ReLU()])
def test_activations_of_2021_have_todays_values_and_gradients(activation):
    x = torch.linspace(-8, 8, 101, dtype=torch.float64, requires_grad=True)
    today = torch.stack([y := activation()(x), *torch.autograd.grad((y * y).sum(), x)])
    with OperatorsOfThen():
        then = torch.stack([y := activation(inplace=True)(x * 1), *torch.autograd.grad((y * y).sum(), x)])
    torch.testing.assert_close(then, today)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda scores: {"out": scores}, r"\w+Error: .+"),
        (lambda scores: scores[None].bogus, "AttributeError: .* has no attribute 'bogus'"),
        (lambda scores: scores * scores.max().item(), "aten._local_scalar_dense.default"),
    ],
    ids=["no tensor", "a mistake", "content"],
)
def test_what_cannot_be_traced_is_refused_with_the_reason_whatever_it_raised(answer, reason):
    with pytest.raises(TraceError, match=rf"^no training step with 2 image\(s\) of 16x16: .*{reason}"):
        predicted(lambda: Foreign(answer), TrainingStep(2, (16, 16)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the real peak cannot be measured")
def test_the_prediction_is_within_3_percent_of_a_real_device():
    architecture = {"builder": "isanet_mmseg", "depth": 50, "num_classes": 19}
    step = TrainingStep(2, (512, 1024))
    measured = run_training(architecture, step, torch.device("cuda", 0))
    predicted = training_memory(architecture, step)
    assert predicted.peak_bytes == pytest.approx(measured.allocated_bytes, rel=0.03)
    assert measured.reserved_bytes >= measured.allocated_bytes
