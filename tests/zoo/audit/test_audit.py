"""`zoo audit`: each kind of fault, planted in a copy, is found alone; the real sources give the known list."""

import json
import math
import re
import resource
import subprocess
import sys
from collections import Counter
from typing import get_args

import full_zoo
import pytest
import yaml
from planted_faults import YAML, ZOO, counted, counted_before, findings, replace, unchanged, within
from publisher_pages import metafile, mmseg_readme, ssseg_readme

from segbench.zoo.audit import CHECKS, audit
from segbench.zoo.audit.claims import V100_MS_PER_GFLOP, _added_gflops, added_memory_mib
from segbench.zoo.audit.findings import MEANINGS, Kind, as_records, as_text, count_text
from segbench.zoo.audit.page import Page
from segbench.zoo.audit.sources import AuditSources
from segbench.zoo.cli import main
from segbench.zoo.publishers import read_source

pytestmark = pytest.mark.slow

WEIGHTS = "https://download.openmmlab.com/mmsegmentation/v0.5/isanet/"
FIRST = ZOO["isanet_r50-d8_512x1024_40k_cityscapes"]
SECOND = ZOO["isanet_r101-d8_512x1024_40k_cityscapes"]


def swapped_rows(text):
    lines = text.split("\n")
    first = next(number for number, line in enumerate(lines) if line.startswith("| ISANet"))
    lines[first], lines[first + 1] = lines[first + 1], lines[first]
    return "\n".join(lines)


def in_gigabytes(text):
    """Memory in 10^9 bytes, as the heading says."""
    pattern = r'(metric: train_memory, printed: ")([\d.]+)'

    def convert(match):
        decimals = len(match[2].partition(".")[2])
        return f"{match[1]}{float(match[2]) * 1.048576:.{decimals}f}"

    return re.sub(pattern, convert, text)


def without_last_row(text):
    return text.rstrip("\n").rsplit("\n", 1)[0] + "\n"


def with_first_row_twice(text):
    lines = text.split("\n")
    first = next(number for number, line in enumerate(lines) if line.startswith("| ISANet"))
    return "\n".join([*lines[: first + 1], *lines[first:]])


def described_metafile():
    """A metafile that says more than any published one."""
    data = yaml.safe_load(metafile(ZOO, "1.2"))
    for model in data["Models"]:
        model["Metadata"] |= {"PyTorch": "1.8.1", "Test scales": "0.5 to 1.75, flip"}
    return yaml.safe_dump(data, sort_keys=False)


def no_times(text):
    data = yaml.safe_load(text)
    for model in data["Models"]:
        model["Metadata"].pop("inference time (ms/im)", None)
    return yaml.safe_dump(data, sort_keys=False)


def timed_metafile():
    data = yaml.safe_load(metafile(ZOO, "1.2"))
    for model, old in zip(data["Models"], yaml.safe_load(metafile(ZOO))["Models"], strict=True):
        model["Metadata"]["inference time (ms/im)"] = old["Metadata"]["inference time (ms/im)"]
    return yaml.safe_dump(data, sort_keys=False)


README = mmseg_readme(ZOO)
R50_VOC = "isanet_resnet50os8_voc"
MIRROR = "      urls:\n        - https://mirror.example/a.pth\n"

MANIFEST_FAULTS = {
    "ms-flip-below-single": (unchanged, within(FIRST.id, replace('"79.44"', '"77.44"'))),
    "impossible-figure": (unchanged, replace('"81.58"', '"181.58"')),
    "unit-mixup": (unchanged, within(R50_VOC, replace('"76.99"', '"0.7699"'))),
    "lost-decimals": (unchanged, replace('"79.58"', '"79.5"')),
    "point-moved": (unchanged, replace('"78.49"', '"7.849"')),
    "equal-accuracy": (unchanged, replace('"78.68"', '"78.49"')),
    "mixed-devices": (unchanged, within(FIRST.id, replace('"5.869", device: V100', '"5.869", device: A100'))),
    "architecture-differs": (unchanged, within(FIRST.id, replace("depth: 50", "depth: 101"))),
    "revised-to-itself": (
        unchanged,
        within(
            "isnet_resnet101os8_lip",
            lambda text: re.sub(
                r'( +- \{metric: miou, printed: "54.96".*?\}\n)(?= +- )',
                r'\1      - {metric: miou, printed: "54.96", supersedes: "54.96", protocol: ssseg-lip-whole}\n',
                text,
                count=1,
                flags=re.DOTALL,
            ),
        ),
    ),
    "protocol-differs": (
        unchanged,
        within(FIRST.id, replace("mmseg-cityscapes-whole,", "mmseg-cityscapes-whole-ms-flip,")),
    ),
    "cited-twice": (
        unchanged,
        within(
            FIRST.id,
            replace(
                '"2.91", device: V100,\n         source: {document: mmseg-isanet-readme, section: Cityscapes, row: 1}',
                '"2.91", device: V100,\n         source: {document: mmseg-isanet-readme, section: Cityscapes, row: 2}',
            ),
        ),
    ),
    "impossible-date": (
        unchanged,
        replace('revision: b0213678\n    date: "2023', 'revision: b0213678\n    date: "2999'),
    ),
    "copied-accuracy": (
        unchanged,
        within(
            "isanet_r101-d8_769x769_80k_cityscapes",
            replace('"80.61"', '"80.32"'),
            replace('"81.59"', '"81.58"'),
        ),
    ),
    "revised-claim": (
        unchanged,
        within(
            R50_VOC,
            replace(
                "      - {metric: miou_ms_flip",
                '      - {metric: miou, printed: "77.01", supersedes: "76.99", protocol: ssseg-2048x512-whole}\n'
                "      - {metric: miou_ms_flip",
            ),
        ),
    ),
    "fps-step": (replace('"2.35"', '"2.12"', 2), replace('"2.12"', '"2.35"', 2)),
    "memory-step": (unchanged, replace('"12.562"', '"12.962"', 2)),
    "mixed-unit": (in_gigabytes, lambda _: YAML),
    "larger-model-worse": (unchanged, replace('"78.60"', '"74.60"')),
    "longer-schedule-worse": (
        unchanged,
        within("isanet_r50-d8_512x512_160k_ade20k", replace('"42.59"', '"39.09"')),
    ),
    "no-hash": (unchanged, replace('      sha256_prefix: "981bd763"\n', "")),
    "not-published": (unchanged, replace('printed: "80.28"', 'printed: null, note: "not given"')),
    "mistyped-host": (
        unchanged,
        within(FIRST.id, replace("https://download.openmmlab.com", "https://download.oopenmmlab.com", 2)),
    ),
    "log-path": (
        unchanged,
        replace(
            f"{WEIGHTS}{FIRST.id}/{FIRST.id}_20210901_054739.log.json",
            f"{WEIGHTS}{FIRST.id}_20210901_054739.log.json",
        ),
    ),
    "weights-name": (
        unchanged,
        replace("isnet/isnet_resnet101os8_ade20k.py", "emanet/emanet_resnet101os8_ade20k.py"),
    ),
    "shared-file": (
        unchanged,
        lambda text: within(SECOND.id, replace("      urls:\n", MIRROR))(
            within(FIRST.id, replace("      urls:\n", MIRROR))(text)
        ),
    ),
    "row-order": (
        lambda text: re.sub(
            r"\n      - \{document: mmseg-isanet-draft,.*?\}(?=\n)", "", text, flags=re.DOTALL
        ),
        lambda _: YAML,
    ),
}
"""Kind -> what makes the packaged manifest the baseline, and what plants the fault in it."""

DOCUMENT_FAULTS = {
    "numbers-differ": (README, replace("| 78.49 |", "| 78.94 |")),
    "unit-mixup": (metafile(ZOO), lambda text: text.replace("memory (GB): 6.759", "memory (GB): 6759", 1)),
    "lost-decimals": (README, replace("| 78.70 |", "| 78.7 |")),
    "blank-cells": (README, replace("| 78.49 |", "|  |")),
    "relabelled-column": (ssseg_readme(ZOO, "ISNet"), replace("mIoU/mIoU(flip)", "mIoU/mIoU(ms+flip)")),
    "resolution-is-crop": (metafile(ZOO), lambda _: metafile(ZOO, timed=(512, 1024))),
    "unknown-row": (
        README,
        lambda text: f"{text.rstrip()}\n" + re.sub("[rR](-?)101", r"R\g<1>18", text.rstrip().split("\n")[-1]),
    ),
    "missing-row": (README, without_last_row),
    "row-order": (README, swapped_rows),
    "headings-lost": (README, replace("### Cityscapes", "")),
    "link-differs": (README, replace("981bd763", "00000000")),
    "weights-name": (
        README,
        replace(f"[model]({FIRST.weights.urls[0]})", f"[model]({SECOND.weights.urls[0]})"),
    ),
    "log-path": (
        README,
        replace(f"{FIRST.id}/{FIRST.id}_20210901_054739.log", f"{FIRST.id}_20210901_054739.log"),
    ),
    "dropped-field": (timed_metafile(), no_times),
    "row-differs": (
        metafile(ZOO, "1.2"),
        lambda text: text.replace("Training Data: Cityscapes", "Training Data: ADE20K", 1),
    ),
    "unreadable-cell": (README, replace("| 78.49 |", "| 78,49 |")),
    "duplicate-row": (README, with_first_row_twice),
    "unstated-condition": (
        described_metafile(),
        lambda text: text.replace("PyTorch: 1.8.1", "Framework: 1.8.1"),
    ),
}
"""Kind -> a sound document and what plants the fault in it."""


@pytest.mark.parametrize("kind", MANIFEST_FAULTS)
def test_a_fault_planted_in_the_manifest_is_the_only_new_finding(tmp_path, kind):
    prepare, plant = MANIFEST_FAULTS[kind]
    sound = counted_before(manifest_text=prepare(YAML))
    faulty = counted(findings(tmp_path, plant(prepare(YAML))))
    assert [found for (found, _) in (faulty - sound).elements()] == [kind]
    assert not sound - faulty


@pytest.mark.parametrize("kind", DOCUMENT_FAULTS)
def test_a_fault_planted_in_a_document_is_the_only_new_finding(tmp_path, kind):
    page, plant = DOCUMENT_FAULTS[kind]
    assert plant(page) != page
    sound = counted_before(page)
    faulty = counted(findings(tmp_path, YAML, plant(page)))
    assert [found for (found, _) in (faulty - sound).elements()] == [kind]
    assert not sound - faulty


def told(found, kind):
    return [one.what for one in found if one.kind == kind]


def test_copied_cells_are_one_finding_a_publisher_that_counts_them(tmp_path):
    other = within("isanet_r50-d8_769x769_80k_cityscapes", replace('"6.759"', '"6.758"'))
    (before,), (after,) = (told(findings(tmp_path, text), "copied-cells") for text in (YAML, other(YAML)))
    assert (before.split(",")[0], after.split(",")[0]) == (
        "8 pairs of memory and speed stand in 16 rows",
        "7 pairs of memory and speed stand in 14 rows",
    )


def test_rows_with_several_names_are_one_finding_a_publisher_that_counts_them(tmp_path):
    renamed = replace("isanet/isanet_resnet50os8_voc.py", "isanet/isanet_resnet50os8_voc_v2.py")
    before, after = (
        sum(int(what.split()[0]) for what in told(findings(tmp_path, text), "old-and-new-names"))
        for text in (YAML, renamed(YAML))
    )
    assert after - before == 1


def test_a_row_below_another_within_the_spread_of_trainings_is_no_finding(tmp_path):
    """160000 iterations 0.9 points below 80000; 41.12 became 39.09 is told (see the planted faults)."""
    found = findings(
        tmp_path, within("isanet_r50-d8_512x512_160k_ade20k", replace('"42.59"', '"40.30"'))(YAML)
    )
    assert not told(found, "longer-schedule-worse")


def test_a_figure_that_the_manifest_has_not_is_found(tmp_path):
    page = ssseg_readme(ZOO, "ISANet")
    planted = page.replace("| mIoU |", "| mIoU/mIoU(ms+flip) |", 1).replace("76.99%", "76.99%/77.50%")
    planted = planted.replace("78.60%", "78.60%/")
    extra = counted(findings(tmp_path, YAML, planted)) - counted_before(page)
    assert set(extra) == {("unlisted-figure", R50_VOC), ("blank-cells", "page0")}


def test_a_time_without_a_speed_in_the_manifest_is_told(tmp_path):
    text = within(FIRST.id, replace('printed: "2.91"', 'printed: null, note: "not given"'))(YAML)
    extra = counted(findings(tmp_path, text, metafile(ZOO))) - counted(findings(tmp_path, text))
    assert ("unlisted-figure", FIRST.id) in extra


def test_two_metafiles_that_word_a_field_differently_are_found(tmp_path):
    alone = counted(findings(tmp_path, YAML, metafile(ZOO)))
    both = counted(findings(tmp_path, YAML, metafile(ZOO), metafile(ZOO, "0.30")))
    new = {key for key in both - alone if key[0] not in {"lost-decimals", "unstated-condition"}}
    assert new == {("renamed-field", "memory"), ("renamed-field", "collection")}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("| 2.91 |", "| 343.6 |", "it is ms an image"),
        ("| 5.869 |", "| 5.731 |", "one of them is in GiB, the other in MiB / 1000"),
        ("| 5.869 |", "| 6.154 |", "one of them is in 10^9 bytes, the other in MiB / 1000"),
        ("| 5.869 |", "| 5869 |", "1000 times off"),
        ("| 78.49 |", "| 0.7849 |", "100 times off"),
    ],
)
def test_a_figure_in_another_unit_is_told_with_the_unit(tmp_path, old, new, words):
    found = findings(tmp_path, YAML, README.replace(old, new, 1))
    (one,) = [one for one in found if one.kind == "unit-mixup"]
    assert one.subject == FIRST.id
    assert one.what.endswith(words)


def test_a_missing_row_is_told_beside_the_rows_of_its_data_set(tmp_path):
    found = findings(tmp_path, YAML, without_last_row(README))
    (one,) = [one for one in found if one.kind == "missing-row"]
    assert "### Pascal" in "".join(README.splitlines()[one.where[0].line - 5 : one.where[0].line])


def test_a_page_of_an_earlier_state_is_compared_with_the_figures_of_that_state(tmp_path):
    page = ssseg_readme(ZOO, "ISNet", latest=False)
    assert "38.06%/40.16%" in page
    found = findings(tmp_path, YAML, page.replace("38.06%/40.16%", "38.06%/41.16%"))
    (one,) = [one for one in found if one.kind == "numbers-differ"]
    assert one.what.endswith(", 40.16 in the manifest")


def test_a_dash_counts_as_an_empty_cell(tmp_path):
    found = findings(tmp_path, YAML, README.replace("| 78.49 |", "| - |"))
    assert [one.what for one in found if one.kind == "blank-cells"] == ["1 empty cell in 1 row"]


def test_files_are_shown_as_the_user_would_type_them(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert {place.file for one in findings(tmp_path) for place in one.where} == {"../zoo.yaml"}


def test_every_kind_has_a_planted_fault():
    elsewhere = {"name-twice", "collection-differs", "dead-config", "config-differs", "file-replaced"}
    in_logs = {kind for kind in get_args(Kind) if kind.startswith("log-")} - {"log-path"}
    planted = {
        *MANIFEST_FAULTS,
        *DOCUMENT_FAULTS,
        "unlisted-figure",
        "renamed-field",
        "copied-cells",
        "old-and-new-names",
        *elsewhere,
        *in_logs,
        "check-failed",
    }
    assert set(get_args(Kind)) == set(MEANINGS) == planted


def test_sound_documents_add_nothing(tmp_path):
    pages = [README, ssseg_readme(ZOO, "ISANet"), ssseg_readme(ZOO, "ISNet")]
    assert counted(findings(tmp_path, YAML, *pages)) == counted(findings(tmp_path, YAML))


def test_the_packaged_manifest_alone_gives_the_known_list():
    found = counted(audit(ZOO))
    assert Counter(kind for kind, _ in found.elements()) == {
        "revised-claim": 9,
        "fps-step": 4,
        "lost-decimals": 2,
        "old-and-new-names": 2,
        "copied-cells": 1,
        "larger-model-worse": 1,
        "mixed-unit": 1,
        "not-published": 1,
        "no-hash": 1,
        "row-order": 1,
    }
    assert not any(one.gravity == "error" for one in audit(ZOO))


def test_steps_are_told_with_their_figures_and_lines():
    voc = next(one for one in audit(ZOO) if one.kind == "fps-step" and "voc" in one.subject)
    assert voc.what == (
        "R-101 takes +91 ms over R-50 (7.42 and 23.08 fps), where its added blocks, 208 GFLOPs, "
        "cost 21 to 25 ms elsewhere"
    )
    lines = YAML.splitlines()
    assert [
        '"23.08"' in lines[place.line - 1] or '"7.42"' in lines[place.line - 1] for place in voc.where
    ] == [True] * 2


def test_a_finding_tells_what_the_publisher_says_of_it():
    found = {one.kind: one.what for one in reversed(audit(ZOO))}
    assert found["mixed-unit"] == (
        "headed GB, but 4 steps from R-50 to R-101 of ISANet fit MiB / 1000 and no other unit; "
        "the publisher says GiB (mmsegmentation issue 1215)"
    )
    assert found["revised-claim"] == (
        "mIoU(ms+flip) 40.16 of 2021-10-13 became 40.39 on 2023-11-22; of the earlier one: "
        "its settings were not recorded; the protocol is the one configured since"
    )


@pytest.mark.parametrize(
    ("batch", "crop", "traced"), [(2, (512, 1024), 3554), (2, (769, 769), 4039), (4, (512, 512), 3554)]
)
def test_added_memory_is_what_a_trace_of_the_training_step_gives(batch, crop, traced):
    assert added_memory_mib(batch, crop) == pytest.approx(traced, abs=0.5)


SISTER_STEPS = {
    "cityscapes 512x1024": (127.4, 126.6, 131.7),
    "cityscapes 769x769": (301.4, 293.5, 290.8),
    "ade20k 512x512": (23.3, 23.0),
    "voc2012aug 512x512": (24.9, 24.4),
}
"""R-101 minus R-50 in ms, from mmsegmentation's PSPNet, DANet and CCNet tables (the last two lack PSPNet)."""


def test_the_reference_of_the_fps_steps_is_what_the_sister_tables_give():
    """The V100's ms a GFLOP: lowest and highest over all of them, each rounded outwards."""
    gflops = {}
    for small in ZOO:
        large = small.id.replace("_r50-", "_r101-")
        if small.publisher == "mmsegmentation" and "_r50-" in small.id:
            gflops[f"{small.dataset} {small.crop[0]}x{small.crop[1]}"] = _added_gflops(small, ZOO[large])
    rates = [step / gflops[setup] for setup, steps in SISTER_STEPS.items() for step in steps]
    assert (math.floor(min(rates) * 1000) / 1000, math.ceil(max(rates) * 1000) / 1000) == V100_MS_PER_GFLOP


# The real sources


@pytest.fixture(scope="module")
def real(golden, tmp_path_factory):
    """Every stored source and the three metafiles, as files."""
    folder = tmp_path_factory.mktemp("sources")
    for number in range(5):
        text = golden(f"sources/{number:03}.txt")
        (folder / f"{number:03}.md").write_text(text, encoding="utf-8")
    for version, content in golden("facts/mmseg_metafile.json")["metafile"].items():
        (folder / f"isanet-{version}.yml").write_text(
            yaml.safe_dump(content, sort_keys=False), encoding="utf-8"
        )
    return sorted(folder.iterdir())


def test_the_real_sources_add_the_known_list_and_nothing_else(real):
    extra = counted(audit(ZOO, [read_source(path) for path in real])) - counted(audit(ZOO))
    assert sorted((kind, subject.rsplit("/", 1)[-1]) for kind, subject in extra.elements()) == [
        ("blank-cells", "000.md"),
        ("dropped-field", "isanet-1.2.2.yml"),
        ("headings-lost", "003.md"),
        ("relabelled-column", "004.md"),
        ("renamed-field", "collection"),
        ("renamed-field", "first model's name"),
        ("renamed-field", "memory"),
        ("renamed-field", "results"),
        ("resolution-is-crop", "each of 2 metafiles"),
        ("unstated-condition", "each of 2 metafiles"),
        ("unstated-condition", "isanet-1.2.2.yml"),
    ]


def test_the_two_dead_log_links_of_the_first_readme_are_found(real, tmp_path):
    """The README of mmsegmentation eb0baee to 0.18.0 lacked a folder in two log links (configs/isanet/README.md)."""
    page = next(path for path in real if path.name == "001.md").read_text(encoding="utf-8")
    one, two = "isanet_r50-d8_769x769_40k_cityscapes", "isanet_r101-d8_512x1024_40k_cityscapes"
    page = replace(f"{one}/{one}_20210903_050200.log", f"{one}_20210903_050200.log")(page)
    page = replace(f"isanet/{two}/{two}_20210901_145553.log", f"{two}/{two}_20210901_145553.log")(page)
    extra = counted(findings(tmp_path, YAML, page)) - counted(audit(ZOO))
    assert set(extra) == {("log-path", one), ("log-path", two)}


def test_links_that_name_their_file_in_a_query_tell_no_place(tmp_path):
    """Google Drive's ids of weights and log have nothing in common, and are no names of the row."""
    first = next(iter(ZOO))
    drive = {
        first.weights.urls[0]: "https://drive.google.com/open?id=1Sf9YFjo9dpirojzLev8CfHAc99U6cBwH",
        first.log_urls[0]: "https://drive.google.com/open?id=1gkWYJYSodnRcGrBQPYeDg47lsV9fiAhQ",
    }
    text = YAML.replace('      sha256_prefix: "981bd763"\n', "", 1)
    for url, other in drive.items():
        text = text.replace(url, other)
    assert not {kind for kind, _ in counted(findings(tmp_path, text)) - counted(audit(ZOO))} & {
        "log-path",
        "weights-name",
    }


# The command


def test_the_command_is_fast_and_needs_no_torch(tmp_path):
    pages = [
        README,
        ssseg_readme(ZOO, "ISANet"),
        ssseg_readme(ZOO, "ISNet"),
        ssseg_readme(ZOO, "ISNet", latest=False),
    ]
    pages += [metafile(ZOO, version) for version in ("0.18", "0.30", "1.2")]
    files = [tmp_path / f"page{number}" for number in range(len(pages))]
    for file, page in zip(files, pages, strict=True):
        file.write_text(page, encoding="utf-8")
    program = (
        "import sys; from segbench.zoo.cli import main; code = main(sys.argv[1:]);"
        "sys.exit('torch was imported' if {'torch', 'cv2', 'pandas'} & set(sys.modules) else code)"
    )
    sources = [argument for file in files for argument in ("--source", str(file))]
    start = resource.getrusage(
        resource.RUSAGE_CHILDREN
    ).ru_utime  # the clock on the wall belongs to all who run
    done = subprocess.run(
        [sys.executable, "-c", program, "audit", *sources], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start < 5


def test_strict_makes_warnings_fail(capsys):
    assert main(["audit", "--strict", "--manifest", str(full_zoo.PATH)]) == 1
    assert capsys.readouterr().out.rstrip().endswith(count_text(audit(ZOO)))


@pytest.mark.parametrize(
    ("planted", "codes"),
    [(unchanged, {"error": 0, "warning": 1, "note": 1}), (replace('"81.58"', '"181.58"'), {"error": 1})],
)
def test_a_finding_fails_where_it_is_as_grave_as_asked(tmp_path, planted, codes):
    path = tmp_path / "zoo.yaml"
    path.write_text(planted(YAML), encoding="utf-8")
    arguments = ["audit", "--manifest", str(path)]
    assert main(arguments) == 0
    assert {grave: main([*arguments, "--fail-on", grave]) for grave in codes} == codes


def test_json_has_every_field(capsys):
    assert main(["audit", "--json", "--manifest", str(full_zoo.PATH)]) == 0
    records = json.loads(capsys.readouterr().out)
    assert records == json.loads(json.dumps(as_records(audit(ZOO))))
    assert set(records[0]) == {"kind", "gravity", "subject", "what", "meaning", "where"}
    assert all(place["line"] > 0 for record in records for place in record["where"])


def test_text_and_markdown_tell_the_same_findings():
    found = audit(ZOO)
    text, page = as_text(found), Page(AuditSources(ZOO)).text(found).replace("\\", "")
    assert all(one.what in text and one.what in page for one in found)
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith(("| ---", "| row |"))
    ]
    assert len(rows) == len(found)


def test_a_terminal_shows_ten_findings_of_a_kind_and_how_many_there_are(capsys, tmp_path):
    page = tmp_path / "page.md"
    lines = README.replace("| V100 |", "| A100 |")
    page.write_text(lines, encoding="utf-8")
    arguments = ["audit", "--manifest", str(full_zoo.PATH), "--source", str(page)]
    assert main(arguments) == main([*arguments, "--all"]) == 0
    out = capsys.readouterr().out
    assert out.count("device A100, V100 in the manifest") == 10 + 16
    assert "  ... and 6 findings more of this kind (--all shows them)" in out


def test_an_odd_cell_is_a_finding_and_the_other_rows_are_audited(capsys, tmp_path):
    page = tmp_path / "page.md"
    text = README.replace("| 78.49 |", "| 78,49 |").replace("| 78.68 |", "| 78.86 |")
    page.write_text(text, encoding="utf-8")
    assert main(["audit", "--source", str(page), "--fail-on", "error"]) == 1
    out = capsys.readouterr().out
    assert f"expected a plain number in column 'miou', found '78,49'\n    {page}:5\n" in out
    assert f"mIoU 78.86 in {page}, 78.68 in the manifest" in out


def test_a_file_that_is_no_document_is_a_usage_error(capsys, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no table here", encoding="utf-8")
    assert main(["audit", "--source", str(page)]) == 2
    assert "expected a results table" in capsys.readouterr().err


def test_a_failing_check_is_a_finding_and_the_others_go_on(monkeypatch, tmp_path):
    """What it had found until then stays."""

    def failing(evidence):
        yield from ()
        raise ZeroDivisionError("by zero")

    before = counted(findings(tmp_path))
    monkeypatch.setattr("segbench.zoo.audit.CHECKS", (failing, *CHECKS))
    after = findings(tmp_path)
    assert counted(after) == before | {("check-failed", "failing"): 1}
    assert (after[0].subject, after[0].what) == ("failing", "ended with ZeroDivisionError: by zero")


@pytest.mark.parametrize("metric", ["fps", "train_memory"])
def test_a_figure_of_nothing_is_told_as_impossible_and_fails_no_check(tmp_path, metric):
    """Neither the steps between rows nor a document with the real figure divide by it."""
    text = re.sub(rf'(metric: {metric}, printed: )"[\d.]+"', r'\1"0"', YAML)
    kinds = Counter(one.kind for one in findings(tmp_path, text, README, metafile(ZOO, "0.18")))
    assert kinds["impossible-figure"] == text.count(f'metric: {metric}, printed: "0"') > 0
    assert kinds["check-failed"] == 0


@pytest.mark.parametrize("schedule", ["\u00b2", "9" * 400, "9" * 5000])
def test_a_schedule_that_is_no_number_fails_no_check(tmp_path, schedule):
    """Digits of other scripts and more digits than any training counts."""
    text = YAML.replace('schedule: "40000"', f'schedule: "{schedule}"', 1)
    assert text != YAML
    assert "check-failed" not in {one.kind for one in findings(tmp_path, text)}
