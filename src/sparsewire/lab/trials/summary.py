"""What a run of trials did, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What a run did: how many trials ended how, and how many were `skipped` because the store held them already.

    `failures` says where each failed, a colon, and why. `interrupted` says that somebody stopped it, `out_of_time` that
    its budget was used up, `is_open` that others may follow from these trials.
    """

    experiment: str
    total: int
    done: int
    diverged: int
    failed: int
    skipped: int
    interrupted: bool
    seconds: float
    failures: tuple[str, ...]
    out_of_time: bool = False
    is_open: bool = False

    def __str__(self) -> str:
        """The summary for people.

        Example:
            >>> print(Summary("demo", 9, 4, 1, 1, 2, True, 3.2, ("run 81ab, seed 0: ValueError: no",)))
            demo: 4 done, 1 diverged, 1 failed, 2 kept from before, 1 left of 9 trials in 3.2 seconds
            failed: run 81ab, seed 0: ValueError: no
            interrupted: run the same command again to go on
        """
        left = self.total - self.done - self.diverged - self.failed - self.skipped
        counts = [(self.done, "done"), (self.diverged, "diverged"), (self.failed, "failed"),
                  (self.skipped, "kept from before"), (left, "left")]  # fmt: skip
        parts = ", ".join(f"{count} {word}" for count, word in counts if count or word == "done")
        known = " so far" if self.is_open else ""
        lines = [f"{self.experiment}: {parts} of {self.total} trials{known} in {self.seconds:.1f} seconds"]
        lines += [f"failed: {failure}" for failure in _together(self.failures)[:5]]
        again = "run the same command again to go on"
        lines += [f"what follows waits for what failed: {again}"] if self.is_open and self.failed else []
        lines += [f"interrupted: {again}"] if self.interrupted else []
        lines += [f"the time is used up: {again}"] if self.out_of_time and (left or self.is_open) else []
        return "\n".join(lines)


def _together(failures: Sequence[str]) -> list[str]:
    """One line for all that failed for the same reason: twenty trials that lack one file are one thing to mend."""
    places: dict[str, list[str]] = {}
    for failure in failures:
        place, _, reason = failure.partition(": ")
        places.setdefault(reason, []).append(place)
    return [
        f"{some[0]}{f' and {len(some) - 1} more' if len(some) > 1 else ''}: {reason}" for reason, some in places.items()
    ]
