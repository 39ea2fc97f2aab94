"""Taking turns: what is counted, checked with a clock that the contenders themselves move."""

import math
import os
import time
from collections.abc import Callable

import pytest

from sparsewire.execution import measuring
from sparsewire.execution.measuring import Timing, compare, fairest_clock, take_turns


class Watch:
    """A clock that stands still but for the work that is done."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        """Takes the given times one after the other, and then the last one for ever."""
        left = list(seconds)

        def run() -> None:
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_every_round_times_each_contender_once_and_every_other_one_backwards() -> None:
    watch = Watch()
    found = take_turns({"a": watch.work("a", 1.0), "b": watch.work("b", 2.0)}, 0.0, watch)
    assert found == {"a": [1.0] * 3, "b": [2.0] * 3}
    # Each once to warm up and once to see how long it takes; then in each turn one call that is not timed.
    assert "".join(watch.log) == "aabb" + "aabbbbaaaabb"


def test_short_work_is_repeated_within_a_turn_and_counted_by_the_call() -> None:
    watch = Watch()
    found = take_turns({"a": watch.work("a", 0.0005)}, 0.0, watch)
    assert found["a"] == pytest.approx([0.0005] * 3)
    assert len(watch.log) == 2 + 3 * (1 + 4)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (20.0, 10), (1e9, 31)])
def test_the_rounds_fit_the_time_but_for_the_fewest_and_the_most(seconds: float, rounds: int) -> None:
    watch = Watch()
    assert len(take_turns({"a": watch.work("a", 1.0)}, seconds, watch)["a"]) == rounds


def test_a_clock_that_does_not_move_is_no_division_by_zero() -> None:
    assert all(one > 0 for one in take_turns({"a": lambda: None}, 0.0, lambda: 0.0)["a"])


def compared(
    monkeypatch: pytest.MonkeyPatch,
    *rounds: dict[str, list[float]],
    doubtful: tuple[float, float] = (0, 0),
    plausible: float = math.inf,
) -> Timing:
    left = list(rounds)
    monkeypatch.setattr(measuring, "take_turns", lambda contenders, seconds, clock: left.pop(0))
    timing = compare(8, lambda: None, lambda: None, 0.1, doubtful, plausible)
    assert not left
    return timing


def test_the_ratio_is_the_median_of_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the ratio of the medians: a slow moment that meets both sides of one round counts for nothing."""
    found = {"dense": [2.0, 20.0, 3.0], "sparse": [1.0, 10.0, 1.0]}
    assert compared(monkeypatch, found, doubtful=(0, 0)) == Timing(8, 3.0, 1.0, 2.0)


def test_slow_moments_of_the_dense_layer_alone_do_not_help_the_sparse_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"dense": [1.0, 5.0, 5.0], "sparse": [2.0, 2.0, 2.0]}
    assert compared(monkeypatch, found, doubtful=(0, 0)) == Timing(8, 5.0, 2.0, 0.5)


def test_a_doubtful_ratio_is_measured_again_and_the_smaller_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = {"dense": [1.2], "sparse": [1.0]}, {"dense": [1.05], "sparse": [1.0]}
    assert compared(monkeypatch, first, second, doubtful=(1.0, 1.3)) == Timing(8, 1.05, 1.0, 1.05)
    assert compared(monkeypatch, second, first, doubtful=(1.0, 1.3)).ratio == 1.05
    clear = {"dense": [1.3], "sparse": [1.0]}
    assert compared(monkeypatch, clear, doubtful=(1.0, 1.3)).ratio == 1.3


def test_what_cannot_be_is_measured_again_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    stalled, calm = {"dense": [99.0], "sparse": [1.0]}, {"dense": [2.0], "sparse": [1.0]}
    assert compared(monkeypatch, stalled, stalled, calm, plausible=40).ratio == 2.0
    assert compared(monkeypatch, *[stalled] * 4, plausible=40).ratio == 99.0
    assert compared(monkeypatch, calm, plausible=2).ratio == 2.0


def test_one_thread_is_timed_by_its_own_time() -> None:
    clock = fairest_clock(threads=1)
    before = clock()
    time.sleep(0.05)
    if os.name == "posix":
        assert clock() - before < 0.05
