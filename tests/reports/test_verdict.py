"""Verdicts: bands from the printed text, publishers' rounding, every absence with its reason."""

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

from segbench.reports.tolerance import DEFAULT, Tolerance, ToleranceError, half_unit
from segbench.reports.verdict import (
    Status,
    Verdict,
    bands,
    judge,
    rounded,
    tolerance_of,
)


def judged(printed, measured, tolerance=None, metric="miou", **more):
    return judge(
        checkpoint="c",
        metric=metric,
        printed=printed,
        measured=measured,
        tolerance=tolerance or Tolerance(),
        **more,
    )


@pytest.mark.parametrize(
    ("printed", "half"),
    [("9.0", "0.05"), ("45.4", "0.05"), ("42.08", "0.005"), ("5.869", "0.0005"), ("80", "0.5")],
)
def test_half_a_unit_of_the_last_printed_digit(printed, half):
    assert half_unit(printed) == Decimal(half)


@pytest.mark.parametrize(
    ("printed", "reproduced", "drift"),
    [
        ("9.0", "0.10", "0.20"),
        ("45.4", "0.10", "0.20"),
        ("42.08", "0.055", "0.155"),
        ("78.70", "0.055", "0.155"),
    ],
)
def test_the_band_is_wider_for_a_figure_with_fewer_digits(printed, reproduced, drift):
    assert Tolerance().band(printed) == (Decimal(reproduced), Decimal(drift))


STEPS = {  # printed, the user's limit: the largest distance in hundredths that is reproduced, and that is drift
    ("9.0", None): (10, 20),  # 0.05 and 0.15 points, and 0.05 for the digit
    ("45.4", None): (10, 20),
    ("42.08", None): (5, 15),  # and 0.005 for the digit, which no hundredth reaches
    ("9.0", 0): (5, 5),
    ("45.4", 0): (5, 5),
    ("42.08", 0): (0, 0),
    ("9.0", 0.3): (35, 35),
    ("45.4", 0.3): (35, 35),
    ("42.08", 0.3): (30, 30),
}


@pytest.mark.parametrize(("printed", "limit"), STEPS)
@pytest.mark.parametrize("sign", [1, -1])
def test_each_status_ends_exactly_at_its_last_hundredth(printed, limit, sign):
    """On both sides of the printed figure, in steps of the metric's last decimal."""
    reproduced, drift = STEPS[printed, limit]
    tolerance = None if limit is None else Tolerance.of(limit)
    found = [
        judged(printed, float(Decimal(printed) + sign * Decimal(step) / 100), tolerance).status
        for step in range(60)
    ]
    assert found == (
        [Status.REPRODUCED] * (reproduced + 1)
        + [Status.DRIFT] * (drift - reproduced)
        + [Status.REFUTED] * (59 - drift)
    )


@pytest.mark.parametrize(
    ("printed", "measured", "delta", "status"),
    [
        ("76.63", 76.6284764748448, 0.0, Status.REPRODUCED),
        ("78.49", 78.5449, 0.05, Status.REPRODUCED),
        ("78.49", 78.5451, 0.06, Status.DRIFT),
        ("78.49", 78.64, 0.15, Status.DRIFT),
        ("78.49", 78.33, -0.16, Status.REFUTED),
        ("45.4", 45.30, -0.1, Status.REPRODUCED),
        ("45.4", 45.29, -0.11, Status.DRIFT),
    ],
)
def test_the_difference_is_taken_after_rounding(printed, measured, delta, status):
    verdict = judged(printed, measured)
    assert (verdict.delta, verdict.status, verdict.measured) == (delta, status, measured)


def test_rounding_is_numpys():
    """Publishers call np.round; ties are where another rounding would show."""
    values = np.arange(0, 100, 0.01) + 0.005
    assert [float(rounded(float(value), "miou")) for value in values] == [
        float(np.round(v, 2)) for v in values
    ]


def test_what_was_refuted_is_said_with_its_limit():
    assert judged("78.49", 79.0) == Verdict(
        checkpoint="c",
        metric="miou",
        published="78.49",
        measured=79.0,
        delta=0.51,
        status=Status.REFUTED,
        reason="differs by more than 0.155 points: 0.15 and half a unit of the last printed digit",
    )


def test_memory_is_compared_in_its_own_unit():
    verdict = judged("5.869", 5.572, metric="train_memory")
    assert (verdict.delta, verdict.status) == (-0.297, Status.REFUTED)
    assert verdict.reason == "differs by more than 0.1505 GB: 0.15 and half a unit of the last printed digit"


@pytest.mark.parametrize(
    ("printed", "measured", "status"),
    [
        ("5.869", 5.986, Status.REPRODUCED),  # 2 % is 0.11738, and 0.0005 for the digits
        ("5.869", 5.987, Status.DRIFT),
        ("5.869", 5.576, Status.DRIFT),  # 5 % is 0.29345
        ("5.869", 5.575, Status.REFUTED),
        ("5.9", 6.068, Status.REPRODUCED),  # 0.118 and 0.05
        ("5.9", 6.069, Status.DRIFT),
    ],
)
def test_memory_has_limits_of_its_own_as_shares_of_the_figure(printed, measured, status):
    """Points of accuracy that a user sets do not move them."""
    for points in (None, Tolerance.of(9)):
        limits = tolerance_of("train_memory", points)
        assert judged(printed, measured, limits, metric="train_memory").status is status
    assert tolerance_of("miou", Tolerance.of(9)) == Tolerance.of(9)
    assert tolerance_of("miou") == DEFAULT


def test_relative_limits_are_said_in_percent():
    limits = tolerance_of("train_memory")
    assert judged("5.9", 7, limits, metric="train_memory").reason == (
        "differs by more than 0.345 GB: 5 % and half a unit of the last printed digit"
    )
    assert limits.describe() == (
        "A difference up to 2 % is reproduced, up to 5 % is drift, each plus half a unit of the last printed "
        "digit; beyond is refuted: a column taken for GiB would be 2.3 % off and one for GB 4.9 %, and neither "
        "may count as reproduced."
    )


@pytest.mark.parametrize("measured", [None, 77.5])
def test_what_is_not_published_keeps_what_was_measured(measured):
    verdict = judged(None, measured, reason="the table has no such column")
    assert verdict == Verdict(
        checkpoint="c",
        metric="miou",
        published=None,
        measured=measured,
        delta=None,
        status=Status.NOT_PUBLISHED,
        reason="the table has no such column",
    )


def test_without_a_measurement_the_reason_is_kept():
    verdict = judged("78.49", None, reason="no data set", images=None, date="2021-10-13")
    assert (verdict.status, verdict.reason, verdict.delta) == (Status.NOT_MEASURED, "no data set", None)
    assert verdict.date == "2021-10-13"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_no_measurement(value):
    verdict = judged("78.49", value)
    assert (verdict.status, verdict.measured) == (Status.NOT_MEASURED, None)
    assert verdict.reason == f"the measurement is no number: {value}"


def test_speed_on_another_device_is_never_graded():
    verdict = judged(
        "2.91", 12.5, metric="fps", comparable=False, reason="published for V100, measured on cpu"
    )
    assert (verdict.status, verdict.delta, verdict.measured) == (Status.NOT_COMPARABLE, None, 12.5)


def test_contradicting_sources_are_named_and_the_difference_kept():
    verdict = judged("78.49", 79.49, consistent=False, reason="the table says 78.49, the log 79.49")
    assert (verdict.status, verdict.delta) == (Status.SOURCE_INCONSISTENT, 1.0)
    assert verdict.reason == "the table says 78.49, the log 79.49"


@pytest.mark.parametrize("printed", ["78.49%", "", "NaN", "about 78"])
def test_a_printed_figure_that_is_no_number_is_an_error(printed):
    with pytest.raises(ValueError) as caught:
        judged(printed, 78.49)
    assert (
        str(caught.value)
        == f'printed figure: expected a plain decimal number such as "78.70", found {printed!r}'
    )


@pytest.mark.parametrize("points", [-0.1, float("nan"), float("inf")])
def test_a_tolerance_is_a_finite_number_from_zero_on(points):
    with pytest.raises(ToleranceError) as caught:
        Tolerance.of(points)
    assert str(caught.value) == f"tolerance: expected a finite number of points from 0 on, found {points}"


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(ToleranceError) as caught:
        Tolerance(reproduced=0.2, drift=0.1)
    assert str(caught.value) == (
        "tolerance: expected 0 <= reproduced <= drift, both finite, found 0.2 and 0.1"
    )


def test_a_tolerance_says_its_limits_and_why():
    assert DEFAULT.describe() == (
        "A difference up to 0.05 is reproduced, up to 0.15 is drift, each plus half a unit of the last printed "
        "digit; beyond is refuted: mmsegmentation's maintainers met their own numbers again within 0.02 points "
        "and once within 0.11, and sssegmentation promises 0.1."
    )
    assert Tolerance.of(0.3).describe() == (
        "A difference up to 0.3 is reproduced, plus half a unit of the last printed digit; beyond is refuted "
        "(limit set by the user with --tolerance)."
    )
    assert Tolerance(reproduced=0.1, drift=0.5).describe() == (
        "A difference up to 0.1 is reproduced, up to 0.5 is drift, each plus half a unit of the last printed "
        "digit; beyond is refuted (limits set by the user)."
    )


def test_a_publisher_is_held_to_what_it_states():
    """One that promises 0.1 to that; others get the default, and a user's limit comes before both."""
    promised = Tolerance(reproduced=0.1, drift=0.15, reason="its authors promise 0.1")
    own = tolerance_of("miou", publishers=promised)
    assert own.band("42.60") == (Decimal("0.105"), Decimal("0.155"))
    assert own == promised
    assert tolerance_of("miou", Tolerance.of(0.3), promised) == Tolerance.of(0.3)
    assert judged("42.60", 42.5, own).status is Status.REPRODUCED
    assert judged("42.60", 42.49, own).status is Status.DRIFT


PROMISE = "its authors promise 0.1 between versions of PyTorch and GPUs"


def test_each_band_is_told_once_with_its_reason():
    claims = [
        ("mmsegmentation", "miou", None), ("mmsegmentation", "miou_ms_flip", None),
        ("sssegmentation", "miou", Tolerance(reproduced=0.1, drift=0.15, reason=PROMISE)),
        ("mmsegmentation", "train_memory", None), ("mmsegmentation", "fps", None),
    ]  # fmt: skip
    assert bands(claims) == [
        f"mmsegmentation mIoU: {DEFAULT.describe()}",
        (
            "sssegmentation mIoU: A difference up to 0.1 is reproduced, up to 0.15 is drift, each plus half a unit of "
            "the last printed digit; beyond is refuted: its authors promise 0.1 between versions of PyTorch and GPUs."
        ),
        f"Mem (GB): {tolerance_of('train_memory').describe()}",
        (
            "Inf time (fps): A difference up to 5 % is reproduced, up to 10 % is drift, each plus half a unit of the last "
            "printed digit; beyond is refuted: the publisher's tables agree on the cost of the same blocks within 1 to 4 %; "
            "on another device than the published one no band decides."
        ),
    ]
    assert bands(claims[:3], Tolerance.of(0.3)) == [
        f"mmsegmentation mIoU, sssegmentation mIoU: {Tolerance.of(0.3).describe()}"
    ]


@pytest.mark.parametrize("module", ["verdict", "metrics", "ledger", "table", "formats"])
def test_judging_costs_no_heavy_import(module):
    """The heavy pandas comes with the first table, torch never."""
    program = (
        f"import sys, segbench.reports.{module}; "
        "heavy = {'pandas', 'tabulate', 'torch', 'numpy'} & set(sys.modules); "
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
