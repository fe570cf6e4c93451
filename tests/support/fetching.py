"""Processes that fetch, to be killed: one interpreter with everything imported forks a child a fetch, in milliseconds."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


class Nursery:
    """Starts fetching processes and tells how they ended."""

    def __init__(self, process):
        self.process = process

    def _ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, url, **hashes):
        """Fetch one URL in a process of its own; its id."""
        return self._ask(url=url, hashes=hashes)

    def start_zoo(self, *arguments):
        """Run a whole command line in a process of its own; its id."""
        return self._ask(zoo=[str(one) for one in arguments])

    def wait(self, pid):
        """What the process wrote on stderr, and its exit code: negative for a signal."""
        return self._ask(wait=pid)

    def wait_zoo(self, pid):
        """Exit code, stdout, stderr and the peak of resident memory, in bytes, of a command line that ended."""
        code = self.wait(pid)["code"]
        folder = Path(os.environ["ZOO_HOME"])
        out, err, peak = ((folder / f"{name}-{pid}").read_text() for name in ("out", "err", "peak"))
        return code, out, err, int(peak)

    def kill(self, pid):
        """End it without a chance to tidy up."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)


@contextmanager
def nursery():
    """A Nursery with this process's environment."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Nursery(process)
        process.stdin.close()


def _serve():
    import msgspec

    # Before the first fork, not in every child.
    import segbench.zoo.commands.fetch
    import segbench.zoo.fetch.guarded_http
    import segbench.zoo.fetch.links  # noqa: F401
    from segbench.zoo.cli import main
    from segbench.zoo.fetch import FetchError, IntegrityError, Patience, fetch
    from segbench.zoo.manifest import load_manifest

    row = load_manifest()["isanet_r50-d8_512x1024_40k_cityscapes"]
    folder = Path(os.environ["ZOO_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    patience = Patience(connect_seconds=5, read_seconds=5, tries=5, backoff_seconds=0.01)

    def run(question):
        plain = {"sha256": None, "sha256_prefix": None} | question["hashes"]
        weights = msgspec.structs.replace(row.weights, urls=(question["url"],), **plain)
        told = (folder / f"told-{os.getpid()}").open("w", buffering=1)
        try:
            fetch(
                msgspec.structs.replace(row, weights=weights),
                patience=patience,
                tell=lambda text: print(text, file=told),
            )
        except FetchError as error:
            print(error, file=told)
            return 4 if isinstance(error, IntegrityError) else 3
        return 0

    def run_zoo(arguments):
        sys.stdout, sys.stderr = ((folder / f"{name}-{os.getpid()}").open("w") for name in ("out", "err"))
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        # The system's peak of this very process; getrusage's is the parent's where that is more.
        (line,) = [
            one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")
        ]
        (folder / f"peak-{os.getpid()}").write_text(str(1024 * int(line.split()[1])))
        return code

    def answer(question):
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            told = folder / f"told-{question['wait']}"
            return {
                "code": os.waitstatus_to_exitcode(status),
                "told": told.read_text() if told.exists() else "",
            }
        pid = os.fork()
        if pid:
            return pid
        try:
            os._exit(run_zoo(question["zoo"]) if "zoo" in question else run(question))
        finally:
            os._exit(99)

    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve()
