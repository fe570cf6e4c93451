"""What memory is free, what an image takes of it, and how many go into it."""

import pytest
import torch

from segbench.evaluate.inference import room
from segbench.evaluate.inference.room import fitting, free_bytes, growth_watched

MIB = 2**20


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A machine that says what it is told to: 900 MiB available, and a container of what `limit` says."""

    def machine(limit=None):
        here = tmp_path / "meminfo"
        here.write_text("MemTotal: 1024000 kB\nMemFree: 1000 kB\nMemAvailable: 921600 kB\n")
        monkeypatch.setattr(room, "_MACHINE", here)
        monkeypatch.setattr(room, "_GROUP", tmp_path)
        if limit:
            (tmp_path / "memory.max").write_text(f"{limit}\n")
            (tmp_path / "memory.current").write_text(f"{300 * MIB}\n")
            (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {100 * MIB}\nactive_file 7\n")

    return machine


@pytest.mark.parametrize(
    ("limit", "free"),
    [(None, 900), ("max", 900), (500 * MIB, 300), (4000 * MIB, 900), (100 * MIB, 0)],
)
def test_the_smaller_of_machine_and_container_is_free(told, limit, free):
    told(limit)
    assert free_bytes() == free * MIB


def test_where_nobody_says_nothing_is_known(tmp_path, monkeypatch):
    for name in ("_MACHINE", "_GROUP", "_PROCESS"):
        monkeypatch.setattr(room, name, tmp_path / "none")
    with growth_watched() as growth:
        pass
    assert (free_bytes(), growth.bytes) == (None, None)


@pytest.mark.skipif(not room._PROCESS.exists(), reason="no /proc: memory is known on Linux alone")
def test_what_was_given_back_is_seen():
    with growth_watched() as growth:
        held = torch.ones(256 * MIB // 4)
        for _ in range(20):
            held.add_(1)
        del held
    assert 256 * MIB <= growth.bytes < 400 * MIB


@pytest.mark.parametrize(
    ("free", "each", "found"),
    [
        (1000, 250, 4),
        (1000, 251, 3),
        (1000, 600, 1),
        (100, 600, 1),
        (None, 600, 4),
        (1000, None, 4),
        (1000, 0, 4),
    ],
)
def test_as_many_as_fit_and_one_at_least(free, each, found):
    assert fitting(4, free, each) == found
