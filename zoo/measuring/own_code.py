"""Networks whose code is not ours: what they are goes on record, and what they do wrong is their row's matter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...models.adapters import ExportError, is_export, library_builder, runtime
from ...models.builders import ArchitectureError, fault_of, find
from ...models.input_size import InputSizeError
from .terms import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..manifest import Checkpoint


@contextmanager
def network_trouble_named(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what a row's network raises or wrongly gives into the reason of a row that is not measured.

    Raises:
        NotMeasured: the network cannot be built, gives no scores for these classes, takes no images of this size, or its code, which is not ours, failed.
    """
    from ...evaluate.inference.plain import NetworkError  # noqa: PLC0415  (torch)

    try:
        yield
    except (ArchitectureError, InputSizeError, NetworkError) as error:
        raise NotMeasured(str(error)) from error
    except (KeyboardInterrupt, GeneratorExit):  # the user's wish, and a run that nobody reads on
        raise
    except BaseException as error:  # of code of others, SystemExit too is its row's matter alone
        name = str(checkpoint.architecture.get("builder", ""))
        if reason := fault_of(library_builder(name) or find(name), error):
            raise NotMeasured(reason) from error
        raise


def code_digest(checkpoint: Checkpoint, file: Path | None = None) -> str:
    """What counts of a row depend on beside its weights where the code is not ours; empty where it is.

    Args:
        checkpoint: The row.
        file: What is loaded; an export needs no builder, and what runs it counts.

    Raises:
        ArchitectureError: its builder cannot be had.
    """
    if file is not None and is_export(file):
        return runtime(file)
    code = checkpoint.code()
    return code.digest(checkpoint.architecture) if code else ""


def require_precision(file: Path, precision: str) -> None:
    """Refuse to write down a precision that an export does not listen to.

    Raises:
        ArchitectureError: it is an export, and another precision than its own is asked for.
    """
    if is_export(file) and precision != "fp32":
        raise ExportError(f"{file}: an export computes as it was exported; leave --precision {precision} out")


def code_facts(checkpoint: Checkpoint, file: Path | None = None) -> dict[str, Any]:
    """The same for a measurement's environment: builder, package, version and file hash; or the export.

    Of a network of ours: what of it is random, where anything is.
    """
    if file is not None and is_export(file):
        return {"export": {"file": file.name, "runtime": runtime(file) or "torch"}}
    code = checkpoint.code()
    if code:
        return {"builder": code._asdict()}
    from ...models.build import random_in_evaluation  # noqa: PLC0415  (torch)

    random = random_in_evaluation(checkpoint.architecture)
    return {"random": random} if random else {}
