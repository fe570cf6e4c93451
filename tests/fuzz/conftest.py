"""How Hypothesis searches: the same inputs in every run of the suite, other ones in every round of `make fuzz`."""

import os

import pytest
from hypothesis import HealthCheck, settings

_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
settings.register_profile(
    "suite", deadline=None, suppress_health_check=_CHECKS, derandomize=True, database=None
)
settings.register_profile(
    "fuzz", deadline=None, suppress_health_check=_CHECKS, database=None, print_blob=True
)
settings.load_profile(os.environ.get("ZOO_FUZZ_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """No test sees the user's caches or settings."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "zoo-home"))
    monkeypatch.setenv("ZOO_LOCK", str(tmp_path / "zoo.lock"))
