"""Training logs in the cache against their rows: sound ones add nothing, each planted fault is the only new finding."""

import json
from collections import Counter

import full_zoo
import pytest
from full_zoo import ZOO

from segbench.zoo.audit import audit
from segbench.zoo.audit.findings import MEANINGS
from segbench.zoo.audit.row_logs import cached_logs
from segbench.zoo.cli import main
from segbench.zoo.files.places import zoo_home
from segbench.zoo.publishers.training_logs import parse_log

ROW = ZOO["isanet_r50-d8_512x1024_40k_cityscapes"]
OTHER = ZOO["isanet_resnet50os8_voc"]
GPUS = "GPU 0,1,2,3: Tesla V100-SXM2-32GB"


def mmseg_log(
    *, last=0.7849, earlier=0.7761, memory=5869, iterations=40000, ends=40000, images=2, rate=0.01, gpus=GPUS
):
    """A log of mmsegmentation 0.17: settings, two evaluations, each after a training line."""
    config = f"data = dict(samples_per_gpu={images})\noptimizer = dict(type='SGD', lr={rate})\n"
    config += f"runner = dict(type='IterBasedRunner', max_iters={iterations})\n"
    records = [{"env_info": f"sys.platform: linux\n{gpus}\n", "config": config}]
    for iteration, miou in ((iterations // 2, earlier), (ends, last)):
        records += [{"mode": "train", "iter": iteration, "lr": rate, "memory": memory, "loss": 1.0}]
        records += [{"mode": "val", "iter": 125, "mIoU": miou, "aAcc": 0.96}]
    return "".join(json.dumps(record) + "\n" for record in records)


def ssseg_log(*, miou=0.769912, policy="Poly", rate=0.01, batch=16, epochs=60):
    config = (
        f"{{'type': 'ISANet', 'scheduler': {{'type': '{policy}Scheduler', 'max_epochs': {epochs}, 'optimizer': "
        f"{{'type': 'SGD', 'lr': {rate}}}}}, 'dataloader': {{'expected_total_train_bs_for_assert': {batch}}}}}\n"
    )
    return (
        f"2023-11-20 09:00:00 INFO  Config details:\n{config}2023-11-20 10:00:00 INFO  {{'cur_epoch': {epochs}, 'max_epochs': {epochs}, 'learning_rate': 1e-06}}\n"
        f"Evaluate ISANet at epoch {epochs}\n{{'iou': {{'cat': 0.9}}, 'miou': {miou}}}\n"
    )


SOUND = {ROW.id: mmseg_log(), OTHER.id: ssseg_log()}
FAULTS = {
    "log-accuracy": [(ROW.id, mmseg_log(last=0.7894)), (OTHER.id, ssseg_log(miou=0.7951))],
    "log-earlier": [(ROW.id, mmseg_log(earlier=0.7849, last=0.7812))],
    "log-memory": [(ROW.id, mmseg_log(memory=6213))],
    "log-training": [
        (ROW.id, mmseg_log(iterations=80000, ends=80000)),
        (ROW.id, mmseg_log(ends=36000)),
        (ROW.id, mmseg_log(images=4)),
        (ROW.id, mmseg_log(gpus="GPU 0,1: Tesla V100-SXM2-32GB")),
        (OTHER.id, ssseg_log(policy="Cosine")),
        (OTHER.id, ssseg_log(rate=0.02)),
        (OTHER.id, ssseg_log(batch=8)),
        (OTHER.id, ssseg_log(epochs=110)),
    ],
    "log-unreadable": [(ROW.id, "<html>Not found</html>")],
}


def cache(logs):
    """Put texts where `zoo fetch --with-logs` puts rows' logs."""
    for row, text in logs.items():
        path = zoo_home() / "logs" / row / ZOO[row].log_urls[0].rsplit("/", 1)[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def counted(logs):
    cache(logs)
    return Counter((one.kind, one.subject) for one in audit(ZOO, logs=cached_logs(ZOO)))


def test_sound_logs_add_nothing():
    assert counted(SOUND) == Counter((one.kind, one.subject) for one in audit(ZOO))
    assert [row.checkpoint for row in cached_logs(ZOO)] == [ROW.id, OTHER.id]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "row", "text"), [(kind, row, text) for kind, faults in FAULTS.items() for row, text in faults]
)
def test_a_fault_planted_in_a_log_is_the_only_new_finding(kind, row, text):
    sound, faulty = counted(SOUND), counted(SOUND | {row: text})
    subject = "ISANet (mmsegmentation)" if kind == "log-memory" else row
    assert list((faulty - sound).elements()) == [(kind, subject)]
    assert not sound - faulty


def test_a_log_without_evaluations_says_nothing_of_accuracy():
    progress = "[EPOCH]: 60/60, [BATCH]: 5/5, [LEARNING_RATE]: 0.01, [DATASET]: voc\n"
    assert counted({OTHER.id: progress}) == Counter((one.kind, one.subject) for one in audit(ZOO))


def test_a_contradiction_is_told_with_figures_and_lines():
    cache({ROW.id: mmseg_log(last=0.7894)})
    (found,) = [one for one in audit(ZOO, logs=cached_logs(ZOO)) if one.kind == "log-accuracy"]
    assert found.what == (
        "mIoU 78.49, but the log ends with 78.94 at iteration 40000, and its best is 78.94 at iteration 40000"
    )
    assert [place.line for place in found.where[1:]] == [5]


def test_the_command_reads_the_cache_and_says_what_it_had(capsys):
    arguments = ["audit", "--manifest", str(full_zoo.PATH)]
    assert main(arguments) == 0
    without = capsys.readouterr().out
    assert (
        "34 rows compared with 0 documents and the training logs of 0 of 34 "
        "(name documents with --source, zoo fetch --with-logs brings logs)\n"
    ) in without
    cache(SOUND | {ROW.id: mmseg_log(last=0.7894)})
    assert main([*arguments, "--fail-on", "error"]) == 1
    out = capsys.readouterr().out
    assert "34 rows compared with 0 documents and the training logs of 2 of 34" in out
    assert "error: log-accuracy" in out


def test_every_kind_of_finding_in_logs_has_a_planted_fault():
    assert set(FAULTS) == {kind for kind in MEANINGS if kind.startswith("log-")} - {"log-path"}


def test_a_log_that_its_reader_fails_on_costs_no_other_row(monkeypatch):
    """It is told as unreadable."""

    def failing(path):
        raise OverflowError("too large")

    cache({ROW.id: "{}"})
    monkeypatch.setattr("segbench.zoo.audit.row_logs.read_log", failing)
    (row,) = cached_logs(ZOO)
    assert row.fault == f"{row.path}: cannot be understood (OverflowError: too large)"


@pytest.mark.parametrize("step", ["9" * 400, "9" * 4000, "-1"])
def test_steps_that_no_training_counts_to_are_none(step):
    """Numbers of hundreds of digits can neither be compared with a schedule nor shown."""
    line = f'{{"mode": "train", "iter": {step}, "epoch": {step}, "loss": 1}}'
    log = parse_log(f'{line}\n{{"mode": "val", "mIoU": 0.5, "epoch": 1, "iter": 1}}')
    assert (log.last_iteration, log.last_epoch, log.last.miou_percent) == (None, None, 50)
