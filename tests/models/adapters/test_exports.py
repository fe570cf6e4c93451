"""A network that comes as a file of another library is a network like any other."""

import json
import re
import zipfile

import pytest
import torch
from own_builders import MANIFEST, own_zoo, tiny_weights, verify_arguments

from segbench.models import adapters
from segbench.models.adapters import ExportError, is_export, load_export
from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.manifest import ManifestError, load_manifest

DEMO_ROW = "isanet_r50-d8_w16_256x512_0.8k_streets"
NO_ONNX = "missing: onnx and onnxruntime, of the extra segbench[test]"


def tiny(classes=3):
    model = torch.nn.Conv2d(3, classes, 1).eval()
    model.load_state_dict({name: value[:classes] for name, value in tiny_weights().items()})
    return model


def program(path, model, size=(8, 8), *, is_open=False):
    shapes = ({2: torch.export.Dim("height"), 3: torch.export.Dim("width")},) if is_open else None
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, *size),), dynamic_shapes=shapes), path)
    return path


def onnx(path, model, size=(8, 8), *, is_open=False):
    """A file of one convolution, written by hand: no exporter has a say in what is read."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason=NO_ONNX)
    from onnx import TensorProto, helper, numpy_helper, save

    sizes = ["height", "width"] if is_open else size
    images, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, *sizes])
        for name, channels in (("images", 3), ("scores", model.out_channels))
    )
    weights = [numpy_helper.from_array(value.numpy(), name) for name, value in model.state_dict().items()]
    node = helper.make_node("Conv", ["images", "weight", "bias"], ["scores"])
    graph = helper.make_graph([node], "tiny", [images], [scores], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(params=[program, onnx], ids=["pt2", "onnx"])
def written(request, tmp_path):
    """A function that exports a model into a file of either kind."""
    suffix = {program: "pt2", onnx: "onnx"}[request.param]
    return lambda model, **how: request.param(tmp_path / f"model.{suffix}", model, **how)


pytestmark = pytest.mark.filterwarnings("ignore")  # the exporters' own


def test_an_export_gives_the_models_scores(written):
    path, model, images = written(tiny(), is_open=True), tiny(), torch.randn(2, 3, 5, 7)
    network = load_export(path)
    with torch.inference_mode():
        for one in images.split(1):
            torch.testing.assert_close(network(one), model(one))
        torch.testing.assert_close(network(images), model(images))
    assert not network.training


def test_a_fixed_size_is_met_or_refused(written):
    path = written(tiny())
    network = load_export(path)
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    message = (
        f"{path} takes images (1, 3, 8, 8), the protocol gives (1, 3, 8, 9): its number is not comparable"
    )
    with pytest.raises(ExportError, match=re.escape(message)):
        network(torch.zeros(1, 3, 8, 9))


def test_it_is_measured_where_a_weights_file_is_taken(written, tmp_path, capsys, monkeypatch):
    """`zoo verify --file`: no builder is needed, and what ran it is written down."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    own_zoo(tmp_path)
    path = written(tiny())
    arguments = [str(path) if one == str(tmp_path / "own.pth") else one for one in verify_arguments(tmp_path)]
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)[0]["status"], json.loads(out)[0]["measured"]) == ("reproduced", 100.0)
    assert ("can run code" in err) is (path.suffix == ".pt2")
    record = json.loads((tmp_path / "ledger.jsonl").read_text(encoding="utf-8"))
    assert record["environment"]["export"]["file"] == path.name
    assert main([*arguments, "--json", "--precision", "bf16"]) == 3
    assert "leave --precision bf16 out" in json.loads(capsys.readouterr().out)[0]["reason"]


def test_it_predicts(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    own_zoo(tmp_path)
    path, picture = written(tiny()), tmp_path / "data" / "pictures" / "images" / "0.png"
    given = ["--manifest", str(tmp_path / "zoo.yaml"), "--file", str(path), "--out", str(tmp_path / "out")]
    assert main(["predict", *given, "own", str(picture), "-q"]) == 0
    labels = tmp_path / "out" / "own" / "labels" / "0.png"
    from PIL import Image, ImageChops

    with Image.open(labels) as found, Image.open(picture.parents[1] / "labels" / "0.png") as truth:
        assert not ImageChops.difference(found.convert("P"), truth.convert("P")).getbbox()


def test_another_number_of_classes_is_told(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    own_zoo(tmp_path)
    path = written(tiny(classes=2))
    arguments = [str(path) if one == str(tmp_path / "own.pth") else one for one in verify_arguments(tmp_path)]
    assert main([*arguments, "--json"]) == 3
    assert (
        "the network scores 2 classes, the data set has 3" in json.loads(capsys.readouterr().out)[0]["reason"]
    )


@pytest.mark.parametrize("name", ["broken.pt2", "broken.onnx"])
def test_damaged_bytes_are_one_message(tmp_path, capfd, name):
    path = tmp_path / name
    path.write_bytes(b"no network at all")
    with pytest.raises(ExportError, match=re.escape(str(path))):
        load_export(path)
    assert capfd.readouterr() == ("", "")


def test_an_export_has_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"0123456789")
    monkeypatch.setattr(adapters, "MAX_EXPORT_BYTES", 9)
    with pytest.raises(ExportError, match="expected at most 9 bytes"):
        load_export(path)


def test_a_replaced_file_is_noticed(tmp_path):
    path = program(tmp_path / "model.pt2", tiny())
    with pytest.raises(ExportError, match="changed while it was in use"):
        load_export(path, sha256="0" * 64)


def test_a_manifest_cannot_bring_a_program(tmp_path):
    """Reading one can run code, which only its user may want."""
    path = tmp_path / "zoo.yaml"
    path.write_text(MANIFEST.replace("own.pth", "own.pt2"), encoding="utf-8")
    with pytest.raises(
        ManifestError, match="can run code where it is read, which no manifest may bring about"
    ):
        load_manifest(path)
    path.write_text(MANIFEST.replace("own.pth", "own.onnx"), encoding="utf-8")
    assert is_export(path.with_suffix(".onnx"))
    assert len(load_manifest(path)) == 1


def test_check_weights_reads_no_program_unasked(tmp_path, capsys):
    own_zoo(tmp_path)
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model", "would run")
    given = ["check-weights", "--manifest", str(tmp_path / "zoo.yaml"), "own", "--file", str(path)]
    assert main(given) == 3
    out = capsys.readouterr().out
    assert out.startswith("own: not examined")
    assert "it was not read" in out
    assert main([*given, "--unsafe-load"]) == 4


@pytest.mark.parametrize("size", [(16, 24), None])
def test_check_weights_runs_an_export_and_counts_its_classes(tmp_path, capsys, size):
    """Of the size it was exported for, or of any: a row of three classes takes no network of four."""
    own_zoo(tmp_path)
    given = ["check-weights", "--manifest", str(tmp_path / "zoo.yaml"), "own", "--unsafe-load", "--file"]
    for classes, code, words in (
        (3, 0, "It is the network by itself"),
        (4, 4, "the network scores 4 classes, the data set has 3"),
    ):
        network = torch.nn.Conv2d(3, classes, 1).eval()
        path = program(tmp_path / f"of{classes}.pt2", network, size=size or (16, 24), is_open=size is None)
        assert main([*given, str(path)]) == code
        assert words in " ".join(capsys.readouterr().out.split())


def test_an_export_of_a_published_row_is_not_its_file(tmp_path, capsys, monkeypatch):
    """The row prints a hash, which no export has: measured, and not held against the claim."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    prefix = "    weights: {sha256_prefix: 01234567, urls: [https://example.org/own-01234567.pth]}\n"
    own_zoo(
        tmp_path,
        manifest=re.sub(r"    weights: .*\n", prefix.replace("01234567,", '"01234567",', 1), MANIFEST),
    )
    path = program(tmp_path / "model.pt2", tiny())
    arguments = [str(path) if one == str(tmp_path / "own.pth") else one for one in verify_arguments(tmp_path)]
    assert main([*arguments, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)[0]
    assert (verdict["status"], verdict["measured"]) == ("not comparable", 100.0)
    assert verdict["reason"] == "measured with model.pt2, an export that no published hash vouches for"


def verified(capsys, folder, path, *flags):
    """The verdict on the demo's ISANet, measured from `path`."""
    places = ["--evidence", str(folder / "e.sqlite"), "--ledger", str(folder / "l.jsonl")]
    given = ["--manifest", str(STREETS / "zoo.yaml"), "--data-root", str(STREETS), "--file", str(path)]
    assert main(["verify", *given, *places, DEMO_ROW, "--metric", "miou", "-q", "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)[0]


@pytest.fixture
def isanet(tmp_path, monkeypatch):
    """The demo's, and its file."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    path = next((STREETS / "weights").glob(f"{DEMO_ROW}*"))
    return load_manifest(STREETS / "zoo.yaml")[DEMO_ROW].load(path), path


@pytest.mark.golden
@pytest.mark.slow
def test_the_demos_isanet_keeps_its_number_as_onnx(isanet, tmp_path, capsys):
    """Exported with its sizes left open, since the scenes have several: 76.63 as from the publisher's file."""
    for name in ("onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=NO_ONNX)
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        pytest.skip("missing: torch 2.6, the first that exports sizes left open by inference")
    path, sizes = tmp_path / "isanet.onnx", dict.fromkeys((2, 3), torch.export.Dim.DYNAMIC)
    options = {"dynamic_shapes": (sizes,), "external_data": False, "dynamo": True, "verbose": False}
    torch.onnx.export(isanet[0], (torch.zeros(1, 3, 197, 396),), path, **options)
    verdict = verified(capsys, tmp_path, path)
    assert (verdict["rounded"], verdict["status"], verdict["images"]) == (76.63, "not comparable", 12)


@pytest.mark.slow
def test_the_demos_isanet_keeps_its_number_as_a_program(isanet, tmp_path, capsys):
    """Exported for the first scene's size, on which it gives what the publisher's file gives."""
    model, file = isanet
    path = program(tmp_path / "isanet.pt2", model, (256, 512))
    expected, found = (verified(capsys, tmp_path, one, "--limit", "1") for one in (file, path))
    assert found["measured"] == expected["measured"] > 50
    assert found["images"] == 1


def made(path, nodes, outputs=("scores",), tensors=(), opset=17):
    """An ONNX file of these nodes; float images to outputs."""
    pytest.importorskip("onnx", reason=NO_ONNX)
    from onnx import TensorProto, helper

    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("images", *outputs)]
    graph = helper.make_graph(nodes, "made", infos[:1], infos[1:], list(tensors))
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(content.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_weights_elsewhere_are_refused_wherever_they_are_named(tmp_path, place, monkeypatch):
    """And whatever lies in the working directory: no file but the one that is hashed is read."""
    pytest.importorskip("onnx", reason=NO_ONNX)
    from onnx import TensorProto, helper

    (tmp_path / "w.bin").write_bytes(b"\0" * 4)
    monkeypatch.chdir(tmp_path)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    inner = helper.make_graph(
        [constant], "inner", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])]
    )
    add = helper.make_node("Add", ["images", "w"], ["scores"])
    nodes = {
        "initializer": [add],
        "constant": [constant, add],
        "branch": [helper.make_node("If", ["yes"], ["w"], then_branch=inner, else_branch=inner), add],
    }[place]
    path = made(tmp_path / "model.onnx", nodes, tensors=[tensor] if place == "initializer" else [])
    with pytest.raises(ExportError, match=r"its weights lie in w\.bin, .* external_data=False"):
        load_export(path)


def test_one_output_is_scored_and_several_are_named(tmp_path):
    pytest.importorskip("onnx", reason=NO_ONNX)
    from onnx import helper

    nodes = [helper.make_node("Neg", ["images"], ["aux"]), helper.make_node("Relu", ["images"], ["out"])]
    path = made(tmp_path / "model.onnx", nodes, outputs=("aux", "out"))
    with pytest.raises(ExportError, match=r"expected one output, .* found 2: aux, out"):
        load_export(path)


class Normed(torch.nn.Module):
    """A norm and a dropout, each in the mode that is asked for."""

    def __init__(self, *, norm, dropout):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3).train(norm)
        self.dropout = torch.nn.Dropout(0.5).train(dropout)

    def forward(self, images):
        return self.dropout(self.norm(images))


@pytest.mark.parametrize(
    ("modes", "named"),
    [
        ({"norm": True, "dropout": False}, r"aten::(_native_)?batch_norm\w*"),
        ({"norm": False, "dropout": True}, "aten::dropout"),
    ],
)
def test_a_program_in_training_form_is_refused(tmp_path, modes, named):
    path = program(tmp_path / "model.pt2", Normed(**modes))
    with pytest.raises(ExportError, match=f"exported in training form: {named}; .* after model.eval"):
        load_export(path)


def test_a_program_whose_norm_keeps_no_statistics_is_in_no_training_form(tmp_path):
    norm = torch.nn.BatchNorm2d(3, track_running_stats=False).eval()
    assert load_export(program(tmp_path / "model.pt2", norm)) is not None


@pytest.mark.parametrize(("is_on", "operator"), [(True, "Dropout (scores)"), (False, "")])
def test_an_onnx_dropout_is_refused_where_it_drops(tmp_path, is_on, operator):
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason=NO_ONNX)
    from onnx import TensorProto, helper

    switch = helper.make_tensor("on", TensorProto.BOOL, [], [is_on])
    ratio = helper.make_tensor("ratio", TensorProto.FLOAT, [], [0.5])
    node = helper.make_node("Dropout", ["images", "ratio", "on"], ["scores"])
    path = made(tmp_path / "model.onnx", [node], tensors=[switch, ratio])
    if is_on:
        with pytest.raises(ExportError, match=re.escape(f"in training form: {operator}; ")):
            load_export(path)
    else:
        from segbench.models.adapters import require_sound

        require_sound(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "an empty one"), (b"hello", "bytes that are none"), (b"\x08\x08", "no graph in it")],
)
def test_what_is_no_onnx_file_is_called_so(tmp_path, content, found):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=f"expected an ONNX file, found {found}"):
        load_export(path)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "/a/model.cc:256 ns::Model::Model(ns::P&&, const std::f<int(int)>*) Version: 99, most 14\n",
            "Version: 99, most 14",
        ),
        ("x.h:3 void ns::run(T) const [with T = int] Got 2 (of 3) inputs", "Got 2 (of 3) inputs"),
        ("/a/graph.cc:9 ns::Graph::Resolve Node (a::b) has no input", "Node (a::b) has no input"),
        ("Got invalid dimensions for input: images", "Got invalid dimensions for input: images"),
        ("a.cc:1 ns::f()", "Exception"),
    ],
)
def test_a_runtimes_reason_is_told_without_its_code(said, told):
    assert adapters.reason_of(Exception(f"[ONNXRuntimeError] : 1 : FAIL : {said}")) == told
