"""Hostile text in every text field of a manifest, ledger and evidence file, read back with each medium's own parser."""

import csv
import io
import json
import re
import types
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Annotated, Literal, Union, get_args, get_origin

import html5lib
import msgspec
import numpy as np
import pytest
import yaml

from segbench.evaluate.evidence import EvidenceKey, EvidenceStore, Split, Use
from segbench.reports.ledger import append
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import ManifestError, ManifestFile, load_manifest
from segbench.zoo.measuring.measurement import Measurement

pytestmark = pytest.mark.slow

ROW = "isanet_r50-d8_w16_256x512_0.8k_streets"
HOSTILE = (
    "=1+1\x1b[31m\x00\x9b\u202e\u200b\u2028\x85\x7f\r\n::error::x\n  ::stop-commands::y\n##[set-env name=A]b\n- # 1. "
    '|a`b`<script>alert(1)</script>&amp;[c](javascript:d)$\\bad{$"\' onload="e" -->]]>,\t@f'
)
MILD = HOSTILE.translate({ord(sign): None for sign in "\x1b\x00\x9b\u202e\u200b\u2028\x85\x7f\r\n\t"})
"""What a field may still hold that takes no control characters."""
KEPT = ("publisher",)
"""Chooses the form of a table: hostile, there is but the form for strangers."""


PATTERNED = {
    "checkpoints[].claims[].metric",
    "checkpoints[].listed_in[].blank[]",
    "documents.*.date", "checkpoints[].id", "checkpoints[].aliases[]", "checkpoints[].weights.sha256",
    "checkpoints[].weights.sha256_prefix", "checkpoints[].claims[].printed", "checkpoints[].claims[].date",
    "checkpoints[].claims[].supersedes", "checkpoints[].weights.layout", "checkpoints[].training.optimizer",
}  # fmt: skip
"""Their patterns leave no room."""
UNFILLED = {
    "datasets.*.name", "protocols.*.name", "datasets.*.id_prefixes[]", "datasets.*.void_class", "datasets.*.unscored",
    "datasets.*.stray_values.*",
}  # fmt: skip
"""The key above is the name; what ids begin with, where ids are files' names; one of the classes; why nothing is scored; of numbers."""
NOT_TRIED = "publishers."
"""A publisher's own file: headings, words and rules that pages are matched with."""


class Hostile:
    """Goes through plain data beside its type and makes every free text hostile, the same text always the same.

    `refused` says how often the door refused what stood at a path: first the text is made milder, then left alone.
    """

    def __init__(self, kept, refused):
        self.kept = kept
        self.refused = refused
        self.changed = {}
        """Place in the type -> what was put in front of the texts there."""

    def text(self, text, kind, path, place):
        patterns = [
            meta.pattern for meta in getattr(kind, "__metadata__", ()) if getattr(meta, "pattern", None)
        ]
        if place.rpartition(".")[2] in self.kept:
            return text
        times = max(
            (n for other, n in self.refused.items() if re.match(rf"{re.escape(other)}($|[.\[])", path)),
            default=0,
        )
        hostile = [HOSTILE, MILD, ""][times]
        made = f"{text} {hostile}" if patterns else f"{hostile} {text}"
        if not hostile or not all(re.search(pattern, made) for pattern in patterns):
            return text
        self.changed[place] = hostile
        return made

    def value(self, value, kind, path="", place=""):  # noqa: PLR0911  (a way out a kind of type)
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType) and value is not None:
            fitting = [part for part in parts if get_origin(part) is type(value)] or [
                part for part in parts if part in (str, type(value))
            ]
            return self.value(value, next(iter(fitting), parts[0]), path, place)
        if origin is Annotated and parts[0] is not str:
            return self.value(value, parts[0], path, place)
        if origin is Literal or not isinstance(value, (str, dict, list)):
            return value
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
            return {k: self.value(v, fields[k], join(path, k), join(place, k)) for k, v in value.items()}
        if origin is dict:
            return dict(self.entry(k, v, parts, path, place) for k, v in value.items())
        if origin is tuple:
            kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
            return [self.value(v, kinds[n], f"{path}[{n}]", f"{place}[]") for n, v in enumerate(value)]
        return self.text(value, kind, path, place)

    def entry(self, key, value, kinds, path, place):
        if place.endswith("architecture"):  # its keys are arguments
            return key, self.value(value, kinds[1], path, f"{place}.*")
        made = self.text(key, kinds[0], path, f"{place}.")
        return made, self.value(value, kinds[1], join(path, made), f"{place}.*")


def join(path, name):
    return f"{path}.{name}" if path else name


def free_texts(kind, path=""):
    """Every place of a type where a text may stand, as `Hostile.changed` names it; without keys of mappings."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is str or (origin is Annotated and parts[0] is str):
        return {path}
    if origin is Annotated:
        return free_texts(parts[0], path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {
            text for field in msgspec.structs.fields(kind)
            for text in free_texts(field.type, f"{path}.{field.name}".lstrip("."))
        }  # fmt: skip
    if origin is dict:
        return free_texts(parts[1], f"{path}.*")
    if origin is tuple:
        return {text for part in parts for text in free_texts(part, f"{path}[]")}
    return (
        {text for part in parts for text in free_texts(part, path)}
        if origin in (Union, types.UnionType)
        else set()
    )


def full_manifest():
    """The demo's manifest with every field that may be left out filled in."""
    data = yaml.safe_load((STREETS / "zoo.yaml").read_text())
    row = data["checkpoints"][0]
    data["documents"]["streets"] |= {"url": "https://a.org/b", "date": "2021-10-13"}
    data["datasets"]["streets"] |= {
        "homepage": "h", "how_to_get": "g", "lookalikes": {"a": "b"}, "other_images": ["o"], "withheld": ["w"],
        "categories": {"c": ["road"]}, "id_list": "ids.txt", "label_folders": {"a": "b"},
        "made_of": {"annotations": "a", "categories": {1: 1}},
    }  # fmt: skip
    row |= {"aliases": ["alias"], "segmentor": "s", "pretrain": "p", "train_eval_set": "t"}
    row |= {"log_urls": ["https://a.org/l.log"]}
    row |= {
        "config_urls": ["https://a.org/c.py"],
        "listed_in": [{"document": "streets", "section": "s", "row": 1}],
    }
    row["architecture"]["head"] = {
        "type": "t",
        "inner": {"kind": "k"},
    }  # a part of a composition; nothing here builds the network
    row["claims"][0] |= {"device": "V100", "note": "n"}
    row["claims"].append({"metric": "fps", "printed": None, "note": "none printed"})
    return data


def hostile_manifest(path, kept):
    """Write the manifest with hostile text wherever the door takes it; returns what was made hostile, and how."""
    refused = Counter()
    while True:
        hostile = Hostile(kept, refused)
        path.write_text(yaml.safe_dump(hostile.value(full_manifest(), ManifestFile), allow_unicode=False))
        try:
            load_manifest(path)
        except ManifestError as error:
            refused.update({fault.path for fault in error.faults})
            if max(refused.values()) > 2:
                raise
        else:
            return hostile.changed


@pytest.fixture(params=[(), KEPT], ids=["all", "publisher kept"])
def hostile(request, tmp_path):
    """Paths of a hostile manifest and of a ledger that answers its claims."""
    path = tmp_path / "zoo.yaml"
    changed = hostile_manifest(path, request.param)
    row = load_manifest(path)[ROW]
    record = Measurement(
        checkpoint=ROW,
        metric="miou",
        value=70.0,
        details={"iou_percent": dict.fromkeys(row.dataset_spec.classes, 50.0), "definitions": {HOSTILE: 60.0}},
        protocol=HOSTILE,
        protocol_digest=row.protocol("miou").digest(),
        weights_sha256=HOSTILE,
        dataset=row.dataset,
        dataset_fingerprint=HOSTILE,
        image_count=12,
        seconds=1.0,
        new_images=12,
        precision="fp32",
        environment={
            "device": HOSTILE, "platform": HOSTILE, "python": HOSTILE, "cuda": HOSTILE, "packages": {HOSTILE: HOSTILE}
        },
        taken_at="2026-11-21T11:01:02+00:00",
    )  # fmt: skip
    append(tmp_path / "ledger.jsonl", record)
    append(tmp_path / "ledger.jsonl", msgspec.structs.replace(record, checkpoint=HOSTILE, metric="miou"))
    return types.SimpleNamespace(manifest=path, ledger=tmp_path / "ledger.jsonl", changed=changed)


def acting(text):
    """What a terminal or a runner would obey in a text."""
    signs = {
        sign for sign in text if unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp", "Cs"} and sign != "\n"
    }
    return [*signs, *re.findall(r"^\s*::.*|##\[.*", text, re.MULTILINE)]


def zoo(capsys, *arguments):
    """Stdout of a command that does not crash, and obeys nothing."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert code in (0, 1, 3), said.err
    assert "audit" in arguments or "alert" in said.out + said.err, "nothing hostile was shown"
    assert acting(said.out) == acting(said.err) == []
    return said.out


def report(capsys, hostile, *arguments):
    return zoo(capsys, "report", "--manifest", hostile.manifest, "--ledger", hostile.ledger, *arguments)


def test_every_free_text_of_a_manifest_is_tried_or_refused_by_name(hostile):
    """A new field is hostile as well, without a word here; those with a pattern are named."""
    untouched = free_texts(ManifestFile) - {place for place in hostile.changed if not place.endswith(".")}
    untouched = {place for place in untouched if not place.startswith(NOT_TRIED)}
    assert untouched - PATTERNED - UNFILLED == (
        {"checkpoints[].publisher", "documents.*.publisher"} & untouched
    )
    mild = {place for place, text in hostile.changed.items() if text == MILD}
    assert mild == {"datasets.*.classes[]", "datasets.*.categories.", "datasets.*.categories.*[]"}


@pytest.mark.parametrize("command", ["list", "show", "audit", "export"])
def test_a_command_for_people_obeys_nothing(capsys, hostile, command):
    zoo(capsys, command, "--manifest", hostile.manifest)


@pytest.mark.parametrize("command", ["list", "show"])
def test_json_has_the_very_text(capsys, hostile, command):
    out = zoo(capsys, command, "--manifest", hostile.manifest, "--json")
    assert HOSTILE in str_values(json.loads(out))


@pytest.mark.parametrize("hostile", [()], indirect=True, ids=["all"])
def test_an_audits_json_has_the_very_text(capsys, hostile):
    """What it finds in two rows is told by publisher, whose name is hostile here."""
    assert HOSTILE in str_values(json.loads(zoo(capsys, "audit", "--manifest", hostile.manifest, "--json")))


def str_values(data):
    """All texts of plain data, joined."""
    if isinstance(data, dict):
        return " ".join(map(str_values, [*data.keys(), *data.values()]))
    return " ".join(map(str_values, data)) if isinstance(data, list) else str(data)


def test_protocols_and_the_doctor_obey_nothing(capsys, hostile):
    zoo(capsys, "show", "--protocol", "--manifest", hostile.manifest)
    zoo(capsys, "doctor", "--manifest", hostile.manifest)


@pytest.mark.parametrize("command", ["report", "export", "definitions"])
def test_csv_has_no_formula_and_every_row_its_cells(capsys, hostile, command):
    if command == "export":
        out = zoo(
            capsys, "export", "--format", "csv", "--manifest", hostile.manifest, "--ledger", hostile.ledger
        )
    else:
        out = report(
            capsys, hostile, "--format", "csv", *(["--definitions"] if command == "definitions" else [])
        )
    rows = list(csv.reader(io.StringIO(out), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(out.splitlines()) == len(rows)
    assert [
        c for row in rows for c in row if re.match(r"[=+\-@\t\r]", c) and not re.fullmatch(r"[+-]?[\d.]+", c)
    ] == []


def test_a_model_index_has_the_very_text(capsys, hostile, tmp_path):
    zoo(capsys, "export", "--manifest", hostile.manifest)
    main(["export", "--manifest", str(hostile.manifest), "--out", str(tmp_path / "card.yaml")])
    assert HOSTILE in str_values(yaml.safe_load((tmp_path / "card.yaml").read_text(encoding="utf-8")))


def test_json_of_a_report_has_the_very_text(capsys, hostile):
    assert HOSTILE in str_values(json.loads(report(capsys, hostile, "--json")))


def test_junit_is_xml(capsys, hostile):
    cases = list(ET.fromstring(report(capsys, hostile, "--format", "junit")).iter("testcase"))
    assert len(cases) == 5


@pytest.mark.parametrize("arguments", [["report"], ["report", "--definitions"], ["audit"]], ids=" ".join)
def test_markdown_has_tables_of_one_width_and_no_markup_of_others(capsys, hostile, arguments):
    ledger = ["--ledger", hostile.ledger] if arguments[0] == "report" else []
    out = zoo(capsys, *arguments, "--format", "md", "--manifest", hostile.manifest, *ledger)
    for block in re.findall(r"(?:^\|.*\n?)+", out, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert not re.search(r"<(?!br>)", out)
    assert not re.search(r"(?<!\\)\[c\]|(?<!\\)\$|(?<!\\)`b", out)


def test_html_is_valid_and_has_no_script_of_others(capsys, hostile):
    page = report(capsys, hostile, "--format", "html")
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert len(list(tree.iter("script"))) == 1
    assert [name for one in tree.iter() for name in one.attrib if str(name).lower().startswith("on")] == []
    assert [
        one.get("href") for one in tree.iter("a") if not re.match(r"https?://|#", one.get("href", "#"))
    ] == []
    assert not [
        sign for sign in page if unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} and sign != "\n"
    ]
    assert "could not be drawn" not in page
    drawn = ["".join(text.itertext()) for text in tree.iter() if str(text.tag).endswith("text")]
    assert [text for text in drawn if text.startswith("=1+1[31m::error::x")] != []


def test_evidence_with_hostile_names_obeys_nothing(capsys, tmp_path):
    text = HOSTILE.replace("\x00", "")  # ends a text of SQLite
    key = EvidenceKey(
        weights_sha256=text, protocol_digest=text, dataset_rules=text, precision=text, device_kind=text, num_classes=2
    )  # fmt: skip
    split = Split(
        fingerprint=text, dataset=text, subset=text, classes=(text, "b"), images=((text, text), ("b", "b"))
    )
    use = Use(checkpoint=text, metric="miou", protocol=text, environment={"device": text}, split=split)
    path = tmp_path / "evidence.sqlite"
    with EvidenceStore(path) as store:
        store.describe(key, use)
        store.add(key, (text, text), np.eye(3, 2, dtype=np.int64))
    for command in (["list"], ["list", "--json"], ["show"], ["show", "--json"]):
        zoo(capsys, "evidence", *command, "--evidence", path)


def test_a_refusal_obeys_nothing(capsys, tmp_path):
    """What is wrong with a manifest, a ledger and a state is told with the words that stand there."""
    data = full_manifest()
    data["checkpoints"][0] |= {"id": HOSTILE, HOSTILE: 1, "dataset": HOSTILE}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(data))
    (tmp_path / "ledger.jsonl").write_text(json.dumps({"checkpoint": HOSTILE}) + "\n")
    for arguments in (
        ["list", "--manifest", tmp_path / "zoo.yaml"],
        ["report", "--ledger", tmp_path / "ledger.jsonl"],
    ):
        assert main(list(map(str, arguments))) == 2
        said = capsys.readouterr()
        assert said.err
        assert acting(said.err) == acting(said.out) == []
    assert main(["show", HOSTILE]) == 5
    said = capsys.readouterr().err
    assert acting(said) == []
