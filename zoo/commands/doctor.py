"""`zoo doctor`: what this machine can measure, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from typing import TYPE_CHECKING, Any

from ...evaluate.data.datasets import DatasetError, locate
from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..fetch import fetch_action
from ..files import places
from ..manifest import NOT_BUILT, load_manifest
from ..quantities import quantities
from .shared import flags
from .shared.answer import json_text, write

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from ..manifest import Manifest

PACKAGES = (
    "segbench", "torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "requests", "pandas",
)  # fmt: skip


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Whose rows, and where data sets lie."""
    flags.add_manifest(parser)
    flags.add_data_root(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, and say it."""
    findings = _examine(load_manifest(arguments.manifest), arguments.data_root)
    write(json_text(findings) if arguments.json else _text(findings))
    return ExitCode.OK


def _examine(manifest: Manifest, data_root: Path | None) -> dict[str, Any]:
    """Everything the report says, as plain data."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "cache": _cache(manifest),
        "data_root": str(data_root) if data_root else None,
        "datasets": {name: _dataset(manifest, name, data_root) for name in manifest.datasets},
        "claims": _claims(manifest),
        "not_built": sum(bool(checkpoint.not_built) for checkpoint in manifest),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _devices() -> list[str]:
    import torch

    cpu = f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return [
            cpu,
            f"cuda: none seen by torch {torch.__version__} (built for CUDA {torch.version.cuda or 'none'})",
        ]
    return [
        cpu,
        *(_gpu(index, torch.cuda.get_device_properties(index)) for index in range(torch.cuda.device_count())),
    ]


def _gpu(index: int, properties: Any) -> str:
    return (
        f"cuda:{index}: {properties.name}, {properties.total_memory // 2**20} MiB, "
        f"compute capability {properties.major}.{properties.minor}"
    )


def _cache(manifest: Manifest) -> dict[str, Any]:
    home = places.zoo_home()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    have = [checkpoint.id for checkpoint in manifest if fetch_action(checkpoint).is_here]
    return {
        "folder": str(home),
        "writable": os.access(existing, os.W_OK),
        "free_gib": round(shutil.disk_usage(existing).free / 2**30, 1),
        "fetched": len(have),
        "of": len(manifest),
    }


def _dataset(manifest: Manifest, name: str, data_root: Path | None) -> dict[str, Any]:
    waiting = sum(checkpoint.dataset == name for checkpoint in manifest)
    try:
        found = locate(manifest.datasets[name], data_root)
    except DatasetError as error:
        return {"found": False, "checkpoints": waiting, "missing": str(error)}
    return {"found": True, "checkpoints": waiting, "root": str(found.root), "images": len(found.samples)}


def _claims(manifest: Manifest) -> dict[str, str]:
    """What each kind of claim needs."""
    claimed = {claim.metric for checkpoint in manifest for claim in checkpoint.claims}
    metrics = {one: [name for name in one.metrics if name in claimed] for one in quantities()}
    return {", ".join(names): one.needs for one, names in metrics.items() if names}


def _text(findings: dict[str, Any]) -> str:
    """The findings for a person."""
    facts = [
        ("Python", findings["python"]),
        ("platform", findings["platform"]),
        ("packages", ", ".join(f"{name} {version}" for name, version in findings["packages"].items())),
        ("devices", "\n".join(findings["devices"])),
        ("weights", _cache_text(findings["cache"])),
        ("networks", _networks_text(findings["not_built"], findings["cache"]["of"])),
        ("data root", findings["data_root"] or "not set (--data-root or ZOO_DATA_ROOT)"),
    ]
    datasets = [_dataset_row(name, found) for name, found in findings["datasets"].items()]
    return "\n\n".join(
        [
            tabulate(facts, tablefmt="plain", disable_numparse=True, maxcolwidths=[None, 100]),
            tabulate(datasets, ["data set", "checkpoints", "state"], maxcolwidths=[None, None, 90])
            + "\nzoo data NAME examines a data set, and says how to get one that is missing",
            tabulate(findings["claims"].items(), ["claims", "need"], maxcolwidths=[None, 90]),
        ]
    )


def _cache_text(cache: dict[str, Any]) -> str:
    state = "" if cache["writable"] else ", NOT WRITABLE"
    fetched = f"{cache['fetched']} of {cache['of']} checkpoints fetched"
    return f"{fetched}; {cache['folder']}, {cache['free_gib']} GiB free{state}"


def _networks_text(missing: int, total: int) -> str:
    return (
        f"of {missing} of {total} checkpoints {NOT_BUILT}" if missing else f"of all {total} checkpoints built"
    )


def _dataset_row(name: str, found: dict[str, Any]) -> tuple[str, int, str]:
    state = f"ready: {found['images']} images in {found['root']}" if found["found"] else found["missing"]
    return name, found["checkpoints"], state
