"""Stier, Darji, Granitzer 2021, section 4.1, experiment 4: most of the weights go in one step."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.hidden_structures.claims import at_eighty, labelled, order_at
from sparsewire.experiments.hidden_structures.descents import Descent, run_descents, share_removed
from sparsewire.experiments.hidden_structures.readings import (
    at,
    control_at,
    descent_name,
    mean_and_spread,
    percent_label,
    values,
    word,
)
from sparsewire.experiments.hidden_structures.setup import PAPER, SMOKE, Count, Methods, MethodsSpec, Shares
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series, series
from sparsewire.lab.reporting.findings import Block, ClaimTable, Grid, Section

NAME: Final = "hidden_structures.one_shot"


class OneShotSpec(MethodsSpec):
    """One base, and a single step for every method and every fraction.

    Args:
        removed: what the step removes.
        retraining: epochs at most; an epoch that does not raise the validation accuracy is the last one.
    """

    experiment: Literal["hidden_structures.one_shot"] = NAME
    methods: Methods = (*PAPER, "surgeon")
    removed: Shares = (0.8, 0.85, 0.9)
    retraining: Count = 25


def specs(scale: Scale) -> Sequence[OneShotSpec]:
    """784-100-10, six methods, three fractions, at desk and at full scale alike: only the number of seeds differs.

    On one thread a trial takes about 60 s, a third of them for the surgeon, so five seeds take 3 minutes on two cores.
    """
    if scale == "smoke":
        return [OneShotSpec(**SMOKE, removed=(0.8, 0.9), retraining=3)]
    return [OneShotSpec()]


def run(spec: OneShotSpec, trial: Trial) -> None:
    """A base, 18 prunings, the control."""
    run_descents(
        spec,
        trial,
        [
            Descent(_name(method, removed), method, share_removed(removed), spec.retraining, True, True)
            for method in spec.methods
            for removed in spec.removed
        ],
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """What is left after one large step, before and after retraining."""
    intro = "Most of the weights go at once, and up to 25 epochs of retraining follow."
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: OneShotSpec = outcomes[0].spec  # type: ignore[assignment]
    compared = as_published(spec, "methods", "removed")
    tables: list[ClaimTable] = []
    if "blind" in spec.methods and 0.8 in spec.removed:
        tables.append(at_eighty(outcomes, _name("blind", 0.8), compared))
    for removed in (removed for removed in (0.8, 0.9) if removed in spec.removed):
        names: dict[str, str] = {method: _name(method, removed) for method in spec.methods}
        tables.append(order_at(outcomes, names, round(100 * removed), compared))
    title = f"One step{label and f', {label}'}"
    charts = [
        _chart(f"{title}: after retraining", spec, outcomes, "after"),
        _chart(f"{title}: right after pruning", spec, outcomes, "before"),
    ]
    return [*labelled(tables, label), *charts, _table(title, spec, outcomes)]


def _chart(title: str, spec: OneShotSpec, outcomes: Sequence[Outcome], measure: str) -> Chart:
    lines = tuple(_line(method, spec, outcomes, measure) for method in spec.methods)
    caption = "Test accuracy; at zero the base, of which every point is pruned anew."
    return Chart(title, caption, "weights removed, %", "test accuracy, %", lines)


def _line(method: str, spec: OneShotSpec, outcomes: Sequence[Outcome], measure: str) -> Series:
    shares = sorted(spec.removed)
    xs = [0.0, *(100 * share for share in shares)]
    runs = [
        (xs, [one.metrics["base"], *(one.metrics[f"{_name(method, share)} {measure}"] for share in shares)])
        for one in outcomes
    ]
    return series(word(method), runs)


def _table(title: str, spec: OneShotSpec, outcomes: Sequence[Outcome]) -> Grid:
    rows = []
    for method in spec.methods:
        for share in sorted(spec.removed):
            name, removed = _name(method, share), 100 * share
            before, after = ([at(one, name, removed, measure) for one in outcomes] for measure in ("before", "after"))
            gaps = [at(one, name, removed) - control_at(one, name, removed) for one in outcomes]
            epochs = fmean(values(one, f"{name} epochs")[-1] for one in outcomes)
            cells = map(mean_and_spread, (before, after, gaps))
            rows.append((word(method), percent_label(share), *cells, f"{epochs:.1f}"))
    columns = ("method", "removed", "before, %", "after, %", "− control, points", "epochs")
    return Grid(f"{title}: all methods", columns, tuple(rows), "Mean over seeds ± sample standard deviation.")


def _name(method: str, removed: float) -> str:
    return descent_name(method, percent_label(removed))


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=OneShotSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 25},
    trial=run,
    findings=findings,
)
