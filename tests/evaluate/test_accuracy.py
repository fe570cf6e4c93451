"""The whole loop on files: three data set layouts against mmsegmentation's own evaluation, and faulty images."""

import json
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from segbench.evaluate import EvalProtocol, accuracy, predict
from segbench.evaluate.accuracy import Conditions, Loading, count_missing
from segbench.evaluate.count.confusion import accuracy_scores, areas, confusion_matrix
from segbench.evaluate.data.datasets import ImageFault, locate
from segbench.evaluate.evidence import EvidenceKey, EvidenceStore
from segbench.evaluate.evidence.scores import missing, scores_from_evidence
from segbench.evaluate.inference.pipeline import prepare
from segbench.evaluate.pixels import map_values
from segbench.zoo.manifest import load_manifest

from .inference.test_plain import CLASSES, TOLERANCE, mmseg_protocol, ssseg_protocol, versions

pytestmark = pytest.mark.slow

IDS = ("a", "b", "c")
LAYOUTS = {"city_whole": "cityscapes", "city_slide": "cityscapes", "ade": "ade20k", "voc": "voc2012aug"}


def write_tree(root, layout, pictures, labels):
    """Lay three pictures and their labels out as the data set's own archive does."""
    spec = msgspec.structs.replace(load_manifest().datasets[layout], image_count=len(IDS))
    form, source = spec.labels[0], {"ade20k": "ade", "voc2012aug": "voc"}.get(layout, layout)
    for name in IDS:
        image = root / spec.images / f"{name}{spec.image_suffix}"
        label = root / form.folder / f"{name}{form.suffix}"
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        if spec.image_suffix.endswith(".jpg"):
            image.write_bytes(pictures[f"{name}|jpg"].tobytes())
        else:
            cv2.imwrite(str(image), pictures[name])
        Image.fromarray(labels[f"{source}|{name}"]).save(label)
    if spec.id_list:
        (root / spec.id_list).parent.mkdir(parents=True, exist_ok=True)
        (root / spec.id_list).write_text("\n".join(IDS))
    return locate(spec, root)


def key_of(dataset, protocol):
    return EvidenceKey(
        weights_sha256="rule",
        protocol_digest=protocol.digest(),
        dataset_rules=dataset.rules_digest(),
        precision="fp32",
        device_kind="cpu",
        num_classes=len(dataset.spec.classes),
    )


@pytest.mark.parametrize(
    ("setup", "mode", "version"),
    # sliding windows of mirrored views take half a minute here; test_plain has them pixel by pixel
    versions(
        (setup, mode)
        for setup in LAYOUTS
        for mode in ("single", "msflip")
        if (setup, mode) != ("city_slide", "msflip")
    ),
)
def test_mmseg_evaluation(golden, remembering_model, tmp_path, setup, mode, version):
    """Files in, areas and scores out, equal to mmsegmentation's data set, transforms and metric.

    An area may differ by the pixels at which mmsegmentation's own best two classes are a rounding apart.
    """
    expected = golden(f"mmseg/{version}.json")[f"{setup}|{mode}|{version}"]
    dataset = write_tree(tmp_path, LAYOUTS[setup], golden("pictures.npz"), golden("labels.npz"))
    protocol = mmseg_protocol(expected["base_scale"], expected["test_cfg"], expected["ratios"], mode, version)
    model = remembering_model("isanet_mmseg", depth=50, num_classes=CLASSES[setup.split("_")[0]])
    contents = dataset.contents()
    with EvidenceStore(tmp_path / "evidence.sqlite") as store:
        key = key_of(dataset, protocol)
        results = count_missing(model, dataset, contents, protocol, store, key)
        assert [sample.id for sample in results] == list(IDS)
        found = np.array(areas(sum(matrix for _, matrix in store.counts(key))))
        scores = scores_from_evidence(contents, store, key)
    off = np.abs(found - np.array(expected["areas"], dtype=np.int64))
    assert (off <= expected["undecided"]).all()
    np.testing.assert_array_equal(off[3], 0)  # label areas owe nothing to the network
    for ours, name in (("miou_percent", "mIoU"), ("macc_percent", "mAcc"), ("aacc_percent", "aAcc")):
        assert getattr(scores, ours) == pytest.approx(expected["summary"][name], abs=0.01)


def test_ssseg_evaluation(golden, remembering_model):
    """Two Cityscapes images with labelIds: labels, metric and predictions of sssegmentation's own evaluation."""
    recorded, pictures = golden("ssseg/evaluate.npz"), golden("pictures.npz")
    margins = golden("ssseg/predict_isanet_tiny_whole_single.npz")  # the same run
    protocol = ssseg_protocol(json.loads(str(recorded["meta"])))
    expected = json.loads(str(recorded["result"]))
    spec = load_manifest().datasets["cityscapes"]
    form = next(form for form in spec.labels if form.value_map)
    model = remembering_model("isanet_ssseg", depth=50, num_classes=19)
    matrices = []
    for name in ("a", "d"):
        label = map_values(recorded[f"labelIds_{name}"], form, spec.ignore_index)
        theirs = recorded[f"truth_{name}"]
        np.testing.assert_array_equal(label, np.where(theirs < 0, spec.ignore_index, theirs))
        matrices.append(confusion_matrix(recorded[f"predicted_{name}"], label, 19))
        ours, _ = predict(model, pictures[name], protocol)
        decided = margins[f"margin_{name}"] > 2 * TOLERANCE["scores"]
        np.testing.assert_array_equal(ours[decided], recorded[f"predicted_{name}"][decided])
    found = accuracy_scores(sum(matrices))
    assert found.miou_percent / 100 == pytest.approx(expected["miou"], abs=1e-9)
    assert found.aacc_percent / 100 == pytest.approx(expected["all_accuracy"], abs=1e-9)
    iou = [0.0 if value is None else value / 100 for value in found.iou_percent]
    assert iou == pytest.approx(list(expected["iou"].values()), abs=1e-9, nan_ok=True)


@pytest.fixture
def streets(tmp_path):
    """A writable copy of the demo images and labels, and a colour model of eight classes."""
    from segbench.zoo.demo import STREETS

    spec = load_manifest(STREETS / "zoo.yaml").datasets["streets"]
    for name in ("images", "annotations"):
        for path in (STREETS / name).rglob("*.*"):
            target = tmp_path / path.relative_to(STREETS)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return locate(spec, tmp_path)


def eight_colours(images):
    return torch.cat([images, -images, images[:, :2]], dim=1)


eight_colours.may_overlap = True

PLAIN = EvalProtocol(base_scale=(64, 32))


def test_only_missing_images_are_measured(streets, tmp_path):
    """A second run over stored evidence predicts nothing and gives the same number."""
    contents = streets.contents()
    with EvidenceStore(tmp_path / "e.sqlite") as store:
        key = key_of(streets, PLAIN)
        run = count_missing(eight_colours, streets, contents, PLAIN, store, key)
        for _ in range(5):
            next(run)
        run.close()
        assert len(missing(streets.samples, contents, store, key)) == 7
        assert len(list(count_missing(eight_colours, streets, contents, PLAIN, store, key))) == 7
        assert list(count_missing(eight_colours, streets, contents, PLAIN, store, key)) == []
        interrupted = scores_from_evidence(contents, store, key)
    with EvidenceStore(tmp_path / "fresh.sqlite") as store:
        assert len(list(count_missing(eight_colours, streets, contents, PLAIN, store, key))) == 12
        assert scores_from_evidence(contents, store, key) == interrupted


def test_faulty_images_are_named_and_the_rest_is_kept(streets, tmp_path):
    """A missing label, a damaged image and a pair of different sizes each give their own message."""
    no_label, damaged, resized = streets.samples[1], streets.samples[3], streets.samples[4]
    no_label.label.unlink()
    damaged.image.write_bytes(damaged.image.read_bytes()[:5000])
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(resized.label)
    contents = streets.contents()
    with EvidenceStore(tmp_path / "e.sqlite") as store:
        key = key_of(streets, PLAIN)
        results = list(count_missing(eight_colours, streets, contents, PLAIN, store, key))
        faults = [result for result in results if isinstance(result, ImageFault)]
        assert [fault.image_id for fault in faults] == [no_label.id, damaged.id, resized.id]
        assert faults[0].message == f"{no_label.label}: the label file is missing"
        assert faults[1].message.startswith(f"{damaged.image}: the image has no proper end")
        assert faults[2].message.startswith(f"{resized.label}: the label is 5 x 7, its image")
        assert len(store.measured(key)) == 9
        with pytest.raises(LookupError, match="3 of 12 images have no counts"):
            scores_from_evidence(contents, store, key)


FLIPPED = EvalProtocol(base_scale=(64, 32), scales=(0.5, 1.0), flip=True)


@pytest.fixture
def mixed(streets):
    """The demo images, some of them cut to another size, one damaged."""
    for index in (2, 3, 7):
        sample = streets.samples[index]
        for path in (sample.image, sample.label):
            with Image.open(path) as picture:
                picture.crop((0, 0, 200, 120)).save(path)
    damaged = streets.samples[5]
    damaged.image.write_bytes(damaged.image.read_bytes()[:5000])
    return streets


def counted(dataset, place, loading):
    """Results by image id, and the stored rows."""
    contents = dataset.contents()
    with EvidenceStore(place) as store:
        key = key_of(dataset, FLIPPED)
        found = list(count_missing(eight_colours, dataset, contents, FLIPPED, store, key, loading=loading))
        return found, list(store.encoded(key))


@pytest.mark.parametrize("workers", [1, 5, None])
def test_images_at_once_change_neither_counts_nor_order(request, mixed, tmp_path, workers):
    """On the CPU, whatever number of threads; torch has all its cores again afterwards."""
    cores = 2
    torch.set_num_threads(cores)
    request.addfinalizer(lambda: torch.set_num_threads(1))
    alone = counted(mixed, tmp_path / "alone.sqlite", Loading(workers=0))
    assert counted(mixed, tmp_path / "threads.sqlite", Loading(workers=workers)) == alone
    assert [isinstance(result, ImageFault) for result in alone[0]] == [n == 5 for n in range(12)]
    assert torch.get_num_threads() == cores


@pytest.mark.parametrize(
    ("free", "each", "at_once"), [(1 << 30, 600 << 20, 1), (1 << 30, 1 << 20, 2), (None, None, 2)]
)
def test_fewer_images_at_once_where_memory_is_short(
    request, mixed, tmp_path, monkeypatch, caplog, free, each, at_once
):
    """The first is watched, the others keep to what it took; counts and order are the same."""
    torch.set_num_threads(2)
    request.addfinalizer(lambda: torch.set_num_threads(1))
    monkeypatch.setattr(accuracy, "free_bytes", lambda: free)
    monkeypatch.setattr(accuracy, "growth_watched", lambda: nullcontext(SimpleNamespace(bytes=each)))
    alone = counted(mixed, tmp_path / "alone.sqlite", Loading(workers=0))
    conditions, contents = Conditions(), mixed.contents()
    with EvidenceStore(tmp_path / "watched.sqlite") as store:
        key = key_of(mixed, FLIPPED)
        found = list(
            count_missing(eight_colours, mixed, contents, FLIPPED, store, key, conditions=conditions)
        )
        assert (found, list(store.encoded(key))) == alone
    assert conditions.images_at_once == at_once
    told = "1 of 2 images at once: 1.1 GB of memory are free, and an image takes 0.6 GB; --workers sets another number"
    assert [record.getMessage() for record in caplog.records] == ([told] if at_once == 1 else [])


@pytest.mark.parametrize(("workers", "batch"), [(0, 4), (2, 1), (2, 7)])
def test_the_path_of_a_gpu_gives_the_same_counts(mixed, tmp_path, monkeypatch, workers, batch):
    """Groups of one size, one group behind the device: here the device is the CPU."""
    alone = counted(mixed, tmp_path / "alone.sqlite", Loading(workers=0))
    monkeypatch.setattr(accuracy, "_on_cores", accuracy._in_turn)
    assert counted(mixed, tmp_path / "gpu.sqlite", Loading(workers=workers, batch=batch)) == alone


def test_the_loop_ends_soon_after_nobody_listens(mixed, tmp_path):
    """Closing the iterator ends what other threads have under way at their next network input."""
    inputs, closed = [], threading.Event()

    def network(images):
        inputs.append(images)
        if len(inputs) > 8:  # two images' views; the two threads wait here with the next ones
            assert closed.wait(timeout=60)
        return eight_colours(images)

    network.may_overlap = True
    contents, key = mixed.contents(), key_of(mixed, FLIPPED)
    with EvidenceStore(tmp_path / "e.sqlite") as store:
        run = count_missing(network, mixed, contents, FLIPPED, store, key, loading=Loading(workers=2))
        next(run)
        run.close()
        begun = len(inputs)
        closed.set()
        for thread in threading.enumerate():
            if thread.name.startswith("segbench-work"):
                thread.join(timeout=60)
        assert len(inputs) - begun <= 2
        assert 1 <= len(store.measured(key)) <= 2


def test_a_file_replaced_during_the_run_is_not_counted_as_the_old_one(streets, tmp_path):
    """Contents are hashed when a run begins; an image swapped after that gets its own message and no counts."""
    contents, key = streets.contents(), key_of(streets, PLAIN)
    replaced = streets.samples[8]
    with Image.open(replaced.image) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(replaced.image)
    with EvidenceStore(tmp_path / "e.sqlite") as store:
        found = list(count_missing(eight_colours, streets, contents, PLAIN, store, key))
        (fault,) = [result for result in found if isinstance(result, ImageFault)]
        assert fault.image_id == replaced.id
        assert "was changed while this run went on" in fault.message
        assert (replaced.id, contents[replaced.id]) not in store.measured(key)


@pytest.mark.parametrize("workers", [0, 2])
def test_scores_that_are_no_numbers_are_told_and_not_counted(streets, tmp_path, workers):
    """A network that overflows on the darker pictures: those are faults, the others keep their counts."""
    contents, key = streets.contents(), key_of(streets, PLAIN)
    pictures = [prepare(sample, streets, PLAIN, pin=False).inputs[0] for sample in streets.samples]
    middle = torch.stack([picture.mean() for picture in pictures]).median()

    def overflowing(images):
        return torch.where(images.mean() < middle, float("nan"), 1.0) * eight_colours(images)

    overflowing.may_overlap = True
    with EvidenceStore(tmp_path / "e.sqlite") as store:
        loading = Loading(workers=workers)
        found = list(count_missing(overflowing, streets, contents, PLAIN, store, key, loading=loading))
        faults = [result for result in found if isinstance(result, ImageFault)]
        assert len(faults) == 5
        assert all(
            "the network's scores are no numbers (NaN or infinite) at " in fault.message for fault in faults
        )
        assert len(store.measured(key)) == 7
