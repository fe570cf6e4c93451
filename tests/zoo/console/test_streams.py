"""Exit code and files are the answer's, whoever reads stdout and stderr and however they end."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from segbench.zoo.console.streams import lasting_streams

ZOO = "import sys; from segbench.zoo.cli import main; sys.exit(main())"
PRINTS_MUCH = ["list", "--json"]
USAGE_ERROR = ["show", "nobody"]


def run(arguments, **streams):
    return subprocess.run(
        [sys.executable, "-c", ZOO, *arguments], check=False, **{"stderr": subprocess.PIPE, **streams}
    )


@contextmanager
def left_by_its_reader():
    """The writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("arguments", "code"), [(PRINTS_MUCH, 0), (USAGE_ERROR, 2), (["--help"], 0), (["no"], 2)]
)
def test_a_reader_that_leaves_changes_no_exit_code(stream, arguments, code):
    with left_by_its_reader() as pipe:
        done = run(arguments, **{"stdout": subprocess.DEVNULL, stream: pipe})
    assert done.returncode == code
    assert b"Traceback" not in (done.stderr or b"")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_and_is_no_success():
    with Path("/dev/full").open("wb") as full:
        whole, wrong = run(PRINTS_MUCH, stdout=full), run(["list", "nothing*"], stdout=full)
    assert whole.returncode == 2
    assert whole.stderr.decode() == (
        "zoo: stdout: cannot write all of the answer: No space left on device; run the command again\n"
    )
    assert wrong.returncode == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["verify", "-h"], ["evidence", "list", "--help"], ["schema"]]
)
def test_help_that_nobody_gets_is_no_success(arguments):
    with Path("/dev/full").open("wb") as full:
        done = run(arguments, stdout=full)
    assert (done.returncode, done.stderr.decode()) == (
        2,
        "zoo: stdout: cannot write all of the answer: No space left on device; run the command again\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere_and_their_descriptors_to_no_file(tmp_path, closed):
    """The row's files get no descriptor that a library prints to; stderr's words do not turn up on stdout."""
    script = f'"{sys.executable}" -c "{ZOO}" show nobody {closed}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    code = "import os; from segbench.zoo.console.streams import lasting_streams as s\nwith s(): open(os.environ['OUT'], 'w').write(str(os.open('/dev/null', 0)))"
    subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$CODE" {closed}'],
        env={**os.environ, "CODE": code, "OUT": str(tmp_path / "out")},
        check=True,
    )
    assert int((tmp_path / "out").read_text()) > 2


def test_a_pipe_that_does_not_block_gets_everything():
    """As some terminals and CI runners leave it to their children."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 1_000_000 + "\n"
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from segbench.zoo.console.streams import lasting_streams as s\nwith s(): print('x' * 1_000_000)",
        ],
        stdout=writing,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().decode() == text
    assert writer.wait() == 0


def test_streams_of_a_notebook_stay_as_they_are(capsys):
    before = sys.stdout, sys.stderr
    with lasting_streams() as files:
        assert (sys.stdout, sys.stderr) == before
        print("seen")
    assert (files, capsys.readouterr().out) == ([], "seen\n")
