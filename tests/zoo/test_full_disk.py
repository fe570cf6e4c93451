"""A disk that is full at whichever write: one message with the place, nothing lost, and the next run ends the work."""

import itertools

import pytest
from disturbed import run
from writers import (
    appending,
    exporting,
    measuring,
    merging,
    predicting,
    recording,
    reporting,
    saving,
)

pytestmark = pytest.mark.slow

ERRORS = (
    "EvidenceError",
    "DamagedEvidenceError",
    "LedgerError",
    "LockError",
    "BaselineError",
    "PredictError",
    "zoo",
)
SIZES = (0, 20, 150, 700, 5_000, 20_000, 40_000, 60_000)
"""Around the lengths of a ledger, a lock, a state, a table, a picture and of the pages of an evidence file."""
IN_SQLITE = (measuring, merging)
"""Their files are opened by SQLite, which nothing here can refuse; where bytes end it is told as anybody is."""
IN_PYTHON = (exporting, reporting, appending, recording, saving, predicting)


def require_nothing_lost(folder, writer, **disturbance):
    """Whether the disturbance was told; what is told is one line with the place, and no part is half."""
    folder.mkdir()
    work, look = writer(folder)
    before = look()
    ended = run(work, folder, **disturbance)
    now = look()
    work()
    after = look()
    assert before != after
    assert all(now.get(part) in (before.get(part), after[part]) for part in {*before, *after})
    assert ended.told == "" or ended.told.partition(":")[0] in ERRORS
    assert ended.told == "" or str(folder) in ended.told
    assert len(ended.told.strip().splitlines()) <= 1
    assert [path.name for path in folder.rglob("*") if path.name.endswith((".new", ".partial"))] == []
    return ended


@pytest.mark.parametrize("writer", IN_PYTHON)
def test_whichever_file_or_name_is_refused(tmp_path, writer):
    told = 0
    for step in itertools.count():
        ended = require_nothing_lost(tmp_path / str(step), writer, refuse_at=step)
        told += bool(ended.told)
        if ended.steps <= step:
            break
    assert told


@pytest.mark.parametrize("writer", [*IN_SQLITE, *IN_PYTHON])
def test_wherever_the_bytes_end(tmp_path, writer):
    ended = [require_nothing_lost(tmp_path / str(size), writer, size=size) for size in SIZES]
    assert ended[0].told
    assert ended[1].told
