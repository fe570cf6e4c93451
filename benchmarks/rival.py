"""mmsegmentation 1.2.2 as the rival of these scripts, in an environment of its own.

    python -m venv rival && rival/bin/pip install torch torchvision mmsegmentation==1.2.2 mmcv-lite==2.1.0 ftfy regex

mmcv-lite lacks compiled operators, which mmsegmentation imports but the networks raced here never call: names stand in for them.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from pathlib import Path
from typing import Any


def import_mmseg() -> None:
    """Make mmsegmentation's parts known to its registries."""
    operators = types.ModuleType("mmcv.ops")
    operators.__spec__ = importlib.machinery.ModuleSpec("mmcv.ops", None)
    operators.__path__ = []
    operators.__getattr__ = absent_operator
    sys.modules["mmcv.ops"] = operators
    from mmseg.utils import register_all_modules  # noqa: PLC0415

    register_all_modules()


def published_config(name: str) -> Any:
    """One of mmsegmentation's own configurations, without pretrained weights to fetch."""
    import mmseg  # noqa: PLC0415
    from mmengine.config import Config  # noqa: PLC0415

    (path,) = (Path(mmseg.__file__).parent / ".mim" / "configs").glob(f"*/{name}.py")
    found = Config.fromfile(path)
    for part in (found.model, found.model.backbone):
        part.pop("pretrained", None)
        part.pop("init_cfg", None)
    return found


def absent_operator(name: str) -> type:
    """A name to import in place of a compiled operator."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})
