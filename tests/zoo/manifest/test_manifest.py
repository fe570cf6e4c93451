"""A manifest becomes records, or one error that names every fault with its line."""

import json
import subprocess
import sys

import msgspec
import pytest
import torch
from small_manifest import SMALL

from segbench.zoo.fetch import fetch
from segbench.zoo.manifest import (
    PACKAGED,
    Fault,
    ManifestError,
    NoProtocol,
    UnknownCheckpoint,
    json_schema,
    load_manifest,
)


def load(tmp_path, text):
    path = tmp_path / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


@pytest.fixture
def small(tmp_path):
    return load(tmp_path, SMALL)


def faults(tmp_path, text):
    """The error's lines without the folder, as the user reads them."""
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_checkpoints_come_in_order_and_by_id_or_alias(small):
    assert [checkpoint.id for checkpoint in small] == ["first", "second"]
    assert small["eins"] is small["first"]
    assert "eins" in small
    assert "third" not in small
    assert 3 not in small
    assert len(small) == 2


def test_a_row_may_be_a_composition(tmp_path):
    """Backbone and heads, each a type and its numbers; lists are numbers too."""
    record = (
        "{backbone: {type: resnet, depth: 18, strides: [1, 2, 2, 1], dilations: [1, 1, 1, 2]}, "
        "head: {type: aspp, channels: 8, dilations: [1, 6]}, auxiliary: [{type: fcn, in_index: 2}], "
    )
    row = load(tmp_path, SMALL.replace("{builder: isanet_mmseg, depth: 50, ", record))["first"]
    with torch.device("meta"):
        scores = row.build()(torch.zeros(1, 3, 65, 129))
    assert scores.shape == (1, 2, 5, 9)


def test_a_checkpoint_carries_its_data_set_and_protocols(small):
    first = small["first"]
    assert first.dataset_spec is small.datasets["tiny"]
    assert first.dataset_spec.name == "tiny"
    assert first.dataset_spec.labels[0].value_map == {7: 0, 8: 1}
    assert first.protocol("miou") is small.protocols["whole"]
    assert first.protocol("miou_ms_flip").window.stride == (2, 2)
    assert first.protocol("miou_ms_flip").name == "flipped"


def test_printed_numbers_stay_text(small):
    assert [claim.printed for claim in small["first"].claims] == ["78.70", "79.0", "5.9", None]
    assert [claim.metric for claim in small["first"].published] == ["miou", "miou_ms_flip", "train_memory"]


def test_a_checkpoint_can_be_changed_by_copy(small):
    changed = msgspec.structs.replace(small["first"], schedule="200")
    assert (changed.schedule, changed.protocols) == ("200", small["first"].protocols)


def test_a_metric_without_protocol_says_which_have_one(small):
    with pytest.raises(NoProtocol) as caught:
        small["first"].protocol("fps")
    assert str(caught.value) == "first: no protocol for 'fps'; metrics with one: miou, miou_ms_flip"


def test_an_unknown_id_names_its_neighbours(small):
    with pytest.raises(UnknownCheckpoint) as caught:
        small["frist"]
    assert str(caught.value) == "unknown checkpoint 'frist', nearest are first; zoo list shows all"
    assert isinstance(caught.value, KeyError)


def test_an_id_unlike_any_other_has_no_neighbours(small):
    with pytest.raises(UnknownCheckpoint) as caught:
        small["zzz"]
    assert str(caught.value) == "unknown checkpoint 'zzz'; zoo list shows all"


def test_repr_says_what_was_loaded(small):
    assert repr(small) == f"Manifest({str(small.path)!r}, 2 checkpoints)"


ONE_FAULT = {
    "unknown key": (
        'miou, printed: "78.70"',
        'miou, printed: "78.70", ms_filp: 1, nte: x',
        [
            (
                "zoo.yaml:30: checkpoints[0].claims[0]: unknown key 'ms_filp', known are metric, printed, protocol, device, "
                "batch, crop, source, date, supersedes, note"
            ),
            "zoo.yaml:30: checkpoints[0].claims[0]: unknown key 'nte', nearest is 'note'",
        ],
    ),
    "missing key": (
        "    backbone: R-50-D8\n",
        "",
        ["zoo.yaml:19: checkpoints[0]: missing key 'backbone'"],
    ),
    "duplicate key": (
        "    method: ISANet\n    backbone: R-50-D8",
        "    method: ISANet\n    method: ISNet\n    backbone: R-50-D8",
        ["zoo.yaml:23: checkpoints[0]: duplicate key 'method', first on line 22"],
    ),
    "duplicate protocol": (
        "  flipped: {",
        "  whole: {base_scale: null}\n  flipped: {",
        ["zoo.yaml:17: protocols: duplicate key 'whole', first on line 16"],
    ),
    "duplicate id": (
        "- id: second",
        "- id: first",
        ["zoo.yaml:34: checkpoints[1].id: 'first' is taken by checkpoints[0]"],
    ),
    "id equal to an alias": (
        "- id: second",
        "- id: eins",
        ["zoo.yaml:34: checkpoints[1].id: 'eins' is taken by checkpoints[0]"],
    ),
    "id that leaves the cache": (
        "- id: second",
        "- id: ../second",
        [
            (
                "zoo.yaml:34: checkpoints[1].id: expected a name of letters, digits and . _ + - (it becomes a folder of the "
                "cache), found ../second"
            )
        ],
    ),
    "unknown data set": (
        '    dataset: tiny\n    crop: [4, 8]\n    schedule: "100"\n    architecture: {builder: isanet_mmseg, depth: 101',
        '    dataset: tinny\n    crop: [4, 8]\n    schedule: "100"\n    architecture: {builder: isanet_mmseg, depth: 101',
        ["zoo.yaml:38: checkpoints[1].dataset: unknown dataset 'tinny', nearest is 'tiny'"],
    ),
    "unknown protocol": (
        'printed: "9", protocol: whole',
        'printed: "9", protocol: wohle',
        ["zoo.yaml:44: checkpoints[1].claims[0].protocol: unknown protocol 'wohle', nearest is 'whole'"],
    ),
    "unknown document": (
        "document: readme",
        "document: paper",
        ["zoo.yaml:30: checkpoints[0].claims[0].source.document: unknown document 'paper', known are readme"],
    ),
    "unknown metric": (
        "metric: fps",
        "metric: ms_flip",
        ["zoo.yaml:33: checkpoints[0].claims[3].metric: unknown value 'ms_flip', nearest is 'miou_ms_flip'"],
    ),
    "accuracy without protocol": (
        'printed: "9", protocol: whole',
        'printed: "9"',
        ["zoo.yaml:44: checkpoints[1].claims[0]: a printed miou needs a 'protocol', or the reason in 'note'"],
    ),
    "memory without batch": (
        "batch: 2, ",
        "",
        ["zoo.yaml:32: checkpoints[0].claims[2]: a printed train_memory needs 'batch' and 'crop'"],
    ),
    "nothing printed and no reason": (
        ", note: not published",
        "",
        ["zoo.yaml:33: checkpoints[0].claims[3].printed: null needs a reason in 'note'"],
    ),
    "number that lost its decimals": (
        '"78.70"',
        "78.70",
        [
            (
                'zoo.yaml:30: checkpoints[0].claims[0].printed: expected a plain decimal number in quotes, such as "78.70", '
                "found 78.70"
            )
        ],
    ),
    "number with a unit": (
        '"78.70"',
        '"78.70%"',
        [
            (
                'zoo.yaml:30: checkpoints[0].claims[0].printed: expected a plain decimal number in quotes, such as "78.70", '
                "found '78.70%'"
            )
        ],
    ),
    "text that YAML takes for a number": (
        '    schedule: "100"\n    architecture: {builder: isanet_mmseg, depth: 50',
        "    schedule: 100\n    architecture: {builder: isanet_mmseg, depth: 50",
        ["zoo.yaml:26: checkpoints[0].schedule: expected text, found 100: put it in quotes"],
    ),
    "date without quotes": (
        '"2021-10-13"',
        "2021-10-13",
        [
            'zoo.yaml:3: documents.readme.date: expected a date in quotes, such as "2021-10-13", found 2021-10-13'
        ],
    ),
    "day that does not exist": (
        '"2021-10-13"',
        "2021-13-45",
        ["zoo.yaml:3: documents.readme.date: not a value: 2021-13-45 (month must be in 1..12)"],
    ),
    "classes that the model does not have": (
        "depth: 50, num_classes: 2",
        "depth: 50, num_classes: 19",
        ["zoo.yaml:27: checkpoints[0].architecture: num_classes is 19, but data set 'tiny' has 2 classes"],
    ),
    "half a composition": (
        "{builder: isanet_mmseg, depth: 50",
        "{backbone: {type: resnet, depth: 50}",
        ["zoo.yaml:27: checkpoints[0].architecture: missing key 'head'"],
    ),
    "no builder": (
        "{builder: isanet_mmseg, depth: 50",
        "{depth: 50",
        ["zoo.yaml:27: checkpoints[0].architecture: missing key 'builder'"],
    ),
    "palette of another length": (
        "[[1, 2, 3], [4, 5, 6]]",
        "[[1, 2, 3]]",
        ["zoo.yaml:14: datasets.tiny.palette: expected 2 colours, one a class, found 1"],
    ),
    "half a colour": (
        "[4, 5, 6]",
        "[4, 5]",
        ["zoo.yaml:14: datasets.tiny.palette[1]: expected array of length 3, found a list of 2"],
    ),
    "prefix of another file": (
        'sha256_prefix: "01234567"',
        'sha256_prefix: "89abcdef"',
        ["zoo.yaml:28: checkpoints[0].weights.sha256_prefix: '89abcdef' stands in none of the URLs"],
    ),
    "prefix too short": (
        'sha256_prefix: "01234567"',
        'sha256_prefix: "0123"',
        [
            "zoo.yaml:28: checkpoints[0].weights.sha256_prefix: expected 8 hexadecimal digits in quotes, found '0123'"
        ],
    ),
    "hash too short": (
        'sha256_prefix: "01234567"',
        'sha256: "01234567"',
        [
            "zoo.yaml:28: checkpoints[0].weights.sha256: expected 64 hexadecimal digits in quotes, found '01234567'"
        ],
    ),
    "hash that contradicts the prefix": (
        'sha256_prefix: "01234567"',
        f'sha256_prefix: "01234567", sha256: "{"a" * 64}"',
        ["zoo.yaml:28: checkpoints[0].weights.sha256: does not begin with the prefix '01234567'"],
    ),
    "no URL": (
        "[https://example.org/second.pth, https://mirror.example.org/second.pth]",
        "[]",
        ["zoo.yaml:42: checkpoints[1].weights.urls: expected at least one URL, found none"],
    ),
    "no URL but a path": (
        "https://mirror.example.org/second.pth",
        "/mnt/second.pth",
        ["zoo.yaml:42: checkpoints[1].weights.urls[1]: expected an http or https URL, found /mnt/second.pth"],
    ),
    "negative size": (
        "base_scale: [8, 4]",
        "base_scale: [8, -4]",
        ["zoo.yaml:16: protocols.whole.base_scale[1]: expected int >= 1, found -4"],
    ),
    "no scale": (
        "flip: true",
        "scales: []",
        ["zoo.yaml:17: protocols.flipped.scales: expected at least one scale, found none"],
    ),
    "name beside the key": (
        "{base_scale: [8, 4]",
        "{name: all, base_scale: [8, 4]",
        ["zoo.yaml:16: protocols.whole.name: leave it out: the key above is the name"],
    ),
    "second figure that replaces nothing": (
        "      - {metric: fps",
        '      - {metric: miou, printed: "80", protocol: whole}\n      - {metric: fps',
        ["zoo.yaml:33: checkpoints[0].claims[3]: a second miou claim needs 'supersedes', the earlier figure"],
    ),
    "figure that replaces another than the earlier one": (
        "      - {metric: fps",
        '      - {metric: miou, printed: "80", supersedes: "78.7", protocol: whole}\n      - {metric: fps',
        ["zoo.yaml:33: checkpoints[0].claims[3]: supersedes '78.7', which no earlier miou claim prints"],
    ),
    "revision by another protocol": (
        "      - {metric: fps",
        '      - {metric: miou, printed: "80", supersedes: "78.70", protocol: flipped}\n      - {metric: fps',
        ["zoo.yaml:33: checkpoints[0].claims[3]: another protocol than the first miou claim's 'whole'"],
    ),
    "text for a record": (
        "documents:\n  readme: {",
        "documents:\n  paper: x\n  readme: {",
        [
            "zoo.yaml:3: documents.paper: expected a mapping with title, publisher, url, revision, date, found x"
        ],
    ),
    "text for a list": (
        '    claims:\n      - {metric: miou, printed: "9", protocol: whole}\n',
        "    claims: none\n",
        ["zoo.yaml:43: checkpoints[1].claims: expected a list, found none"],
    ),
    "list for a mapping": (
        "protocols:\n",
        "protocols: []\nprotocol:\n",
        [
            "zoo.yaml:15: protocols: expected a mapping, found a list of 0",
            "zoo.yaml:16: unknown key 'protocol', nearest is 'protocols'",
        ],
    ),
    "key that is no text": (
        "  whole: {base_scale: [8, 4]",
        "  [a]: {}\n  whole: {base_scale: [8, 4]",
        ["zoo.yaml:16: protocols: expected text as a key, found a list of 1"],
    ),
    "another version": (
        "version: 1\n",
        "version: 2\nanything: else\n",
        ["zoo.yaml:1: version: version 2 is not supported, this segbench reads version 1"],
    ),
    "version in quotes": (
        "version: 1\n",
        'version: "1"\n',
        ["zoo.yaml:1: version: version '1' is not supported, this segbench reads version 1"],
    ),
    "no version": (
        "version: 1\n",
        "",
        ["zoo.yaml:1: missing key 'version'"],
    ),
    "broken YAML": (
        "split: val",
        "split: [val",
        ["zoo.yaml:8: not valid YAML: did not find expected ',' or ']'"],
    ),
    "tag of a Python object": (
        "split: val",
        "split: !!python/name:os.system val",
        [
            (
                "zoo.yaml:7: not valid YAML: could not determine a constructor for the tag "
                "'tag:yaml.org,2002:python/name:os.system'"
            )
        ],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), ONE_FAULT.values(), ids=ONE_FAULT)
def test_a_fault_is_told_with_its_line(tmp_path, old, new, expected):
    assert old in SMALL
    assert faults(tmp_path, SMALL.replace(old, new, 1)) == expected


def test_every_fault_of_the_file_is_told_at_once(tmp_path):
    text = SMALL
    for old, new in [
        ("image_count: 3", "image_count: many"),
        ("description: Once.", "discription: Once."),
        ('"79.0"', "79.0"),
        ("backbone: R-101-D8", "backbones: R-101-D8"),
        ('printed: "9", protocol: whole', 'printed: "9", protocol: hole'),
    ]:
        text = text.replace(old, new)
    assert faults(tmp_path, text) == [
        "zoo.yaml:8: datasets.tiny.image_count: expected int, found many",
        "zoo.yaml:16: protocols.whole: unknown key 'discription', nearest is 'description'",
        (
            "zoo.yaml:31: checkpoints[0].claims[1].printed: expected a plain decimal number in quotes, such as "
            '"78.70", found 79.0'
        ),
        "zoo.yaml:34: checkpoints[1]: missing key 'backbone'",
        "zoo.yaml:37: checkpoints[1]: unknown key 'backbones', nearest is 'backbone'",
        "zoo.yaml:44: checkpoints[1].claims[0].protocol: unknown protocol 'hole', nearest is 'whole'",
    ]


def test_faults_are_records_too(tmp_path):
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, SMALL.replace("image_count: 3", "image_count: 0"))
    assert caught.value.path == tmp_path / "zoo.yaml"
    assert caught.value.faults == (
        Fault(
            path="datasets.tiny.image_count",
            line=8,
            message="expected int >= 1, found 0",
            file=str(tmp_path / "zoo.yaml"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "zoo.yaml: the file is empty; it begins with version: 1"),
        ("# only a comment\n", "zoo.yaml: the file is empty; it begins with version: 1"),
        (
            "- a\n- b\n",
            (
                "zoo.yaml:1: expected a mapping with version, documents, datasets, publishers, protocols, checkpoints at the top "
                "level, found a list of 2"
            ),
        ),
    ],
    ids=["empty", "comment", "list"],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text, expected):
    assert faults(tmp_path, text) == [expected]


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path / "none.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/none.yaml: cannot read the manifest: No such file or directory; name another file with "
        "--manifest, or leave it out for the packaged zoo"
    )


def test_bytes_that_are_no_text_are_no_yaml(tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_bytes(b"version: 1\ntitle: \xff\xfe\xfa\n")
    with pytest.raises(ManifestError, match="expected text in UTF-8, found byte 0xff in line 2"):
        load_manifest(path)


def test_a_path_may_be_text(small):
    assert len(load_manifest(str(small.path))) == 2


@pytest.mark.slow
def test_importing_and_loading_stays_light():
    """`zoo list` answers at once because nothing heavy is imported for it."""
    code = (
        "import sys; from segbench.zoo.manifest import load_manifest; load_manifest(); "
        "print([name for name in ('torch', 'cv2', 'numpy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_schema_is_json_and_refuses_unknown_keys():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$defs"]["Claim"]["additionalProperties"] is False
    assert schema["$defs"]["Claim"]["required"] == ["metric", "printed"]
    assert {"include", "sections", "datasets"} <= schema["$defs"]["ManifestFile"]["properties"].keys()
    assert {"figures", "parts", "backbone"} <= schema["$defs"]["Row"]["properties"].keys()


@pytest.fixture
def demo_row():
    """The demo's checkpoint and its weights file, both in the package."""
    streets = PACKAGED.parent / "zoo" / "streets"
    row = load_manifest(streets / "zoo.yaml")["isanet_r50-d8_w16_256x512_0.8k_streets"]
    return row, streets / "weights" / row.weights.urls[0].rsplit("/", 1)[-1]


def test_a_checkpoint_loads_from_a_file_and_from_a_fetched_one(demo_row, server):
    """Both ways end in the same weights, ready to predict."""
    row, path = demo_row
    server.file(f"/{path.name}", path.read_bytes())
    weights = msgspec.structs.replace(row.weights, urls=(f"{server.url}/{path.name}",))
    elsewhere = msgspec.structs.replace(row, weights=weights)
    given, fetched = row.load(path), elsewhere.load(fetch(elsewhere))
    assert not given.training
    assert not fetched.training
    assert all(a.equal(b) for a, b in zip(given.parameters(), fetched.parameters(), strict=True))
