"""Where images are predicted: in this process (`local`), or on a cluster (`ray_cluster`).

In come a row, its data set and a protocol; counts go into the evidence store as they arrive. No engine judges.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .local import Engine, EngineError, Local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..measuring.bench import Options

__all__ = ["Engine", "EngineError", "Local", "opened"]

_NO_RAY = (
    "--engine ray needs Ray, which is not installed here; install segbench[ray] (pip install 'segbench[ray]') on "
    "every node, or leave --engine out to measure in this process"
)


@contextmanager
def opened(options: Options) -> Iterator[Engine]:
    """The engine that the options ask for.

    Raises:
        DeviceError: the device does not exist, or the kernel does not run on it.
        EngineError: ray is not installed, or the cluster cannot be used.
    """
    if options.engine == "local":
        engine = Local(options.device, options.loading, options.precision)
        if (options.device, options.loading.kernel) != ("cpu", "tiles"):  # which are everywhere
            _require_here(engine)
        yield engine
        return
    try:
        from .ray_cluster import cluster  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise EngineError(_NO_RAY) from error
    with cluster(options) as engine:
        yield engine


def _require_here(engine: Local) -> None:
    from ...evaluate.inference.fused import kernel_for  # noqa: PLC0415  (torch)

    kernel_for(engine.device, engine.loading.kernel)
