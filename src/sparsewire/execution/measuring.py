"""Contenders timed side by side: they take turns, so that a slow moment of the machine meets them all."""

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], object]
Clock = Callable[[], float]
_TURN = 0.002  # seconds that a turn takes at least: clocks and interrupts cost microseconds
_FEWEST, _MOST = 3, 31  # rounds
_AGAIN = 3  # times that an implausible ratio is measured once more


@dataclass(frozen=True)
class Timing:
    """How long a dense and a sparse layer took for one batch.

    Args:
        batch: samples in it.
        dense: seconds of the dense layer, the median.
        sparse: seconds of the sparse layer, the median.
        ratio: how many times faster the sparse layer is: the median over the rounds of dense / sparse, or the ratio of
            the fastest calls if that is smaller.

    Example:
        >>> Timing(batch=32, dense=3e-3, sparse=1e-3, ratio=3.0).ratio
        3.0
    """

    batch: int
    dense: float
    sparse: float
    ratio: float


def take_turns(
    contenders: Mapping[str, Work], seconds: float, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of one call of each contender in each round; the same number of rounds for all, from 3 to 31.

    Every other round goes backwards, so that none of them always follows the same one; and each turn begins with an
    untimed call, so that none pays for what another one left in the caches.

    Args:
        contenders: name → what to do; each is called once before, untimed, to warm up.
        seconds: how long all rounds together shall take; three rounds are made in any case.
        clock: seconds from some point in the past.

    Example:
        >>> ticks = iter(range(1000))
        >>> take_turns({"a": lambda: None, "b": lambda: None}, seconds=0, clock=lambda: float(next(ticks)))
        {'a': [1.0, 1.0, 1.0], 'b': [1.0, 1.0, 1.0]}
    """
    calls = {name: _calls(work, clock) for name, work in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    began = clock()
    for done in range(_MOST):
        if done >= _FEWEST and (clock() - began) * (done + 1) > seconds * done:
            break  # another round like these would take too long
        for name in list(contenders)[:: 1 if done % 2 == 0 else -1]:
            contenders[name]()
            found[name].append(_timed(contenders[name], calls[name], clock))
    return found


def fairest_clock(threads: int) -> Clock:
    """The thread's own time where one thread does all the work: what others do on the machine does not count.

    Example:
        >>> fairest_clock(threads=2) is time.perf_counter
        True
    """
    return time.thread_time if threads == 1 and os.name == "posix" else time.perf_counter


def compare(
    batch: int,
    dense: Work,
    sparse: Work,
    seconds: float,
    doubtful: tuple[float, float] = (0, 0),
    plausible: float = math.inf,
    clock: Clock = time.perf_counter,
) -> Timing:
    """A dense and a sparse contender side by side.

    Args:
        batch: samples that both of them take; copied into the result.
        dense: one pass of the dense layer.
        sparse: one pass of the sparse layer.
        seconds: see `take_turns`.
        doubtful: a ratio from the first of these to below the second is measured once more, and the smaller counts.
        plausible: a ratio above this is measured up to three times more, until it is smaller: threads that wait for a
            busy machine make a dense layer look a hundred times slower than it is.
        clock: see `take_turns`.

    Example:
        >>> compare(1, lambda: sum(range(10000)), lambda: None, seconds=0.001).ratio > 1
        True
    """
    timing = _compared(batch, dense, sparse, seconds, clock)
    if doubtful[0] <= timing.ratio < doubtful[1]:
        timing = min(timing, _compared(batch, dense, sparse, seconds, clock), key=lambda one: one.ratio)
    for _ in range(_AGAIN):
        if timing.ratio > plausible:
            timing = min(timing, _compared(batch, dense, sparse, seconds, clock), key=lambda one: one.ratio)
    return timing


def _compared(batch: int, dense: Work, sparse: Work, seconds: float, clock: Clock) -> Timing:
    found = take_turns({"dense": dense, "sparse": sparse}, seconds, clock)
    theirs, ours = found["dense"], found["sparse"]
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    # The fastest calls are those that nobody disturbed: their ratio must not be worse than what is told.
    ratio = min(ratio, min(theirs) / min(ours))
    return Timing(batch, statistics.median(theirs), statistics.median(ours), ratio)


def _calls(work: Work, clock: Clock) -> int:
    work()
    return max(1, min(1000, int(_TURN / _timed(work, 1, clock))))


def _timed(work: Work, calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        work()
    return max(clock() - start, 1e-9) / calls
