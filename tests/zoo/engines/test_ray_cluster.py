"""Rows measured on a Ray cluster have the counts of a single process, whatever happens to its nodes."""

import socket
import sys
import time

import msgspec
import pytest
from small_streets import small_options, small_streets

from segbench.evaluate.evidence import EvidenceStore
from segbench.zoo.cli import main
from segbench.zoo.verify import Silent, verify

pytestmark = pytest.mark.slow


def stored(path):
    with EvidenceStore(path, read_only=True) as store:
        return {key.digest(): [one[:2] for one in store.encoded(key)] for key in store.series()}


class KillsANode(Silent):
    """Takes a node away, ungracefully, once half of a row's images came back."""

    def __init__(self, kill):
        self.kill = kill

    def images(self, found, checkpoint, claim, *, total, stored, running):
        for done, result in enumerate(found, start=1):
            yield result
            if done == total // 2 and self.kill:
                self.kill, kill = None, self.kill
                kill()


@pytest.mark.golden
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
def test_a_lost_node_changes_no_count(tmp_path):
    """Two local nodes, one killed half way: the same counts as in one process, each image once."""
    pytest.importorskip("ray", reason="ray is not installed (segbench[ray])")
    from ray.cluster_utils import Cluster

    root, home = tmp_path / "streets", tmp_path / "home"
    rows = small_streets(root, home)
    alone = small_options(root, home)
    expected = [outcome.measurement.value for outcome in verify(rows, alone)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        options = msgspec.structs.replace(
            alone,
            engine="ray",
            address=cluster.address,
            evidence=tmp_path / "ray.sqlite",
            ledger=tmp_path / "l",
        )
        watcher = KillsANode(lambda: cluster.remove_node(second, allow_graceful=False))
        outcomes = list(verify(rows, options, watcher))
        assert watcher.kill is None
    finally:
        cluster.shutdown()
    assert [outcome.measurement.value for outcome in outcomes] == expected
    assert [outcome.measurement.new_images for outcome in outcomes] == [12, 12]
    assert stored(options.evidence) == stored(alone.evidence)


def test_without_ray_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "segbench.zoo.engines.ray_cluster", raising=False)
    assert main(["verify", "isanet_r50-d8_512x1024_40k_cityscapes", "--engine", "ray"]) == 3
    assert capsys.readouterr().err == (
        "zoo: --engine ray needs Ray, which is not installed here; install segbench[ray] (pip install "
        "'segbench[ray]') on every node, or leave --engine out to measure in this process\n"
    )


def test_an_address_needs_the_engine(capsys):
    assert main(["verify", "isanet_r50-d8_512x1024_40k_cityscapes", "--address", "auto"]) == 2
    assert capsys.readouterr().err == "zoo: --address is a Ray cluster's; add --engine ray\n"


@pytest.mark.parametrize("address", ["127.0.0.1:{free}", "127.0.0.1:99999"])
def test_nobody_at_the_address_is_told_at_once(tmp_path, capsys, address):
    """Not after the minutes for which Ray itself tries."""
    pytest.importorskip("ray", reason="ray is not installed (segbench[ray])")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = address.format(free=taken.getsockname()[1])
        started = time.monotonic()
        arguments = [
            "verify",
            "--engine",
            "ray",
            "--address",
            address,
            "--evidence",
            str(tmp_path / "e.sqlite"),
        ]
        assert main([*arguments, "--data-root", str(tmp_path)]) == 3
    assert time.monotonic() - started < 20
    assert f"--address {address}: nobody listens there" in capsys.readouterr().err
