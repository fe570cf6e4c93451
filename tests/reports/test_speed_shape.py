"""One factor for a device: recovered from noise, not moved by outliers, and silent about too few rows."""

import full_zoo
import numpy as np
import pytest

from segbench.reports.speed_shape import fit_shape
from segbench.zoo.quantities.fps import network_of

PUBLISHED = {
    row.id: float(claim.printed)
    for row in full_zoo.ZOO
    for claim in row.claims
    if claim.metric == "fps" and claim.printed
}

NETWORKS = {row.id: network_of(row) for row in full_zoo.ZOO if row.id in PUBLISHED}


def device(factor, noise=0.03, seed=0, wrong=()):
    """What a device `factor` times as fast measures if the published column were right but for the rows `wrong`."""
    rng = np.random.default_rng(seed)
    measured = {row: fps * factor * np.exp(noise * rng.standard_normal()) for row, fps in PUBLISHED.items()}
    return measured | {row: measured[row] * ratio for row, ratio in dict(wrong).items()}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("factor", [0.02, 1.0, 4.5])
def test_the_factor_is_recovered_to_one_percent(factor, seed):
    shape = fit_shape(PUBLISHED, device(factor, noise=0.01, seed=seed), NETWORKS)
    assert shape.factor == pytest.approx(factor, rel=0.01)
    assert shape.inconsistent == ()


@pytest.mark.parametrize("seed", range(20))
def test_planted_outliers_are_found_and_move_nothing(seed):
    """Both VOC R-101 rows print one figure that is half of what it should be."""
    wrong = {row: 2.0 for row, fps in PUBLISHED.items() if fps == 7.42}
    shape = fit_shape(PUBLISHED, device(3.0, noise=0.01, seed=seed, wrong=wrong), NETWORKS)
    assert set(shape.inconsistent) == set(wrong)
    assert len(wrong) == 2
    assert shape.factor == pytest.approx(3.0, rel=0.01)
    assert all(shape.ratio[row] == pytest.approx(2.0, rel=0.05) for row in wrong)


def test_noise_alone_accuses_nobody():
    """Ten percent of scatter between kernels is what devices differ by; a network's schedules share it."""
    accused = 0
    for seed in range(50):
        scatter = dict(
            zip(sorted(set(NETWORKS.values())), np.random.default_rng(seed).normal(0, 0.1, 8), strict=True)
        )
        measured = {row: fps * 2 * np.exp(scatter[NETWORKS[row]]) for row, fps in PUBLISHED.items()}
        accused += bool(fit_shape(PUBLISHED, measured, NETWORKS).inconsistent)
    assert accused <= 2


def test_schedules_of_one_network_count_once():
    """Three networks tell no shape, however many rows they have."""
    rows = {"a40": 2.0, "a80": 2.0, "b40": 1.0, "b80": 1.0, "c": 5.0}
    networks = {"a40": "a", "a80": "a", "b40": "b", "b80": "b"}
    assert fit_shape(rows, rows, networks) is None
    assert fit_shape(rows | {"d": 7.0}, rows | {"d": 7.0}, networks).factor == pytest.approx(1)


def test_a_bad_run_of_ours_accuses_nobody():
    """One of two schedules of one network measured three times as fast: not the source's fault."""
    row = next(iter(PUBLISHED))
    measured = device(4.0, noise=0.0) | {row: PUBLISHED[row] * 12}
    shape = fit_shape(PUBLISHED, measured, NETWORKS)
    assert shape.inconsistent == ()
    assert set(shape.disagreeing) == {name for name, network in NETWORKS.items() if network == NETWORKS[row]}
    assert shape.factor == pytest.approx(4.0)


@pytest.mark.parametrize("broken", [0.0, -1.0, float("nan"), float("inf"), None])
def test_a_figure_that_is_no_speed_is_left_out(broken):
    row = next(iter(PUBLISHED))
    shape = fit_shape(PUBLISHED, device(4.0, noise=0.0) | {row: broken}, NETWORKS)
    assert row not in shape.ratio
    assert shape.factor == pytest.approx(4.0)
