"""What the findings on dense supermasks read off outcomes: a way's curve, its peak, and charts of all ways."""

from collections.abc import Sequence

from sparsewire.experiments.supermasks.setup import WORDS, SupermaskSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Grid


def curve(outcome: Outcome, way: str, what: str) -> list[float]:
    """What was recorded of a way, iteration by iteration from 0 on; empty if it was not run.

    Args:
        outcome: of one trial.
        way: a name in `WORDS`.
        what: "size", "accuracy" or "loss".
    """
    return [value for _, value in outcome.series.get(f"{way} {what}", ())]


def each(outcomes: Sequence[Outcome], way: str, what: str, iteration: int) -> tuple[float, ...]:
    """The same at one iteration, one number a seed, without those that did not come so far; −1 is the last one."""
    found = (curve(one, way, what) for one in outcomes)
    return tuple(one[iteration] for one in found if len(one) > max(iteration, 0))


def charts(outcomes: Sequence[Outcome], accuracy: str, loss: str) -> list[Chart]:
    """Accuracy and loss on the test images over the size, a line for each way, with the range over seeds.

    Args:
        outcomes: of one spec.
        accuracy: title of the first one.
        loss: title of the second one.
    """
    spec: SupermaskSpec = outcomes[0].spec  # type: ignore[assignment]
    found = []
    for title, what, label in ((accuracy, "accuracy", "test accuracy, %"), (loss, "loss", "test loss, nats")):
        lines = tuple(
            series(WORDS[way], [(curve(one, way, "size"), curve(one, way, what)) for one in outcomes])
            for way in spec.ways
        )
        caption = "Untrained networks that lose units; mean over seeds, smallest to largest."
        found.append(Chart(title, caption, "weights left, % of the whole network", label, lines))
    return found


def table(outcomes: Sequence[Outcome], iterations: Sequence[int]) -> Grid:
    """Accuracy and loss of every way at some iterations, the peak, and the seconds."""
    spec: SupermaskSpec = outcomes[0].spec  # type: ignore[assignment]
    rows: list[tuple[str, ...]] = []
    for way in spec.ways:
        for iteration in dict.fromkeys(iterations):
            size, right, loss = (each(outcomes, way, what, iteration) for what in ("size", "accuracy", "loss"))
            if right:
                cells = (_mean(size), _mean(right), min(right), max(right), _mean(loss))
                rows.append((WORDS[way], *(f"{cell:.2f}" for cell in cells), ""))
        peaks = [max(curve(one, way, "accuracy")) for one in outcomes]
        seconds = _mean([one.metrics.get(f"{way} seconds", 0.0) for one in outcomes])
        best = (f"{cell:.2f}" for cell in (_mean(peaks), min(peaks), max(peaks)))
        rows.append((f"{WORDS[way]}: best network", "", *best, "", f"{seconds:.1f}"))
    columns = ("way", "size, %", "accuracy, %", "least", "most", "loss", "s a seed")
    return Grid("Along the way", columns, tuple(rows))


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
