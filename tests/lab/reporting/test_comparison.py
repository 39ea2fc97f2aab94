"""Comparisons: which design, who counts, and that a verdict says no more than it may."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.experiment import Outcome, State
from sparsewire.lab.reporting.comparison import Comparison, compare, compare_all
from sparsewire.lab.reporting.intervals import holm
from sparsewire.lab.spec import Spec


class Sized(Spec):
    size: int = 1


def trials(
    name: str, values: Sequence[float], states: dict[int, State] | None = None, sizes: Sequence[int] = ()
) -> list[Outcome]:
    return [
        Outcome(
            Sized(experiment=name, size=sizes[seed] if sizes else 1), seed, (states or {}).get(seed, "done"), None, 1.0,
            {"accuracy": value}, {},
        )
        for seed, value in enumerate(values)
    ]  # fmt: skip


A = [97.1, 97.4, 96.9, 97.6, 97.0, 97.2, 97.5]
B = [97.6, 97.6, 97.5, 98.0, 97.1, 97.9, 98.0]


def test_equal_seeds_of_single_specs_are_pairs() -> None:
    found = compare(trials("a", A), trials("b", B)[::-1], "accuracy", names=("dense", "sparse"))
    expected = stats.ttest_rel(B, A).confidence_interval(0.95)
    assert found.design == "paired"
    assert found.interval == pytest.approx((float(expected.low), float(expected.high)))
    assert found.p == 2 / 2**7, "all differences are positive"
    assert found.verdict == "sparse is higher"
    assert found.test == "paired: t interval, exact sign flips"
    assert compare(trials("b", B), trials("a", A), "accuracy").verdict == "b is lower"
    assert not found.remarks


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (trials("a", A), trials("b", B[:-1])),  # other seeds
        (trials("a", A, sizes=range(7)), trials("b", B)),  # several specs
        (trials("a", A), trials("b", B, sizes=range(7))),
        ([*trials("a", A), *trials("c", A)], [*trials("b", B), *trials("d", B)]),  # seeds twice
    ],
)
def test_everything_else_is_independent(a: list[Outcome], b: list[Outcome]) -> None:
    found = compare(a, b, "accuracy")
    of = [[one.metrics["accuracy"] for one in group] for group in (a, b)]
    expected = stats.ttest_ind(of[1], of[0], equal_var=False)
    assert found.design == "independent"
    assert found.p == pytest.approx(float(expected.pvalue))
    assert found.test == "independent: Welch"
    specs = [len({one.spec for one in group}) for group in (a, b)]
    assert sum("specs together" in remark for remark in found.remarks) == sum(count > 1 for count in specs)


def test_what_came_to_nothing_is_counted_and_left_out_with_its_partner() -> None:
    a = trials("a", [*A, math.nan, 97.0], {0: "diverged", 8: "failed"})
    b = trials("b", [*B, 97.0, 97.0], {1: "diverged"})
    found = compare(a, b, "accuracy")
    assert found.design == "paired"
    assert found.a.values == tuple(A[2:])
    assert found.b.values == tuple(B[2:])
    assert dict(found.a.left_out) == {"diverged": 1, "failed": 1, "not finite": 1, "no partner": 1}
    assert dict(found.b.left_out) == {"diverged": 1, "no partner": 3}
    assert "a: left out: 1 diverged, 1 failed, 1 no partner, 1 not finite" in found.remarks
    assert any("5 pairs are too few for sign flips" in remark for remark in found.remarks)


def test_a_missing_metric_is_counted() -> None:
    a, b = trials("a", A), trials("b", B[:-1])
    a[0] = Outcome(a[0].spec, 0, "done", None, 1.0, {}, {})
    assert compare(a, b, "accuracy").a.left_out == (("not measured", 1),)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([1.0], [2.0], "too few trials"),
        ([1.0, 2.0], [3.0], "too few trials"),
        ([math.nan], [1.0], "too few trials"),
        ([1.0, 1.0, 1.0], [2.0, 2.0], "neither has any spread"),
    ],
)
def test_too_few_give_no_interval_and_say_so(a: list[float], b: list[float], said: str) -> None:
    found = compare(trials("a", a), trials("b", b), "accuracy")
    assert (found.interval, found.p) == (None, None)
    assert found.verdict == "cannot be said"
    assert any(said in remark for remark in found.remarks)


def test_nothing_is_ever_called_equal() -> None:
    found = compare(trials("a", A), trials("b", A), "accuracy")
    assert (found.difference, found.p, found.verdict) == (0.0, 1.0, "no difference was shown")


def test_few_pairs_are_judged_by_student() -> None:
    a, b = [1.0, 1.1, 1.2], [9.0, 9.2, 9.1]
    few = compare(trials("a", a), trials("b", b), "accuracy")
    expected = stats.ttest_rel(b, a)
    assert few.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert (few.verdict, few.test) == ("b is higher", "paired: t interval and test")
    assert "3 pairs are too few for sign flips; Student's test takes differences to be normal" in few.remarks
    assert compare(trials("a", A[:6]), trials("b", B[:6]), "accuracy").test == "paired: t interval, exact sign flips"


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5))
def test_the_verdict_of_few_pairs_follows_their_interval(differences: list[float]) -> None:
    found = compare(trials("a", [0.0] * len(differences)), trials("b", differences), "accuracy")
    if found.interval is not None and found.p is not None:
        low, high = found.interval
        assert (found.verdict != "no difference was shown") == (low > 0 or high < 0) or min(abs(low), abs(high)) < 1e-9


def test_the_level_moves_interval_and_verdict() -> None:
    strict, lax = (compare(trials("a", A), trials("b", B[:-1]), "accuracy", level=level) for level in (0.999, 0.8))
    assert strict.interval is not None
    assert lax.interval is not None
    assert strict.interval[0] < lax.interval[0]
    assert (strict.verdict, lax.verdict) == ("no difference was shown", "b is higher")


@pytest.mark.parametrize(
    ("a", "b", "metric", "level", "error", "message"),
    [
        (trials("a", A), trials("b", B), "accurcy", 0.95, UnknownNameError, "did you mean 'accuracy'"),
        (trials("a", A), trials("a", A), "accuracy", 0.95, RequestError, "seed 0 is in both groups"),
        (trials("a", A), trials("b", B), "accuracy", 1.0, RequestError, "level: found 1.0"),
        (trials("a", A), trials("b", B), "accuracy", math.nan, RequestError, "level: found nan"),
    ],
)
def test_refuses(
    a: list[Outcome], b: list[Outcome], metric: str, level: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compare(a, b, metric, level=level)


def test_all_pairs_are_corrected_together() -> None:
    far = [value + 5 for value in A]
    groups = {"x": trials("x", A), "y": trials("y", B[:-1]), "z": trials("z", far[:-2]), "one": trials("o", [1.0])}
    found = {(one.a.name, one.b.name): one for one in compare_all(groups, "accuracy")}
    assert list(found) == [("x", "y"), ("x", "z"), ("x", "one"), ("y", "z"), ("y", "one"), ("z", "one")]
    tested = [one for one in found.values() if one.p is not None]
    assert len(tested) == 3
    assert [one.adjusted for one in tested] == holm([one.p for one in tested if one.p is not None])
    assert found["x", "z"].verdict == "z is higher"
    assert found["x", "one"].adjusted is None
    with pytest.raises(RequestError, match="found 1 group"):
        compare_all({"x": trials("x", A)}, "accuracy")


def test_a_verdict_follows_the_corrected_p() -> None:
    one = compare(trials("a", A), trials("b", B), "accuracy")
    corrected = Comparison(one.metric, one.a, one.b, one.design, one.level, one.interval, one.p, one.effect, 0.2)
    assert (one.verdict, corrected.verdict) == ("b is higher", "no difference was shown")


@pytest.mark.parametrize(
    ("a", "b"), [([97.1, 96.9], [97.4, 97.2]), ([97.1, 96.9, 97.3], [97.4, 97.2, 97.6]), ([1.0, 2.0], [2.0, 3.0])]
)
def test_differences_that_differ_by_rounding_alone_show_nothing(a: list[float], b: list[float]) -> None:
    found = compare(trials("a", a), trials("b", b), "accuracy")
    assert (found.interval, found.p, found.verdict) == (None, None, "cannot be said")
    assert found.remarks == ("a, b: all pairs differ by the same, so there is no interval and no test",)


def test_equal_differences_of_enough_pairs_have_a_p_by_sign_flips_and_no_interval() -> None:
    found = compare(trials("a", A), trials("b", [value + 0.3 for value in A]), "accuracy")
    assert (found.interval, found.p, found.verdict) == (None, 2 / 2**7, "b is higher")
    assert found.remarks == ("a, b: all pairs differ by the same, so there is no interval",)
