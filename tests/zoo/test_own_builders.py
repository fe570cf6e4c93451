"""A network that is not ours is measured like any other, and its code is part of what was measured."""

import json
import subprocess
import sys

import pytest
import torch
from own_builders import MANIFEST, TINY, own_zoo, tiny_weights, verify_arguments

from segbench.models.builders import use
from segbench.zoo.cli import main


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, tmp_path):
    for name in ("ZOO_BUILDERS", "ZOO_DATA_ROOT", "ZOO_OFFLINE", "ZOO_LOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    yield
    use([])


def verify(root, capsys, *more):
    """Exit code, the one row's verdict, and stderr."""
    code = main(verify_arguments(root, "--json", *more))
    out, err = capsys.readouterr()
    return code, json.loads(out)[0] if out else None, err


def in_the_cache(root, *rows):
    """Lay weights where fetching would have."""
    for row in rows:
        folder = root / "home" / "weights" / row
        folder.mkdir(parents=True)
        torch.save(tiny_weights(), folder / f"{row}.pth")


def two_rows(root, source):
    """`own` of this source and the sound `other`, with weights in the cache; what follows `zoo` to measure both."""
    second = MANIFEST[MANIFEST.index("  - id: own") :].replace("id: own", "id: other")
    second = second.replace("builder: tiny", "builder: sound").replace("own.pth", "other.pth")
    own_zoo(root, source=source, manifest=MANIFEST + second)
    (root / "sound.py").write_text(TINY.replace("tiny", "sound"), encoding="utf-8")
    in_the_cache(root, "own", "other")
    arguments = [one for one in verify_arguments(root) if one not in ("--file", str(root / "own.pth"))]
    named = ["--builders", str(root / "tiny.py"), "--builders", str(root / "sound.py")]
    return [*arguments, *named, "--json"]


def test_a_file_of_builders_is_measured_and_written_down(tmp_path, capsys):
    own_zoo(tmp_path)
    code, verdict, err = verify(tmp_path, capsys, "--builders", tmp_path / "tiny.py")
    assert (code, verdict["status"], verdict["measured"], err) == (0, "reproduced", 100.0, "")
    record = json.loads((tmp_path / "ledger.jsonl").read_text(encoding="utf-8"))
    told = record["environment"]["builder"]
    assert (told["builder"], told["origin"], len(told["sha256"])) == ("tiny", "tiny.py", 64)


def test_the_environment_names_it_as_well(tmp_path, capsys, monkeypatch):
    own_zoo(tmp_path)
    monkeypatch.setenv("ZOO_BUILDERS", str(tmp_path / "tiny.py"))
    assert verify(tmp_path, capsys)[0] == 0


def test_a_manifest_alone_makes_no_code_run(tmp_path, capsys, monkeypatch):
    """Not even where the file lies beside it and one stands there."""
    own_zoo(tmp_path, source=f"open({str(tmp_path / 'ran')!r}, 'w')\n{TINY}")
    monkeypatch.chdir(tmp_path)
    code, verdict, _ = verify(tmp_path, capsys)
    assert (code, verdict["status"], (tmp_path / "ran").exists()) == (3, "not measured", False)
    assert "found tiny" in verdict["reason"]
    assert "--builders FILE_OR_MODULE" in verdict["reason"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def tiny(**numbers):\n    raise RuntimeError('no luck')\n", "raised RuntimeError: no luck (tiny.py:2)"),
        ("from torch import nn\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        return images.nothing\n\ndef tiny(*, num_classes):\n    return Net(3, num_classes, 1)\n", "AttributeError: 'Tensor' object has no attribute 'nothing' (tiny.py:5)"),
        ("from torch import nn\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        return {'out': super().forward(images)}\n\ndef tiny(*, num_classes):\n    return Net(3, num_classes, 1)\n", "expected scores (N, C, h, w); the network gave a dict with out"),
        ("from torch import nn\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        return super().forward(images).argmax(1)\n\ndef tiny(*, num_classes):\n    return Net(3, num_classes, 1)\n", "expected scores (N, C, h, w); the network gave (1, 8, 8) int64"),
        ("from torch import nn\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        raise SystemExit(0)\n\ndef tiny(*, num_classes):\n    return Net(3, num_classes, 1)\n", "raised SystemExit: 0 (tiny.py:5)"),
        ("from torch import nn\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        return super().forward(images)[..., :0]\n\ndef tiny(*, num_classes):\n    return Net(3, num_classes, 1)\n", "expected scores of at least one pixel; the network gave (1, 3, 8, 0) float32"),
    ],
    ids=["builder", "network", "dict", "labels", "leaves", "empty"],
)  # fmt: skip
def test_what_fails_spoils_its_row_alone(tmp_path, capsys, source, reason):
    """The other row of the same run is measured."""
    code = main(two_rows(tmp_path, source))
    rows = json.loads(capsys.readouterr().out)
    assert (code, [one["status"] for one in rows]) == (3, ["not measured", "reproduced"])
    assert reason in rows[0]["reason"]


def test_another_number_of_classes_is_told(tmp_path, capsys):
    own_zoo(tmp_path, source=TINY.replace("nn.Conv2d(3, num_classes", "nn.Conv2d(3, 2"))
    torch.save({"weight": torch.zeros(2, 3, 1, 1), "bias": torch.zeros(2)}, tmp_path / "own.pth")
    code, verdict, _ = verify(tmp_path, capsys, "--builders", tmp_path / "tiny.py")
    assert code == 3
    assert "the network scores 2 classes, the data set has 3" in verdict["reason"]


def test_weights_that_do_not_fit_are_told(tmp_path, capsys):
    own_zoo(tmp_path)
    torch.save({"weight": torch.zeros(3, 3, 1, 1)}, tmp_path / "own.pth")
    code, verdict, _ = verify(tmp_path, capsys, "--builders", tmp_path / "tiny.py")
    assert code == 4
    assert "missing in the file: 1 of 2 keys: bias (3,)" in verdict["reason"]


@pytest.mark.slow
def test_changed_code_takes_no_evidence_of_other_code(tmp_path, capsys):
    """The same weights in a network that turns its scores round: another number, and the first one again after that.

    The ledger's last word, which a report repeats, is what was measured last.
    """
    own_zoo(tmp_path)
    named = ("--builders", tmp_path / "tiny.py")
    turned = TINY.replace("nn.Conv2d(3, num_classes, 1, bias=bias)", "Turned(3, num_classes, 1, bias=bias)")
    turned += "\n\nclass Turned(nn.Conv2d):\n    def forward(self, images):\n        return -super().forward(images)\n"
    values = []
    for text in (TINY, turned, TINY):
        (tmp_path / "tiny.py").write_text(text, encoding="utf-8")
        values.append(verify(tmp_path, capsys, *named)[1]["measured"])
    assert values == [100.0, 0.0, 100.0]
    ledger = (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["new_images"] for line in ledger] == [8, 8, 0]
    verify(tmp_path, capsys, *named)
    assert len((tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    report = ["report", "--manifest", tmp_path / "zoo.yaml", "--ledger", tmp_path / "ledger.jsonl"]
    assert main([*map(str, report), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["measured"] == 100.0
    assert main([*map(str, report), "--format", "md"]) == 0
    assert "builder tiny of tiny.py (sha256 " in capsys.readouterr().out


TALKING = "\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        print('forward')\n        return super().forward(images)\n"


@pytest.mark.parametrize("command", ["verify", "check-weights"])
def test_what_a_builder_prints_is_no_part_of_the_answer(tmp_path, capsys, command):
    """When its file is run, when it builds, and when its network runs."""
    text = TINY.replace("return nn.Conv2d(", "print('build')\n    return Net(") + TALKING
    own_zoo(tmp_path, source=f"{text}\n\nprint('module')\n")
    named = ["--builders", str(tmp_path / "tiny.py"), "--json"]
    arguments = verify_arguments(tmp_path, *named)
    if command == "check-weights":
        given = ["--manifest", str(tmp_path / "zoo.yaml"), "own", "--file", str(tmp_path / "own.pth")]
        arguments = [command, *given, *named]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 1
    assert {"module", "build", "forward"} <= set(err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "what", "reason"),
    [
        (("return nn", "raise RuntimeError('no luck')\n    return nn"), "network cannot be built", "raised RuntimeError: no luck (tiny.py:8)"),
        (("return super().forward(images)", "return images.nothing"), "network fails", "AttributeError: 'Tensor' object has no attribute 'nothing' (tiny.py:14)"),
    ],
    ids=["builder", "network"],
)  # fmt: skip
def test_code_that_fails_is_no_fault_of_the_file(tmp_path, capsys, change, what, reason):
    """Nothing is known of the weights then: neither sound nor to be thrown away."""
    text = TINY.replace("return nn.Conv2d(", "return Net(") + TALKING if what == "network fails" else TINY
    own_zoo(tmp_path, source=text.replace(*change))
    given = ["--manifest", str(tmp_path / "zoo.yaml"), "own", "--file", str(tmp_path / "own.pth")]
    named = ["--builders", str(tmp_path / "tiny.py")]
    assert main(["check-weights", *given, *named, "--json"]) == 3
    (report,) = json.loads(capsys.readouterr().out)
    found = [one for one in report["findings"] if one["gravity"] == "unexamined"]
    assert (report["ok"], [one["what"] for one in found]) == (False, [what])
    assert reason in found[0]["meaning"]
    assert main(["check-weights", *given, *named]) == 3
    out = capsys.readouterr().out
    assert "own: not examined" in out
    assert out.endswith("0 sound, 0 not to be used, 0 not there, 1 not examined\n")


@pytest.mark.parametrize(
    "command", ["predict", "check-weights", "convert", "diagnose", "memory", "speed", "report"]
)
def test_every_command_that_builds_takes_it(command, capsys):
    assert main([command, "--help"]) == 0
    assert "--builders FILE_OR_MODULE" in capsys.readouterr().out


@pytest.mark.slow
def test_weights_are_examined_and_pictures_predicted(tmp_path, capsys):
    own_zoo(tmp_path)
    given = ["--manifest", str(tmp_path / "zoo.yaml"), "--builders", str(tmp_path / "tiny.py")]
    assert main(["check-weights", *given, "own", "--file", str(tmp_path / "own.pth")]) == 0
    assert "parameters  12" in capsys.readouterr().out
    in_the_cache(tmp_path, "own")
    picture = str(tmp_path / "data" / "pictures" / "images" / "0.png")
    assert main(["predict", *given, "own", picture, "--out", str(tmp_path / "out"), "-q"]) == 0
    assert (tmp_path / "out" / "own" / "labels" / "0.png").is_file()


def test_shards_share_the_work(tmp_path, capsys):
    own_zoo(tmp_path)
    named = ("--builders", tmp_path / "tiny.py", "--shard")
    first, _, _ = verify(tmp_path, capsys, *named, "1/2")
    second, verdict, _ = verify(tmp_path, capsys, *named, "2/2")
    assert (first, second, verdict["status"], verdict["images"]) == (0, 0, "reproduced", 8)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
def test_workers_of_a_cluster_get_the_file(tmp_path, capsys):
    """Even where it lies on the driver alone; and a network that fails there spoils its row, not the cluster."""
    pytest.importorskip("ray", reason="ray is not installed (segbench[ray])")
    failing = "\n\nclass Net(nn.Conv2d):\n    def forward(self, images):\n        return images.nothing\n"
    text = TINY.replace("nn.Conv2d(3, num_classes", "Net(3, num_classes") + failing
    assert main([*two_rows(tmp_path, text), "--engine", "ray"]) == 3
    failed, sound = json.loads(capsys.readouterr().out)
    assert "AttributeError: 'Tensor' object has no attribute 'nothing' (tiny.py:13)" in failed["reason"]
    assert (sound["status"], sound["images"]) == ("reproduced", 8)


PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "third-party-nets"
version = "3.1"
[project.entry-points."segbench.builders"]
tiny = "third_party_nets:tiny"
[tool.setuptools]
py-modules = ["third_party_nets"]
"""


@pytest.mark.slow
def test_a_package_that_pip_installed_brings_its_builder_and_its_absence_is_told(
    tmp_path, capsys, importable
):
    own_zoo(tmp_path)
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (package / "third_party_nets.py").write_text(TINY, encoding="utf-8")
    code, verdict, _ = verify(tmp_path, capsys)
    assert (code, verdict["status"]) == (3, "not measured")
    assert "an installed one by its package's entry point in segbench.builders" in verdict["reason"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", site, package], check=True
    )
    importable(site)
    code, verdict, _ = verify(tmp_path, capsys)
    assert (code, verdict["status"], verdict["measured"]) == (0, "reproduced", 100.0)
    record = json.loads((tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    told = record["environment"]["builder"]
    assert (told["builder"], told["package"], told["version"]) == ("tiny", "third-party-nets", "3.1")
