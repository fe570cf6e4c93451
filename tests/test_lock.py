"""The locks hold what pyproject.toml asks for, on every Python and system that we support."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.10.13", "3.11.7", "3.12.1", "3.13.0", "3.14.0")
SYSTEMS = {
    ("linux", "x86_64"): {"platform_system": "Linux", "os_name": "posix"},
    ("linux", "aarch64"): {"platform_system": "Linux", "os_name": "posix"},
    ("darwin", "arm64"): {"platform_system": "Darwin", "os_name": "posix"},
    ("win32", "AMD64"): {"platform_system": "Windows", "os_name": "nt"},
}
MACHINES = [
    {
        "python_version": python.rsplit(".", 1)[0],
        "python_full_version": python,
        "sys_platform": system,
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
        **more,
    }
    for python in PYTHONS
    for (system, machine), more in SYSTEMS.items()
]


def locked(name, machine):
    """Package -> version that a lock gives one machine."""
    versions = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line.split("#")[0]) if not line.startswith("#") else None
        if requirement and (requirement.marker is None or requirement.marker.evaluate(machine)):
            package = canonicalize_name(requirement.name)
            assert package not in versions, f"{name}: two versions of {package} for {machine}"
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            versions[package] = Version(specifier.version)
    return versions


def required(extras, machine):
    """What one machine needs of pyproject.toml, its own extras followed."""
    optional = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    lines += [line for extra in extras for line in optional[extra]]
    requirements = [Requirement(line) for line in lines if not line.startswith("segbench[")]
    return [it for it in requirements if it.marker is None or it.marker.evaluate(machine)]


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("requirements.lock", tuple(PROJECT["project"]["optional-dependencies"])),
        ("requirements-oldest.lock", ("test",)),
    ],
)
def test_every_requirement_is_locked_within_its_bounds(name, extras):
    for machine in MACHINES:
        versions = locked(name, machine)
        for requirement in required(extras, machine):
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier, (
                requirement,
                machine,
            )


def test_the_oldest_are_the_lower_bounds():
    """A bound names the first digits of a release: `opencv-python-headless>=4.8` is 4.8.0.76."""
    for machine in MACHINES:
        versions = locked("requirements-oldest.lock", machine)
        for requirement in required(("test",), machine):
            (bound,) = [Version(it.version) for it in requirement.specifier if it.operator == ">="]
            release = versions[canonicalize_name(requirement.name)].release
            assert release[: len(bound.release)] == bound.release, requirement


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-oldest.lock"])
def test_a_lock_names_packages_and_nothing_of_the_machine_that_made_it(name):
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[0-9a-z.]+( ; [^#/]+)?( +# via [^/]+)?", line), line
        assert "/" not in line
