"""Training logs of both publishers, line by line as their loggers write them, down to torn and strange ones."""

import json
import time

import pytest

from segbench.zoo.publishers.training_logs import (
    Evaluation,
    Fault,
    LogError,
    Schedule,
    TrainingLog,
    parse_log,
    read_log,
)

CONFIG = """norm_cfg = dict(type='SyncBN', requires_grad=True)
data = dict(samples_per_gpu=2, workers_per_gpu=2)
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005)
lr_config = dict(policy='poly', power=0.9, min_lr=0.0001, by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=40000)
"""
ENVIRONMENT = "sys.platform: linux\nCUDA available: True\nGPU 0,1,2,3: Tesla V100-SXM2-32GB\nCUDA_HOME: /cuda"


def mmseg(*records):
    settings = {"env_info": ENVIRONMENT, "seed": None, "mmseg_version": "0.17.0+eb0baee", "config": CONFIG}
    return "".join(json.dumps(record) + "\n" for record in (settings, *records))


def train(iteration, memory=5869, **more):
    plain = {
        "mode": "train",
        "epoch": 1,
        "iter": iteration,
        "lr": 0.01,
        "memory": memory,
        "decode.loss_seg": 1.0,
    }
    return plain | {"loss": 1.4, "time": 0.5} | more


def val(miou, iteration=125, **more):
    plain = {
        "mode": "val",
        "epoch": 14,
        "iter": iteration,
        "lr": 0.0001,
        "aAcc": 0.96,
        "mIoU": miou,
        "mAcc": 0.86,
    }
    return plain | {"IoU.road": 0.98} | more


def test_a_log_of_mmsegmentation_tells_last_and_best_memory_and_schedule():
    """The val lines' own iter (125 batches) is not the training iteration."""
    log = parse_log(
        mmseg(train(4000), val(0.7761), train(36000, 5871), val(0.7862), train(40000), val(0.7849))
    )
    assert log == TrainingLog(
        evaluations=(
            Evaluation(miou_percent=77.61, iteration=4000, epoch=14, line=3),
            Evaluation(miou_percent=78.62, iteration=36000, epoch=14, line=5),
            Evaluation(miou_percent=78.49, iteration=40000, epoch=14, line=7),
        ),
        memory_mib=5871,
        last_iteration=40000,
        last_epoch=1,
        schedule=Schedule(iterations=40000, learning_rate=0.01, policy="poly", batch_per_gpu=2),
        device="Tesla V100-SXM2-32GB",
        device_count=4,
    )
    assert (log.last, log.best) == (log.evaluations[2], log.evaluations[1])


def test_a_log_in_percent_is_read_as_such():
    """From mmsegmentation 1.x: no mode, step instead of iter, percent. One percent in it is not a fraction of one."""
    lines = [{"lr": 0.01, "loss": 1.0, "iter": 4000, "memory": 5000, "step": 4000},
             {"aAcc": 40.1, "mIoU": 0.9, "mAcc": 3.0, "step": 4000},
             {"aAcc": 96.1, "mIoU": 78.49, "mAcc": 86.0, "step": 40000}]  # fmt: skip
    log = parse_log("\n".join(map(json.dumps, lines)))
    assert [one.miou_percent for one in log.evaluations] == [0.9, 78.49]


def test_an_older_log_whose_val_lines_have_the_training_iteration_agrees():
    log = parse_log(mmseg(train(20000), val(0.67085, iteration=20000)))
    assert log.last == Evaluation(miou_percent=67.085, iteration=20000, epoch=14, line=3)


def test_torn_and_strange_lines_are_told_with_their_numbers():
    text = mmseg(train(50), val(float("nan")), val("0.5")) + '[1]\n\n{"mode": "train", "ep'
    log = parse_log(text)
    assert log.evaluations == ()
    assert [fault.line for fault in log.faults] == [3, 4, 5, 7]
    assert log.faults[:3] == (
        Fault(line=3, message="mIoU is no number: nan"),
        Fault(line=4, message="mIoU is no number: '0.5'"),
        Fault(line=5, message="expected a JSON object, found '[1]'"),
    )
    assert log.faults[3].message.startswith("not JSON: Unterminated string")


SSSEG_2021 = """\
2021-09-04 13:53:01 INFO     Dataset used: cocostuff10k, Number of images: 9000
2021-09-04 13:53:01 INFO     Config file used: cfgs/isnet/cfgs_cocostuff10k_resnet50os8.py
2021-09-04 13:53:02 INFO     Start epoch 1...
2021-09-04 13:54:01 INFO     [EPOCH]: 1/110, [BATCH]: 50/562, [LEARNING_RATE]: 0.0009992866, [DATASET]: cocostuff10k
\t[LOSS]: loss_cls_stage1 2.1, loss_aux 1.9,\x20
2021-09-05 09:00:00 INFO     [EPOCH]: 110/110, [BATCH]: 550/562, [LEARNING_RATE]: 1.2e-06, [DATASET]: cocostuff10k
\t[LOSS]: loss_cls_stage1 0.4, loss_aux 0.5,\x20
"""


def test_a_training_log_of_2021_has_a_schedule_and_no_result():
    assert parse_log(SSSEG_2021) == TrainingLog(
        evaluations=(),
        last_iteration=109 * 562 + 550,
        last_epoch=110,
        schedule=Schedule(iterations=110 * 562, epochs=110, learning_rate=0.0009992866),
    )


def test_a_test_log_of_2021_has_a_result_and_nothing_else():
    """ADE20k's class names contain commas, and a class may be absent."""
    line = "2021-09-06 10:00:00 INFO     {'iou': {'screen, silver screen': 0.5, 'x': nan}, 'miou': 0.4364591183}\n"
    log = parse_log(line)
    assert log.last == Evaluation(miou_percent=43.64591183, line=1)
    assert (log.last_iteration, log.schedule) == (None, Schedule())


def now(epoch, iteration, rate="0.0098"):
    return (
        f"2024-10-01 10:00:00 INFO  {{'cur_epoch': {epoch}, 'max_epochs': 60, 'cur_iter': {iteration}, 'max_iters': 39660, "
        f"'cur_iter_in_cur_epoch': 50, 'max_iters_in_cur_epoch': 661, 'segmentor': 'ISANet', 'learning_rate': {rate}, "
        "'ema': True, 'fp16': False, 'loss_total': 0.3}\n"
    )


def result(value):
    return f"2024-10-01 11:00:00 INFO  {{'iou': {{'wall, brick': np.float64(0.9)}}, 'miou': {value}}}\n"


SSSEG_CONFIG = (
    "2024-10-01 09:00:00 INFO  Config details: \n"
    "{'type': 'ISANet', 'scheduler': {'type': 'PolyScheduler', 'max_epochs': 60, 'power': 0.9, 'optimizer': {'type': 'SGD', "
    "'lr': 0.01, 'momentum': 0.9}}, 'dataloader': {'expected_total_train_bs_for_assert': 16}, "
    "'inference': {'evaluate': {'metric_list': ['iou', 'miou']}}}\n"
)


def test_a_log_of_today_tells_every_evaluation_with_its_epoch():
    text = (
        SSSEG_CONFIG
        + now(10, 6610)
        + "2024-10-01 10:30:00 INFO  Evaluate ISANet at epoch 10\n"
        + result("np.float64(0.7612)")
        + now(60, 39650, "np.float64(1e-06)")
        + "2024-10-01 10:30:00 INFO  Evaluate ISANet at epoch 60\n"
        + result("0.7699")
        + "2024-10-01 10:40:00 INFO  Evaluate EMA of ISANet at epoch 60\n"
        + result("0.7711")
    )
    log = parse_log(text)
    assert log == TrainingLog(
        evaluations=(
            Evaluation(miou_percent=76.12, iteration=6610, epoch=10, line=5),
            Evaluation(miou_percent=76.99, iteration=39650, epoch=60, line=8),
            Evaluation(miou_percent=77.11, iteration=39650, epoch=60, line=10, averaged_weights=True),
        ),
        last_iteration=39650,
        last_epoch=60,
        schedule=Schedule(iterations=39660, epochs=60, learning_rate=0.01, policy="poly", batch=16),
    )
    assert (log.last, log.best) == (log.evaluations[1], log.evaluations[2])


@pytest.mark.parametrize("value", ["nan", "np.float64(nan)", "inf"])
def test_a_result_that_is_no_number_is_a_fault(value):
    log = parse_log(SSSEG_2021 + result(value))
    assert log.evaluations == ()
    assert [fault.line for fault in log.faults] == [8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", "x.log: expected a training log, found an empty file"),
        (
            "\n<html><title>Not found</title>",
            (
                "x.log:2: expected a training log of mmsegmentation (JSON lines) or sssegmentation (text), found no line of "
                "either; it begins with '<html><title>Not found</title>'"
            ),
        ),
        (
            '{"message": "Not Found"}',
            (
                "x.log:1: expected a training log of mmsegmentation (JSON lines) or sssegmentation (text), found no line of "
                'either; it begins with \'{"message": "Not Found"}\''
            ),
        ),
    ],
)
def test_a_file_that_is_no_log_is_refused(text, message):
    with pytest.raises(LogError) as error:
        parse_log(text, "x.log")
    assert str(error.value) == message


def test_a_log_is_read_from_its_file(tmp_path):
    path = tmp_path / "model.log.json"
    path.write_text(mmseg(train(50), val(0.5)))
    assert read_log(path).last == Evaluation(miou_percent=50.0, iteration=50, epoch=14, line=3)
    with pytest.raises(LogError, match=r"missing.log: cannot read the log: No such file"):
        read_log(tmp_path / "missing.log")


@pytest.mark.parametrize("torn", ["0.78.9}", "1e-", "0.7", "...}", "78.49}", "-0.5}", "9" * 5000 + "}"])
def test_a_torn_or_impossible_result_is_a_fault_and_no_crash(torn):
    log = parse_log(f"INFO {{'miou': 0.5}}\n{{'miou': {torn}\nEvaluate x at epoch 1\n'cur_epoch': 1")
    assert [one.miou_percent for one in log.evaluations] == [50.0]
    assert [fault.line for fault in log.faults] == [2]


def test_json_without_end_of_depth_is_a_fault():
    log = parse_log('\ufeff{"mode": "train", "loss": 1, "iter": 5}\n' + '{"a":' * 100_000)
    assert (log.last_iteration, [fault.line for fault in log.faults]) == (5, [2])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("178.0", "mIoU is not between 0 and 100 %: 178.0"),
        ("-0.5", "mIoU is not between 0 and 100 %: -0.5"),
        ("9" * 400, f"mIoU is no number: {'9' * 60}"),
    ],
)
def test_an_impossible_miou_in_json_is_a_fault(value, message):
    log = parse_log(mmseg(train(50), val(0.5)) + f'{{"mode": "val", "mIoU": {value}}}\n')
    assert log.faults == (Fault(line=4, message=message),)
    assert [one.miou_percent for one in log.evaluations] == [50.0]


def test_a_configuration_of_repetitions_is_read_in_no_time():
    started = time.monotonic()
    settings = json.dumps({"config": "optimizer = dict(" * 20_000 + "lr = 0.01)"}) + "\n"
    assert parse_log(settings + json.dumps(train(50))).schedule == Schedule(learning_rate=0.01)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("rate", ["1.2.3", "0.1e", ".", "9" * 5000 + "x"])
def test_settings_that_are_no_numbers_are_none(rate):
    config = f"optimizer = dict(lr={rate}, momentum=0.9)\nrunner = dict(max_iters={'9' * 5000})"
    log = parse_log(json.dumps({"config": config}) + "\n" + json.dumps(train(50, 5868.6)))
    assert (log.schedule, log.memory_mib) == (Schedule(), 5869)
