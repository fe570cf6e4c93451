"""Rows in short: what defaults and sections carry, made whole, and faults told where they were written."""

import re
from pathlib import Path

import msgspec
import pytest
from full_zoo import ZOO
from small_manifest import SMALL

from segbench.zoo.manifest import ManifestError, load_manifest
from segbench.zoo.manifest.shorten import sections
from segbench.zoo.manifest.writing import manifest_text, yaml_text

HEAD = SMALL[: SMALL.index("checkpoints:")]
SHORT = (
    HEAD
    + """\
defaults:
  publisher: us
  method: ISANet
  dataset: tiny
  crop: [4, 8]
  training: {gpus: 4, batch_per_gpu: 2}
  architecture: {builder: isanet_mmseg, num_classes: 2}
  weights: {layout: mmseg, urls: ["https://example.org/{id}/{name}-{hash}.pth"], sha256_prefix: "{hash}"}
  config_urls: ["https://example.org/{name}.py"]
  figures: {fps: {printed: null, note: nobody timed it}}
sections:
  - defaults:
      source: {document: readme, section: Tiny}
      listed_in: {page: {blank: [miou]}}
      figures: {miou: {protocol: whole}, train_memory: {device: V100}, miou_ms_flip: [{protocol: flipped, date: "2020-01-01"}, {protocol: flipped}]}
    rows:
      - id: one
        parts: {name: first, hash: "01234567"}
        backbone: R-50-D8
        schedule: "100"
        architecture: {depth: 50}
        figures: {miou: "78.70", train_memory: "5.9", miou_ms_flip: ["79.0", {printed: "80", date: "2021-01-01"}]}
      - id: two
        parts: {name: second, hash: "89abcdef"}
        backbone: R-101-D8
        schedule: "200"
        training: null
        architecture: {depth: 101}
        figures: {fps: {printed: "3.0", device: V100}}
        listed_in: {page: 7}
"""
).replace("documents:\n", "documents:\n  page: {title: Page, publisher: us}\n")
FULL = (
    HEAD
    + """\
checkpoints:
  - id: one
    publisher: us
    method: ISANet
    backbone: R-50-D8
    dataset: tiny
    crop: [4, 8]
    schedule: "100"
    architecture: {builder: isanet_mmseg, num_classes: 2, depth: 50}
    weights: {layout: mmseg, urls: ["https://example.org/one/first-01234567.pth"], sha256_prefix: "01234567"}
    config_urls: ["https://example.org/first.py"]
    training: {gpus: 4, batch_per_gpu: 2}
    claims:
      - {metric: miou, printed: "78.70", protocol: whole, source: {document: readme, section: Tiny, row: 1}}
      - {metric: miou_ms_flip, printed: "79.0", protocol: flipped, date: "2020-01-01",
         source: {document: readme, section: Tiny, row: 1}}
      - {metric: miou_ms_flip, printed: "80", supersedes: "79.0", protocol: flipped, date: "2021-01-01",
         source: {document: readme, section: Tiny, row: 1}}
      - {metric: train_memory, printed: "5.9", device: V100, batch: 2, crop: [4, 8],
         source: {document: readme, section: Tiny, row: 1}}
      - {metric: fps, printed: null, note: nobody timed it, source: {document: readme, section: Tiny, row: 1}}
    listed_in:
      - {document: page, section: Tiny, row: 1, blank: [miou]}
  - id: two
    publisher: us
    method: ISANet
    backbone: R-101-D8
    dataset: tiny
    crop: [4, 8]
    schedule: "200"
    architecture: {builder: isanet_mmseg, num_classes: 2, depth: 101}
    weights: {layout: mmseg, urls: ["https://example.org/two/second-89abcdef.pth"], sha256_prefix: "89abcdef"}
    config_urls: ["https://example.org/second.py"]
    claims:
      - {metric: fps, printed: "3.0", device: V100, source: {document: readme, section: Tiny, row: 2}}
    listed_in:
      - {document: page, section: Tiny, row: 7, blank: [miou]}
"""
).replace("documents:\n", "documents:\n  page: {title: Page, publisher: us}\n")


def load(folder, text, name="zoo.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


def records(manifest):
    return [msgspec.structs.replace(one, manifest=None) for one in manifest]


def faults(folder, text):
    with pytest.raises(ManifestError) as caught:
        load(folder, text)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_short_rows_are_the_full_ones(tmp_path):
    assert records(load(tmp_path, SHORT)) == records(load(tmp_path, FULL))


@pytest.mark.slow
@pytest.mark.parametrize("text", [SMALL, FULL], ids=["small", "full"])
def test_what_is_shortened_and_what_is_written_out_reads_as_it_was(tmp_path, text):
    before = load(tmp_path, text)
    short = text[: text.index("checkpoints:")] + yaml_text(sections(before))
    assert records(load(tmp_path, short)) == records(before)
    assert records(load(tmp_path, manifest_text(before, before))) == records(before)


LINES = SHORT.splitlines()


def line_of(text):
    return 1 + next(number for number, line in enumerate(LINES) if text in line)


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("dataset: tiny", "dataset: tony", "dataset: tiny", "sections[0].rows[0].dataset: unknown dataset 'tony', nearest is 'tiny'"),
        ("{protocol: whole}", "{protocol: hole}", "{protocol: whole}", "sections[0].rows[0].figures.miou.protocol: unknown protocol 'hole', nearest is 'whole'"),
        ('"78.70"', "78.70", '"78.70"', 'sections[0].rows[0].figures.miou.printed: expected a plain decimal number in quotes, such as "78.70", found 78.70'),
        ("  method: ISANet", "  methode: ISANet", "  method: ISANet", "sections[0].rows[0]: unknown key 'methode', nearest is 'method'"),
        ("{name}.py", "{nome}.py", "{name}.py", "sections[0].rows[0]: {nome} is neither 'id' nor one of the row's parts: name, hash, id"),
        ("{page: 7}", "{page: seven}", "{page: 7}", "sections[0].rows[1].listed_in.page.row: expected int, found seven"),
        ('miou_ms_flip: ["79.0"', 'miou_ms_flop: ["79.0"', 'miou_ms_flip: ["79.0"', "sections[0].rows[0].figures.miou_ms_flop[0].metric: unknown value 'miou_ms_flop'"),
        ("    rows:", "    rose:", "    rows:", "sections[0]: unknown key 'rose', nearest is 'rows'"),
        ("sections:", "section:", "sections:", "unknown key 'section', nearest is 'sections'"),
        ("      figures: {miou: {", "      row: none\n      figures: {miou: {", "      figures: {miou: {", "sections[0].defaults.row: expected the number of the section's first row, from 1 on"),
    ],
)  # fmt: skip
def test_a_fault_of_a_default_is_told_at_the_defaults_line(tmp_path, old, new, at, message):
    assert SHORT.count(old) == 1
    found = faults(tmp_path, SHORT.replace(old, new))
    assert [line for line in found if line.startswith(f"zoo.yaml:{line_of(at)}: {message}")], found


def test_a_default_at_fault_in_every_row_is_told_once(tmp_path):
    assert len(faults(tmp_path, SHORT.replace("crop: [4, 8]", "crop: [4]"))) == 1


def test_rows_count_on_from_the_sections_first_one(tmp_path):
    short = SHORT.replace("    rows:", "      row: 5\n    rows:")
    assert [one.claims[0].source.row for one in load(tmp_path, short)] == [5, 6]


@pytest.mark.slow
def test_defaults_may_not_stand_for_more_than_a_file_may(tmp_path):
    """A few lines of defaults in front of very many rows are refused before they fill the memory."""
    rows = "".join(f"      - id: r{number}\n" for number in range(30_000))
    words = ", ".join(f"https://example.org/{number}" for number in range(300))
    short = SHORT[: SHORT.index("      - id: one")].replace('["https://example.org/{name}.py"]', f"[{words}]")
    assert faults(tmp_path, short + rows) == [
        "zoo.yaml: its defaults stand for more than 4 values a byte; give rows less in common"
    ]


ADDED = """\
  - additions:
      - id: two
        aliases: [zwei]
        weights: {urls: ["https://mirror.example.org/two-89abcdef.pth"]}
        claims:
          - {metric: fps, printed: "3.0", date: "2020-01-01", note: was wrong}
          - {metric: fps, printed: "4.0", supersedes: "3.0", device: V100, date: "2021-01-01"}
        listed_in: [{document: page, section: Later, row: 1}]
"""


def test_additions_extend_a_row_of_elsewhere(tmp_path):
    two = load(tmp_path, SHORT + ADDED)["zwei"]
    assert (two.id, two.aliases) == ("two", ("zwei",))
    assert two.weights.urls == (
        "https://mirror.example.org/two-89abcdef.pth",
        "https://example.org/two/second-89abcdef.pth",
    )
    assert [(one.printed, one.supersedes, one.date, one.note) for one in two.claims] == [
        ("3.0", None, "2020-01-01", "was wrong"),
        ("4.0", "3.0", "2021-01-01", None),
    ]
    assert [(one.section, one.row) for one in two.listed_in] == [("Tiny", 7), ("Later", 1)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "id: two\n        aliases",
            "id: too\n        aliases",
            "unknown checkpoint 'too', nearest is 'two'",
        ),
        ("aliases: [zwei]", "method: ISNet", "an addition cannot say 'method'"),
        ("aliases: [zwei]", "aliases: [one]", "'one' is taken by sections[0].rows[0]"),
    ],
)
def test_an_addition_that_cannot_be_is_refused(tmp_path, old, new, message):
    (found,) = faults(tmp_path, (SHORT + ADDED).replace(old, new))
    assert message in found


def test_the_rows_in_short_that_the_page_shows_are_read(tmp_path):
    """What docs/your-own.md says of sections, below the data set and protocol that it shows before."""
    page = Path(__file__).parents[3] / "docs" / "your-own.md"
    full, short = re.findall(
        r"```yaml\n(version: 1.*?)```.*?```text\n(defaults:.*?)```", page.read_text("utf-8"), re.DOTALL
    )[0]
    documents = "documents:\n  my-readme: {title: README, publisher: me}\n"
    (row,) = load(tmp_path, full[: full.index("checkpoints:")] + documents + short)
    assert row.weights.urls == ("https://example.org/my-isanet-50-01234567.pth",)
    assert [(one.metric, one.printed, one.source.row) for one in row.claims] == [
        ("miou", "76.63", 1),
        ("fps", None, 1),
    ]


def test_an_address_made_of_parts_is_bounded(tmp_path):
    """2,000 characters, whatever each part has."""
    long = SHORT.replace("name: first", f"name: {'f' * 2000}")
    assert any("longer than 2000 characters with its parts" in one for one in faults(tmp_path, long))


def test_links_alike_in_sections_of_one_row_stand_once():
    ids = ("isanet_resnet50os8_voc", "isanet_resnet50os8_ade20k")
    short = sections([ZOO[name] for name in ids])
    assert short["defaults"]["log_urls"] == [
        "https://github.com/SegmentationBLWX/modelstore/releases/download/ssseg_isanet/{id}.log"
    ]
    assert [row["id"] for section in short["sections"] for row in section["rows"]] == list(ids)
