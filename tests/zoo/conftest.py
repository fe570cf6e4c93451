"""A real HTTP server on 127.0.0.1 that fails when told to, and checkpoints that point at it."""

import msgspec
import pytest
from faulty_server import faulty_server

from segbench.zoo.demo import STREETS, demo_checkpoints, serve
from segbench.zoo.manifest import load_manifest
from segbench.zoo.verify import Options, verify


@pytest.fixture
def server():
    """A running FaultyServer with its address as `.url`."""
    with faulty_server() as running:
        yield running


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch, packaged_zoo):
    """No test sees the user's caches, data or settings."""
    for name in ("ZOO_DATA_ROOT", "ZOO_OFFLINE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo-home"))
    monkeypatch.setenv("ZOO_LOCK", str(tmp_path / "zoo.lock"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    packaged_zoo()


@pytest.fixture
def checkpoint():
    """A function from URLs and hash fields to a published row with these instead of its own."""
    row = load_manifest()["isanet_r50-d8_512x1024_40k_cityscapes"]

    def build(*urls, **hashes):
        plain = {"sha256": None, "sha256_prefix": None} | hashes
        weights = msgspec.structs.replace(row.weights, urls=urls, **plain)
        return msgspec.structs.replace(row, weights=weights)

    return build


@pytest.fixture(scope="session")
def counted_isanet(tmp_path_factory):
    """An evidence file with the demo's ISANet counted by its plain protocol, for tests of what is made of counts."""
    home = tmp_path_factory.mktemp("counted")
    options = Options(
        data_root=STREETS,
        home=home,
        offline=False,
        evidence=home / "evidence.sqlite",
        ledger=home / "measurements.jsonl",
        metrics=("miou",),
    )
    with serve(STREETS) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_LOCK", str(home / "zoo.lock"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        (outcome,) = verify(demo_checkpoints(server)[:1], options)
    assert outcome.exit_code == 0
    return options.evidence
