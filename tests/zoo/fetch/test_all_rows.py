"""`zoo fetch` of every published row, from a server of one's own that has files for all of them, right and wrong."""

import json
import random
import re
import time

import pytest
import served_zoo
from fetching import nursery

from segbench.zoo.fetch.links import to_check
from segbench.zoo.manifest import load_manifest

pytestmark = pytest.mark.slow

ROWS = 1082
"""626 of mmsegmentation, 449 of sssegmentation, 6 of torchvision, 1 of openseg.pytorch."""
WRONG, MAX_BYTES = 20, 200_000_000
PAGE = b"<html><head><title>Sign in</title></head></html>"


@pytest.fixture
def processes():
    with nursery() as running:
        yield running


class Scene:
    """A copy of the packaged manifest and the server with its files, some of which are other files than published."""

    def __init__(self, server, tmp_path, chance):
        published = load_manifest()
        hashed = [row.id for row in published if row.weights.sha256_prefix]
        unknown = [row.id for row in published if not row.weights.sha256_prefix]
        self.wrong = set(chance.sample(hashed, WRONG))
        self.pages = set(chance.sample([one for one in unknown if len(published[one].weights.urls) == 1], 3))
        prefixes = {published[one].weights.sha256_prefix for one in self.wrong}
        self.manifest = served_zoo.copy_zoo(tmp_path / "zoo", server.url, prefixes)
        self.files = served_zoo.serve_weights(server, self.manifest)
        for one in self.pages:
            server.file(self.files[one][0], PAGE, kind="text/html")
        for one in chance.sample(sorted(self.files), 200):  # some take their time, to be cut in the middle
            server.pages[self.files[one][0]].trickle = (100, 0.002)
        self.sound = {
            one: data for one, (_, data) in self.files.items() if one not in self.wrong | self.pages
        }
        self.unknown = self.sound.keys() & set(unknown)
        self.home, self.lock = tmp_path / "zoo-home", tmp_path / "zoo.lock"

    def held(self):
        """Id -> what lies under a row's final name."""
        return {
            path.parent.name: path.read_bytes()
            for path in self.home.glob("weights/*/*")
            if not re.search(r"\.part(\.|$)|\.wrong-", path.name)
        }


def killed(processes, server, scene, chance, kills):
    """Start to fetch everything, end it at random before it is done; whether that came to pass."""
    until = len(server.asked) + chance.randrange(1, ROWS // kills + 2 * WRONG)
    pid = processes.start_zoo("fetch", "--jobs", 8, "--manifest", scene.manifest, "-q")
    while len(server.asked) < until:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.01))
    return processes.kill(pid)["code"] == -9


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.golden)])
def test_kills_while_all_rows_are_fetched_lose_nothing_and_let_nothing_wrong_in(
    server, processes, tmp_path, kills
):
    """Eight at once; wrong files are refused by name, each right one is there under its name and in the lock."""
    chance = random.Random(17)
    scene = Scene(server, tmp_path, chance)
    assert len(scene.files) == ROWS
    for _ in range(kills):
        before = scene.held()
        assert killed(processes, server, scene, chance, kills)
        assert before.items() <= scene.held().items() <= scene.sound.items()
    pid = processes.start_zoo("fetch", "--jobs", 8, "--manifest", scene.manifest, "-q")
    code, out, err, peak = processes.wait_zoo(pid)
    assert code == 4
    assert scene.held() == scene.sound
    assert {line.partition(":")[0] for line in out.splitlines()} == scene.sound.keys()
    refused = [line for line in err.splitlines() if "the joined parts are not the file" not in line]
    why = dict.fromkeys(scene.wrong, "sha256 does not agree with the published one: expected")
    why |= dict.fromkeys(scene.pages, "the server sent an HTML page titled 'Sign in' instead of the file")
    assert sorted(line.split(": ")[1] for line in refused) == sorted(why)
    assert all(why[line.split(": ")[1]] in line for line in refused)
    lock = json.loads(scene.lock.read_text())["files"]
    assert {name: entry["sha256"] for name, entry in lock.items()} == {
        name: served_zoo.sha256(scene.sound[name]) for name in scene.unknown
    }
    again = sum(sent for _, sent in server.bodies()) - sum(map(len, scene.sound.values()))
    print(f"{len(server.asked)} requests, {again} bytes more than once or wrong; peak {peak / 1e6:.0f} MB")
    assert peak < MAX_BYTES
    assert processes.wait_zoo(processes.start_zoo("fetch", "--prune", "--manifest", scene.manifest))[0] == 0
    assert {path.parent.name: path.read_bytes() for path in scene.home.glob("weights/*/*")} == scene.sound


def test_every_row_is_planned_and_every_link_asked_for(server, processes, tmp_path):
    """`--dry-run` names each row once; `--check-links` each URL, and by name the one row that lost its weights."""
    scene = Scene(server, tmp_path, random.Random(18))
    copy = load_manifest(scene.manifest)
    urls = {url for row in copy for url in (*row.weights.urls, *row.log_urls, *row.config_urls)}
    links = to_check(copy, copy)
    assert urls <= {link.url for link in links}
    assert {owner for link in links if link.kind == "weights" for owner in link.owners} == scene.files.keys()

    code, out, _, _ = processes.wait_zoo(
        processes.start_zoo("fetch", "--dry-run", "--manifest", scene.manifest)
    )
    assert code == 0
    assert [line.split(": download, ")[0] for line in out.splitlines()] == [row.id for row in copy]
    assert server.asked == []

    for link in links:
        server.file(served_zoo.path_of(link.url), b"there")
    lost = next(row for row in copy if len(row.weights.urls) == 1)
    del server.pages[served_zoo.path_of(lost.weights.urls[0])]
    command = processes.start_zoo("fetch", "--check-links", "--manifest", scene.manifest, "--json", "-q")
    code, out, err, peak = processes.wait_zoo(command)
    print(f"{len(links)} links, peak {peak / 1e6:.0f} MB")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert [(one["kind"], one["url"]) for one in told] == [(link.kind, link.url) for link in links]
    assert [one["of"] for one in told if one["state"] != "ok"] == [[lost.id]]
    assert peak < MAX_BYTES
