"""A real HTTP server on 127.0.0.1 whose answers a test scripts, and checkpoints that point at it."""

import http.server
import threading

import msgspec
import pytest

from segbench.zoo.manifest import load_manifest


class ScriptedServer:
    """Serves `pages`: path -> function(handler) that writes an answer; remembers what was asked for."""

    def __init__(self):
        self.pages = {}
        self.requests = []

    def file(self, path, data, *, length=None, kind="application/octet-stream"):
        """Answer `path` with bytes; `length` lies about their number."""

        def answer(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(data) if length is None else length))
            handler.end_headers()
            handler.wfile.write(data)

        self.pages[path] = answer

    def status(self, path, *codes, then=None):
        """Answer `path` with these error codes in turn, then with the page `then`."""
        left = list(codes)

        def answer(handler):
            if not left and then:
                self.pages[then](handler)
                return
            handler.send_response(left.pop(0) if len(left) > 1 or then else left[0])
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.pages[path] = answer


@pytest.fixture
def server():
    """A running ScriptedServer with its address as `.url`."""
    script = ScriptedServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            script.requests.append(self.path)
            self.close_connection = True
            script.pages.get(self.path, lambda handler: handler.send_error(404))(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        script.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield script
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """No test sees the user's caches, data or settings."""
    for name in ("ZOO_DATA_ROOT", "ZOO_OFFLINE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo-home"))
    monkeypatch.setenv("ZOO_LOCK", str(tmp_path / "zoo.lock"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def checkpoint():
    """A function from URLs and hash fields to a published row with these instead of its own."""
    row = load_manifest()["isanet_r50-d8_512x1024_40k_cityscapes"]

    def build(*urls, **hashes):
        plain = {"sha256": None, "sha256_prefix": None} | hashes
        weights = msgspec.structs.replace(row.weights, urls=urls, **plain)
        return msgspec.structs.replace(row, weights=weights)

    return build
