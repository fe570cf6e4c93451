"""One factor for a device: recovered from noise, not moved by outliers, and silent about too few rows."""

import numpy as np
import pytest

from segbench.reports.speed_shape import fit_shape
from segbench.zoo.manifest import load_manifest

PUBLISHED = {
    row.id: float(claim.printed)
    for row in load_manifest()
    for claim in row.claims
    if claim.metric == "fps" and claim.printed
}


def device(factor, noise=0.03, seed=0, wrong=()):
    """What a device `factor` times as fast measures if the published column were right but for the rows `wrong`."""
    rng = np.random.default_rng(seed)
    measured = {row: fps * factor * np.exp(noise * rng.standard_normal()) for row, fps in PUBLISHED.items()}
    return measured | {row: measured[row] * ratio for row, ratio in dict(wrong).items()}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("factor", [0.02, 1.0, 4.5])
def test_the_factor_is_recovered_to_one_percent(factor, seed):
    shape = fit_shape(PUBLISHED, device(factor, noise=0.01, seed=seed))
    assert shape.factor == pytest.approx(factor, rel=0.01)
    assert shape.inconsistent == ()


@pytest.mark.parametrize("seed", range(20))
def test_planted_outliers_are_found_and_move_nothing(seed):
    """Both VOC R-101 rows print one figure that is half of what it should be."""
    wrong = {row: 2.0 for row, fps in PUBLISHED.items() if fps == 7.42}
    shape = fit_shape(PUBLISHED, device(3.0, noise=0.01, seed=seed, wrong=wrong))
    assert set(shape.inconsistent) == set(wrong)
    assert len(wrong) == 2
    assert shape.factor == pytest.approx(3.0, rel=0.01)
    assert all(shape.ratio[row] == pytest.approx(2.0, rel=0.05) for row in wrong)


def test_noise_alone_accuses_nobody():
    """Ten percent of scatter between kernels is what devices differ by."""
    accused = [fit_shape(PUBLISHED, device(2.0, noise=0.1, seed=seed)).inconsistent for seed in range(50)]
    assert sum(bool(rows) for rows in accused) <= 5


def test_repeated_cells_count_once():
    """Two schedules with one figure are one point; three distinct figures tell no shape."""
    rows = {"a40": 2.0, "a80": 2.0, "b40": 1.0, "b80": 1.0, "c": 5.0}
    assert fit_shape(rows, rows) is None
    assert fit_shape(rows | {"d": 7.0}, rows | {"d": 7.0}).factor == pytest.approx(1)
