"""A run of many trials on the screen: how many are behind it, how fast it is, when it will be through."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from sparsewire.cli.screen import plain

if TYPE_CHECKING:
    from sparsewire.lab.trials.progress import Progress

_LINE_SECONDS = 10.0  # between two lines, where there is no terminal
_FEW, _MOST_ROWS = 20, 8


class Pace:
    """How fast trials end, and how long the rest will take at this rate.

    Example:
        >>> pace = Pace(now=0.0)
        >>> pace.words(0.0, 1.0), pace.words(0.25, 30.0)
        ('', '1 min 30 s left')
    """

    def __init__(self, now: float) -> None:
        self._begin, self._first = now, 0.0
        self._is_begun = False

    def words(self, fraction: float, now: float) -> str:
        """The time left, given the part of the run that is behind it."""
        if not self._is_begun:  # what earlier runs have done says nothing about the pace of this one
            self._is_begun, self._first = True, fraction
        gone, gained = now - self._begin, fraction - self._first
        if gained <= 0 or gone <= 0:
            return ""
        return f"{duration(gone / gained * (1 - fraction))} left"


def duration(seconds: float) -> str:
    """A time in the two largest units that it fills.

    Example:
        >>> duration(7.4), duration(90), duration(3 * 3600 + 125), duration(200_000)
        ('7 s', '1 min 30 s', '3 h 2 min', '2 d 7 h')
    """
    whole = round(seconds)
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((place for place, (_, count) in enumerate(units) if count), 3)
    return " ".join(
        f"{count} {unit}" for unit, count in units[first : first + 2] if count or unit == "s" == units[first][0]
    )


def line(label: str, now: "Progress", left: str) -> str:
    """A run in one line; where more trials may come, what the only one under way says stands for a percentage.

    Example:
        >>> from sparsewire.lab.spec import Spec
        >>> from sparsewire.lab.trials.progress import Progress, Under
        >>> line("demo", Progress(3, 12, failed=1), "20 s left")
        'demo: 25 % (3 of 12 trials), 1 failed, 20 s left'
        >>> line("demo", Progress(3, 12, rounds=2, is_open=True), "20 s left")
        'demo: 3 of 12 trials so far, round 3'
        >>> under = Under(Spec(experiment="demo"), 0, 0.5, "66.8 % after epoch 4")
        >>> line("demo", Progress(0, 1, (under,), is_open=True), "")
        'demo: 0 of 1 trials so far, round 1, 66.8 % after epoch 4'
    """
    parts = [_counted(now) if now.is_open else f"{now.fraction:.0%}".replace("%", " %") + f" ({_counted(now)})"]
    parts += [f"{now.failed} failed"] if now.failed else []
    parts += [plain(trial.note, 60) for trial in now.running if now.is_open and len(now.running) == 1 and trial.note]
    return f"{label}: {', '.join([*parts, *([left] if left and not now.is_open else [])])}"


def _counted(now: "Progress") -> str:
    trials = f"{now.done} of {now.total} trials"
    return f"{trials} so far, round {now.rounds + 1}" if now.is_open else trials


@contextlib.contextmanager
def watching(label: str) -> Iterator[Callable[["Progress"], None]]:
    """Shows a run on stderr: bars on a terminal, elsewhere a line now and then and one at the end.

    Yields:
        What the runner tells its progress to.
    """
    if not sys.stderr.isatty():
        with _lines(label) as tell:
            yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[note]}", markup=False),
    )
    pace = Pace(time.monotonic())
    with Bars(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bars:
        whole = bars.add_task(label, total=1.0, note="")
        rows: dict[tuple[str, int], TaskID] = {}

        def tell(now: "Progress") -> None:
            failed = f", {now.failed} failed" if now.failed else ""
            left = pace.words(now.fraction, time.monotonic())
            note = f"{_counted(now)}{failed}  {'' if now.is_open else left}"
            bars.update(whole, completed=now.fraction, note=note)
            shown = {(str(trial.spec), trial.seed): trial for trial in now.running[:_MOST_ROWS]}
            for key in [key for key in rows if key not in shown]:
                bars.remove_task(rows.pop(key))
            for key, trial in shown.items():
                if key not in rows:
                    rows[key] = bars.add_task(f"  seed {trial.seed}", total=1.0, note="")
                bars.update(rows[key], completed=trial.fraction, note=plain(trial.note, 60))

        yield tell


@contextlib.contextmanager
def _lines(label: str) -> Iterator[Callable[["Progress"], None]]:
    pace, last = Pace(time.monotonic()), time.monotonic()
    said: Progress | None = None
    latest: Progress | None = None

    def tell(now: "Progress") -> None:
        nonlocal last, said, latest
        latest, left = now, pace.words(now.fraction, time.monotonic())
        due = time.monotonic() - last >= _LINE_SECONDS
        if due or (now.ended and (said is None or now.total <= _FEW)):
            last, said = time.monotonic(), now
            click.echo(line(label, now, left), err=True)

    yield tell
    if latest is not None and (said is None or said.done != latest.done):
        click.echo(line(label, latest, ""), err=True)
