"""Regression against a stored state: each kind of change, its exit code, and where it is told."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import load_manifest
from segbench.zoo.results.background import PROJECT_FOLDERS
from segbench.zoo.results.baseline import Change, State, StoredClaim, compare, exit_code

LEDGER = Path(__file__).resolve().parents[3] / "results/measurements.jsonl"
DEMO = "isanet_r50-d8_w16_256x512_0.8k_streets"


def claim(metric="miou", measured=76.63, *, checkpoint="a", **more):
    fields = {"published": "76.63", "digest": f"{checkpoint} {metric} {measured}"} | more
    return StoredClaim(checkpoint=checkpoint, metric=metric, measured=measured, **fields)


def changes(before, now, **more):
    return [one.change for one in compare(State(claims=tuple(before)), now, **more)]


@pytest.mark.parametrize(
    ("before", "now", "change", "code"),
    [
        (76.63, 76.63, Change.UNCHANGED, 0),
        (76.63, 76.6300005, Change.UNCHANGED, 0),
        (76.63, 76.629, Change.WORSE, 1),
        (76.63, 76.631, Change.BETTER, 0),
        (76.63, None, Change.LOST, 3),
        (None, 76.63, Change.NEW, 0),
        (None, None, Change.UNCHANGED, 0),
    ],
)
def test_accuracy_is_exact(before, now, change, code):
    (found,) = compare(State(claims=(claim(measured=before),)), [claim(measured=now)])
    assert (found.change, exit_code([found])) == (change, code)


def test_a_claim_that_nobody_stored_is_new_or_cannot_be_measured():
    assert changes([], [claim()]) == [Change.NEW]
    assert changes([], [claim(measured=None)]) == [Change.LOST]
    assert changes([claim(published=None, measured=None)], [claim(measured=None)]) == [Change.LOST]


def test_a_claim_is_gone_with_its_row_its_entry_or_its_figure():
    stored = [claim(), claim("miou_ms_flip"), claim(checkpoint="b")]
    assert changes(stored, [claim()]) == [Change.UNCHANGED, Change.GONE, Change.GONE]
    assert changes([claim()], [claim(published=None)]) == [Change.GONE]
    assert changes(stored, [claim()], is_asked=lambda one: one.checkpoint == "a") == [
        Change.UNCHANGED, Change.GONE,
    ]  # fmt: skip


def test_foretold_memory_is_better_where_it_is_nearer_to_the_printed_figure():
    before = [claim("train_memory", 9.1, published="9.0")]
    assert changes(before, [claim("train_memory", 8.95, published="9.0")]) == [Change.BETTER]
    assert changes(before, [claim("train_memory", 8.5, published="9.0")]) == [Change.WORSE]


def test_a_printed_figure_that_changed_is_told_and_is_not_worse():
    said = "a mIoU: restated, 76.63 → 76.63 (+0.00): the printed figure was 76.00 and is 76.63"
    (found,) = compare(State(claims=(claim(published="76.00"),)), [claim()])
    assert (found.change, found.text(), exit_code([found])) == (Change.RESTATED, said, 0)
    assert changes([claim(published="76.630")], [claim()]) == [Change.RESTATED]
    (found,) = compare(State(claims=(claim(published="76.00"),)), [claim(measured=76.0)])
    assert (found.change, found.reason) == (Change.WORSE, "the printed figure was 76.00 and is 76.63")
    assert changes([claim("fps", 5.0, published="6.0")], [claim("fps", 5.0)]) == [Change.RESTATED]


@pytest.mark.parametrize(
    ("before", "change", "code"),
    [
        ([], Change.NEW, 1),
        ([claim(measured=None)], Change.NEW, 1),
        ([claim(published="76.63", status="reproduced")], Change.RESTATED, 1),
        ([claim(published="76.00", status="refuted")], Change.RESTATED, 0),
        ([claim(published="77.63", status="refuted")], Change.UNCHANGED, 0),
    ],
)
def test_a_figure_that_nobody_had_judged_may_not_be_refuted(before, change, code):
    (found,) = compare(State(claims=tuple(before)), [claim(published="77.63", status="refuted")])
    assert (found.change, exit_code([found]), found.is_refuted) == (change, code, bool(code))
    assert found.text().endswith("77.63 is refuted") == bool(code)


SPEEDS = {"a": 10.0, "b": 7.0, "c": 4.0, "d": 2.0, "e": 1.0}


def speeds(factor=1.0, **slower):
    return [
        claim("fps", value * factor * slower.get(row, 1.0), checkpoint=row, published=str(value))
        for row, value in SPEEDS.items()
    ]


def test_another_device_is_no_regression():
    """All rows twice as slow: the shape is the same."""
    assert set(changes(speeds(), speeds(0.5))) == {Change.UNCHANGED}


def test_a_row_that_is_slow_twice_is_worse_and_once_is_not():
    asked = []

    def confirm(rows, again):
        asked.append(list(rows))
        return {row: SPEEDS[row] * again for row in rows}

    slow = speeds(c=0.5)
    worse = compare(State(claims=tuple(speeds())), slow, confirm=lambda rows: confirm(rows, 0.5))
    well = compare(State(claims=tuple(speeds())), slow, confirm=lambda rows: confirm(rows, 1.0))
    assert [one.checkpoint for one in worse if one.change is Change.WORSE] == ["c"]
    assert {one.change for one in well} == {Change.UNCHANGED}
    assert asked == [["c"], ["c"]]


def test_the_worst_change_decides():
    lost, gone, worse = claim(measured=None), claim("miou_flip"), claim("miou_ms_flip", 76.0)
    stored = State(claims=(claim(), gone, claim("miou_ms_flip")))
    assert exit_code(compare(stored, [lost])) == 6
    assert exit_code(compare(stored, [lost, worse])) == 1


# --- the command on the demo zoo ------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path, monkeypatch, counted_isanet):
    """A writable copy of the demo zoo in the working folder, weights fetched and counted, as on a runner of GitHub's."""
    shutil.copytree(STREETS, tmp_path / "demo")
    weights = next((tmp_path / "demo/weights").glob("isanet*"))
    cached = tmp_path / "zoo-home/weights" / DEMO / weights.name
    cached.parent.mkdir(parents=True)
    shutil.copy(weights, cached)
    shutil.copy(counted_isanet, tmp_path / "zoo-home/evidence.sqlite")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "demo"


def verify(capsys, *arguments, data_root="demo"):
    code = main(["verify", DEMO, "--manifest", "demo/zoo.yaml", "--data-root", data_root, "-q", "--offline",
                 *arguments])  # fmt: skip
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def line_of(path, text):
    return next(n for n, line in enumerate(path.read_text().splitlines(), start=1) if text in line)


def errors(err):
    return [line for line in err.splitlines() if line.startswith("::")]


def test_planted_regressions_have_their_own_codes_and_lines(capsys, demo):
    """One mIoU 0.2 lower than it was; one claim gone; one row not measurable."""
    assert verify(capsys, "--metric", "miou", "--save-baseline", "base.json")[0] == 0
    state = json.loads(Path("base.json").read_text())
    code, out, err = verify(capsys, "--metric", "miou", "--baseline", "base.json")
    assert (code, errors(err)) == (0, [])
    assert out.endswith("against the stored state: 1 unchanged\n")

    lower = json.loads(json.dumps(state))
    lower["claims"][0] |= {"measured": state["claims"][0]["measured"] + 0.2, "digest": "then"}
    Path("lower.json").write_text(json.dumps(lower))
    code, out, err = verify(capsys, "--metric", "miou", "--baseline", "lower.json")
    line = line_of(demo / "zoo.yaml", '"76.63"')
    said = f"{DEMO} mIoU: worse, 76.83 → 76.63 (-0.20)"
    assert code == 1
    assert errors(err) == [f"::error file=demo/zoo.yaml,line={line},title={DEMO} miou worse::{said}"]
    assert said in out
    assert said in Path("summary.md").read_text()

    gone = json.loads(json.dumps(state))
    gone["claims"].append(gone["claims"][0] | {"date": "2020-01-01"})
    Path("gone.json").write_text(json.dumps(gone))
    code, _, err = verify(capsys, "--metric", "miou", "--baseline", "gone.json")
    line = line_of(demo / "zoo.yaml", f"id: {DEMO}")
    assert code == 6
    assert errors(err)[0].startswith(f"::error file=demo/zoo.yaml,line={line},title={DEMO} miou gone::")

    code, _, err = verify(capsys, "--metric", "miou", "--baseline", "base.json", data_root="nowhere")
    line = line_of(demo / "zoo.yaml", '"76.63"')
    assert code == 3
    assert errors(err)[0].startswith(
        f"::error file=demo/zoo.yaml,line={line},title={DEMO} miou could not measure::"
    )


def faults(path):
    """Every failure and error of a JUnit file: its case, kind, line and message."""
    return [
        (case.get("name"), fault.tag, fault.get("type"), int(case.get("line")), fault.get("message"))
        for case in ET.parse(path).getroot().iter("testcase")
        for fault in case
        if fault.tag in {"failure", "error"}
    ]


def stored(path, state, *more, **changed):
    """Write a state whose first claim is another one, and to which claims were added."""
    Path(path).write_text(json.dumps(state | {"claims": [state["claims"][0] | changed, *more]}))


def claims(path):
    return {
        (one["checkpoint"], one["metric"]): one["measured"]
        for one in json.loads(Path(path).read_text())["claims"]
    }


@pytest.mark.slow
def test_saving_a_part_keeps_the_rest_and_saving_without_data_keeps_the_figures(capsys, demo):
    """What a partial run or a runner without data writes still alarms when a row is lost."""
    other = next(row.id for row in load_manifest("demo/zoo.yaml") if row.id != DEMO)
    assert verify(capsys, "--metric", "miou", "--save-baseline", "base.json")[0] == 0
    state = json.loads(Path("base.json").read_text())
    assert state["zoo"] == {"publishers": ["mmsegmentation", "sssegmentation"], "checkpoints": 2}
    rest = [
        {"checkpoint": DEMO, "metric": "miou_ms_flip", "published": "1.00", "measured": 1.0},
        {"checkpoint": other, "metric": "miou", "published": "2.00", "measured": 2.0},
    ]
    figure = state["claims"][0]["measured"]
    stored("base.json", state, *reversed(rest), measured=0.0, digest="then")
    code, _, err = verify(capsys, "--metric", "miou", "--save-baseline", "base.json")
    assert code == 0
    assert list(claims("base.json").items()) == [
        ((DEMO, "miou"), figure), ((DEMO, "miou_ms_flip"), 1.0), ((other, "miou"), 2.0),
    ]  # fmt: skip
    told = "zoo: base.json: 3 claims written, 2 of rows or metrics that were not chosen kept as they were\n"
    assert told in err

    before = claims("base.json")
    code, _, err = verify(capsys, "--save-baseline", "base.json", data_root="nowhere")
    assert (code, claims("base.json")) == (3, before)
    assert "1 of rows or metrics that were not chosen kept as they were" in err
    assert "2 that could not be measured now kept with the earlier figure" in err
    assert verify(capsys, "--metric", "miou", "--baseline", "base.json", data_root="nowhere")[0] == 3
    assert (
        verify(capsys, "--baseline", "base.json", "--save-baseline", "new.json", data_root="nowhere")[0] == 3
    )
    assert claims("new.json") == before


def test_what_was_never_measured_is_said_and_a_claim_that_is_gone_is_dropped(capsys, demo):
    code, _, err = verify(capsys, "--metric", "miou", "--save-baseline", "base.json", data_root="nowhere")
    assert (code, claims("base.json")) == (3, {(DEMO, "miou"): None})
    assert "1 claim written, 1 without a figure: they could not be measured, now or before" in err
    stored("base.json", json.loads(Path("base.json").read_text()), checkpoint=DEMO, date="2020-01-01")
    verify(capsys, "--metric", "miou", "--save-baseline", "base.json", data_root="nowhere")
    (kept,) = json.loads(Path("base.json").read_text())["claims"]
    assert kept["date"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"checkpoint": "a"}\n',
            "expected a state that zoo verify --save-baseline wrote, found something else",
        ),
        ("{\n", "not a whole state as zoo verify --save-baseline writes it"),
        (
            json.dumps({"version": 1, "claims": [{"checkpoint": "a", "metric": "miou"}]}),
            "a state of another zoo",
        ),
    ],
)
def test_saving_never_overwrites_what_is_no_state_of_this_zoo(capsys, demo, text, message):
    Path("base.json").write_text(text)
    code, out, err = verify(capsys, "--metric", "miou", "--save-baseline", "base.json")
    assert (code, out, Path("base.json").read_text()) == (2, "", text)
    assert f"zoo: --save-baseline base.json: {message}" in err


def test_a_row_that_lost_every_claim_of_the_metric_asked_for_has_them_gone(capsys, demo):
    other = next(row.id for row in load_manifest("demo/zoo.yaml") if row.id != DEMO)
    lost = {"checkpoint": other, "metric": "miou_flip", "published": "70.00", "measured": 70.0}
    Path("base.json").write_text(json.dumps({"version": 1, "claims": [lost]}))
    manifest = demo / "zoo.yaml"
    manifest.write_text(manifest.read_text().replace("metric: miou_ms_flip", "metric: miou_flip", 1))
    code = main(["verify", "--manifest", "demo/zoo.yaml", "--data-root", "nowhere", "-q", "--offline",
                 "--metric", "miou_flip", "--baseline", "base.json"])  # fmt: skip
    assert code == 6
    assert f"{other} mIoU(flip): gone, 70.00 → –" in capsys.readouterr().out


@pytest.mark.slow
def test_a_row_under_its_old_name_is_the_same_row(capsys, demo):
    assert verify(capsys, "--metric", "miou", "--save-baseline", "base.json")[0] == 0
    stored("base.json", json.loads(Path("base.json").read_text()), checkpoint="old_name")
    manifest = demo / "zoo.yaml"
    manifest.write_text(manifest.read_text().replace(f"id: {DEMO}", f"id: {DEMO}\n    aliases: [old_name]"))
    code, out, _ = verify(capsys, "--metric", "miou", "--baseline", "base.json")
    assert (code, out.splitlines()[-1]) == (0, "against the stored state: 1 unchanged")


def test_junit_tells_what_the_exit_code_tells(capsys, demo):
    """What a server that reads nothing but the file shows: red where the build is."""
    miou = ["--metric", "miou", "--out", "out.xml"]
    assert verify(capsys, *miou, "--save-baseline", "base.json")[0] == 0
    state = json.loads(Path("base.json").read_text())
    line, entry = line_of(demo / "zoo.yaml", '"76.63"'), line_of(demo / "zoo.yaml", f"id: {DEMO}")
    name = f"{DEMO} mIoU"

    assert verify(capsys, *miou, "--baseline", "base.json")[0] == 0
    assert faults("out.xml") == []
    stored("lower.json", state, measured=state["claims"][0]["measured"] + 0.2, digest="then")
    assert verify(capsys, *miou, "--baseline", "lower.json")[0] == 1
    assert faults("out.xml") == [(name, "failure", "worse", line, f"{name}: worse, 76.83 → 76.63 (-0.20)")]
    stored("gone.json", state, state["claims"][0] | {"date": "2020-01-01"})
    assert verify(capsys, *miou, "--baseline", "gone.json")[0] == 6
    ((case, *gone),) = faults("out.xml")
    assert (case, gone[:3]) == (f"{name} (2020-01-01)", ["failure", "gone", entry])
    assert "76.63 → –: the manifest no longer has this claim" in gone[3]
    assert verify(capsys, *miou, "--baseline", "base.json", data_root="nowhere")[0] == 3
    ((case, *lost),) = faults("out.xml")
    assert (case, lost[:3]) == (name, ["error", "could not measure", line])


@pytest.mark.slow
def test_a_row_that_the_manifest_lost_is_told_once_where_it_stood_and_only_where_all_rows_were_asked(
    capsys, demo
):
    """Between the two rows that are left, last, and where nothing tells the place."""
    other = next(row.id for row in load_manifest("demo/zoo.yaml") if row.id != DEMO)
    every = ["verify", "--manifest", "demo/zoo.yaml", "--data-root", "nowhere", "-q", "--offline", "--metric", "miou",
             "--metric", "miou_ms_flip", "--baseline", "base.json", "--out", "out.xml"]  # fmt: skip
    lost = [("lost", "miou"), ("lost", "miou_ms_flip")]
    for stored, line in (
        ([(DEMO, "miou"), *lost, (other, "miou")], line_of(demo / "zoo.yaml", f"id: {other}")),
        ([(DEMO, "miou"), *lost], line_of(demo / "zoo.yaml", f"id: {DEMO}")),
    ):
        Path("base.json").write_text(state(*stored))
        assert main(every) == 6
        said = "lost: gone with 2 claims (mIoU, mIoU(ms+flip)): the manifest no longer has this row"
        gone = [one for one in errors(capsys.readouterr().err) if "lost" in one]
        assert gone == [f"::error file=demo/zoo.yaml,line={line},title=lost gone::{said}"]
        assert [fault[:4] for fault in faults("out.xml") if "lost" in fault[0]] == [
            ("lost mIoU", "failure", "gone", line), ("lost mIoU(ms+flip)", "failure", "gone", line),
        ]  # fmt: skip
    assert main([*every, DEMO]) == 3
    assert "lost gone" not in capsys.readouterr().err


def test_a_manifest_outside_the_project_is_named_whole(capsys, demo, monkeypatch):
    """Not by its bare name: the project may have a file of that name."""
    manifest = demo / "zoo.yaml"
    for folder, variables, shown in (
        (demo.parent, {}, "demo/zoo.yaml"),
        (demo.parent / "other", {}, manifest.as_posix()),
        (demo.parent / "other", {"CI_PROJECT_DIR": str(demo.parent)}, "demo/zoo.yaml"),
        (demo, {"GITHUB_WORKSPACE": str(demo.parent)}, "demo/zoo.yaml"),
    ):
        for name in PROJECT_FOLDERS:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        main(["report", "--manifest", str(manifest), "--ledger", str(LEDGER), "--format", "junit"])
        cases = ET.fromstring(capsys.readouterr().out).iter("testcase")
        assert {case.get("file") for case in cases} == {shown}


def test_weights_that_are_not_the_file_are_an_error_even_where_no_figure_was_stored(capsys, demo):
    assert verify(capsys, "--metric", "miou", "--save-baseline", "base.json", data_root="nowhere")[0] == 3
    next(Path("zoo-home/weights").rglob("isanet*.pth")).write_bytes(b"no checkpoint")
    code, out, _ = verify(capsys, "--metric", "miou", "--baseline", "base.json", "--out", "out.xml")
    assert (code, out.splitlines()[-1]) == (4, "against the stored state: 1 unchanged")
    ((_, tag, kind, _, message),) = faults("out.xml")
    assert (tag, kind) == ("error", "not measured")
    assert message.startswith(f"{DEMO} mIoU: {Path('zoo-home').resolve()}")


def test_a_claim_restated_to_a_refuted_figure_fails_on_its_line(capsys, demo):
    assert verify(capsys, "--metric", "miou", "--save-baseline", "base.json")[0] == 0
    manifest = demo / "zoo.yaml"
    manifest.write_text(manifest.read_text().replace('"76.63"', '"77.63"'))
    code, _, err = verify(capsys, "--metric", "miou", "--baseline", "base.json", "--out", "out.xml")
    line = line_of(manifest, '"77.63"')
    said = "76.63 → 76.63 (+0.00): the printed figure was 76.63 and is 77.63; 77.63 is refuted"
    assert code == 1
    assert errors(err) == [
        f"::error file=demo/zoo.yaml,line={line},title={DEMO} miou restated::{DEMO} mIoU: restated, {said}"
    ]
    assert faults("out.xml") == [
        (f"{DEMO} mIoU", "failure", "restated", line, f"{DEMO} mIoU: restated, {said}")
    ]


@pytest.mark.slow
def test_the_ledger_is_a_state_too_even_the_one_that_grows(capsys, demo):
    assert verify(capsys, "--metric", "miou")[0] == 0
    code, out, _ = verify(capsys, "--metric", "miou", "--baseline", "results/measurements.jsonl")
    assert (code, out.splitlines()[-1]) == (0, "against the stored state: 1 unchanged")


def test_changes_keep_out_of_what_programs_read(capsys, demo):
    code, out, err = verify(capsys, "--metric", "miou", "--save-baseline", "base.json", "--json")
    code, out, err = verify(capsys, "--metric", "miou", "--baseline", "base.json", "--json")
    assert (code, json.loads(out)[0]["status"]) == (0, "reproduced")
    assert "1 unchanged" in err


def test_a_refuted_claim_is_annotated_without_a_baseline(capsys, demo):
    manifest = demo / "zoo.yaml"
    manifest.write_text(manifest.read_text().replace('"76.63"', '"77.63"'))
    code, _, err = verify(capsys, "--metric", "miou")
    assert code == 1
    assert errors(err)[0].startswith(f"::error file=demo/zoo.yaml,line={line_of(manifest, '77.63')},")


def state(*claims):
    """The text of a state of these (checkpoint, metric) pairs."""
    return json.dumps(
        {"version": 1, "claims": [{"checkpoint": row, "metric": metric} for row, metric in claims]}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the stored state: No such file or directory"),
        ("", "expected a state or a ledger, found an empty file"),
        (" \n", "expected a state or a ledger, found an empty file"),
        ('{"checkpoint": "a', "expected a state or a ledger, found no whole measurement"),
        ('{"version": 2, "claims": []}', "state version 2, this segbench reads 1"),
        ('{"version": 1, "claims": []}', "the state has no claims, so nothing can be compared with it"),
        ('{"version": 1}', "not a whole state as zoo verify --save-baseline writes it: Object missing"),
        ("{", "not a whole state as zoo verify --save-baseline writes it: Input data was truncated"),
        ('{\n "ver', "not a whole state as zoo verify --save-baseline writes it: Input data was truncated"),
        (
            state(("lost", "miou"), ("gone", "fps")),
            "a state of another zoo: none of its rows, such as lost, is in demo/zoo.yaml",
        ),
        (state((DEMO, "miou"), (DEMO, "miou")), f"{DEMO} mIoU stands there 2 times"),
        (
            state((DEMO, "beauty")),
            "not a whole state as zoo verify --save-baseline writes it: expected one of miou, ",
        ),
        ("not JSON\n", "expected one Measurement as a JSON object"),
    ],
)
def test_a_state_that_cannot_be_used_is_named_before_anything_is_measured(capsys, demo, text, message):
    if text is not None:
        Path("base.json").write_text(text)
    code, out, err = verify(capsys, "--metric", "miou", "--baseline", "base.json")
    assert (code, out) == (2, "")
    assert err.startswith("zoo: --baseline base.json:")
    assert message in err
    assert err.count("\n") == 1


def test_a_ledger_of_another_zoo_is_refused(capsys, demo):
    shutil.copy(LEDGER, "ledger.jsonl")
    code, out, err = verify(capsys, "--metric", "miou", "--baseline", "ledger.jsonl")
    assert (code, out) == (2, "")
    assert "zoo: --baseline ledger.jsonl: a ledger of another zoo: none of its rows, such as isanet_" in err


def test_states_keep_every_digit(tmp_path):
    stored = State(claims=(claim(measured=76.6284764748448),))
    assert msgspec.json.decode(msgspec.json.encode(stored), type=State) == stored


@pytest.mark.parametrize(
    "other",
    [("--limit", "3"), ("--precision", "bf16"), ("--protocol", "ssseg-streets-whole")],
    ids=lambda other: other[0],
)
def test_what_is_no_claims_number_is_never_saved(capsys, demo, other):
    """A subset's or other arithmetic's figure in place of the claim's would alarm, or hide, at the next run."""
    code, _, err = verify(capsys, *other, "--save-baseline", "state.json")
    assert (code, Path("state.json").exists()) == (2, False)
    assert err.startswith("zoo: --save-baseline keeps what the claims are, and this measures something else")
