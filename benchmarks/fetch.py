"""A verified download against `curl` and `sha256sum`: seconds and peak memory for one file from localhost.

    python benchmarks/fetch.py            # Markdown on stdout; under a minute on two cores

Both rivals read from one server (a process of its own that hands the file to the kernel with sendfile), take turns
within one run of this script, and leave a hashed file on the same disk. Ours runs in a fresh interpreter, so that its
peak resident memory is its own; it is timed from the call of `fetch` to its return, and as a whole process.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import http.server
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CHECKPOINT = "isanet_r50-d8_512x1024_40k_cityscapes"


def main() -> int:
    """Run every rival in turn and print the table."""
    parser = argparse.ArgumentParser(description="A verified download against curl and sha256sum.")
    parser.add_argument("--megabytes", type=int, default=150, help="size of the file (default: 150)")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: 7)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=2, metavar=("URL", "SHA256"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)
    if arguments.fetch:
        print(json.dumps(fetch_here(*arguments.fetch)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        print_table(compare(Path(folder), arguments.megabytes, arguments.repeats), arguments.megabytes)
    return 0


def compare(folder: Path, megabytes: int, repeats: int) -> list[dict[str, float]]:
    """One record a turn: seconds of both rivals, peak megabytes of ours."""
    sha256 = write_random(folder / "model.pth", megabytes)
    command = [sys.executable, __file__, "--serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            return [turn(url, sha256, folder / str(number)) for number in range(repeats)]
        finally:
            server.terminate()


def write_random(path: Path, megabytes: int) -> str:
    """Write random bytes; their SHA-256. In pieces: a child's peak memory begins with its parent's at the fork."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(megabytes):
            piece = os.urandom(1_000_000)
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def turn(url: str, sha256: str, folder: Path) -> dict[str, float]:
    """Both rivals once, on a disk that owes nothing."""
    folder.mkdir()
    os.sync()
    started = time.perf_counter()
    target = folder / "curl.pth"
    subprocess.run(["curl", "--silent", "--fail", "--output", target, url], check=True)
    digest = subprocess.run(["sha256sum", target], check=True, capture_output=True, text=True).stdout
    curl_seconds = time.perf_counter() - started
    assert digest.startswith(sha256)
    os.sync()
    started = time.perf_counter()
    ours = subprocess.run(
        [sys.executable, __file__, "--fetch", url, sha256],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"ZOO_HOME": str(folder / "home"), "TORCH_HOME": str(folder / "torch")},
    )
    process_seconds = time.perf_counter() - started
    return {"curl": curl_seconds, "process": process_seconds, **json.loads(ours.stdout)}


def fetch_here(url: str, sha256: str) -> dict[str, float]:
    """Seconds of one `fetch` in this process, and its peak resident memory (MB)."""
    import msgspec  # noqa: PLC0415  (the parent process needs none of it)
    import requests  # noqa: F401, PLC0415  (its import is part of the whole process's time, not of fetch's)

    from segbench.zoo.fetch import fetch  # noqa: PLC0415
    from segbench.zoo.manifest import load_manifest  # noqa: PLC0415

    row = load_manifest()[CHECKPOINT]
    weights = msgspec.structs.replace(row.weights, urls=(url,), sha256=sha256, sha256_prefix=None)
    row = msgspec.structs.replace(row, weights=weights)
    started = time.perf_counter()
    fetch(row)
    seconds = time.perf_counter() - started
    return {"fetch": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def print_table(turns: list[dict[str, float]], megabytes: int) -> None:
    """Medians, and the median of the turns' own ratios."""
    middle = {name: median(one[name] for one in turns) for name in turns[0]}
    print(
        f"| {megabytes} MB from localhost | seconds (median of {len(turns)}) | against curl + sha256sum | peak MB |"
    )
    print("| --- | ---: | ---: | ---: |")
    print(f"| curl, then sha256sum | {middle['curl']:.3f} | 1.00 | |")
    for name, label in (
        ("fetch", "fetch"),
        ("process", "fetch, with starting Python and reading the manifest"),
    ):
        ratio = median(one[name] / one["curl"] for one in turns)
        peak = f"{max(one['peak_mb'] for one in turns):.0f}" if name == "fetch" else ""
        print(f"| {label} | {middle[name]:.3f} | {ratio:.2f} | {peak} |")


class SendfileHandler(http.server.SimpleHTTPRequestHandler):
    """As fast a server as the standard library allows."""

    def copyfile(self, source, outputfile) -> None:  # noqa: ANN001  (the base class's types are not public)
        outputfile.flush()
        self.connection.sendfile(source)

    def log_message(self, *_: object) -> None:
        pass


def serve(folder: Path) -> int:
    """Print the file's URL and serve until told to end."""
    handler = functools.partial(SendfileHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/model.pth", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
