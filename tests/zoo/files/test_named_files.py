"""How a path is understood, what is opened, and how text is read: the same wherever a file is named."""

import os
import pwd
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from segbench.evaluate import regular_files
from segbench.evaluate.regular_files import existing_form, read_bytes, read_document, read_text
from segbench.zoo import cli
from segbench.zoo.demo import STREETS
from segbench.zoo.files import named_files, places
from segbench.zoo.files.named_files import read_piped_text

SPECIAL = {"pipe": "a pipe", "socket": "a socket"}
NAME = "café"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, NAME) for form in ("NFC", "NFD"))


def zoo(capsys, *arguments):
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().err


@pytest.fixture
def special(tmp_path, monkeypatch):
    """A folder with a pipe and a socket; nothing in it can be read, or must be tried."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        yield tmp_path


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize(
    "command",
    [
        ("list", "--manifest"),
        ("report", "--ledger"),
        ("report", "--evidence"),
        ("report", "--check"),
        ("verify", "--baseline"),
        ("verify", "--save-baseline"),
        ("verify", "--file"),
        ("check-weights", "x", "--file"),
        ("import", "README.md", "--into"),
        ("evidence", "merge"),
        ("evidence", "list", "--evidence"),
    ],
    ids=" ".join,
)
def test_no_flag_opens_a_special_file(capsys, special, command, kind):
    code, err = zoo(capsys, *command, special / kind)
    assert code == 2
    assert f"{special / kind}: expected a regular file, found {SPECIAL[kind]}; see " in err


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("command", [("import",), ("audit", "--source")])
def test_a_document_is_no_special_file_either(capsys, special, command, kind):
    code, err = zoo(capsys, *command, special / kind)
    assert (code, err) == (
        2,
        f"zoo: {special / kind}: cannot read the document: expected a regular file, found {SPECIAL[kind]}\n",
    )


def test_an_endless_device_is_none(capsys):
    code, err = zoo(capsys, "list", "--manifest", "/dev/zero")
    assert (code, err) == (
        2, "zoo: argument --manifest: /dev/zero: expected a regular file, found a device; see zoo list --help\n",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("place", ["-", "/dev/stdin", "<(cat)"])
def test_a_document_may_come_through_a_pipe(place):
    code = "import sys; from segbench.zoo.cli import main; sys.exit(main())"
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" import {place}'],
        input="no table\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "expected a results table" in done.stderr


def test_a_pipe_that_never_ends_is_told(monkeypatch):
    monkeypatch.setattr(named_files, "PIPE_LIMIT_BYTES", 2**20)
    with Path("/dev/zero").open() as endless:
        monkeypatch.setattr(named_files.sys, "stdin", endless)
        with pytest.raises(OSError, match="more than 1 MiB come through the pipe; name a file"):
            read_piped_text(Path("-"))


def test_homes_are_expanded_after_an_equals_sign_too(capsys, tmp_path, monkeypatch):
    """Bash expands `--flag ~/x`, and leaves `--flag=~/x` as it is."""
    monkeypatch.setenv("HOME", str(STREETS))
    monkeypatch.chdir(tmp_path)
    assert zoo(capsys, "data", "--manifest=~/zoo.yaml", "--data-root=~") == (0, "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert zoo(capsys, "export", f"--manifest={STREETS / 'zoo.yaml'}", "--out=~/x/cards.yaml") == (0, "")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.yaml")) == [
        "home/x/cards.yaml"
    ]
    me = pwd.getpwuid(os.getuid())
    assert named_files.expanded(f"~{me.pw_name}/x") == Path(me.pw_dir, "x")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "expected a path, found nothing"),
        ("~nobodyofthisname/x", "there is no home that ~ could stand for; write the whole path"),
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("x/" * 5000, "File name too long"),
    ],
)
def test_a_path_that_can_be_none_is_refused_before_any_work(capsys, tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    code, err = zoo(capsys, "list", f"--manifest={path}")
    shown = path if len(path) <= 80 else path[:80] + "..."
    assert (code, err) == (2, f"zoo: argument --manifest: {shown}: {reason}; see zoo list --help\n")


@pytest.mark.parametrize(("listed", "named"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_is_found_in_its_other_unicode_form(tmp_path, listed, named):
    """MacOS hands out decomposed names, editors and lists write composed ones."""
    place = tmp_path / listed / f"{listed}.txt"
    place.parent.mkdir()
    place.write_text("found")
    assert existing_form(tmp_path / named / f"{named}.txt") == place
    assert existing_form(tmp_path / named / "new.txt") == tmp_path / listed / "new.txt"


def test_of_two_forms_on_the_disk_each_is_itself(tmp_path):
    for name in (COMPOSED, DECOMPOSED):
        (tmp_path / name).write_text(name)
    assert [existing_form(tmp_path / name).name for name in (COMPOSED, DECOMPOSED)] == [COMPOSED, DECOMPOSED]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xef\xbb\xbfone\r\ntwo\rthree\n", None),
        ("one".encode("utf-16"), "expected text in UTF-8, found UTF-16; save it as UTF-8"),
        ("one".encode("utf-32"), "expected text in UTF-8, found UTF-32; save it as UTF-8"),
        (
            b"one\ntw\xf6\n",
            "expected text in UTF-8, found byte 0xf6 in line 2, which is none; save it as UTF-8",
        ),
    ],
)
def test_text_is_utf_8_and_anything_else_is_named(tmp_path, data, told):
    path = tmp_path / "text"
    path.write_bytes(data)
    if told is None:
        assert read_text(path) == "one\ntwo\nthree\n"
    else:
        with pytest.raises(OSError) as refusal:
            read_text(path)
        assert refusal.value.strerror == told


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_manifest_in_another_encoding_is_told(capsys, tmp_path, encoding):
    path = tmp_path / "zoo.yaml"
    path.write_bytes(f"# {NAME}\n".encode(encoding))
    code, err = zoo(capsys, "list", "--manifest", path)
    assert code == 2
    assert "cannot read the manifest: expected text in UTF-8, found " in err


def test_a_manifest_nested_without_end_is_told(capsys, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text("[" * 50_000)
    assert zoo(capsys, "list", "--manifest", path)[0] == 2


@pytest.mark.parametrize(("text", "offline"), [
    ("1", True), ("true", True), ("YES", True), (" on ", True), ("0", False), ("False", False), ("no", False), ("off", False), ("", False),
])  # fmt: skip
def test_yes_and_no_have_one_spelling_list(monkeypatch, text, offline):
    monkeypatch.setenv("ZOO_OFFLINE", text)
    assert places.is_offline() is offline


@pytest.mark.parametrize("variable", ["ZOO_HOME", "ZOO_DATA_ROOT", "ZOO_LOCK", "TORCH_HOME"])
def test_a_variable_with_nobodys_home_is_refused_by_name(capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "~nobodyofthisname/x")
    assert zoo(capsys, "list") == (
        2, f"zoo: {variable}: ~nobodyofthisname/x: there is no home that ~ could stand for; write the whole path\n",
    )  # fmt: skip


def test_a_variable_that_says_neither_yes_nor_no_is_refused_by_name(capsys, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "maybe")
    assert zoo(capsys, "list") == (
        2, "zoo: ZOO_OFFLINE: expected 1, true, yes, on or 0, false, no, off, found 'maybe'\n",
    )  # fmt: skip


@pytest.mark.parametrize(("number", "expected"), [
    ("9" * 5000, "up to 1000000000"), ("1" * 20, "up to 1000000000"), ("1000000001", "up to 1000000000"),
    ("-1", "from 1 on"), ("0", "from 1 on"), ("1e3", "from 1 on"), ("٣", "from 1 on"), ("²", "from 1 on"), ("nan", "from 1 on"),
])  # fmt: skip
def test_a_number_that_counts_nothing_is_a_message(capsys, number, expected):
    code, err = zoo(capsys, "verify", f"--batch={number}")
    assert code == 2
    assert err.startswith(f"zoo: argument --batch: expected a whole number {expected}, found ")
    assert len(err) < 200


def test_the_null_device_is_an_empty_file(tmp_path):
    assert read_bytes(Path(os.devnull)) == b""


def test_a_file_larger_than_any_document_is_refused_unread(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(regular_files, "FILE_LIMIT_BYTES", 4)
    with pytest.raises(OSError, match="it has more than 0 MiB, as no such document has"):
        read_document(tmp_path / "file")
