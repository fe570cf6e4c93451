"""`zoo evidence`, `zoo report --evidence`, and verify on a part of the images or of the work."""

import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import msgspec
import pytest
import torch
from small_streets import small_options, small_streets

from segbench.evaluate.accuracy import Loading
from segbench.evaluate.evidence import EvidenceStore
from segbench.reports.tolerance import Tolerance
from segbench.reports.verdict import Status
from segbench.zoo.cli import main
from segbench.zoo.commands.shared import progress
from segbench.zoo.demo import STREETS
from segbench.zoo.engines import Local
from segbench.zoo.manifest import load_manifest
from segbench.zoo.verify import DatasetShelf, RowVerifier, Silent, exit_code, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows and options of a finished measurement of the small scenes; take a `copy` to change it."""
    place = tmp_path_factory.mktemp("measured")
    published = (STREETS / "zoo.yaml").read_text(encoding="utf-8")
    (place / "zoo.yaml").write_text(published.replace("[512, 256]", "[64, 32]"), encoding="utf-8")
    small = load_manifest(place / "zoo.yaml")
    rows = [
        msgspec.structs.replace(small[row.id], weights=row.weights)
        for row in small_streets(place / "streets", place / "home")
    ]
    options = small_options(place / "streets", place / "home", protocol=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_LOCK", str(place / "zoo.lock"))
        return rows, options, list(verify(rows, options))


@pytest.fixture
def manifest(measured):
    """The manifest of those rows: the demo's, its protocols' base scale that of the small scenes."""
    return measured[1].data_root.parent / "zoo.yaml"


@pytest.fixture
def copy(measured, tmp_path):
    """Options like those of `measured` with an evidence file and ledger of their own."""
    _, options, _ = measured
    shutil.copy(options.evidence, tmp_path / "evidence.sqlite")
    return msgspec.structs.replace(
        options, evidence=tmp_path / "evidence.sqlite", ledger=tmp_path / "ledger.jsonl"
    )


def fresh(options, tmp_path):
    return msgspec.structs.replace(options, evidence=tmp_path / "new.sqlite", ledger=tmp_path / "new.jsonl")


def zoo(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_the_list_says_what_is_complete(copy, capsys):
    code, said = zoo(capsys, "evidence", "list", "--json", "--evidence", copy.evidence)
    records = json.loads(said.out)
    assert code == 0
    assert [(r["checkpoint"], r["metric"], r["images"], r["split_images"], r["state"]) for r in records] == [
        ("isanet_r50-d8_w16_256x512_0.8k_streets", "miou", 12, 12, "complete"),
        ("isnet_resnet50os8_w16_streets", "miou", 12, 12, "complete"),
    ]
    code, said = zoo(capsys, "evidence", "list", "--evidence", copy.evidence)
    assert [line.split()[-3:-1] for line in said.out.splitlines()[2:]] == [["12/12", "complete"]] * 2


def test_numbers_follow_from_the_file_alone(measured, manifest, tmp_path, capsys):
    """Exported and taken to where there is neither data set nor weights: the same numbers and the same table."""
    _, options, outcomes = measured
    away = tmp_path / "away.sqlite"
    code, said = zoo(capsys, "evidence", "export", away, "--evidence", options.evidence)
    assert code == 0
    assert said.out.startswith(f"{away}: 24 images of 2 series, ")
    code, said = zoo(capsys, "evidence", "show", "--scores", "--json", "--evidence", away)
    shown = [record["measurement"] for record in json.loads(said.out)]
    assert code == 0
    for record, outcome in zip(shown, outcomes, strict=True):
        plain = msgspec.to_builtins(outcome.measurement)
        free = {"seconds", "new_images", "taken_at"}
        assert {k: v for k, v in record.items() if k not in free} == {
            k: v for k, v in plain.items() if k not in free
        }
    chosen = ["--manifest", manifest, "--json"]
    _, again = zoo(capsys, "report", *chosen, "--evidence", away)
    _, ledger = zoo(capsys, "report", *chosen, "--ledger", options.ledger)
    assert json.loads(again.out)
    free = {"reason", "taken_at"}
    same = [
        [{k: v for k, v in record.items() if k not in free} for record in json.loads(said.out)]
        for said in (again, ledger)
    ]
    for one, other in zip(*same, strict=True):
        assert one == other


def test_missing_and_foreign_images_are_named(measured, copy, capsys):
    """An image whose counts are gone, and one whose file changed since, keep a row from being complete."""
    with EvidenceStore(copy.evidence) as store:
        key = store.series()[0]
        images = [found.image for found in store.encoded(key)]
        with store.writing() as database:
            database.execute("DELETE FROM images WHERE series_id = 1 AND image_id = ?", (images[0][0],))
            database.execute(
                "UPDATE images SET content_sha256 = 'x' WHERE series_id = 1 AND image_id = ?", (images[1][0],)
            )
    code, said = zoo(
        capsys, "evidence", "show", key.digest()[:10], "--scores", "--json", "--evidence", copy.evidence
    )
    (record,) = json.loads(said.out)
    assert code == 3
    assert (record["state"], record["missing"], record["other_contents"]) == (
        "2 missing",
        [images[0][0], images[1][0]],
        [images[1][0]],
    )
    assert "measurement" not in record
    rows, _, outcomes = measured
    again = list(verify(rows, copy))
    assert [outcome.measurement.new_images for outcome in again] == [2, 0]
    assert [o.measurement.value for o in again] == [o.measurement.value for o in outcomes]


def test_merging_two_halves_makes_a_row(measured, tmp_path, capsys):
    """Two machines take a shard each into files of their own; merged, the number is that of one run."""
    rows, options, outcomes = measured
    files = []
    for index in (2, 1):
        half = msgspec.structs.replace(
            options,
            evidence=tmp_path / f"{index}.sqlite",
            ledger=tmp_path / f"{index}.jsonl",
            shard=(index, 2),
        )
        parts = list(verify(rows[:1], half))
        assert [part.is_share for part in parts] == [True]
        assert parts[0].verdict.reason == (
            f"shard {index}/2 is done; 6 of 12 images are still to be counted by other shards (zoo verify without "
            "--shard counts them and computes the score)"
        )
        assert exit_code(parts) == 0
        files.append(half.evidence)
    code, said = zoo(capsys, "evidence", "merge", *files, "--evidence", tmp_path / "all.sqlite")
    assert (code, said.out) == (
        0,
        f"{files[0]}: 6 images, 6 of them new\n{files[1]}: 6 images, 6 of them new\n",
    )
    whole = msgspec.structs.replace(fresh(options, tmp_path), evidence=tmp_path / "all.sqlite")
    (outcome,) = verify(rows[:1], whole)
    assert outcome.measurement.new_images == 0
    assert outcome.measurement.value == outcomes[0].measurement.value


def test_shards_into_one_file_finish_the_row(measured, tmp_path):
    """The shard that comes last finds every image counted and computes the score."""
    rows, options, outcomes = measured
    for index in (3, 1, 2):
        part = msgspec.structs.replace(fresh(options, tmp_path), shard=(index, 3))
        (outcome,) = verify(rows[:1], part)
    assert outcome.measurement.value == outcomes[0].measurement.value
    assert outcome.measurement.new_images == 4


def test_pruning_says_first_what_it_would_do(copy, capsys):
    place = ["--evidence", copy.evidence]
    name = "isnet_resnet50os8_w16_streets"
    code, said = zoo(capsys, "evidence", "prune", name, "--dry-run", *place)
    assert (code, said.err) == (0, "zoo: 12 images of 1 series would be deleted\n")
    with EvidenceStore(copy.evidence) as store:
        assert len(store.series()) == 2
    assert (
        zoo(capsys, "evidence", "prune", "--older", "1", *place)[1].err
        == "zoo: 0 images of 0 series deleted\n"
    )
    assert zoo(capsys, "evidence", "prune", name, *place)[1].err == "zoo: 12 images of 1 series deleted\n"
    with EvidenceStore(copy.evidence) as store:
        assert [use.checkpoint for use in store.uses(*store.series())] == [
            "isanet_r50-d8_w16_256x512_0.8k_streets"
        ]
    code, said = zoo(capsys, "evidence", "prune", "nothing", *place)
    assert (code, said.err) == (
        5,
        "zoo: no series or checkpoint 'nothing' in the evidence; zoo evidence list shows what there is\n",
    )
    assert zoo(capsys, "evidence", "prune", *place)[0] == 2


def test_two_ids_with_one_weights_file_share_their_counts_and_neither_takes_the_others(
    measured, copy, capsys
):
    rows, _, outcomes = measured
    twin = msgspec.structs.replace(rows[0], id="twin")
    (again,) = verify([twin], copy)
    assert (again.measurement.value, again.measurement.new_images) == (outcomes[0].measurement.value, 0)
    code, said = zoo(capsys, "evidence", "prune", "twin", "--evidence", copy.evidence)
    with EvidenceStore(copy.evidence) as store:
        shared, _ = store.series()
        assert len(store.measured(shared)) == 12
    assert code == 0
    assert said.err == (
        f"zoo: warning: series {shared.digest()[:12]} is kept: its counts are also those of {rows[0].id}, which has "
        "the same weights file; name that too, or the series\nzoo: 0 images of 0 series deleted\n"
    )
    code, said = zoo(capsys, "evidence", "prune", "twin", rows[0].id, "--evidence", copy.evidence)
    assert said.err == "zoo: 12 images of 1 series deleted\n"


def test_a_subset_is_never_a_reproduction(measured, manifest, tmp_path, capsys):
    """Five pinned images: a number with its caveat; `zoo report` does not take it, from ledger or evidence."""
    rows, options, _ = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), limit=5, not_comparable="")
    (outcome,) = verify(rows[:1], options)
    assert outcome.verdict.status is Status.NOT_COMPARABLE
    assert outcome.verdict.reason == "a pinned subset, 5 of 12 images: no reproduction"
    assert outcome.measurement.subset == "5 of 12 images"
    assert outcome.measurement.dataset == "streets (5 of 12 images)"
    chosen = ["--manifest", manifest, "--json", rows[0].id]
    for source in (["--ledger", options.ledger], ["--evidence", options.evidence]):
        _, said = zoo(capsys, "report", *chosen, *source)
        assert {record["measured"] for record in json.loads(said.out)} == {None}
    with EvidenceStore(options.evidence) as store:
        (use,) = store.uses(store.series()[0])
    larger = msgspec.structs.replace(options, limit=7)
    (outcome,) = verify(rows[:1], larger)
    assert outcome.measurement.new_images == 2  # the five are among the seven
    assert len(use.split.images) == 5


def test_a_subset_says_what_the_whole_may_be(measured, tmp_path):
    """From ten images on: an interval around its number, the chance of each verdict, and both on record."""
    rows, options, outcomes = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), limit=10, not_comparable="")
    figure = f"{outcomes[0].measurement.value:.2f}"
    (outcome,) = verify([printed(rows[0], figure)], options)
    said = re.fullmatch(
        r"a pinned subset, 10 of 12 images: no reproduction; were the others like these, the whole would have an mIoU from "
        r"(\S+) to (\S+) \(95 %\), reproduced (\S+) %, drift (\S+) %, refuted (\S+) %",
        outcome.verdict.reason,
    )
    assert outcome.verdict.status is Status.NOT_COMPARABLE
    assert float(said[1]) < outcome.measurement.value < float(said[2])
    sample = json.loads(options.ledger.read_text())["details"]["sample"]
    assert (sample["images"], sample["of"]) == (10, 12)
    assert [f"{end:.2f}" for end in sample["interval"]] == [said[1], said[2]]
    assert sample["bounds"][0] < outcomes[0].measurement.value < sample["bounds"][1]
    assert sum(sample["chances"][figure].values()) == pytest.approx(1)
    (again,) = verify([printed(rows[0], figure)], options)
    assert (again.verdict, again.measurement.new_images) == (outcome.verdict, 0)


class Order(Silent):
    """Remembers in which order images came."""

    def images(self, found, checkpoint, claim, *, total, stored, running):
        self.ids = []
        for result in found:
            self.ids.append(result.id)
            yield result


def test_the_images_so_far_lie_evenly_in_the_split(measured, tmp_path):
    """Mirrored bits of the twelve places: whoever stops early has seen no one part alone."""
    rows, options, _ = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), loading=Loading(workers=0))
    watcher = Order()
    list(verify(rows[:1], options, watcher))
    places = [sorted(watcher.ids).index(one) for one in watcher.ids]
    assert places == [0, 8, 4, 2, 10, 6, 1, 9, 5, 3, 11, 7]


def test_the_bar_tells_what_the_number_will_become(measured, manifest, tmp_path, capsys, monkeypatch):
    """In a log, where its lines are kept: bounds where every label was looked at before, and the bare number at the end."""
    _, options, _ = measured
    monkeypatch.setenv("ZOO_HOME", str(options.home))
    monkeypatch.setenv("ZOO_LOCK", str(manifest.parent / "zoo.lock"))
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0)
    monkeypatch.setattr(progress, "_TELLING_SECONDS", 0)
    monkeypatch.setattr(progress, "_TELLING_SHARE", 0)
    command = [
        "verify",
        "isanet_r50-d8_w16_256x512_0.8k_streets",
        "--manifest",
        manifest,
        "--data-root",
        options.data_root,
    ]
    command += [
        "--offline",
        "--metric",
        "miou",
        "--ledger",
        tmp_path / "l",
        "--evidence",
        tmp_path / "e.sqlite",
        "--workers",
        "0",
    ]
    _, first = zoo(capsys, *command, "--limit", "1")
    assert re.search(r"mIoU [0-9.]+ so far; certain [0-9.]+ to [0-9.]+\]", first.err)
    _, rest = zoo(capsys, *command)
    assert re.search(
        r"10/12 .*mIoU [0-9.]+ so far; certain [0-9.]+ to [0-9.]+; reproduced <1 %, drift <1 %, refuted >99 % "
        r"\(bootstrap of 10 images\)\]",
        rest.err,
    )
    assert re.search(r"12/12 .*mIoU [0-9.]+\]", rest.err)


def printed(row, text):
    claims = tuple(
        msgspec.structs.replace(claim, printed=text) for claim in row.claims if claim.metric == "miou"
    )
    return msgspec.structs.replace(row, claims=claims)


def test_a_hopeless_claim_is_refuted_before_the_end(measured, tmp_path):
    """99.99 is out of reach once some pixels are wrong: refuted without a number, and nothing in the ledger."""
    rows, options, _ = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), until_sure=True, not_comparable="")
    outcomes = list(verify([printed(rows[0], "99.99")], options))
    (outcome,) = outcomes
    verdict = outcome.verdict
    assert (verdict.status, verdict.measured, exit_code(outcomes)) == (Status.REFUTED, None, 1)
    assert 0 < verdict.images < 12
    assert verdict.reason.startswith(f"certain after {verdict.images} of 12 images: whatever the rest brings")
    assert not options.ledger.exists()
    with EvidenceStore(options.evidence) as store:
        assert len(store.measured(store.series()[0])) == verdict.images


def test_a_claim_within_a_wide_band_is_certain_before_the_end(measured, tmp_path):
    rows, options, outcomes = measured
    options = msgspec.structs.replace(
        fresh(options, tmp_path), until_sure=True, not_comparable="", tolerance=Tolerance.of(30)
    )
    claim = str(round(Fraction(outcomes[0].measurement.value), 0))
    (outcome,) = verify([printed(rows[0], f"{int(Fraction(claim))}.00")], options)
    assert outcome.verdict.status is Status.REPRODUCED
    assert outcome.verdict.images < 12


def test_a_close_claim_is_measured_to_its_end(measured, tmp_path):
    """No bound is tight enough before the last image: the number itself decides."""
    rows, options, outcomes = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), until_sure=True, not_comparable="")
    (outcome,) = verify([printed(rows[0], f"{outcomes[0].measurement.value:.2f}")], options)
    assert outcome.verdict.status is Status.REPRODUCED
    assert outcome.measurement.value == outcomes[0].measurement.value
    assert outcome.measurement.new_images == 12


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--shard", "3/2"], "expected I/N with I from 1 to N, such as 2/4, found '3/2'"),
        (["--until-sure", "--limit", "5"], "--until-sure judges a claim from all the images of its data set"),
    ],
)
def test_parts_that_make_no_sense_are_refused(capsys, arguments, sentence):
    try:
        code = main(["verify", "isanet_r50-d8_512x1024_40k_cityscapes", *arguments])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_a_device_without_memory_left_keeps_what_was_counted(measured, tmp_path):
    """A model that runs out of memory at its fourth image: the row has a reason, three images are stored."""
    rows, options, outcomes = measured
    options = msgspec.structs.replace(fresh(options, tmp_path), loading=Loading(workers=0))
    calls = []

    def greedy(images):
        calls.append(images.shape)
        if len(calls) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")
        return torch.zeros(len(images), 8, 4, 8)

    with EvidenceStore(options.evidence) as store:
        shelf = DatasetShelf(options.data_root)
        verifier = RowVerifier(rows[0], options, store, shelf, Local(), Silent())
        verifier.supplies.found = msgspec.structs.replace(verifier.subject(), load=lambda: greedy)
        (outcome,) = verifier.outcomes()
        assert len(store.measured(store.series()[0])) == 3
    assert (outcome.verdict.status, outcome.exit_code) == (Status.NOT_MEASURED, 3)
    assert outcome.verdict.reason == (
        "the device's memory does not suffice even with a batch of 1 (CUDA out of memory); close what else uses it or take --device cpu: "
        "the images counted so far are kept"
    )
    del outcomes


def test_a_second_look_does_not_change_where_counts_were_made(measured, tmp_path):
    """The environment on record is that of the run that counted, not of one that found all there."""
    rows, options, _ = measured
    options = fresh(options, tmp_path)
    (first,) = verify(rows[:1], options)
    with EvidenceStore(options.evidence) as store, store.writing() as database:
        database.execute('UPDATE uses SET environment = \'{"device": "another"}\'')
    (again,) = verify(rows[:1], options)
    with EvidenceStore(options.evidence) as store:
        (use,) = store.uses(store.series()[0])
    assert use.environment == {"device": "another"}
    assert again.measurement.value == first.measurement.value


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--metric", "miou"], "refuted"),
        (["--metric", "miou", "--until-sure"], "refuted"),
        (["--metric", "miou", "--shard", "1/2"], "refuted"),
        (["--metric", "miou", "--limit", "5"], "not comparable"),
        (["--metric", "fps"], "not measured"),
    ],
)
def test_what_is_stored_is_answered_without_torch(copy, manifest, capsys, monkeypatch, arguments, status):
    """Nor with what decodes pictures: in less time than torch takes to be imported, with the same words and code."""
    monkeypatch.setenv("ZOO_HOME", str(copy.home))
    monkeypatch.setenv("ZOO_LOCK", str(manifest.parent / "zoo.lock"))
    with_speed = manifest.with_name("speed.yaml")
    shown = '      - {metric: fps, printed: "3.14", device: V100}\n'
    with_speed.write_text(re.sub(r"    claims:\n", lambda found: found[0] + shown, manifest.read_text()))
    command = ["verify", "--manifest", with_speed, "--data-root", copy.data_root, "--offline", "--json", "-q"]
    command = [*map(str, command), "--evidence", str(copy.evidence), "--ledger", str(copy.ledger), *arguments]
    zoo(capsys, *command)  # reads every label once, where they are asked for
    here = zoo(capsys, *command)
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'cv2'} & set(sys.modules); sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (here[0], here[1].err)
    here, there = ([one | {"taken_at": ""} for one in json.loads(out)] for out in (here[1].out, done.stdout))
    assert there == here
    assert [one["status"] for one in there] == [status] * 2


def test_a_series_without_a_score_is_named_and_the_others_are_reported(copy, manifest, capsys):
    with EvidenceStore(copy.evidence) as store, store.writing() as database:
        database.execute("UPDATE images SET counts = x'00' WHERE series_id = 1")
    code, said = zoo(capsys, "report", "--json", "--manifest", manifest, "--evidence", copy.evidence)
    assert code in (0, 1)
    measured = [record["checkpoint"] for record in json.loads(said.out) if record["measured"] is not None]
    assert measured == ["isnet_resnet50os8_w16_streets"]
    assert re.search(r"zoo: warning: .*: series [0-9a-f]{12} has no score: .*counts of 1 bytes", said.err)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("metric = 'fps'", "dice_ms_flip, dice_flip, found 'fps'"),
        ("environment = '{\"packages\": 5}'", "expected details and environment as zoo writes them: "),
        ("environment = '{\"platform\": {}}'", "expected details and environment as zoo writes them: "),
    ],
)
def test_a_description_that_no_measurement_has_is_not_merged(copy, tmp_path, capsys, change, sentence):
    with EvidenceStore(copy.evidence) as store, store.writing() as database:
        database.execute(f"UPDATE uses SET {change}")
    target = tmp_path / "target.sqlite"
    code, said = zoo(capsys, "evidence", "merge", copy.evidence, "--evidence", target)
    assert (code, said.out) == (3, "")
    assert said.err.startswith(f"zoo: {copy.evidence}: ")
    assert sentence in said.err
    assert zoo(capsys, "evidence", "list", "--evidence", target)[1].out == "no evidence yet\n"


def test_pruning_by_age_keeps_what_was_used_after_now(copy, capsys):
    """The clock was set back: nobody knows how old these series are."""
    with EvidenceStore(copy.evidence) as store, store.writing() as database:
        database.execute("UPDATE series SET last_used = '2999-01-01T00:00:00Z'")
    code, said = zoo(capsys, "evidence", "prune", "--older", 1, "--evidence", copy.evidence)
    assert (code, said.out) == (0, "no evidence yet\n")
    assert said.err.startswith("zoo: warning: 2 series were last used later than this machine's clock says")
    with EvidenceStore(copy.evidence) as store:
        assert len(store.series()) == 2
