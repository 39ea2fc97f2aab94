"""How a training shows that it goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# (epoch from 1, step of the epoch from 1, steps of an epoch or None where unknown, loss of the batch)
Report: TypeAlias = Callable[[int, int, int | None, float], object]


@contextmanager
def reporting(progress: bool | Report | None, epochs: int) -> Iterator[Report | None]:
    """The function to be called after every step: a bar in the terminal, the caller's own function, or None.

    Args:
        progress: True for a bar, which is removed at the end; a function, which is handed on; else nothing.
        epochs: how many epochs there will be.

    Example:
        >>> with reporting(lambda epoch, step, steps, loss: print(epoch, step, steps, loss), 1) as report:
        ...     report(1, 2, 3, 0.5)
        1 2 3 0.5
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("training", total=None)

        def show(epoch: int, step: int, steps: int | None, loss: float) -> None:
            total = None if steps is None else epochs * steps
            done = step if steps is None else (epoch - 1) * steps + step
            bar.update(task, total=total, completed=done, description=f"epoch {epoch} of {epochs}, loss {loss:.4g}")

        yield show
