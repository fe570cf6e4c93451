"""The packaged zoo against the published pages: every number and link of theirs, and none besides."""

import re
from collections import Counter
from pathlib import Path

import full_zoo
import msgspec
import pytest
import torch

from segbench.models.trace.cost import forward_cost
from segbench.zoo.manifest import PACKAGED, load_manifest
from segbench.zoo.manifest.counted import key_of, name_of, read_counts
from segbench.zoo.manifest.reading.source_files import PUBLISHED

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def zoo():
    """The rows of three tables, which stand in the packaged zoo in short: see `test_compact_rows_are_the_full_records`."""
    return full_zoo.ZOO


@pytest.fixture(scope="module")
def ssseg_facts(golden):
    return golden("facts/ssseg_models.json")


def table_rows(text):
    """Section, row from 1 within it, and cells of every table row of a page."""
    section, row = "", 0
    for line in text.splitlines():
        if line.startswith("#"):
            section, row = line.strip("# "), 0
        elif re.match(r"\| *[RIS][S-]", line):
            row += 1
            yield section, row, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def links(text):
    return re.findall(r"\[(?:cfg|config|model|log)\]\((\S+?)\)", text)


def cites(claim, document):
    return claim.source is not None and claim.source.document == document


def claimed(zoo, document, *metrics):
    """(section, row, printed...) of every row whose claims cite a document."""
    rows = {}
    for checkpoint in zoo:
        for claim in checkpoint.published:
            if cites(claim, document) and claim.metric in metrics:
                rows.setdefault((claim.source.section, claim.source.row, checkpoint.backbone), {})[
                    claim.metric
                ] = claim
    return [
        (*key, *(found[metric].printed for metric in metrics if metric in found))
        for key, found in rows.items()
    ]


def urls(zoo, publisher, method):
    chosen = [one for one in zoo if (one.publisher, one.method) == (publisher, method)]
    return [url for one in chosen for url in (*one.config_urls, *one.weights.urls, *one.log_urls)]


# How many


def test_the_zoo_has_all_published_rows(zoo):
    assert Counter((one.publisher, one.method) for one in zoo) == {
        ("mmsegmentation", "ISANet"): 16,
        ("sssegmentation", "ISANet"): 6,
        ("sssegmentation", "ISNet"): 12,
    }


def test_every_printed_number_is_a_claim(zoo):
    first = Counter(claim.metric for one in zoo for claim in one.published if claim.supersedes is None)
    assert first == {"miou": 34, "miou_ms_flip": 25, "miou_flip": 3, "train_memory": 16, "fps": 16}
    revised = [claim for one in zoo for claim in one.published if claim.supersedes is not None]
    assert [claim.metric for claim in revised] == ["miou_ms_flip"] * 9


def test_every_number_that_is_not_printed_is_a_claim_with_a_reason(zoo):
    absent = [claim for one in zoo for claim in one.claims if claim.printed is None]
    assert Counter(claim.metric for claim in absent) == {"miou_ms_flip": 6, "train_memory": 18, "fps": 18}
    assert all(claim.note and claim.source for claim in absent)


def test_claims_stand_in_the_order_of_the_tables(zoo):
    order = ["miou", "miou_ms_flip", "miou_flip", "train_memory", "fps"]
    for checkpoint in zoo:
        places = [order.index(claim.metric) for claim in checkpoint.claims]
        assert places == sorted(places)


# mmsegmentation, source 001 and its relatives


def test_mmsegmentation_numbers_are_the_readmes_text(zoo, golden):
    page = [(s, r, c[1], c[4], c[5], c[7], c[8]) for s, r, c in table_rows(golden("sources/001.txt"))]
    metrics = ("train_memory", "fps", "miou", "miou_ms_flip")
    assert claimed(zoo, "mmseg-isanet-readme", *metrics) == page


def test_mmsegmentation_links_are_the_readmes(zoo, golden):
    page = links(golden("sources/001.txt"))
    assert len(page) == 48
    assert urls(zoo, "mmsegmentation", "ISANet") == page


def test_mmsegmentation_rows_say_what_they_are(zoo, golden):
    page = [(*c[:2], c[2], c[3], c[6]) for _, _, c in table_rows(golden("sources/001.txt"))]
    rows = [one for one in zoo if one.publisher == "mmsegmentation"]
    assert [
        (one.method, one.backbone, f"{one.crop[0]}x{one.crop[1]}", one.schedule, one.claims[-1].device)
        for one in rows
    ] == page


def test_mmsegmentation_ids_are_the_old_names_and_aliases_the_new_ones(zoo):
    for one in zoo:
        if one.publisher == "mmsegmentation":
            assert Path(one.weights.urls[0]).parent.name == one.id
            assert one.aliases == (Path(one.config_urls[0]).stem,)
            assert one.weights.urls[0].endswith(f"-{one.weights.sha256_prefix}.pth")


def test_memory_claims_carry_the_batch_and_crop_of_the_config(zoo):
    for one in zoo:
        for claim in one.published:
            if claim.metric == "train_memory":
                gpus, batch = re.search(r"_(\d)xb(\d)-", one.aliases[0]).groups()
                assert (one.training.gpus, one.training.batch_per_gpu) == (int(gpus), int(batch))
                assert (claim.batch, claim.crop) == (int(batch), one.crop)


def test_the_draft_has_the_same_rows_with_blank_cells(zoo, golden):
    page = [(s, r, *c[1:4]) for s, r, c in table_rows(golden("sources/000.txt"))]
    assert len(page) == 16
    listed = [
        (entry.section, entry.row, one.backbone, f"{one.crop[0]}x{one.crop[1]}", one.schedule)
        for one in zoo
        for entry in one.listed_in
        if entry.document == "mmseg-isanet-draft"
        if set(entry.blank) == {"miou", "miou_ms_flip", "train_memory", "fps"}
    ]
    assert sorted(listed) == sorted(page)


def test_the_documentation_page_has_the_same_numbers_in_the_same_order(zoo, golden):
    cells = re.findall(r"^ISANet \|((?:\n.+? \|){8})", golden("sources/003.txt"), re.MULTILINE)
    page = [[cell.removesuffix(" |") for cell in row.split("\n")[1:]] for row in cells]
    rows = [one for one in zoo if any(entry.document == "mmseg-isanet-docs" for entry in one.listed_in)]
    printed = [{claim.metric: claim.printed for claim in one.claims} for one in rows]
    assert [[c[3], c[4], c[6], c[7]] for c in page] == [
        [claims[metric] for metric in ("train_memory", "fps", "miou", "miou_ms_flip")] for claims in printed
    ]


# sssegmentation, sources 002 and 004


def test_sssegmentation_isanet_numbers_are_the_readmes_text(zoo, golden):
    page = [(s, r, c[0], c[5].rstrip("%")) for s, r, c in table_rows(golden("sources/002.txt"))]
    assert len(page) == 6
    assert claimed(zoo, "ssseg-isanet-readme", "miou") == page


def test_sssegmentation_isanet_links_are_the_readmes(zoo, golden):
    assert urls(zoo, "sssegmentation", "ISANet") == links(golden("sources/002.txt"))


def test_isnet_numbers_of_2021_are_the_pages_text(zoo, golden):
    page = [
        (s, r, c[0], *(number.rstrip("%") for number in c[4].split("/")))
        for s, r, c in table_rows(golden("sources/004.txt"))
    ]
    assert len(page) == 12
    assert claimed(zoo, "ssseg-isnet-readme-2021", "miou", "miou_ms_flip", "miou_flip") == page


def test_isnet_links_are_those_of_2021_and_of_today(zoo, golden, ssseg_facts):
    page = links(golden("sources/004.txt"))
    today = [
        facts["published_head_2025_11"][kind]
        for name, facts in ssseg_facts.items()
        if name.startswith("isnet_")
        for kind in ("pth", "log")
    ]
    found = urls(zoo, "sssegmentation", "ISNet")
    assert len(page) == len(today) == 24
    assert sorted(url for url in found if not url.endswith(".py")) == sorted(page + today)


def test_isnet_files_of_today_come_before_those_of_2021(zoo):
    for one in zoo:
        if one.method == "ISNet":
            assert [Path(url).stem for url in one.weights.urls] == [one.id, *one.aliases]
            assert [Path(url).stem for url in one.log_urls] == [one.id, *one.aliases]


def test_isnet_revisions_are_those_on_record(zoo, ssseg_facts):
    """Today's figure, the one it replaced and the day it was first listed."""
    for name, facts in ssseg_facts.items():
        revisions = [claim for claim in zoo[name].claims if claim.supersedes]
        old, new = facts["published_seed"]["ms"], facts["published_head_2025_11"]["ms"]
        dates = [date for date, _, _, number in facts["published_history"] if number == new]
        expected = [] if old == new else [(f"{old:.2f}", f"{new:.2f}", dates[0], "ssseg-isnet-readme")]
        assert [
            (claim.supersedes, claim.printed, claim.date, claim.source.document) for claim in revisions
        ] == expected


def test_sssegmentation_rows_say_what_they_are(zoo, ssseg_facts):
    for name, facts in ssseg_facts.items():
        one, printed = zoo[name], facts["published_seed"]
        assert (f"{one.crop[0]}x{one.crop[1]}", one.schedule) == (printed["crop"], printed["schedule"])
        assert one.architecture["num_classes"] == facts["num_classes"]
        head = facts["head"].get("shortcut", {"is_on": False})
        assert one.architecture.get("shortcut", False) is head["is_on"]
        activation = {"ReLU": "relu", "LeakyReLU": "leaky_relu"}[facts["act_cfg_head"]["type"]]
        assert one.architecture.get("activation", "relu") == activation


# Protocols


def protocol_of(facts, inference):
    """A published inference setting in the words of an EvalProtocol."""
    resize = facts["test_pipelines"][0][1]
    forward, tta = inference["forward"], inference["tta"]
    probabilities = tta["use_probs_before_resize"]
    return {
        "base_scale": tuple(resize["output_size"]),
        "keep_ratio": resize["keep_ratio"],
        "scales": tuple(tta["multiscale"]),
        "flip": tta["flip"],
        "flip_pairs": tuple(map(tuple, facts["flip_pairs"] or ())) if tta["flip"] else (),
        "views": "tensor",
        "window": forward["cropsize"] and (tuple(forward["cropsize"]), tuple(forward["stride"])),
        "align_corners": facts["align_corners"],
        "upsampling": "one-step",
        "average": "probabilities" if probabilities else "scores",
        "mean": tuple(facts["test_pipelines"][1][1]["mean"]),
        "std": tuple(facts["test_pipelines"][1][1]["std"]),
    }


def as_facts(protocol):
    window = protocol.window
    return {
        "base_scale": protocol.base_scale,
        "keep_ratio": protocol.keep_ratio,
        "scales": protocol.scales,
        "flip": protocol.flip,
        "flip_pairs": protocol.flip_pairs,
        "views": protocol.views,
        "window": window and (window.crop, window.stride),
        "align_corners": protocol.align_corners,
        "upsampling": protocol.upsampling,
        "average": protocol.average,
        "mean": protocol.mean,
        "std": protocol.std,
    }


def test_sssegmentation_single_scale_protocols_are_its_configs(zoo, ssseg_facts):
    for name, facts in ssseg_facts.items():
        assert as_facts(zoo[name].protocol("miou")) == protocol_of(facts, facts["inference_single"]), name


def test_sssegmentation_ms_flip_protocols_are_its_configs(zoo, ssseg_facts):
    for name, facts in ssseg_facts.items():
        if facts["inference_ms_flip"] is None:
            assert set(zoo[name].protocols) == {"miou"}
            continue
        metric = "miou_flip" if zoo[name].dataset == "lip" else "miou_ms_flip"
        assert as_facts(zoo[name].protocol(metric)) == protocol_of(facts, facts["inference_ms_flip"]), name


def test_sssegmentation_probabilities_are_taken_before_the_last_upsampling(zoo):
    ours = [
        one
        for name, one in zoo.protocols.items()
        if name.startswith("ssseg-") and one.average == "probabilities"
    ]
    assert [one.softmax_at for one in ours] == ["window"] * 3


@pytest.mark.parametrize(
    ("where", "base_scale", "window", "align_corners"),
    [
        ("512x1024", (2048, 1024), None, False),
        ("769x769", (2049, 1025), ((769, 769), (513, 513)), True),
        ("512x512", (2048, 512), None, False),
    ],
)
def test_mmsegmentation_protocols_follow_the_crop(zoo, where, base_scale, window, align_corners):
    rows = [one for one in zoo if one.publisher == "mmsegmentation" and f"_{where}_" in one.id]
    for metric, scales in (("miou", (1.0,)), ("miou_ms_flip", (0.5, 0.75, 1.0, 1.25, 1.5, 1.75))):
        (digest,) = {one.protocol(metric).digest() for one in rows}
        protocol = rows[0].protocol(metric)
        assert digest == protocol.digest()
        assert as_facts(protocol) == {
            "base_scale": base_scale,
            "keep_ratio": True,
            "scales": scales,
            "flip": metric == "miou_ms_flip",
            "flip_pairs": (),
            "views": "base_scale",
            "window": window,
            "align_corners": align_corners,
            "upsampling": "two-step",
            "average": "probabilities",
            "mean": (123.675, 116.28, 103.53),
            "std": (58.395, 57.12, 57.375),
        }
        assert protocol.softmax_at == "original size"


def test_no_two_protocols_are_the_same(zoo):
    digests = Counter(protocol.digest() for protocol in zoo.protocols.values())
    assert set(digests.values()) == {1}


def test_only_the_1_x_protocols_have_no_claim(zoo):
    used = {protocol.name for one in zoo for protocol in one.protocols.values()}
    assert set(zoo.protocols) - used == {"mmseg-1.x-whole-tta", "mmseg-1.x-slide-769x769-tta"}


# Architectures and data sets


def parameter_count(keys):
    shapes = [shape for key, shape, _ in keys if key.rsplit(".", 1)[-1] not in BUFFERS]
    return sum(torch.Size(shape).numel() for shape in shapes)


def test_parameter_counts_are_those_of_the_publishers_models(zoo, golden):
    index = golden("keys/mmseg/index.json")
    for one in zoo:
        mmseg = one.publisher == "mmsegmentation"
        keys = golden(f"keys/mmseg/{index[one.aliases[0]]}" if mmseg else f"keys/ssseg/{one.id}.json")
        assert one.parameters == parameter_count(keys), one.id


_COLOURS_TWICE = {"ade20k", "cocostuff10k_171", "cocostuff164k", "pascal_context", "pascal_context_59"}
"""Data sets whose publisher gives two classes one colour."""


def test_data_sets_have_the_sizes_of_their_splits(zoo):
    """Those of each data set's own page; void counts as a class where it is one (CamVid)."""
    published = {
        "camvid-train": ("train", 367, 12),
        "camvid-val": ("val", 101, 12),
        "camvid-test": ("test", 233, 12),
        "cityscapes": ("val", 500, 19),
        "ade20k": ("validation", 2000, 150),
        "voc2012aug": ("val", 1449, 21),
        "cocostuff10k": ("test", 1000, 182),
        "lip": ("val", 10000, 20),
        # Sizes of splits and classes of mmsegmentation 1.2.2's guide to preparing data sets and its dataset classes,
        # of sssegmentation eb1878c1's, and of the data sets' papers.
        "cityscapes_test": ("test", 1525, 19),
        "pascal_context": ("val", 5105, 60),
        "pascal_context_59": ("val", 5105, 59),
        "cocostuff10k_171": ("test", 1000, 171),
        "cocostuff164k": ("val2017", 5000, 171),
        "cihp": ("val", 5000, 20),
        "atr": ("val", 700, 18),
        "vspw": ("val", 24502, 124),
        "loveda": ("val", 1669, 7),
        "potsdam": ("val", 2016, 6),
        "vaihingen": ("val", 398, 6),
        "isaid": ("val", 11644, 16),
        "drive": ("validation", 20, 2),
        "stare": ("validation", 10, 2),
        "chase_db1": ("validation", 8, 2),
        "hrf": ("validation", 30, 2),
        "mapillary_vistas": ("validation", 2000, 65),
        "dark_zurich": ("val", 50, 19),
        "night_driving": ("test", 50, 19),
        "nyu": ("test", 654, 0),
        "coco-val2017-voc": ("val2017", 5000, 21),
    }
    found = {
        name: (spec.split, spec.image_count, len(spec.classes))
        for name, spec in load_manifest().datasets.items()
    }
    assert found == published
    for spec in load_manifest().datasets.values():
        assert len(set(spec.classes)) == len(spec.classes) == len(spec.palette)
        assert len(set(spec.palette)) == len(spec.palette) or spec.name in _COLOURS_TWICE
        assert spec.homepage
        assert spec.how_to_get


def test_cityscapes_label_ids_map_to_the_19_classes_in_order(zoo):
    train_ids, label_ids = zoo.datasets["cityscapes"].labels
    assert (train_ids.suffix, train_ids.value_map) == ("_gtFine_labelTrainIds.png", {})
    assert label_ids.suffix == "_gtFine_labelIds.png"
    assert list(label_ids.value_map.values()) == list(range(19))


def test_the_files_name_no_machine_and_stay_readable():
    for path in (PACKAGED, *PUBLISHED.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|work|tmp|mnt|root)/", text), path
        assert all(len(line) <= 122 or "http" in line for line in text.splitlines()), path


def test_compact_rows_are_the_full_records():
    """Every row that was written in full before is the same record in the same order, and so are what rows refer to."""
    zoo = load_manifest()
    ours = [one for one in zoo if one.id in full_zoo.ZOO]
    assert [without_file(one) for one in ours] == [without_file(one) for one in full_zoo.ZOO]
    for table in ("documents", "datasets", "protocols"):
        full = getattr(full_zoo.ZOO, table)
        assert {name: one for name, one in getattr(zoo, table).items() if name in full} == full


def without_file(row):
    return msgspec.structs.replace(row, manifest=None)


def test_every_network_that_is_built_has_parameters_and_a_cost():
    zoo = list(load_manifest())
    assert {one.id for one in zoo if one.not_built} == {
        one.id for one in zoo if not (one.parameters and one.cost)
    }


def test_rows_that_state_a_cost_state_the_counted_one():
    counts = read_counts()
    for row in (one for one in load_manifest() if one.cost):
        count = counts[key_of(row.architecture)]
        gflops, peak_activations_mib = count.costs[name_of(row.cost.size)]
        assert row.parameters == count.parameters, row.id
        assert row.cost.gflops == pytest.approx(gflops, abs=0.06), row.id
        assert row.cost.peak_activations_mib == pytest.approx(peak_activations_mib, abs=0.06), row.id


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("isanet_r50-d8_512x1024_40k_cityscapes", (1024, 2048)),  # a whole typical image
        ("isanet_r50-d8_769x769_40k_cityscapes", (769, 769)),  # a window
        ("ce2p_resnet50os8_lip", (473, 473)),  # images of many sizes, all brought to one
        ("mask2former_r50_8xb2-160k_ade20k-512x512", (512, 704)),  # 683 padded to a multiple of 32
        ("fcn_unets5os16_drive", (64, 64)),  # no protocol: the crop
        (
            "deeplabv3plus_r50-d8_4xb2-300k_mapillay_v1_65-1280x1280",
            (1280, 1280),
        ),  # no typical image: the crop
    ],
)
def test_a_cost_is_that_of_the_networks_input(name, size):
    assert load_manifest()[name].cost.size == size


def check_counts(rows):
    """Parameters, GFLOPs and peak activations, counted again on fake tensors: the digits of the file, whoever runs it."""
    counts = read_counts()
    for row in {(key_of(one.architecture), one.cost.size): one for one in rows}.values():
        count, size = counts[key_of(row.architecture)], row.cost.size
        with torch.device("meta"):
            assert sum(one.numel() for one in row.build().parameters()) == count.parameters, row.id
        cost = forward_cost(row.architecture, size)
        found = (cost.gflops, cost.peak_activations_mib)
        assert found == pytest.approx(count.costs[name_of(size)], abs=0.006), row.id


def families(row):
    """A row's network, and the types of its parts."""
    record = row.architecture
    parts = [one for key in ("backbone", "neck", "head") for one in [record.get(key)] if one]
    one_by_one = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    # A whole network's builder may take a backbone by name.
    return [record.get("builder"), *(one["type"] for one in one_by_one if isinstance(one, dict))]


@pytest.mark.slow
def test_costs_are_the_same_under_every_torch():
    """Every fourth of the smallest rows of each type of part: what a torch counts otherwise, it does at any depth."""
    smallest = {}
    for row in sorted((one for one in load_manifest() if one.cost), key=lambda one: -one.cost.gflops):
        smallest |= dict.fromkeys(filter(None, families(row)), row)
    check_counts(
        sorted({one.id: one for one in smallest.values()}.values(), key=lambda one: one.cost.gflops)[::4]
    )


@pytest.mark.slow
@pytest.mark.golden
@pytest.mark.parametrize("part", range(PARTS := 16))
def test_every_cost_is_the_recounted_one(part):
    """Of every network at each of its sizes, once for all numbers of classes; in parts, which several processes share."""
    priced = [one for one in load_manifest() if one.cost]
    rows = list(
        {(key_of(one.architecture | {"num_classes": 0}), one.cost.size): one for one in priced}.values()
    )
    check_counts(rows[part * len(rows) // PARTS : (part + 1) * len(rows) // PARTS])
