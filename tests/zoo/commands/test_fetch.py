"""`zoo fetch` as its user meets it: several files, the cache and the lock, interrupts and exit codes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from checkpoint_files import checkpoint_file
from faulty_server import unused_port

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS

FILES = {f"row{n}": checkpoint_file(300_002, seed=n) for n in range(4)}
SHA256 = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


@pytest.fixture
def zoo(server, tmp_path, capsys, monkeypatch):
    """A function that runs `zoo fetch` on a manifest of four rows without hashes; `.rows` can be changed."""
    monkeypatch.delenv("ZOO_LOCK")
    content = yaml.safe_load((STREETS / "zoo.yaml").read_text())
    plain = content["checkpoints"][1]
    path = tmp_path / "mine" / "zoo.yaml"
    path.parent.mkdir()

    def row(name):
        return plain | {
            "id": name,
            "aliases": [],
            "weights": {"urls": [f"{server.url}/{name}.pth"], "layout": "ssseg"},
            "log_urls": [f"{server.url}/{name}.log"],
            "config_urls": [f"{server.url}/{name}.py"],
        }

    def run(*arguments):
        path.write_text(yaml.safe_dump(content | {"checkpoints": list(run.rows.values())}))
        try:
            code = main(["fetch", *map(str, arguments), "--manifest", str(path), "-q"])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.rows = {name: row(name) for name in FILES}
    run.path, run.home, run.lock = path, tmp_path / "zoo-home", path.with_name("zoo.lock")
    for name, data in FILES.items():
        server.file(f"/{name}.pth", data)
        server.file(f"/{name}.log", b'{"mode": "val"}\n', kind="text/plain")
        server.file(f"/{name}.py", b"model = dict()\n", kind="text/plain")
    return run


def target(zoo, name, folder="weights", suffix="pth"):
    return zoo.home / folder / name / f"{name}.{suffix}"


def in_cache(zoo):
    return sorted(
        str(path.relative_to(zoo.home))
        for path in zoo.home.rglob("*")
        if path.is_file() and path.parent.name not in ("locks", "blobs", "manifests", "compiled")
    )


# fetching ---------------------------------------------------------------------------------------------------


FAULTS = {
    "cut": ({"cuts": [123_456]}, 0),
    "cut for good": ({"cuts": [100] + [0] * 99}, 3),
    "slow trickle": ({"trickle": (50_000, 0.02)}, 0),
    "500, then good": ({"statuses": [500]}, 0),
    "503, then good": ({"statuses": [503, 503]}, 0),
    "503 for good": ({"statuses": [503] * 99}, 3),
    "404": ({"statuses": [404] * 9}, 3),
    "whole file for a part": ({"cuts": [1000], "ranges": False}, 0),
    "length too large": ({"length": 400_000, "ranges": False}, 3),
    "length too small": ({"length": 200_000, "ranges": False}, 4),
    "redirect loop": ({"location": "/row0.pth"}, 3),
    "page": ({"data": b"<html><title>Welcome</title>" + bytes(299_974), "kind": "text/html"}, 4),
    "page of the right type": ({"data": b"<html>" + bytes(299_996)}, 4),
    "wrong bytes": ({"data": FILES["row1"]}, 4),
    "stall": ({"stalls": [0.6]}, 0),
    "stall for good": ({"stalls": [0.6] * 9, "ranges": False}, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "code"), FAULTS.values(), ids=FAULTS)
def test_every_fault_ends_in_the_right_file_or_one_clear_error(zoo, server, monkeypatch, settings, code):
    """With a published hash and two tries; the final name is never given to anything else."""
    monkeypatch.setattr("time.sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.6)))
    zoo.rows["row0"]["weights"]["sha256"] = SHA256["row0"]
    server.file("/row0.pth", **{"data": FILES["row0"]} | settings)
    found, out, err = zoo("row0", "--tries", "3", "--timeout", "0.3")
    path = target(zoo, "row0")
    assert found == code
    if code:
        assert not path.exists()
        assert out == ""
        assert err.splitlines()[-1].startswith(f"zoo: row0: no URL gave the file: {server.url}/row0.pth: ")
        assert "Traceback" not in err
    else:
        assert path.read_bytes() == FILES["row0"]
        assert out == f"row0: {path} (hash verified)\n"


def test_a_dead_mirror_is_passed_over(zoo, server):
    zoo.rows["row0"]["weights"]["urls"].insert(0, f"http://127.0.0.1:{unused_port()}/row0.pth")
    assert zoo("row0", "--tries", "1")[0] == 0
    assert target(zoo, "row0").read_bytes() == FILES["row0"]


def test_all_files_come_and_are_recorded_beside_the_manifest(zoo):
    code, out, err = zoo("--jobs", "3")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == [
        f"{name}: {target(zoo, name)} (its publisher gives no hash to verify; sha256 {SHA256[name]}, now recorded in "
        f"{zoo.lock})"
        for name in FILES
    ]
    assert {name: target(zoo, name).read_bytes() for name in FILES} == FILES
    recorded = json.loads(zoo.lock.read_text())["files"]
    assert {name: entry["sha256"] for name, entry in recorded.items()} == SHA256
    assert zoo("row1")[1].endswith(f"as recorded in {zoo.lock})\n")


@pytest.mark.slow
def test_files_come_at_once(zoo, server):
    """Four trickles of a second each take less than three of them."""
    for name, data in FILES.items():
        server.file(f"/{name}.pth", data, trickle=(15_000, 0.05))
    started = time.monotonic()
    assert zoo("-j", "4")[0] == 0
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("hashes", [{}, {"sha256": SHA256["row0"]}], ids=["no hash", "hash"])
def test_rows_that_share_a_url_download_it_once(zoo, server, jobs, hashes):
    for row in zoo.rows.values():
        row["weights"] |= {"urls": [f"{server.url}/row0.pth"]} | hashes
    server.file("/row0.pth", FILES["row0"], trickle=(100_000, 0.05))
    assert zoo("--jobs", jobs)[0] == 0
    assert server.bodies() == [(0, len(FILES["row0"]))]
    names = {zoo.home / "weights" / name / "row0.pth" for name in zoo.rows}
    assert all(path.samefile(target(zoo, "row0")) for path in names)


def test_a_failed_twin_is_tried_again_by_the_next(zoo, server):
    for row in zoo.rows.values():
        row["weights"]["urls"] = [f"{server.url}/row0.pth"]
    server.file("/row0.pth", FILES["row0"], statuses=[404])
    code, out, _ = zoo("row0", "row1", "--jobs", "2")
    assert (code, len(out.splitlines())) == (3, 1)


def test_one_failure_does_not_stop_the_others(zoo, server):
    del server.pages["/row1.pth"]
    server.file("/row2.pth", b"<html><title>Sign in</title>")
    code, out, err = zoo("--jobs", "2")
    assert code == 4
    assert [line.split(":")[0] for line in sorted(out.splitlines())] == ["row0", "row3"]
    assert sorted(err.splitlines()) == [
        f"zoo: row1: no URL gave the file: {server.url}/row1.pth: the server answered 404 Not Found",
        (
            f"zoo: row2: no URL gave the file: {server.url}/row2.pth: the server sent an HTML page titled 'Sign in' "
            "instead of the file; open the link in a browser to see what it says"
        ),
    ]
    assert in_cache(zoo) == ["weights/row0/row0.pth", "weights/row3/row3.pth"]


@pytest.mark.parametrize(
    "url", ["http://[bad/x.pth", "http://127.0.0.1:1/%00.pth", "{server}/redirected.pth", "{server}/%2e%2e"]
)
def test_an_address_that_is_none_stops_nobody_else(zoo, server, url):
    server.file("/redirected.pth", b"", location="http://[bad/x")
    zoo.rows["row0"]["weights"]["urls"] = [url.format(server=server.url)]
    code, out, err = zoo("row0", "row1", "--tries", "1")
    assert code == 3
    assert err.startswith("zoo: row0: no URL gave the file: ")
    assert len(err.splitlines()) == 1
    assert out.startswith(f"row1: {target(zoo, 'row1')}")


def test_a_surprise_in_one_file_stops_nobody_else(zoo, monkeypatch):
    """A cached file that vanishes or cannot be read, say, in a way that nobody foresaw."""
    from segbench.zoo.fetch import batch

    whole = batch.fetch_wanted

    def fails_for_one(job, **options):
        if job.checkpoint.id == "row0":
            raise ZeroDivisionError("what?")
        return whole(job, **options)

    monkeypatch.setattr(batch, "fetch_wanted", fails_for_one)
    code, out, err = zoo("row0", "row1")
    assert code == 3
    assert err == (
        f"zoo: row0: {target(zoo, 'row0')}: unforeseen ZeroDivisionError: what?; please report it\n"
    )
    assert out.startswith("row1: ")


def test_a_home_of_nobody_is_told(zoo, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", "~nobodyofthisname/x")
    code, _, err = zoo("row0")
    assert code == 2
    assert err.startswith("zoo: ZOO_HOME: ~nobodyofthisname/x: ")


def test_two_caches_lose_no_entry_of_one_lock(zoo, tmp_path):
    """Eight threads that record through eight caches of their own."""
    from concurrent.futures import ThreadPoolExecutor

    from segbench.zoo.fetch.lock import Entry, Lock

    entry = Entry(file="f", url="", sha256="0" * 64, size_bytes=1, recorded="2026-01-01")
    link = tmp_path / "link.lock"
    link.symlink_to(zoo.lock)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Lock([zoo.lock, link][n % 2]).record(f"row{n}", entry), range(40)))
    assert len(json.loads(zoo.lock.read_text())["files"]) == 40
    assert link.is_symlink()
    assert not list(zoo.lock.parent.glob("*.new")) + list(zoo.lock.parent.glob(".*.new"))


def test_a_file_that_cannot_be_had_exits_3(zoo, server):
    server.pages.clear()
    assert zoo("row0")[0] == 3


def test_a_file_that_is_no_checkpoint_is_kept_aside(zoo, server):
    server.file("/row0.pth", b"just some text")
    aside = target(zoo, "row0").with_name(
        f"row0.pth.wrong-{hashlib.sha256(b'just some text').hexdigest()[:8]}"
    )
    assert zoo("row0") == (
        4,
        "",
        (
            f"zoo: row0: no URL gave the file: {server.url}/row0.pth: expected a checkpoint (zip, legacy pickle or "
            f"safetensors), found a file that begins with 6a 75 73 74 20 73 6f 6d: kept as {aside}; try again, or report "
            "it to the publisher\n"
        ),
    )
    assert in_cache(zoo) == [str(aside.relative_to(zoo.home))]
    assert not zoo.lock.exists()


def test_logs_and_configs_come_along_where_asked_for(zoo):
    code, out, _ = zoo("row0", "--with-logs")
    assert code == 0
    assert in_cache(zoo) == ["configs/row0/row0.py", "logs/row0/row0.log", "weights/row0/row0.pth"]
    assert out.splitlines()[1:] == [
        f"row0 log: {target(zoo, 'row0', 'logs', 'log')}",
        f"row0 config: {target(zoo, 'row0', 'configs', 'py')}",
    ]


@pytest.mark.parametrize("suffix", ["log", "py"])
@pytest.mark.parametrize(
    ("body", "found"), [(b'{"message": "Not Found"}', "a JSON message"), (b"", "an empty file")]
)
def test_an_error_message_is_neither_a_log_nor_a_config(zoo, server, suffix, body, found):
    server.file(f"/row0.{suffix}", body, kind="application/json")
    code, _, err = zoo("row0", "--with-logs")
    assert code == 4
    assert f"the server sent {found}" in err
    assert not list(zoo.home.glob(f"*/row0/row0.{suffix}"))


def test_another_tools_file_of_the_same_name_is_no_damage(zoo, server):
    zoo.rows["row0"]["weights"]["sha256"] = SHA256["row0"]
    torchs = zoo.home.with_name("torch-home") / "hub/checkpoints/row0.pth"
    torchs.parent.mkdir(parents=True)
    torchs.write_bytes(b"another tool's")
    assert "in torch's cache, not checked" in zoo("row0", "--list")[1]
    assert zoo("row0", "--verify") == (0, "0 files sound, 0 damaged\n", "")
    torchs.write_bytes(FILES["row0"])
    assert zoo("row0", "--verify")[1].endswith("1 files sound, 0 damaged\n")


def test_json_has_every_file_and_every_error(zoo, server):
    del server.pages["/row1.pth"]
    code, out, _ = zoo("row0", "row1", "--json")
    assert code == 3
    assert json.loads(out) == [
        {"checkpoint": "row0", "file": "weights", "path": str(target(zoo, "row0")), "sha256": SHA256["row0"],
         "expected": None, "error": None},
        {"checkpoint": "row1", "file": "weights", "path": None, "sha256": None, "expected": None,
         "error": f"row1: no URL gave the file: {server.url}/row1.pth: the server answered 404 Not Found"},
    ]  # fmt: skip


def test_a_dry_run_says_what_would_be_done(zoo, server):
    server.file("/row1.pth", FILES["row1"], cuts=[5000] + [0] * 9)
    zoo("row0", "row1", "--tries", "1")
    asked = len(server.asked)
    assert zoo("row0", "row1", "row2", "--dry-run") == (
        0,
        (
            f"row0: already fetched, {target(zoo, 'row0')}\n"
            f"row1: resume a download, {target(zoo, 'row1')}\n"
            f"row2: download, {target(zoo, 'row2')}\n"
        ),
        "",
    )
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "expected a whole number from 1 on, found '0'"),
        (["--timeout", "nan"], "expected seconds above 0, such as 60, found 'nan'"),
        (["--timeout", "1e10"], "expected seconds above 0 and up to 86400, such as 60, found '1e10'"),
        (["--list", "--verify"], "not allowed with argument --list"),
        (
            ["--check-links", "--offline"],
            "--check-links asks the network, and --offline (or ZOO_OFFLINE) is set",
        ),
        (["--prune", "row0"], "--prune looks at the whole cache; leave out what selects rows"),
    ],
)
def test_mistakes_exit_2(zoo, arguments, message):
    code, out, err = zoo(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_an_interrupt_ends_at_once_and_the_next_run_goes_on(zoo, server):
    """Two files on their way, one of them silent: 130 within a second, then only the rest is fetched."""
    zoo("--dry-run")
    server.file("/row0.pth", FILES["row0"], trickle=(3000, 0.05))
    server.file("/row1.pth", FILES["row1"], stalls=[30])
    program = "import sys; from segbench.zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "fetch", "row[01]", "-j2", "-q", "--manifest", str(zoo.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while len(server.bodies()) < 2:
            time.sleep(0.02)
        time.sleep(0.2)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - started < 5
    assert err == "zoo: interrupted; what was done is kept, run the same command to go on\n"
    parts = {
        name: target(zoo, name).with_name(f"{name}.pth.part").stat().st_size for name in ("row0", "row1")
    }
    assert all(parts.values())
    server.file("/row0.pth", FILES["row0"])
    server.file("/row1.pth", FILES["row1"])
    server.asked.clear()
    assert zoo("row[01]")[0] == 0
    assert dict(zip(("row0", "row1"), server.bodies(), strict=True)) == {
        name: (size, len(FILES[name]) - size) for name, size in parts.items()
    }


# the cache --------------------------------------------------------------------------------------------------


def test_list_tells_what_is_there(zoo, server):
    server.file("/row1.pth", FILES["row1"], cuts=[5000] + [0] * 9)
    zoo("row0", "row1", "--tries", "1")
    code, out, _ = zoo("row0", "row1", "row2", "--list", "--json")
    weights = [one for one in json.loads(out) if one["kind"] == "weights"]
    assert code == 0
    assert weights == [
        {"checkpoint": "row0", "kind": "weights", "state": "already fetched", "path": str(target(zoo, "row0")),
         "size_bytes": 300_002, "expected": SHA256["row0"], "witness": f"the one recorded in {zoo.lock}", "sha256": None,
         "fault": None},
        {"checkpoint": "row1", "kind": "weights", "state": "resume a download", "path": str(target(zoo, "row1")),
         "size_bytes": 5000, "expected": "", "witness": "", "sha256": None, "fault": None},
        {"checkpoint": "row2", "kind": "weights", "state": "not fetched", "path": str(target(zoo, "row2")),
         "size_bytes": None, "expected": "", "witness": "", "sha256": None, "fault": None},
    ]  # fmt: skip
    assert "row0  weights  already fetched  0.3 MiB" in zoo("row0", "--list")[1].replace("    ", "  ")


def test_verify_reads_everything_again(zoo):
    zoo()
    assert zoo("--verify") == (
        0,
        "".join(f"{name} weights: sha256 {SHA256[name]}\n" for name in FILES) + "4 files sound, 0 damaged\n",
        "",
    )
    path = target(zoo, "row2")
    path.write_bytes(FILES["row2"][:-1])
    code, out, err = zoo("--verify")
    found = hashlib.sha256(FILES["row2"][:-1]).hexdigest()
    assert code == 4
    assert out.splitlines()[-1] == "3 files sound, 1 damaged"
    assert err.splitlines() == [
        (
            f"zoo: {path}: sha256 does not agree with the one recorded in {zoo.lock}: expected {SHA256['row2']}, found "
            f"{found}; the file is damaged, incomplete or another one: delete {path} and fetch it again; the same bytes lie in {zoo.home / 'blobs' / SHA256['row2']}"
        ),
    ]


def test_verify_tells_a_damaged_blob_to_people_and_programs(zoo):
    """A blob that no row of this manifest needs; a stranger's file beside it is nobody's damage."""
    zoo("row0", "row1")
    del zoo.rows["row1"]
    blob = zoo.home / "blobs" / SHA256["row1"]
    blob.write_bytes(b"damaged")
    (zoo.home / "blobs/notes.txt").write_text("a stranger's")
    code, out, err = zoo("--verify")
    assert (code, err) == (4, f"zoo: {blob}: its name is not its sha256 any more; delete it\n")
    assert out.splitlines()[-1] == "1 files sound, 1 damaged"
    assert json.loads(zoo("--verify", "--json")[1])[1] == {
        "checkpoint": "",
        "kind": "blob",
        "state": "damaged",
        "path": str(blob),
        "size_bytes": 7,
        "expected": SHA256["row1"],
        "witness": "",
        "sha256": hashlib.sha256(b"damaged").hexdigest(),
        "fault": f"{blob}: its name is not its sha256 any more; delete it",
    }


def test_one_damaged_file_of_four_rows_is_one_damage(zoo, server):
    for row in zoo.rows.values():
        row["weights"]["sha256"] = SHA256["row0"]
    zoo()
    target(zoo, "row0").write_bytes(b"damaged")
    code, out, err = zoo("--verify")
    assert (code, out, len(err.splitlines())) == (4, "0 files sound, 1 damaged\n", 1)
    others = [str(target(zoo, name)) for name in ("row1", "row2", "row3")]
    assert err.endswith(
        f"; the same bytes lie in {', '.join([*others, str(zoo.home / 'blobs' / SHA256['row0'])])}\n"
    )


def test_long_names_are_fetched_listed_and_pruned(zoo, server):
    name = "row-" + "x" * 120
    zoo.rows = {name: zoo.rows["row0"] | {"id": name}}
    long = f"{server.url}/{'y' * 230}.pth"
    zoo.rows[name]["weights"]["urls"] = [long]
    server.file(f"/{'y' * 230}.pth", FILES["row0"], cuts=[1000])
    assert zoo()[0] == 0
    [path] = (zoo.home / "weights" / name).iterdir()
    assert path.read_bytes() == FILES["row0"]
    assert path.name.startswith("file-")


@pytest.mark.slow
def test_prune_leaves_a_download_that_is_going_on_alone(zoo, server):
    server.file("/row0.pth", FILES["row0"], trickle=(10_000, 0.05))
    program = "import sys; from segbench.zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    zoo("--dry-run")
    command = [sys.executable, "-c", program, "fetch", "row0", "-q", "--manifest", str(zoo.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        while not server.bodies():
            time.sleep(0.02)
        assert zoo("--prune") == (0, "0 files deleted, 0.0 MiB freed\n", "")
        assert process.wait(timeout=20) == 0
    assert len(server.bodies()) == 1


def test_prune_leaves_what_began_to_be_fetched_after_it_looked(zoo):
    """Between the list of what nobody needs and the deletion another process may take up such a file."""
    from filelock import FileLock

    from segbench.zoo.fetch.cache import guard_path
    from segbench.zoo.fetch.holdings import prune

    zoo("row0", "row1")
    paths = [target(zoo, "row0"), target(zoo, "row1")]
    with FileLock(guard_path(paths[0], zoo.home)):
        assert prune(paths, zoo.home) == (paths[1:], 0)
    assert [path.exists() for path in paths] == [True, False]


@pytest.mark.slow
def test_prune_touches_nothing_that_somebody_else_may_have_put_there(zoo):
    """A ZOO_HOME that is somebody's working folder, with the same names in it."""
    zoo("row0")
    theirs = [
        "configs/my.yaml", "configs/a/deep/er.py", "configs/mine/model.py", "logs/run/train.log", "weights/my/model.pth",
        "weights/my/movie.part", "weights/my/a.wrong-12345678", "blobs/notes.txt",
    ]  # fmt: skip
    for name in theirs:
        (zoo.home / name).parent.mkdir(parents=True, exist_ok=True)
        (zoo.home / name).write_text(name)
    code, out, _ = zoo("--prune")
    assert (code, out.splitlines()[-1]) == (0, "0 files deleted, 0.0 MiB freed")
    assert out.splitlines()[:-1] == [
        f"left alone, not provably zoo's: {zoo.home / name}"
        for folder in ("weights", "logs", "configs", "blobs")
        for name in sorted(theirs, key=lambda name: zoo.home / name)
        if name.startswith(folder)
    ]
    assert all((zoo.home / name).read_text() == name for name in theirs)


@pytest.mark.slow
def test_prune_knows_the_manifests_that_used_the_cache(zoo, capsys):
    zoo("row0", "--with-logs")
    assert main(["fetch", "--prune"]) == 0
    assert capsys.readouterr().out == "0 files deleted, 0.0 MiB freed\n"
    zoo.path.rename(zoo.path.with_name("moved.yaml"))
    assert main(["fetch", "--prune"]) == 3
    err = capsys.readouterr().err
    assert f"zoo: {zoo.path}: this manifest's files lie in the cache, and it cannot be read" in err
    assert target(zoo, "row0").exists()


@pytest.mark.slow
def test_prune_deletes_what_no_row_needs(zoo, server):
    zoo("row0", "row1", "--with-logs")
    server.file("/row2.pth", b"just some text")
    server.file("/row3.pth", FILES["row3"], cuts=[5000] + [0] * 9)
    zoo("row2", "row3", "--tries", "1")
    (zoo.home / "evidence.sqlite").write_text("not the cache's")
    del zoo.rows["row1"]
    aside = next(target(zoo, "row2").parent.iterdir())
    waste = [
        target(zoo, "row1"), aside, *sorted(target(zoo, "row3").parent.iterdir()),
        target(zoo, "row1", "logs", "log"), target(zoo, "row1", "configs", "py"),
    ]  # fmt: skip
    code, out, _ = zoo("--prune", "--dry-run", "--json")
    assert code == 0
    assert set(waste) <= {zoo.home / path for path in json.loads(out)}
    assert all(path.exists() for path in waste)
    code, out, _ = zoo("--prune")
    freed = (300_002 + 14 + 5000) / 2**20
    assert (code, out.splitlines()[-1].endswith(f"{freed:.1f} MiB freed")) == (0, True)
    assert in_cache(zoo) == [
        "configs/row0/row0.py",
        "evidence.sqlite",
        "logs/row0/row0.log",
        "weights/row0/row0.pth",
    ]
    assert SHA256["row0"] in {path.name for path in (zoo.home / "blobs").iterdir()}
    assert SHA256["row1"] not in {path.name for path in (zoo.home / "blobs").iterdir()}


# the lock ---------------------------------------------------------------------------------------------------


def test_the_lock_refuses_other_bytes_and_update_lock_takes_them(zoo, server):
    zoo("row0")
    before = zoo.lock.read_text()
    target(zoo, "row0").unlink()
    (zoo.home / "blobs" / SHA256["row0"]).unlink()
    server.file("/row0.pth", FILES["row1"])
    code, _, err = zoo("row0")
    assert code == 4
    assert f"expected {SHA256['row0']}, found {SHA256['row1']}" in err
    assert zoo.lock.read_text() == before
    assert zoo("row0", "--update-lock")[0] == 0
    assert json.loads(zoo.lock.read_text())["files"]["row0"]["sha256"] == SHA256["row1"]
    assert zoo("row0", "--offline")[0] == 0


def test_update_lock_takes_what_the_publisher_has_and_not_what_the_cache_has(zoo, server):
    zoo("row0")
    path = target(zoo, "row0")
    asked = len(server.asked)
    assert zoo("row0", "--update-lock") == (
        0,
        (
            f"row0: {path} (its publisher gives no hash to verify; sha256 {SHA256['row0']}, as recorded in {zoo.lock})\n"
        ),
        f"zoo: row0: its publisher is not asked, the file is there; to ask, delete {path} first\n",
    )
    assert len(server.asked) == asked
    path.write_bytes(FILES["row1"])
    before = zoo.lock.read_text()
    code, _, err = zoo("row0", "--update-lock")
    assert (code, zoo.lock.read_text()) == (4, before)
    assert err.splitlines()[-1] == (
        f"zoo: {path}: sha256 does not agree with the one recorded in {zoo.lock}: expected {SHA256['row0']}, found "
        f"{SHA256['row1']}; the file is damaged, incomplete or another one: delete {path} and fetch it again"
    )
    path.unlink()
    server.file("/row0.pth", FILES["row2"])
    assert zoo("row0", "--update-lock") == (
        0,
        (
            f"row0: {path} (its publisher gives no hash to verify; sha256 {SHA256['row2']}, now recorded in {zoo.lock} in "
            f"place of {SHA256['row0']})\n"
        ),
        "",
    )


def test_update_lock_has_nothing_to_do_where_a_hash_is_published(zoo):
    zoo.rows["row0"]["weights"]["sha256"] = SHA256["row0"]
    code, _, err = zoo("row0", "--update-lock")
    assert (code, err) == (0, "zoo: row0: nothing to update in a lock, its publisher gives a hash\n")


def test_a_broken_lock_is_told_and_nothing_is_fetched(zoo, server):
    zoo.lock.write_text('{"version": 1, "files": {"row0": 5}}')
    code, _, err = zoo("row0")
    assert code == 3
    assert err == (
        f"zoo: {zoo.lock}: cannot read the lock: Expected `object`, got `int` - at `$.files[...]`; mend it, or take it "
        "back from version control\n"
    )
    assert server.asked == []


def test_a_lock_without_a_hash_requires_nothing_and_is_refused(zoo, server):
    zoo("row0")
    zoo.lock.write_text(zoo.lock.read_text().replace(SHA256["row0"], ""))
    code, _, err = zoo("row0")
    assert code == 3
    assert f"zoo: {zoo.lock}: cannot read the lock: " in err


def test_a_lock_that_came_with_a_manifest_that_cannot_be_written_is_still_required(zoo, server, monkeypatch):
    """Additions go to ZOO_HOME, here because the manifest lies in an installed package."""
    zoo("row0")
    installed = zoo.path.parent.parent / "site-packages"
    zoo.path.parent.rename(installed)
    published = (installed / "zoo.lock").read_bytes()
    command = ["fetch", "row0", "row1", "-q", "--manifest", str(installed / "zoo.yaml")]
    assert main(command) == 0
    assert (installed / "zoo.lock").read_bytes() == published
    assert list(json.loads((zoo.home / "zoo.lock").read_text())["files"]) == ["row1"]
    target(zoo, "row0").write_bytes(FILES["row1"])
    assert main(command) == 4


@pytest.mark.slow
def test_without_a_terminal_there_are_no_bars(zoo, server):
    """In a log of a CI run each redrawn bar would be a line."""
    zoo("--dry-run")
    for name, data in FILES.items():
        server.file(f"/{name}.pth", data, trickle=(50_000, 0.1))
    command = [
        sys.executable,
        "-c",
        "import sys; from segbench.zoo.cli import main; sys.exit(main(sys.argv[1:]))",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*command, "fetch", "-j2", "--manifest", str(zoo.path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 4)
