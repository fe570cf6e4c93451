"""Fixtures every folder of tests may use."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from pathlib import Path

# Before torch is there: two processes of tests share two cores, their children too, and sums have one order.
os.environ["OMP_NUM_THREADS"] = "1"
# Where a test wants two threads, the one that has nothing to do sleeps: on busy cores it would spin for most of the time.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import filelock
import golden_files
import pytest
import torch
import weights_rule

from segbench.models import build_model
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import PACKAGED, compiled, load_manifest
from segbench.zoo.manifest.records import ManifestFile, Publishers


def pytest_configure() -> None:
    """What processes inherit is put right, and no garbage is searched for until `pytest_collection_finish`.

    A shell starts what it puts in the background deaf to interrupts, and so all its children. Where nothing compiled may
    be kept, each of hundreds of processes would compile the same modules anew.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)  # where torch was there first
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.disable()  # of what collecting thousands of tests makes none goes, and every search would go through all


def pytest_collection_modifyitems(items) -> None:
    """Files with slow tests come first: whoever is done early takes over files, and the last ones are short.

    Before them comes the first of those that ask for the kept demo, so that no other process gets to wait for it.
    What asks for a whole measurement is slow, for one test has to wait for it.
    """
    for item in items:
        if not {"kept_demo", "counted_isanet"}.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    demo = next((item.path for item in items if "kept_demo" in item.fixturenames), None)
    items.sort(key=lambda item: (item.path != demo, item.path not in slow))


def pytest_collection_finish() -> None:
    """Garbage is searched for again, but not among what stays to the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def packaged_zoo(tmp_path_factory):
    """The packaged zoo's YAML is read once: every manifest knows its publishers, and no test has a cache of before.

    Gives a function that puts the copies into ZOO_HOME, as it now is, for processes that a test starts.
    """
    copy, place_of = tmp_path_factory.mktemp("packaged"), compiled._place

    def put_into_home():
        kinds = ManifestFile, Publishers
        if not all((copy / kind.__name__).exists() for kind in kinds):
            load_manifest()
        for kind in kinds:
            place = place_of(PACKAGED, kind)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(copy / kind.__name__, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            compiled,
            "_place",
            lambda path, kind: copy / kind.__name__ if path == PACKAGED else place_of(path, kind),
        )
        yield put_into_home


@pytest.fixture(scope="session")
def golden():
    """A function from a name below `tests/golden/` to what the file holds: arrays by name, JSON, or a text."""
    return golden_files.load


@pytest.fixture(scope="session")
def rule_model():
    """A function from a builder and its numbers to that model with the weights of the rule.

    The last few stay built: tests ask for one network many times, and mostly one after another.
    """

    @functools.lru_cache(maxsize=3)
    def build(builder, **numbers):
        with torch.inference_mode(False):  # whoever asks first, others fill it again
            with torch.device("meta"):
                model = build_model(builder, **numbers)
            return weights_rule.fill(model).requires_grad_(False)

    return build


@pytest.fixture(scope="session")
def kept_demo(tmp_path_factory):
    """What `zoo demo --json --keep` leaves, its output in `verdicts.json`; run once for all processes of the tests."""
    folder = shared(tmp_path_factory) / "demo"
    arguments = ["demo", "--json", "-q", "--keep", str(folder), "--out", str(folder / "verdicts.json")]
    run_once(folder, arguments)
    return folder


@pytest.fixture(scope="session")
def diagnosed_demo(tmp_path_factory, kept_demo):
    """The evidence file with what `zoo diagnose` counts of the demo's plain ISANet: every mistake it knows, on each image."""
    evidence = shared(tmp_path_factory) / "diagnosed.sqlite"
    places = ["--data-root", str(STREETS), "--evidence", str(evidence), "--ledger", f"{evidence}.jsonl"]
    row = "isanet_r50-d8_w16_256x512_0.8k_streets"
    command = ["diagnose", row, "--value", "74.19", "--manifest", str(STREETS / "zoo.yaml"), "-q", *places]
    run_once(evidence, command, ZOO_HOME=str(kept_demo))
    return evidence


def shared(tmp_path_factory):
    """A folder that all processes of the tests have."""
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    (common / "shared").mkdir(exist_ok=True)
    return common / "shared"


def run_once(made, arguments, **environment):
    """Run a command that makes a file or folder, in whichever process of the tests is the first to ask for it."""
    told = made.parent / f"{made.name} exit code"
    with filelock.FileLock(f"{made}.lock"):
        if not told.exists():
            with pytest.MonkeyPatch.context() as patch:
                for name in ("ZOO_DATA_ROOT", "ZOO_OFFLINE", "ZOO_HOME", "ZOO_LOCK"):
                    patch.delenv(name, raising=False)
                for name, value in ({"NO_PROXY": "127.0.0.1"} | environment).items():
                    patch.setenv(name, value)
                told.write_text(f"{main(arguments):d}", encoding="utf-8")
    assert told.read_text(encoding="utf-8") == "0"


@pytest.fixture
def importable(monkeypatch):
    """A function that lets Python import from a folder; with the test, what came from there is forgotten.

    Else the next test of the same process finds a module of that name where it expects none, or its own.
    """
    before, folders = set(sys.modules), []

    def importable_from(folder):
        monkeypatch.syspath_prepend(str(folder))
        folders.append(Path(folder).resolve())

    yield importable_from
    for name in set(sys.modules) - before:
        source = getattr(sys.modules[name], "__file__", None)
        if source and any(Path(source).resolve().is_relative_to(folder) for folder in folders):
            del sys.modules[name]


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The reference folder beside the repository, for photographs that their licences keep out of it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("photographs that may not be shipped: the folder ../shared that holds them is not here")
    return folder


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named after their argument: a packed file holds the time, and each process would name it otherwise."""
    return argname if isinstance(val, bytes) else None
