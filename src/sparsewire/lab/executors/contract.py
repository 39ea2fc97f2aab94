"""What the runner and executors say to each other: orders go out, receipts come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from sparsewire.lab.experiment import State


@dataclass(frozen=True)
class Order:
    """One trial to be done; small, and made of numbers and texts alone, so that it can travel.

    Args:
        experiment: its name; whoever works finds the trial function in the table of experiments.
        spec: canonical text.
        seed: which repetition.
        root: the store's folder, absolute.
        threads: how many torch may use.
        every: seconds between two checkpoints.
        sweep: a name for this run of the runner; the file `work/<sweep>.stop` in the store's folder asks its trials
            to keep a checkpoint and to stop.
        loggers: where else metrics go, see `lab.trials.loggers`.
    """

    experiment: str
    spec: str
    seed: int
    root: str
    threads: int = 1
    every: float = 30.0
    sweep: str = ""
    loggers: tuple[str, ...] = ()


class Receipt(NamedTuple):
    """How an order ended: "stopped" is no result and no failure: the trial goes on from its checkpoint later.

    The result itself lies in the store's spool; `parcel` holds it where the worker cannot see the store's folder.
    `problem` says why nothing could be written, which no other trial could either.
    """

    run: str
    seed: int
    state: State | Literal["stopped"]
    parcel: bytes | None = None
    problem: str = ""


class Ended(NamedTuple):
    """What became of an order: a receipt, or None if the worker was lost, and then what is known of the loss."""

    order: Order
    receipt: Receipt | None
    loss: str = ""


Work = Callable[[Order], Receipt]


class Executor(Protocol):
    """Does orders, several at a time where it can. Closing it leaves no process behind."""

    @property
    def name(self) -> str:
        """For people, e.g. "2 local workers"."""

    @property
    def capacity(self) -> int:
        """How many orders it can have at hand usefully, at this moment; at least 1."""

    def submit(self, order: Order) -> None:
        """Takes an order; returns at once."""

    def ended(self, timeout: float) -> Sequence[Ended]:
        """The orders that have ended since the last call, in any order; waits for one at most `timeout` seconds."""

    def close(self, grace: float) -> None:
        """Waits at most `grace` seconds for what is under way, then ends every process and connection of its own."""
