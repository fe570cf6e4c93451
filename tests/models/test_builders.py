"""Builders that are not ours are found where the user or an installed package says, and nowhere else."""

import os
import re
import subprocess
import sys

import pytest
from own_builders import TINY

from segbench.models import ArchitectureError, build_model, builders, use_builders
from segbench.models.builders import GROUP, HOW, MAX_SOURCE_BYTES, code_of, use


@pytest.fixture(autouse=True)
def _none_named():
    use([])
    yield
    use([])


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(TINY, encoding="utf-8")
    return path


def install(folder, name, points, **modules):
    """A package as pip leaves it: its modules, and a record with its name, version and entry points."""
    record = folder / f"{name}-1.2.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (record / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n", encoding="utf-8")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path, importable):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    importable(folder)
    return folder


def test_a_file_builds_by_the_names_of_its_functions(tiny):
    use_builders([str(tiny)])
    model = build_model("tiny", num_classes=5)
    assert ([tuple(value.shape) for value in model.parameters()], model.training) == (
        [(5, 3, 1, 1), (5,)],
        False,
    )


def test_build_goes_by_the_files_own_name_and_helpers_are_none(tmp_path):
    path = tmp_path / "bare.py"
    text = "from torch import nn\n\ndef _layer(n):\n    return nn.Conv2d(3, n, 1)\n\ndef build(*, num_classes):\n    return _layer(num_classes)\n"
    path.write_text(text, encoding="utf-8")
    use_builders([str(path)])
    assert build_model("bare", num_classes=2).out_channels == 2
    for name in ("build", "_layer"):
        with pytest.raises(ArchitectureError, match="expected one of"):
            build_model(name, num_classes=2)


def test_without_its_file_a_builder_is_looked_for_and_the_way_is_told(tiny):
    expected = (
        "builder: expected one of isanet_mmseg, isanet_ssseg, isnet_ssseg, segmentation_models_pytorch, torchvision, transformers; found tiny; did you mean torchvision? "
        f"{HOW[0].upper()}{HOW[1:]}."
    )
    with pytest.raises(ArchitectureError, match=re.escape(expected)):
        build_model("tiny", num_classes=5)


def test_the_nearest_names_say_where_they_would_come_from(tiny):
    use([str(tiny)])
    with pytest.raises(ArchitectureError, match=re.escape(f"found tinny; did you mean tiny ({tiny})?")):
        build_model("tinny", num_classes=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def tiny(:\n", "cannot be loaded: SyntaxError: invalid syntax (tiny.py:1)"),
        (
            "import nowhere_to_be_found\n",
            "cannot be loaded: ModuleNotFoundError: No module named 'nowhere_to_be_found' (tiny.py:1)",
        ),
        ("import sys\nsys.exit(3)\n", "cannot be loaded: SystemExit: 3 (tiny.py:2)"),
    ],
)
def test_a_broken_file_spoils_what_is_not_ours_and_is_named(tiny, text, message):
    tiny.write_text(text, encoding="utf-8")
    use([str(tiny)])
    assert (
        build_model("isanet_mmseg", depth=50, num_classes=2, base_channels=4, stem_channels=4, channels=8)
        is not None
    )
    with pytest.raises(ArchitectureError, match=re.escape(f"{tiny} {message}")):
        build_model("tiny", num_classes=5)


def test_a_builder_that_raises_is_told_with_file_and_line(tiny):
    tiny.write_text(
        "def tiny(*, num_classes):\n    if num_classes > 2:\n        raise ValueError('two at most')\n",
        encoding="utf-8",
    )
    use([str(tiny)])
    with pytest.raises(
        ArchitectureError,
        match=re.escape(f"builder 'tiny' of {tiny} raised ValueError: two at most (tiny.py:3)"),
    ):
        build_model("tiny", num_classes=5)
    with pytest.raises(ArchitectureError, match=r"expected a torch\.nn\.Module, given NoneType"):
        build_model("tiny", num_classes=2)


def test_numbers_are_held_against_the_signature(tiny):
    use([str(tiny)])
    with pytest.raises(
        ArchitectureError,
        match=r"missing a required (keyword-only )?argument: 'num_classes'; it takes .*, given nothing",
    ):
        build_model("tiny")
    with pytest.raises(ArchitectureError, match="unexpected keyword argument 'depth'"):
        build_model("tiny", num_classes=2, depth=3)


def test_a_name_that_is_ours_too_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def isanet_mmseg(**numbers):\n    return None\n", encoding="utf-8")
    use([str(path)])
    with pytest.raises(
        ArchitectureError,
        match=re.escape(f"segbench has one of this name and so has {path}; rename that one"),
    ):
        build_model("isanet_mmseg", depth=50, num_classes=2)


def test_two_files_with_one_name_are_refused(tiny, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(TINY, encoding="utf-8")
    use([str(tiny), str(other)])
    with pytest.raises(ArchitectureError, match=re.escape(f"{tiny} and {other} both have one of this name")):
        build_model("tiny", num_classes=2)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.py", "nowhere.py: cannot be read: No such file or directory"),
        ("a folder/", "a folder/: expected a file of Python or the name of a module"),
    ],
)
def test_what_is_neither_file_nor_module_is_refused_at_once(reference, message):
    with pytest.raises(ArchitectureError, match=re.escape(message)):
        use([reference])


def test_a_file_has_a_limit(tmp_path):
    path = tmp_path / "long.py"
    path.write_bytes(b"#" * (MAX_SOURCE_BYTES + 1))
    with pytest.raises(ArchitectureError, match="no file of builders"):
        use([str(path)])


def test_an_installed_package_registers_a_builder(site):
    """Its code is imported when a row asks for the name, not when names are listed."""
    install(site, "third-party-nets", "tiny = third_party_nets:tiny", third_party_nets=TINY)
    use([])
    with pytest.raises(
        ArchitectureError, match=re.escape("did you mean tiny (package third-party-nets 1.2)?")
    ):
        build_model("tinny", num_classes=5)
    assert "third_party_nets" not in sys.modules
    assert build_model("tiny", num_classes=5).out_channels == 5
    code = code_of("tiny")
    assert (code.package, code.version, code.libraries) == ("third-party-nets", "1.2", {})


def test_a_broken_package_spoils_its_own_builder_alone(site):
    install(site, "third-party-nets", "tiny = third_party_nets:tiny", third_party_nets=TINY)
    install(site, "third-party-broken", "torn = third_party_broken:torn", third_party_broken="1 / 0\n")
    install(site, "third-party-garbled", "no entry point at all")
    use([])
    assert build_model("tiny", num_classes=5).out_channels == 5
    message = (
        "builder 'torn' of package third-party-broken 1.2 cannot be loaded (third_party_broken:torn): "
        "ZeroDivisionError: division by zero (third_party_broken.py:1); mend or update the package"
    )
    with pytest.raises(ArchitectureError, match=re.escape(message)):
        build_model("torn")


def test_what_the_user_names_comes_before_what_is_installed(site, tiny):
    install(site, "third-party-nets", "tiny = third_party_nets:tiny", third_party_nets="tiny = print\n")
    use([str(tiny)])
    assert build_model("tiny", num_classes=5).out_channels == 5


# --- its code ------------------------------------------------------------------------------------------


def digest(path, text, numbers=(("num_classes", 2),)):
    path.write_text(text, encoding="utf-8")
    use([])
    use([str(path)])
    return code_of("tiny").digest(dict(numbers))


def test_code_numbers_and_nothing_else_make_the_digest(tiny, tmp_path):
    first = digest(tiny, TINY)
    assert digest(tiny, TINY) == first
    assert digest(tmp_path / "renamed.py", TINY) == first
    assert digest(tiny, TINY + "# a remark\n") != first
    assert digest(tiny, TINY, (("num_classes", 3),)) != first


def test_a_module_beside_it_belongs_to_its_code(tmp_path, importable):
    importable(tmp_path)
    (tmp_path / "beside_it.py").write_text(TINY, encoding="utf-8")
    text = "import beside_it\n\ndef tiny(**numbers):\n    return beside_it.tiny(**numbers)\n"
    first = digest(tmp_path / "mine.py", text)
    (tmp_path / "beside_it.py").write_text(TINY + "# changed\n", encoding="utf-8")
    assert digest(tmp_path / "mine.py", text) != first


LAZY = {
    "in a function": "def tiny(**numbers):\n    from beside_it import tiny\n\n    return tiny(**numbers)\n",
    "by another": "def tiny(**numbers):\n    import between\n\n    return between.tiny(**numbers)\n",
}


@pytest.mark.parametrize("how", LAZY)
def test_a_module_that_is_imported_later_belongs_to_its_code(how, tmp_path, importable):
    """It is known before the function runs, and is not run for it."""
    importable(tmp_path)
    (tmp_path / "between.py").write_text(
        "def tiny(**numbers):\n    import beside_it as other\n    return other.tiny(**numbers)\n",
        encoding="utf-8",
    )
    (tmp_path / "beside_it.py").write_text(TINY, encoding="utf-8")
    first = digest(tmp_path / "mine.py", LAZY[how])
    assert {"between", "beside_it"}.isdisjoint(sys.modules)
    (tmp_path / "beside_it.py").write_text(TINY + "# changed\n", encoding="utf-8")
    assert digest(tmp_path / "mine.py", LAZY[how]) != first


def test_a_package_has_a_limit(tmp_path, monkeypatch, importable):
    package = tmp_path / "large_package"
    package.mkdir()
    (package / "__init__.py").write_text(TINY, encoding="utf-8")
    (package / "more.py").write_text("", encoding="utf-8")
    importable(tmp_path)
    use(["large_package"])
    assert len(code_of("tiny").sha256) == 64
    use(["large_package"])
    monkeypatch.setattr(builders, "MAX_SOURCE_FILES", 1)
    with pytest.raises(ArchitectureError, match="more than 1 files of code"):
        code_of("tiny")


def test_a_library_counts_by_its_version(tiny):
    text = "import PIL.Image\n" + TINY
    digest(tiny, text)
    assert list(code_of("tiny").libraries) == ["PIL"]


def test_ours_have_no_code():
    assert code_of("isanet_mmseg") is None


def test_listing_rows_imports_no_builder(site, tmp_path):
    """`zoo list` runs nobody's code, whatever the environment names."""
    install(
        site, "third-party-nets", "tiny = third_party_nets:tiny", third_party_nets="raise SystemExit('run')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(site), "ZOO_BUILDERS": "third_party_nets"}
    program = "import sys; from segbench.zoo.cli import main; code = main(['list']); sys.exit(code or int('third_party_nets' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
