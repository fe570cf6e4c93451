"""The demo zoo: somebody else's numbers, reproduced on any laptop within minutes.

Twelve street scenes, small checkpoints trained with the publishers' own libraries, and the numbers those
libraries' own evaluators gave, all inside the package (`streets/`). The weights are fetched over HTTP from
a server on 127.0.0.1, so the demo walks the same path as a real row.
"""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..reports.tolerance import Tolerance
from .manifest import Checkpoint, load_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

STREETS = Path(__file__).resolve().parent / "streets"
"""The demo's manifest, images, labels and weights."""
DEMO_TOLERANCE = Tolerance.of(0.005)
"""With half a unit of the last printed digit on top: the demo passes only where figures agree to 0.01 points."""
PLACEHOLDER = "http://127.0.0.1:0"
"""Stands in the demo's manifest for the server that `serve` starts on a free port."""


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
        """Keep the terminal for the table."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP on a free port of 127.0.0.1 for the body; yields `http://127.0.0.1:PORT`."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def demo_checkpoints(server: str) -> list[Checkpoint]:
    """The demo's rows with their weights at `server`."""
    return [_at(checkpoint, server) for checkpoint in load_manifest(STREETS / "zoo.yaml")]


def _at(checkpoint: Checkpoint, server: str) -> Checkpoint:
    urls = tuple(url.replace(PLACEHOLDER, server) for url in checkpoint.weights.urls)
    weights = msgspec.structs.replace(checkpoint.weights, urls=urls)
    return msgspec.structs.replace(checkpoint, weights=weights)
