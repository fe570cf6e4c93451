"""All published rows with a server on 127.0.0.1 for every host: a copy of the packaged manifest, and small files.

The served files are no publisher's, so a file name's hash is replaced in the copy by the served file's; where it is
left, the file is a wrong one.
"""

import hashlib
import re
import shutil
from urllib.parse import urlsplit

from checkpoint_files import saved

from segbench.zoo.manifest import PACKAGED, load_manifest

_HOST = re.compile(r"\bhttps?://([\w.-]+)")
_HASH = re.compile(r"""(: )["']?\b([0-9a-f]{8})\b["']?(?=[,}\n])|(?<=[-_])([0-9a-f]{8})(?=\.)""")
"""As a value of its own, and in a file's name."""
_CHECKPOINT = saved({})


def served_file(name):
    """A checkpoint of its own for every name, which stands in the archive's comment."""
    comment = name.encode()
    return _CHECKPOINT[:-2] + len(comment).to_bytes(2, "little") + comment


def sha256(data):
    """As a file of weights is known by."""
    return hashlib.sha256(data).hexdigest()


def copy_zoo(folder, address, wrong=()):
    """Write the packaged manifest below `folder`, its hosts as folders of `address`; the copy's path.

    Args:
        folder: Where to.
        address: The server's.
        wrong: Published hashes (8 hex digits) that stay.
    """
    published = {row.weights.sha256_prefix for row in load_manifest()} - {*wrong, None}

    def replaced(found):
        before, value, named = found.groups()
        if (value or named) not in published:
            return found[0]
        served = sha256(served_file(value or named))[:8]
        return f'{before}"{served}"' if value else served

    path = folder / PACKAGED.name
    shutil.copytree(PACKAGED.parent / "zoo/published", folder / "zoo/published")
    shutil.copy(PACKAGED, path)
    for one in (folder / "zoo/published").rglob("*.yaml"):
        text = _HOST.sub(rf"{address}/\1", one.read_text(encoding="utf-8"))
        one.write_text(_HASH.sub(replaced, text), encoding="utf-8")
    return path


def serve_weights(server, copy):
    """Let the server have every row's weights, at the first of its URLs; a row's id -> that path and its file."""
    published, files = load_manifest(), {}
    for row in load_manifest(copy):
        path = path_of(row.weights.urls[0])
        files[row.id] = path, served_file(published[row.id].weights.sha256_prefix or row.id)
        server.file(*files[row.id])
    return files


def path_of(url):
    """What a server is asked for."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
