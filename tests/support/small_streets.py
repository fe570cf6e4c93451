"""The demo's rows on shrunken scenes, measured within fractions of a second, for tests that measure often."""

import msgspec
import pytest
from PIL import Image

from segbench.evaluate.protocol import EvalProtocol
from segbench.zoo.demo import STREETS, demo_checkpoints, serve
from segbench.zoo.fetch import fetch
from segbench.zoo.verify import Options

SIZE = 64, 32
PROTOCOL = EvalProtocol(name="small", base_scale=SIZE)


def shrink_streets(root, size):
    """Write the scenes below `root`, nearest pixels; `size` takes (width, height) to the new ones."""
    for folder in ("images", "annotations"):
        for path in sorted((STREETS / folder).rglob("*.*")):
            target = root / path.relative_to(STREETS)
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as picture:
                picture.resize(size(*picture.size), Image.Resampling.NEAREST).save(target)


def small_streets(root, home):
    """Write the scenes at about an eighth of their size below `root`, weights into `home`; the demo's rows."""
    shrink_streets(root, lambda *_: SIZE)
    with serve(STREETS) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_LOCK", str(home / "zoo.lock"))
        rows = demo_checkpoints(server)
        for row in rows:
            fetch(row, home=home, offline=False)
    return rows


def small_options(root, home, **changes):
    """Options that measure the plain mIoU of the small scenes; `changes` on top."""
    plain = Options(
        data_root=root,
        home=home,
        offline=True,
        evidence=root / "evidence.sqlite",
        ledger=root / "ledger.jsonl",
        protocol=PROTOCOL,
        metrics=("miou",),
        not_comparable="shrunken scenes",
    )
    return msgspec.structs.replace(plain, **changes)
