"""Kill it anywhere: the same command again goes on, and the counts are those of an undisturbed run.

Six kills while measuring, thirty while merging, exporting, reporting, appending, recording and saving (`golden`: a hundred,
and thirty more); those while fetching are in `test_download.py`.
"""

import json
import os
import random
import signal
import sys
import time

import msgspec
import numpy as np
import pytest
from disturbed import run, steps_of
from small_streets import small_options, small_streets
from writers import appending, exporting, merging, predicting, recording, reporting, saving

from segbench.evaluate.evidence import EvidenceStore
from segbench.evaluate.inference.device import numerics
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS, demo_checkpoints, serve
from segbench.zoo.engines import Local
from segbench.zoo.fetch import fetch
from segbench.zoo.verify import DatasetShelf, RowVerifier, Silent

pytestmark = pytest.mark.slow


@pytest.fixture
def scenes(tmp_path):
    """Options, and the rows with their models loaded: only what comes after that is to be interrupted."""
    root, home = tmp_path / "streets", tmp_path / "home"
    rows = small_streets(root, home)
    options = small_options(root, home)
    shelf = DatasetShelf(root)
    made = [(row, RowVerifier(row, options, None, shelf, Local(), Silent()).subject()) for row in rows]
    assert all(subject.model for _, subject in made)
    return options, made


def stored(path):
    """Series -> image -> counts as bytes, and that every image has exactly one row."""
    with EvidenceStore(path, read_only=True) as store:
        found = {key.digest(): [one[:2] for one in store.encoded(key)] for key in store.series()}
        for key in store.series():
            (use,) = store.uses(key)
            assert {image for image, _ in found[key.digest()]} == set(use.split.images)
    assert all(len(rows) == len({name for (name, _), _ in rows}) == 12 for rows in found.values())
    return found


def measure(rows, options):
    with EvidenceStore(options.evidence) as store, numerics(options.precision):
        for row, subject in rows:
            verifier = RowVerifier(row, options, store, DatasetShelf(options.data_root), Local(), Silent())
            verifier.supplies.found = subject
            yield from verifier.outcomes()


def start(rows, options):
    """A process of its own that measures; forked, for torch takes seconds to import."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if all(o.is_share or o.measurement for o in measure(rows, options)) else 1
        finally:
            os._exit(code)
    return child


def ended(child, seconds):
    """Exit status of a child that is killed unless it ends by itself in time; None where it was killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if status == -signal.SIGKILL else status


def is_complete(path):
    if not path.is_file():
        return False
    with EvidenceStore(path) as store:
        return [len(store.measured(key)) for key in store.series()] == [12, 12]


def one_run(rows, options, chance, most):
    """Measure with killed shards until all is counted, then compute the numbers; returns the kills."""
    kills = 0
    while kills < most and not is_complete(options.evidence):
        shards = chance.choice([1, 2, 3])
        order = chance.sample(range(1, shards + 1), shards)
        children = [
            start(rows, msgspec.structs.replace(options, shard=(index, shards) if shards > 1 else None))
            for index in order
        ]
        ends = [ended(child, chance.uniform(0.01, 0.12)) for child in children]
        assert all(end in (0, None) for end in ends)
        kills += ends.count(None)
    assert ended(start(rows, options), 300) == 0
    return kills


@pytest.mark.parametrize("most", [6, pytest.param(100, marks=pytest.mark.golden)])
def test_kills_change_no_count(scenes, tmp_path, most):
    """1, 2 and 3 shards at once in random order, each killed at a random moment, into one evidence file."""
    undisturbed, rows = scenes
    assert ended(start(rows, undisturbed), 300) == 0
    expected = stored(undisturbed.evidence)
    assert len(expected) == 2
    chance, kills, runs = random.Random(8), 0, 0
    while kills < most:
        place = tmp_path / f"run{runs}"
        options = msgspec.structs.replace(
            undisturbed, evidence=place / "evidence.sqlite", ledger=place / "ledger.jsonl"
        )
        kills += one_run(rows, options, chance, most - kills)
        runs += 1
        assert stored(options.evidence) == expected
    print(f"{kills} kills over {runs} runs")


@pytest.mark.parametrize(
    ("writer", "kills"),
    [
        (merging, 8),
        pytest.param(merging, 20, marks=pytest.mark.golden),
        (exporting, 5),
        pytest.param(exporting, 10, marks=pytest.mark.golden),
        (reporting, 5),
        (appending, 5),
        (recording, 5),
        (saving, 3),
        (predicting, 2),
    ],
)
def test_kills_leave_what_was_or_what_becomes_and_the_next_run_ends_the_work(tmp_path, writer, kills):
    """Killed between two steps, or in the middle of a file's bytes."""

    def begun(name):
        (tmp_path / name).mkdir()
        return tmp_path / name, *writer(tmp_path / name)

    folder, work, look = begun("undisturbed")
    before, steps = look(), steps_of(work, folder)
    after, largest = look(), max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert before != after
    chance, killed = random.Random(8), 0
    for number in range(10 * kills):
        folder, work, look = begun(str(number))
        places = [{"kill_at": chance.randrange(steps)}, {"size": chance.randrange(largest), "kill": True}]
        killed += run(work, folder, **places[number % 2]).killed
        now = look()
        assert all(now.get(part) in (before.get(part), after[part]) for part in {*before, *after})
        work()
        assert look() == after
        if killed == kills:
            return
    pytest.fail(f"only {killed} of {kills} kills came to pass")


@pytest.mark.parametrize("kind", [pytest.param("SIGKILL", marks=pytest.mark.golden), "SIGINT"])
def test_the_command_itself_survives_a_kill(tmp_path, kind):
    """`zoo verify` killed and run to its end: the number, and each image counted once."""
    with serve(STREETS) as server:
        row = demo_checkpoints(server)[0]
        fetch(row)

    def run(name):
        """The command in a process of its own; forked, for torch takes seconds to import."""
        arguments = [
            "verify", row.id, "--manifest", STREETS / "zoo.yaml", "--data-root", STREETS, "--metric", "miou", "--json",
            "-q", "--offline", "--evidence", tmp_path / "evidence.sqlite", "--ledger", tmp_path / "ledger.jsonl",
        ]  # fmt: skip
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            with (
                (tmp_path / f"{name}.out").open("w") as sys.stdout,
                (tmp_path / f"{name}.err").open("w") as sys.stderr,
            ):
                code = main(list(map(str, arguments)))
        finally:
            os._exit(code)

    child = run("killed")
    wait_for_images(tmp_path / "evidence.sqlite", 3)
    os.kill(child, getattr(signal, kind))
    assert status_of(child) == (-signal.SIGKILL if kind == "SIGKILL" else 130)
    if kind == "SIGINT":
        said = (tmp_path / "killed.err").read_text()
        assert "of this run are kept in" in said
        assert said.endswith("run the same command to go on\n")
    assert status_of(run("again")) == 0
    (verdict,) = json.loads((tmp_path / "again.out").read_text())
    assert verdict["status"] == "reproduced"
    ((key, rows),) = stored(tmp_path / "evidence.sqlite").items()
    assert key
    assert all(np.frombuffer(counts, "<i8").sum() for _, counts in rows)


def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_for_images(path, count):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if path.is_file() and path.stat().st_size:
            with EvidenceStore(path, read_only=True) as store:
                if sum(len(store.measured(key)) for key in store.series()) >= count:
                    return
        time.sleep(0.05)
    pytest.fail("no images were counted")
