"""Claims: the verdict follows its rule to the last digit."""

import math
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.reporting import wording
from sparsewire.lab.reporting.findings import (
    VERDICTS,
    Claim,
    ClaimTable,
    Grid,
    Kind,
    Note,
    Report,
    Section,
    Verdict,
    tally,
)

numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("kind", "published", "ours", "tolerance", "verdict"),
    [
        ("equal", 98.12, (98.02,), 0.1, "reproduced"),  # in floats the difference is −0.10000000000000853
        ("equal", 98.12, (98.019,), 0.1, "differs"),
        ("equal", 98.12, (98.0, 98.3), 0.1, "reproduced"),  # the mean, 98.15, is compared
        ("equal", 98.12, (98.124,), None, "reproduced"),  # 98.12 in print
        ("equal", 98.12, (98.126,), None, "differs"),
        ("equal", 0.0, (0.0,), 0.0, "reproduced"),
        ("equal", 1.0, (math.nan,), 9.0, "differs"),
        ("equal", 1.0, (math.inf,), 9.0, "differs"),
        ("at_least", 90.0, (95.0,), None, "reproduced"),
        ("at_least", 90.0, (89.9,), None, "differs"),
        ("at_least", 90.0, (89.9,), 0.1, "reproduced"),
        ("at_least", 90.0, (math.nan,), 0.1, "differs"),
        ("at_most", 10.0, (9.0,), 0.0, "reproduced"),
        ("at_most", 10.0, (10.1,), 0.0, "differs"),
        ("at_most", 10.0, (10.1,), 0.1, "reproduced"),
        ("equal", None, (1.0,), 0.1, "no published number"),
        ("equal", 1.0, (), 0.1, "not run"),
        ("equal", None, (), None, "not run"),
    ],
)
def test_verdict(
    kind: Kind, published: float | None, ours: tuple[float, ...], tolerance: float | None, verdict: str
) -> None:
    assert Claim("", published, ours, tolerance, kind=kind).verdict == verdict


@pytest.mark.parametrize(
    ("kind", "published", "ours", "tolerance", "verdict"),
    [  # the interval of (1, 2, 3) is -0.484 to 4.484
        ("at_least", 0.0, (1.0, 2.0, 3.0), 0.0, "inconclusive"),
        ("at_least", 0.0, (1.0, 2.0, 3.0), 0.5, "reproduced"),
        ("at_least", 4.4, (1.0, 2.0, 3.0), 0.0, "inconclusive"),
        ("at_least", 4.5, (1.0, 2.0, 3.0), 0.0, "differs"),
        ("at_most", 4.5, (1.0, 2.0, 3.0), 0.0, "reproduced"),
        ("at_most", 0.0, (1.0, 2.0, 3.0), 0.0, "inconclusive"),
        ("at_most", -0.5, (1.0, 2.0, 3.0), 0.0, "differs"),
        ("equal", 2.0, (1.0, 2.0, 3.0), 2.4, "inconclusive"),
        ("equal", 2.0, (1.0, 2.0, 3.0), 2.5, "reproduced"),
        ("equal", 5.0, (1.0, 2.0, 3.0), 0.5, "differs"),
        ("equal", 2.0, (1.0, 2.0, 3.0), None, "inconclusive"),
        ("at_least", 0.0, (9.0,), 0.0, "inconclusive"),  # one seed has no interval
        ("at_least", 0.0, (1.0, 1.0), 0.0, "reproduced"),
        ("at_least", 0.0, (1.0, math.nan), 0.0, "differs"),
        ("at_least", 0.0, (), 0.0, "not run"),
        ("at_least", None, (1.0, 2.0), 0.0, "no published number"),
    ],
)
def test_verdict_by_interval(
    kind: Kind, published: float | None, ours: tuple[float, ...], tolerance: float | None, verdict: str
) -> None:
    assert Claim("", published, ours, tolerance, kind=kind, by_interval=True).verdict == verdict


@settings(deadline=None, max_examples=100)
@given(numbers, st.lists(numbers, min_size=1, max_size=5), st.floats(0, 1e6))
def test_an_interval_is_never_surer_than_its_mean(published: float, ours: list[float], tolerance: float) -> None:
    kinds: tuple[Kind, ...] = ("equal", "at_least", "at_most")
    for kind in kinds:
        by_mean = Claim("", published, tuple(ours), tolerance, kind=kind).verdict
        assert Claim("", published, tuple(ours), tolerance, kind=kind, by_interval=True).verdict in (
            by_mean,
            "inconclusive",
        )


@settings(deadline=None, max_examples=100)
@given(numbers, st.lists(numbers, min_size=1, max_size=5), st.floats(0, 1e6))
def test_equal_means_at_least_and_at_most(published: float, ours: list[float], tolerance: float) -> None:
    def holds(kind: Kind) -> bool:
        return Claim("", published, tuple(ours), tolerance, kind=kind).verdict == "reproduced"

    assert holds("equal") == (holds("at_least") and holds("at_most"))
    assert holds("at_least") or holds("at_most")


def test_mean_spread_and_difference() -> None:
    claim = Claim("", 2.0, (1.0, 2.0, 6.0))
    # The deviations from 3 are −2, −1, 3: their squares sum to 14, over n − 1 = 2.
    assert (claim.mean, claim.spread, claim.difference) == (3.0, math.sqrt(7), 1.0)
    single, none = Claim("", None, (5.0,)), Claim("", 1.0, ())
    assert (single.mean, single.spread, single.difference) == (5.0, None, None)
    assert (none.mean, none.spread, none.difference) == (None, None, None)
    assert math.isnan(Claim("", 1.0, (1.0, math.inf)).spread or 0)


def test_values_become_plain_floats_whatever_they_were() -> None:
    claim = Claim("", np.float32(0.5), (np.float64(1.0), torch.tensor(2.0), 3))  # type: ignore[arg-type]
    assert [type(value) for value in (*claim.ours, claim.published)] == [float] * 4
    assert claim == Claim("", 0.5, [1.0, 2.0, 3.0])  # type: ignore[arg-type]
    assert hash(claim) == hash(Claim("", 0.5, (1.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ({"tolerance": -0.1}, RequestError, "tolerance of 'accuracy': found -0.1"),
        ({"tolerance": math.nan}, RequestError, "tolerance of 'accuracy': found nan"),
        ({"digits": -1}, RequestError, "digits of 'accuracy': found -1"),
        ({"kind": "at_leest"}, UnknownNameError, "did you mean 'at_least'"),
    ],
)
def test_a_claim_refuses_what_it_could_not_judge(
    wanted: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Claim("accuracy", 1.0, (1.0,), **wanted)  # type: ignore[arg-type]


def test_a_grid_refuses_a_row_of_another_length() -> None:
    with pytest.raises(RequestError, match="rows of 'Cost': row 1 has 1 cells, expected 2"):
        Grid("Cost", ("layer", "weights"), (("a", 1), ("b",)))


def test_a_section_lists_its_claims_and_the_tally_counts_them_in_order() -> None:
    good, bad, open_, unknown = (
        Claim("a", 1.0, (1.0,)),
        Claim("b", 1.0, (2.0,)),
        Claim("c", 1.0, ()),
        Claim("d", None, (1.0,)),
    )
    first, second = ClaimTable("1", (unknown, bad)), ClaimTable("2", (open_, good, good))
    section = Section("", "", "", (Note("x"), first, second))
    assert [(table.title, claim.label) for table, claim in section.claims()] == [
        ("1", "d"), ("1", "b"), ("2", "c"), ("2", "a"), ("2", "a"),
    ]  # fmt: skip
    counts = tally(claim for _, claim in section.claims())
    assert counts == {"reproduced": 2, "differs": 1, "not run": 1, "no published number": 1}
    assert tuple(counts) == tuple(verdict for verdict in VERDICTS if verdict != "inconclusive")


def test_values_are_frozen() -> None:
    report = Report("a", "", (), ())
    with pytest.raises(AttributeError):
        report.title = "b"  # type: ignore[misc]


def test_findings_need_no_torch() -> None:
    code = "import sys, sparsewire.lab.reporting.findings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("ours", [(math.inf, -math.inf), (1.0, math.nan), (math.inf, 1.0), (-math.inf,)])
def test_a_mean_that_is_no_number_differs(ours: tuple[float, ...]) -> None:
    claim = Claim("", 1.0, ours)
    assert claim.mean is not None
    assert not math.isfinite(claim.mean)
    assert claim.verdict == "differs"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (6.25, 1, "6.3"), (-6.25, 1, "−6.3"), (2.675, 2, "2.68"), (0.285, 2, "0.29"), (0.5, 0, "1"), (2.5, 0, "3"),
        (6.249999, 1, "6.2"), (0.04, 1, "0.0"), (-0.04, 1, "0.0"), (1e16, 1, "10,000,000,000,000,000.0"),
        (10**30, 0, "1" + 10 * ",000"), (1e300, 2, "1" + 100 * ",000" + ".00"), (5e-324, 3, "0.000"),
        (np.float64(6.25), 1, "6.3"), (np.float32(6.25), 1, "6.3"), (np.int64(1234), 0, "1,234"),
        (999.95, 1, "1,000.0"),
    ],
)  # fmt: skip
def test_numbers_are_rounded_half_up_as_they_are_written(value: float, digits: int, text: str) -> None:
    assert wording.shown(value, digits) == text


@given(st.integers(-(10**6), 10**6), st.integers(0, 3))
def test_what_lies_half_a_unit_below_a_published_number_looks_like_it(units: int, digits: int) -> None:
    number, half = Decimal(units).scaleb(-digits), Decimal(5).scaleb(-digits - 1)
    ours = number - half if number > 0 else number + half  # towards zero
    claim = Claim("", float(number), (float(ours),), digits=digits)
    assert claim.verdict == "reproduced"
    if units:
        assert wording.shown(claim.mean, digits) == wording.published(claim)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"reproduced": 2, "differs": 1, "not run": 1, "no published number": 1}, "2 of 4 reproduced"),
        ({"inconclusive": 1}, "0 of 1 reproduced"),
        ({"no published number": 2}, "no published numbers"),
        ({"not run": 1, "no published number": 2}, "0 of 1 reproduced"),
        ({}, ""),
    ],
)
def test_the_contents_count_what_can_be_compared(counts: dict[Verdict, int], text: str) -> None:
    assert wording.score(counts) == text
