"""Whatever the bytes are, a reader gives a record or one of its documented errors, in bounded time and memory."""

import io
import json
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from bounds import bounded, examples
from hypothesis import given, settings
from mutation import mutated
from PIL import Image

from segbench.evaluate.data.check.headers import read_pair
from segbench.evaluate.data.datasets import DatasetError, LabelFiles, Sample, listed_ids
from segbench.evaluate.data.folder import folder_spec
from segbench.evaluate.evidence import EvidenceStore
from segbench.evaluate.evidence.exchange import merge
from segbench.evaluate.evidence.file import EvidenceError
from segbench.evaluate.pixels import read_image, read_label
from segbench.models import WeightsError, read_checkpoint
from segbench.reports import ledger
from segbench.zoo import load_manifest
from segbench.zoo.demo import STREETS
from segbench.zoo.fetch.contents import checkpoint_fault, is_cut_short, web_page
from segbench.zoo.fetch.lock import Lock, LockError
from segbench.zoo.manifest import ManifestError
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.publishers import SourceError, read_sources
from segbench.zoo.publishers.import_file import Request, import_file
from segbench.zoo.publishers.import_rows import EditError
from segbench.zoo.publishers.training_logs import LogError, read_log
from segbench.zoo.results.baseline import BaselineError, read_state

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "tests" / "golden" / "sources"
TREE = {"a": torch.arange(6.0).reshape(2, 3), "b.num_batches_tracked": torch.tensor(3)}
PNG, MAT = (
    LabelFiles(folder="labels", suffix=".png"),
    LabelFiles(folder="labels", suffix=".mat", format="mat"),
)


class Reader(NamedTuple):
    """One reader of bytes that come from elsewhere."""

    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    """Good files of its kind, small ones."""
    errors: tuple[type[Exception], ...] = ()
    """What it is documented to raise."""
    examples: int = 150
    name: str = "file"


# --- good files -------------------------------------------------------------------------------------------


def _text(*paths):
    return lambda: [path.read_bytes() for path in paths]


def _manifests():
    head, _, rows = (STREETS / "zoo.yaml").read_bytes().partition(b"checkpoints:")
    return [(STREETS / "zoo.yaml").read_bytes(), head, b"version: 1\ncheckpoints:" + rows]


def _ledgers():
    lines = (ROOT / "results" / "measurements.jsonl").read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:3]), lines[0]]


def _logs():
    settings_of = {
        "env_info": "GPU 0: Tesla V100\n",
        "seed": None,
        "config": "samples_per_gpu=2\nmax_iters=40000\n",
    }
    train = {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.01, "memory": 5869, "loss": 1.4, "time": 0.5}
    val = {"mode": "val", "epoch": 14, "iter": 125, "lr": 1e-4, "aAcc": 0.96, "mIoU": 0.78, "IoU.road": 0.98}
    lines = [
        "2021-10-01 10:00:00 INFO     Start Train, Epoch: 1, Iter: 1",
        "2021-10-01 10:00:01 INFO     [EPOCH]: 1/220, [BATCH]: 50/371, [LEARNING RATE]: 0.0099, lr=0.01, [LOSS]: 1.2",
        "2021-10-01 11:00:00 INFO     Evaluate SCORES: {'iou': array([0.98, 0.8]), 'miou': 0.7934, 'accuracy': 0.9}",
    ]
    records = "".join(json.dumps(one) + "\n" for one in (settings_of, train, val))
    return [records.encode(), "\n".join(lines).encode()]


def _saved(save, *contents):
    def make():
        files = []
        for content in contents:
            buffer = io.BytesIO()
            save(content, buffer)
            files.append(buffer.getvalue())
        return files

    return make


def _torch(content, buffer):
    torch.save(content, buffer)


def _old_torch(content, buffer):
    torch.save(content, buffer, _use_new_zipfile_serialization=False)


def _weights():
    zipped = _saved(_torch, TREE, {"state_dict": TREE, "meta": {"epoch": 3}}, [1, 2], {"a": {"b": TREE}})()
    return zipped + _saved(_old_torch, TREE)() + [_safetensors()]


def _safetensors():
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    return len(header).to_bytes(8, "little") + header + np.arange(6, dtype=np.float32).tobytes()


def _answers():
    pages = [b"<html><head><title>Not Found</title></head></html>", b"<Error><Code>NoSuchKey</Code></Error>"]
    return [*pages, b'{"message": "gone"}', b'{"mode": "train", "iter": 1}\n', *_weights()]


def _pixels():
    return np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)


def _images():
    kinds = [
        cv2.imencode(suffix, _pixels())[1].tobytes() for suffix in (".png", ".jpg", ".bmp", ".tiff", ".webp")
    ]
    return kinds + _saved(lambda image, buffer: image.save(buffer, "GIF"), Image.fromarray(_pixels()))()


def _labels():
    grey = Image.fromarray(_pixels()[..., 0] % 8)
    images = [
        grey,
        grey.convert("1"),
        grey.convert("P"),
        Image.fromarray(_pixels()[..., 0].astype(np.uint16)),
    ]
    return _saved(lambda image, buffer: image.save(buffer, "PNG"), *images)()


def _mats():
    arrays, dated = (
        {"S": _pixels()[..., 0] % 8},
        116,
    )  # a MATLAB file begins with so many bytes of text and its date
    plain = _saved(lambda content, buffer: scipy.io.savemat(buffer, content), arrays, {"T": [1]})()
    packed = _saved(lambda content, buffer: scipy.io.savemat(buffer, content, do_compression=True), arrays)()
    return [b"MATLAB 5.0 MAT-file".ljust(dated) + data[dated:] for data in plain + packed]


@cache
def _evidence():
    """An evidence file with counts, as the demo's small run writes them; the seed of a merge."""
    import tempfile

    from small_streets import small_options, small_streets

    from segbench.zoo.verify import verify

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = small_streets(root, root / "home")
        list(verify(rows[:1], small_options(root, root / "home")))
        with sqlite3.connect(root / "evidence.sqlite") as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")
        database.close()
        return [(root / "evidence.sqlite").read_bytes()]


# --- readers ----------------------------------------------------------------------------------------------


def _merge(path):
    with EvidenceStore(path.with_name("ours.sqlite")) as ours, EvidenceStore(path, read_only=True) as theirs:
        merge(ours, theirs)


def _classes(path):
    folder = path.with_name("own")
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "images" / "a.png").write_bytes(_images()[0])
    shutil.copy(path, folder / "classes.txt")
    return folder_spec(folder)


def _pair(path):
    return read_pair(Sample(id="a", image=path, label=path), PNG, 8)


def _state(path):
    return read_state(path, _zoo())


@cache
def _zoo():
    return load_manifest()


def _sniff(path):
    data = path.read_bytes()
    return web_page(data), checkpoint_fault(path), is_cut_short(path)


READERS = {
    "manifest": Reader(load_manifest, _manifests, (ManifestError,), 120, "zoo.yaml"),
    "table": Reader(read_sources, _text(PAGES / "001.txt", PAGES / "004.txt"), (SourceError,)),
    "page": Reader(read_sources, _text(PAGES / "003.txt"), (SourceError,), 75),
    "import": Reader(
        lambda path: import_file(path, Request()),
        _text(PAGES / "001.txt"),
        (SourceError, EditError, ManifestError),
        30,
    ),
    "training log": Reader(read_log, _logs, (LogError,)),
    "ledger": Reader(
        lambda path: ledger.read_with_warnings(path, Measurement, Measurement.fault),
        _ledgers,
        (ledger.LedgerError,),
    ),
    "stored state": Reader(
        _state, lambda: [(ROOT / "results" / "baseline.json").read_bytes(), *_ledgers()], (BaselineError,), 60
    ),
    "zoo.lock": Reader(
        lambda path: Lock(path).get("x"),
        lambda: [
            b'{"version": 1, "files": {"x": {"file": "f", "url": "", "sha256": "%s", "size_bytes": 1, '
            b'"recorded": "2026-01-01"}}}' % (b"0" * 64)
        ],
        (LockError,),
    ),
    "classes.txt": Reader(
        _classes, lambda: [b"road 128 64 128\nsky 0 0 9\n", b"ignore: 11\na\nb\n"], (DatasetError,)
    ),
    "image list": Reader(listed_ids, lambda: [b"a\nb/c\n"], (DatasetError,), 60),
    "weights": Reader(read_checkpoint, _weights, (WeightsError,), 250),
    "server's answer": Reader(_sniff, _answers, (), 200),
    "image": Reader(read_image, _images, (DatasetError,), 250),
    "label": Reader(lambda path: read_label(path, PNG, 255), _labels, (DatasetError,), 250),
    "header": Reader(_pair, lambda: [*_labels(), *_images()], (DatasetError,), 250),
    "MATLAB label": Reader(lambda path: read_label(path, MAT, 255), _mats, (DatasetError,), 200),
    "evidence": Reader(_merge, _evidence, (EvidenceError,), 100),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_a_record_or_a_documented_error(name, tmp_path):
    """Time and memory are bounded too; a warning is no answer."""
    reader = READERS[name]

    @settings(max_examples=examples(reader.examples))
    @given(data=mutated(reader.seeds()))
    def read(data):
        path = tmp_path / reader.name
        path.write_bytes(data)
        for stale in tmp_path.glob("*.sqlite*"):
            stale.unlink()
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a decoder's grumbling; what counts is what the reader says
            try:
                reader.read(path)
            except reader.errors as error:
                told = str(error)
            else:
                told = "a record"
        assert told, "an error without a message"

    read()


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_the_good_files_that_hostile_ones_are_made_of(name, tmp_path):
    """Else the edits would start from what is refused anyway."""
    reader = READERS[name]
    refused = 0
    for data in reader.seeds():
        path = tmp_path / reader.name
        path.write_bytes(data)
        try:
            reader.read(path)
        except reader.errors:
            refused += 1
    assert refused < len(reader.seeds())
