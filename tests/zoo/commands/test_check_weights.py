"""Ten kinds of damaged weights, each refused with its own message, and sound ones that are not."""

from __future__ import annotations

import io
import os
import shutil
import socket
import zipfile
from pathlib import Path

import msgspec
import pytest
import torch

from segbench.models import WeightsError
from segbench.models.load.checkpoint_file import open_checkpoint
from segbench.models.load.layouts import publisher_names
from segbench.zoo import demo
from segbench.zoo.commands.check_weights import report_records, report_text
from segbench.zoo.fetch import file_sha256, weights_path
from segbench.zoo.fetch.lock import entry_of, lock_for
from segbench.zoo.manifest import load_manifest
from segbench.zoo.weights.check import (
    check,
    check_all,
    complete_lock,
    exit_code,
)
from segbench.zoo.weights.convert import convert

pytestmark = pytest.mark.slow

ISANET, ISNET = load_manifest(demo.STREETS / "zoo.yaml")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Checking weights never connects to anything."""

    def refuse(*_):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def published(row) -> Path:
    return demo.STREETS / "weights" / weights_path(row).name


def cache(row, source: Path | None = None) -> Path:
    target = weights_path(row)
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source or published(row), target))


def with_architecture(row, **numbers):
    return msgspec.structs.replace(row, architecture=row.architecture | numbers)


def told(report) -> list[tuple[str, str]]:
    return [(finding.gravity, finding.what) for finding in report.findings]


# Sound files


@pytest.mark.parametrize(
    ("row", "state"), [(ISANET, "verified"), (ISNET, "none published")], ids=["isanet", "isnet"]
)
def test_a_sound_file_is_reported_whole(row, state):
    path = cache(row)
    report = check(row)
    assert report.ok
    assert (report.path, report.container, report.hash_state) == (str(path), "zip", state)
    assert report.sha256 == file_sha256(path)
    assert report.parameters == sum(value.numel() for value in row.load(path).parameters())
    assert report.canary is not None
    assert report.findings == ()
    assert exit_code([report]) == 0


@pytest.mark.parametrize("row", [ISANET, ISNET], ids=["isanet", "isnet"])
def test_conversion_keeps_names_content_and_canary(tmp_path, row):
    source = published(row)
    target = convert(row, source, tmp_path / "a.safetensors")
    before, after = check(row, source), check(row, target)
    assert (after.content_digest, after.canary) == (before.content_digest, before.canary)
    assert (after.container, after.hash_state, after.ok) == ("safetensors", "not comparable", True)
    assert told(after) == [("warning", "rounded")]  # the demo's floats are stored in float16
    assert open_checkpoint(target).state.keys() == open_checkpoint(source).state.keys()


def untrained(row, path):
    """A published row without its hash, and a file of its own network's tensors under their publisher's names."""
    torch.manual_seed(0)
    model = row.build()
    names = publisher_names(model, row.weights.layout)
    torch.save({"state_dict": {names[key]: value for key, value in model.state_dict().items()}}, path)
    return msgspec.structs.replace(
        row, weights=msgspec.structs.replace(row.weights, sha256_prefix=None)
    ), path


@pytest.mark.parametrize(
    "name", ["stdc1_512x1024_80k_cityscapes", "lraspp_m-v3s-d8_512x1024_320k_cityscapes"]
)
def test_a_head_of_edges_and_a_least_size_of_images_are_no_faults_of_a_file(tmp_path, name):
    """STDC's auxiliary heads score classes and edges; LR-ASPP's means need more than the canary's 64x96 pixels."""
    row, path = untrained(load_manifest()[name], tmp_path / "a.pth")
    report = check(row, path)
    assert told(report) == [("warning", "norms untouched")]
    assert report.canary is not None


def test_a_network_that_runs_on_no_image_of_the_canarys_is_not_examined_and_its_file_not_blamed(tmp_path):
    row, path = untrained(load_manifest()["lraspp_m-v3s-d8_512x1024_320k_cityscapes"], tmp_path / "a.pth")
    report = check(msgspec.structs.replace(row, crop=(100, 200)), path)
    assert told(report) == [("warning", "norms untouched"), ("unexamined", "network fails")]
    assert report.findings[1].meaning.startswith("expected images of which LR-ASPP's means over 49x49 places")
    assert exit_code([report]) == 3


def test_what_training_left_inside_is_a_warning(tmp_path):
    path = tmp_path / "a.pth"
    state = open_checkpoint(published(ISNET)).state
    torch.save({"model": state, "optimizer": {}, "ema_state_dict": {}, "meta": {}, "cur_epoch": 3}, path)
    report = check(ISNET, path)
    assert told(report) == [("warning", "left inside"), ("warning", "left inside")]
    assert report.findings[1].meaning == (
        "'ema_state_dict' lies beside the weights. Where it is a second set of weights, one of the two is an average "
        "over the training of the other (mmengine's EMAHook saves the average as the weights themselves): make sure which of them "
        "the claims are about; zoo convert writes a file without it."
    )
    assert report.ok
    assert exit_code([report]) == 0


def test_a_second_set_of_weights_is_told_by_whoever_loads_one(tmp_path, caplog):
    path = tmp_path / "a.pth"
    state = open_checkpoint(published(ISNET)).state
    torch.save({"state_dict": state, "schema": 1}, path)
    ISNET.load(path)
    assert caplog.messages == []
    torch.save({"state_dict": state, "ema_state_dict": {}}, path)
    ISNET.load(path)
    (told,) = caplog.messages
    assert told.startswith(
        f"{ISNET.id}: 'ema_state_dict' lies beside the weights. Where it is a second set of"
    )


def test_an_export_is_not_converted_and_not_called_damaged(tmp_path):
    path = tmp_path / "a.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/version", "1")
    with pytest.raises(WeightsError, match="an export is the network by itself and no weights of it"):
        convert(ISNET, path, tmp_path / "a.safetensors")


def test_another_number_of_parameters_than_stated_is_a_warning():
    row = msgspec.structs.replace(ISNET, parameters=7)
    (finding,) = check(row, published(row)).findings
    assert finding.meaning == "The manifest states 7, the model has 2,934,664."


# Damaged files


class Touches:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def truncated(path: Path) -> None:
    path.write_bytes(published(ISNET).read_bytes()[:3_000_000])


def page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>Sign in</body></html>")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swapped(path: Path) -> None:
    shutil.copy(published(ISANET), path)


def edited(change):
    def write(path: Path) -> None:
        state = open_checkpoint(published(ISNET)).state
        change(state)
        torch.save({"model": state}, path)

    return write


def hostile(path: Path) -> None:
    state = open_checkpoint(published(ISNET)).state
    torch.save({"model": state, "meta": Touches(path.parent / "marker")}, path)


def bomb(path: Path) -> None:
    packed = io.BytesIO()
    torch.save({"model": {"x": torch.zeros(3_000_000)}}, packed)
    with (
        zipfile.ZipFile(packed) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for record in source.infolist():
            target.writestr(record.filename, source.read(record))


def other_classes(state) -> None:
    for key in ("auxiliary_decoder.4", "decoder_stage1.4", "decoder_stage2.1"):
        for part in ("weight", "bias"):
            value = state[f"{key}.{part}"]
            state[f"{key}.{part}"] = torch.ones(21, *value.shape[1:])


def deeper(state) -> None:
    for key in [key for key in state if key.startswith("backbone_net.layer3.5.")]:
        state[key.replace("layer3.5", "layer3.6")] = state[key].clone()


def not_a_number(state) -> None:
    state["backbone_net.stem.0.weight"].view(-1)[5] = float("nan")


def no_variance(state) -> None:
    state["backbone_net.stem.1.running_var"].zero_()


DAMAGED = {
    truncated: ("cannot be read", "expected a whole checkpoint; found 3000000 bytes that end too early"),
    page: ("cannot be read", "expected a checkpoint; found a web page or an XML message"),
    empty: ("cannot be read", "expected a checkpoint; found an empty file."),
    edited(other_classes): (
        "number of classes",
        "Data set Streets (demo) has 8 classes, the file's classifier 21:",
    ),
    edited(deeper): (
        "does not fit",
        "unknown to the model: 18 of 456 keys: backbone_net.layer3.6.conv1.weight",
    ),
    swapped: (
        "another row's file",
        "By its hash this is the file of isanet_r50-d8_w16_256x512_0.8k_streets;",
    ),
    edited(not_a_number): ("NaN in the weights", "1 value in 1 tensor: backbone_net.stem.0.weight."),
    edited(no_variance): (
        "BatchNorm variance of zero",
        "16 values in 1 tensor: backbone_net.stem.1.running_var.",
    ),
    hostile: ("cannot be read", "found a reference to posix.system, which reading the file would run."),
    bomb: ("cannot be read", "packed into it. Do not use this file."),
}
NAMES = ["truncated", "page", "empty", "classes", "backbone", "swapped", "nan", "variance", "code", "bomb"]


@pytest.mark.parametrize(("damage", "expected"), DAMAGED.items(), ids=NAMES)
def test_damaged_weights_are_refused_with_a_message_of_their_own(damage, expected):
    path = weights_path(ISNET)
    path.parent.mkdir(parents=True)
    damage(path)
    report = check(ISNET, among=[ISANET, ISNET])
    what, part = expected
    errors = {finding.what: finding.meaning for finding in report.findings if finding.gravity == "error"}
    assert part in errors[what]
    assert not report.ok
    assert report.canary is None
    assert exit_code([report]) == 4
    assert list(path.parent.iterdir()) == [path]  # in particular, no marker


def test_another_hash_is_an_error_even_where_all_else_is_right():
    row = msgspec.structs.replace(
        ISNET, weights=msgspec.structs.replace(ISNET.weights, sha256_prefix="00000000")
    )
    report = check(row, published(row))
    assert told(report) == [("error", "another hash")]
    assert report.findings[0].meaning == (
        f"Published is sha256 00000000…, found {report.sha256}: the file is damaged, incomplete or another one; "
        "delete it and fetch it again."
    )
    assert (report.hash_state, exit_code([report])) == ("differs", 4)
    assert report.canary == check(ISNET, published(ISNET)).canary


def test_a_file_that_fits_another_row_says_which():
    other = msgspec.structs.replace(with_architecture(ISNET, backbone="resnet101"), id="deeper")
    (finding,) = check(other, published(ISNET), among=[ISANET, ISNET]).findings
    assert (
        finding.meaning.splitlines()[-1]
        == "  It would fit isnet_resnet50os8_w16_streets: were two files swapped?"
    )


def test_two_rows_with_one_content_are_told_of_each_other():
    other = msgspec.structs.replace(
        ISNET,
        id="other",
        weights=msgspec.structs.replace(ISNET.weights, urls=("http://127.0.0.1:0/other.pth",)),
    )
    cache(ISNET)
    cache(other, published(ISNET))
    seen = []
    reports = check_all([ISNET, other], tell=seen.append)
    assert [told(report) for report in seen] == [[], []]
    assert [told(report) for report in reports] == [[("error", "two rows share one content")]] * 2
    assert reports[0].findings[0].meaning == (
        "other has the very same tensors: one of the two files is not what its name says; fetch both again."
    )
    assert exit_code(reports) == 4


def test_two_rows_of_one_url_share_their_content_rightly():
    other = msgspec.structs.replace(ISNET, id="other")
    cache(ISNET)
    cache(other)
    reports = check_all([ISNET, other])
    assert [told(report) for report in reports] == [[("warning", "two rows share one content")]] * 2
    assert exit_code(reports) == 0


def edited_state(change):
    def write(path: Path) -> None:
        torch.save({"model": change(open_checkpoint(published(ISNET)).state)}, path)

    return write


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
            [
                ("read otherwise", "Keys contain 'module.', a name of DataParallel and its like;"),
                ("read otherwise", "Keys contain '_orig_mod.', a name of torch.compile;"),
            ],
        ),
        (
            lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
            [("not in the file", "num_batches_tracked of 71 norms is not in the file;")],
        ),
        (
            lambda state: {key: value for key, value in state.items() if "auxiliary" not in key},
            [("not in the file", "The auxiliary head is not in the file; evaluation never runs it.")],
        ),
        (
            lambda state: {
                key: torch.full_like(value, key.endswith("var")) if "running" in key else value
                for key, value in state.items()
            },
            [("norms untouched", "72 of 72 norms, 'backbone_net.stem.1', 'backbone_net.stem.4',")],
        ),
        (
            lambda state: state | {"auxiliary_decoder.4.bias": torch.full((8,), float("nan"))},
            [
                (
                    "NaN in the weights",
                    "8 values in 1 tensor: auxiliary_decoder.4.bias. That is in the auxiliary head,",
                )
            ],
        ),
    ],
    ids=["wrapped", "counts", "auxiliary", "norms", "idle"],
)
def test_what_does_no_harm_is_told_and_the_file_is_sound(tmp_path, change, expected):
    edited_state(change)(tmp_path / "a.pth")
    report = check(ISNET, tmp_path / "a.pth")
    assert report.ok
    found = [
        (finding.what, finding.meaning[: len(text)])
        for finding, (_, text) in zip(report.findings, expected, strict=True)
    ]
    assert found == expected


@pytest.mark.parametrize("shape", [(-1,), (8, -1)])
def test_a_flattened_classifier_says_nothing_of_classes(tmp_path, shape):
    path = tmp_path / "a.pth"
    edited(
        lambda state: state.update(
            {"decoder_stage2.1.weight": state["decoder_stage2.1.weight"].reshape(shape)}
        )
    )(path)
    (finding,) = check(ISNET, path).findings
    assert finding.what == "does not fit"
    assert "Shapes alone differ, with as many values in each" in finding.meaning


def test_two_keys_for_one_tensor_are_refused_by_check_and_conversion(tmp_path):
    path = tmp_path / "a.pth"
    edited_state(lambda state: state | {f"module.{key}": value + 1 for key, value in state.items()})(path)
    (finding,) = check(ISNET, path).findings
    assert finding.meaning.startswith("expected one key for each tensor; found two keys that mean one tensor")
    with pytest.raises(WeightsError, match="two keys that mean one tensor"):
        convert(ISNET, path, tmp_path / "a.safetensors")


def test_whatever_one_file_throws_is_its_own_finding(monkeypatch):
    def fail(*_):
        raise RecursionError("too\ndeep")

    cache(ISANET)
    cache(ISNET)
    monkeypatch.setattr("segbench.zoo.weights.check.findings", fail)
    reports = check_all([ISANET, ISNET])
    assert [told(report) for report in reports] == [[("error", "cannot be examined")]] * 2
    assert (
        "failed with RecursionError (too deep): nothing is known of this file"
        in reports[0].findings[0].meaning
    )


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        (finding,) = check(ISNET, path).findings
        assert finding.meaning == f"{path} cannot be read: Not a regular file."


def test_a_file_swapped_between_hash_and_loading_is_told(tmp_path, monkeypatch):
    path = Path(shutil.copy(published(ISNET), tmp_path / "a.pth"))

    def swap_after(read: Path) -> str:
        found = file_sha256(read)
        edited(lambda _: None)(path)
        return found

    monkeypatch.setattr("segbench.zoo.weights.check.file_sha256", swap_after)
    (finding,) = check(ISNET, path).findings
    assert finding.meaning == "changed while it was in use: its bytes are not those that were checked before"


# Absent files


def test_a_file_that_is_not_there_is_absent_and_not_fetched(tmp_path):
    absent = check(ISNET)
    assert told(absent) == [("absent", "no file")]
    assert absent.findings[0].meaning == (
        f"Not in the cache ({weights_path(ISNET)}): run zoo fetch isnet_resnet50os8_w16_streets first."
    )
    named = check(ISNET, tmp_path / "no.pth")
    assert named.findings[0].meaning == f"{tmp_path / 'no.pth'} cannot be read: No such file or directory."
    assert exit_code([absent]) == exit_code([named]) == 3
    assert not absent.ok


def test_an_error_outweighs_an_absence():
    empty(cache(ISANET))
    assert exit_code(check_all([ISANET, ISNET])) == 4


# Conversion


@pytest.mark.parametrize(
    ("change", "message"),
    [(deeper, "does not fit the model"), (not_a_number, "a.pth: NaN in the weights: 1 value")],
    ids=["backbone", "nan"],
)
def test_only_a_sound_file_is_converted(tmp_path, change, message):
    edited(change)(tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        convert(ISNET, tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert [one.name for one in tmp_path.iterdir() if one.name != "zoo-home"] == ["a.pth"]


def test_conversion_replaces_only_by_force(tmp_path):
    target = tmp_path / "a.safetensors"
    target.write_text("precious")
    with pytest.raises(WeightsError, match="exists already"):
        convert(ISNET, published(ISNET), target)
    convert(ISNET, published(ISNET), target, force=True)
    assert check(ISNET, target).ok


def test_conversion_refuses_a_name_that_would_mislead(tmp_path):
    with pytest.raises(WeightsError) as error:
        convert(ISNET, published(ISNET), tmp_path / "a.pth")
    assert str(error.value) == (
        f"{tmp_path / 'a.pth'}: expected a name that ends in .safetensors; found '.pth'"
    )


# Output


def test_text_for_people():
    page(cache(ISNET))
    report = check(ISNET)
    assert report_text([report, check(ISANET)]) == (
        "isnet_resnet50os8_w16_streets: not to be used\n"
        f"  file    {weights_path(ISNET)}\n"
        f"  sha256  {report.sha256} (none published)\n"
        "  error   cannot be read: expected a checkpoint; found a web page or an XML message (a login page, or a "
        "server's error). Delete it and fetch it again.\n"
        "\n"
        "isanet_r50-d8_w16_256x512_0.8k_streets: not there\n"
        f"  absent  no file: Not in the cache ({weights_path(ISANET)}): "
        "run zoo fetch isanet_r50-d8_w16_256x512_0.8k_streets first.\n"
        "\n"
        "0 sound, 1 not to be used, 1 not there"
    )


def test_records_for_programs():
    (record,) = report_records([check(ISANET)])
    assert msgspec.json.decode(msgspec.json.encode(record)) == {
        "checkpoint": "isanet_r50-d8_w16_256x512_0.8k_streets",
        "ok": False,
        "path": None,
        "container": None,
        "sha256": None,
        "hash_state": "not read",
        "content_digest": None,
        "parameters": None,
        "canary": None,
        "findings": [
            {
                "what": "no file",
                "gravity": "absent",
                "meaning": f"Not in the cache ({weights_path(ISANET)}): "
                "run zoo fetch isanet_r50-d8_w16_256x512_0.8k_streets first.",
            }
        ],
    }


def recorded(row, **changed):
    """An entry of zoo.lock for the file in the cache, with something changed."""
    path = weights_path(row)
    entry = msgspec.structs.replace(entry_of(path, file_sha256(path), "http://x/f.pth"), **changed)
    lock_for(row).record(row.id, entry)


def test_the_lock_gets_the_digest_that_fetching_could_not_compute():
    cache(ISNET)
    recorded(ISNET)
    report = check(ISNET)
    complete_lock([ISNET], [report])
    entry = lock_for(ISNET).get(ISNET.id)
    assert entry is not None
    assert (entry.sha256, entry.content_digest) == (report.sha256, report.content_digest)
    assert check(ISNET) == report


@pytest.mark.parametrize(
    ("digest", "gravity", "end"),
    [
        (None, "warning", "; of its tensors nothing was recorded, so they cannot be compared."),
        ("same", "warning", "; the tensors are the same, packed otherwise."),
        (
            "0" * 64,
            "error",
            ", and other tensors: delete it and fetch it again, with --update-lock if its publisher has changed it.",
        ),
    ],
    ids=["unknown", "same", "others"],
)
def test_a_file_that_is_not_the_recorded_one_is_told(digest, gravity, end):
    cache(ISNET)
    report = check(ISNET)
    recorded(
        ISNET,
        sha256="1" * 64,
        content_digest=report.content_digest if digest == "same" else digest,
        recorded="2026-01-02",
    )
    [finding] = check(ISNET).findings
    assert (finding.what, finding.gravity) == ("another file than recorded", gravity)
    assert finding.meaning == f"zoo.lock has sha256 {'1' * 64} of 2026-01-02, found {report.sha256}{end}"
