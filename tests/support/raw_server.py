"""A server on 127.0.0.1 that sends whatever bytes it is told to, at any pace, and counts what left it."""

import itertools
import socket
import threading
import time
from contextlib import contextmanager, suppress

MOST_BYTES = 1 << 27
"""An answer without an end stops here, far above what a bounded reader takes."""


class RawServer:
    """`answers` maps a path to an iterable of bytes (sent) and numbers (seconds of silence), taken anew each time."""

    def __init__(self, url):
        self.url = url
        self.answers = {}
        self.sent = 0
        """Bytes that left, over all answers."""
        self.requests = []
        """The heads of all requests, as text."""

    def serve(self, connection):
        with connection, suppress(OSError):  # the client has had enough
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                got = connection.recv(65536)
                if not got:
                    return
                head += got
            self.requests.append(head.decode("latin-1"))
            sent = 0
            for part in self.answers[head.split()[1].decode()]():
                if isinstance(part, bytes):
                    connection.sendall(part)
                    sent += len(part)
                    self.sent += len(part)
                else:
                    time.sleep(part)
                if sent > MOST_BYTES:
                    return


def once(*parts):
    """An answer that ends."""
    return lambda: iter(parts)


def endless(head, part, pause=0):
    """An answer that sends `head`, and then `part` for ever."""
    return lambda: itertools.chain([head], itertools.cycle([part, pause] if pause else [part]))


def head(status=200, **headers):
    """The head of an answer; underscores in names stand for hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status} x", *lines, "", ""]).encode()


@contextmanager
def raw_server():
    """A running RawServer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def accept():
            with suppress(OSError):  # closed at the end
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
