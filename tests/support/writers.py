"""Everything that writes a user's file: the work, and what there is before and after it, for tests that disturb it.

Each function takes a folder of its own and gives `(work, look)`: `work()` writes, `look()` is what the files say, by
part, where each part is to be as it was or as it becomes and nothing else.
"""

import contextlib
import io
from types import SimpleNamespace
from unittest import mock

import msgspec
import numpy as np
import torch
from PIL import Image

from segbench.evaluate.evidence import EvidenceKey, EvidenceStore, Split, Use
from segbench.evaluate.evidence.exchange import export, merge_files
from segbench.reports import ledger
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.engines import own_pictures
from segbench.zoo.fetch.lock import Lock, entry_of
from segbench.zoo.manifest import load_manifest
from segbench.zoo.results.baseline import State, StoredClaim, write_state

KEY = EvidenceKey(
    weights_sha256="w", protocol_digest="p", dataset_rules="d", precision="fp32", device_kind="cpu", num_classes=40
)  # fmt: skip
IMAGES = tuple((f"{number:02}", "contents") for number in range(30))
USE = Use(
    checkpoint="row",
    metric="miou",
    protocol="plain",
    split=Split(
        fingerprint="f", dataset="streets", classes=tuple(f"class {n}" for n in range(40)), images=IMAGES
    ),
)
MATRIX = np.random.default_rng(0).integers(0, 9, (41, 40))


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A small record in place of a measurement."""

    name: str


def _evidence(path, images):
    with EvidenceStore(path) as store, store.writing():
        pass
    with EvidenceStore(path) as store:
        store.describe(KEY, USE)
        for image in images:
            store.add(KEY, image, MATRIX)
        store.settle()
    return path


def _rows(path):
    if not path.exists():
        return None
    with EvidenceStore(path, read_only=True) as store:
        store.check()
        return [(key, list(store.encoded(key)), store.uses(key)) for key in store.series()]


def measuring(folder):
    """Counts of one image after another, as `zoo verify` stores them."""
    path = _evidence(folder / "evidence.sqlite", IMAGES[:3])

    def work():
        with EvidenceStore(path) as store:
            for image in IMAGES[3:8]:
                store.add(KEY, image, MATRIX)

    def look():
        (((_, images, uses),),) = (_rows(path),)
        return {image: (counts, closeness) for image, counts, closeness in images} | {"uses": uses}

    return work, look


def merging(folder):
    """`zoo evidence merge`: all of a file, or nothing."""
    source = _evidence(folder / "source.sqlite", IMAGES)
    target = _evidence(folder / "target.sqlite", IMAGES[:3])

    def work():
        with EvidenceStore(target) as store:
            merge_files(store, [source])

    return work, lambda: {"target": _rows(target), "source": _rows(source)}


def exporting(folder):
    """`zoo evidence export --force` over an earlier export."""
    source = _evidence(folder / "source.sqlite", IMAGES)
    target = _evidence(folder / "target.sqlite", IMAGES[:3])

    def work():
        with EvidenceStore(source, read_only=True) as store:
            export(store, target, store.series())

    return work, lambda: {"target": _rows(target), "source": _rows(source)}


def reporting(folder):
    """`zoo report --out` over an earlier table."""
    path = folder / "table.csv"
    path.write_text("the earlier table\n")
    asked = ["report", "--manifest", str(STREETS / "zoo.yaml")]

    def work():
        with contextlib.redirect_stderr(io.StringIO()) as told:
            code = main([*asked, "--ledger", str(folder / "ledger.jsonl"), "--out", str(path)])
        return told.getvalue() if code else ""

    (folder / "ledger.jsonl").touch()
    return work, lambda: {"table": path.read_bytes(), "ledger": (folder / "ledger.jsonl").read_bytes()}


def appending(folder):
    """A measurement into the ledger; one that is there twice is one."""
    path = folder / "ledger.jsonl"
    for name in ("first", "second"):
        ledger.append(path, Point(name=name))

    def work():
        ledger.append(path, Point(name="third" * 50))

    return work, lambda: {record.name[:5]: record for record in ledger.read(path, Point)}


def recording(folder):
    """A file's hash into `zoo.lock`."""
    weights = folder / "weights.pth"
    weights.write_bytes(b"1")
    lock = Lock(folder / "zoo.lock")
    lock.record("first", entry_of(weights, "1" * 64, ""))

    def work():
        lock.record("second", entry_of(weights, "2" * 64, ""))

    return work, lambda: {name: lock.get(name) for name in ("first", "second")}


def saving(folder):
    """`zoo verify --save-baseline` over an earlier state."""
    path = folder / "baseline.json"
    write_state(path, State(claims=(StoredClaim(checkpoint="a", metric="miou", measured=1.5),)))

    def work():
        claims = tuple(StoredClaim(checkpoint=f"{n}", metric="miou", measured=n / 7) for n in range(50))
        write_state(path, State(claims=claims))

    return work, lambda: {"state": path.read_bytes()}


def predicting(folder):
    """`zoo predict` over what an earlier run wrote; the network is a stand-in."""
    picture = folder / "x.png"
    Image.new("RGB", (64, 32)).save(picture)
    for name in ("labels/x.png", "overlays/x.jpg"):
        (folder / "out" / name).parent.mkdir(parents=True)
        (folder / "out" / name).write_bytes(b"the earlier picture")
    streets = load_manifest(STREETS / "zoo.yaml")
    spec, protocol = streets.datasets["streets"], streets.protocols["mmseg-streets-whole"]
    labels = torch.arange(2048).reshape(32, 64) % len(spec.classes)
    decided = SimpleNamespace(labels=labels.to(torch.uint8), margins=torch.ones(32, 64))

    def work():
        with mock.patch.object(own_pictures, "predict_labels", return_value=decided):
            list(
                own_pictures.predict_pictures(
                    None, [own_pictures.Picture(picture, "x")], spec, protocol, folder / "out"
                )
            )

    def look():
        return {path.name: path.read_bytes() for path in sorted((folder / "out").rglob("x.*"))}

    return work, look
