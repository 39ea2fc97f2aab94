"""Stier, Darji, Granitzer 2021, section 4.1, experiment 2: two epochs of retraining, or as many as it takes."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.hidden_structures.claims import (
    TOLERANCE,
    behind_control,
    labelled,
    near_base,
    order_at,
    shown,
)
from sparsewire.experiments.hidden_structures.descents import Descent, run_descents, share_removed
from sparsewire.experiments.hidden_structures.figures import Ways, blocks
from sparsewire.experiments.hidden_structures.readings import (
    at,
    descent_name,
    finite,
    mean_and_spread,
    percent_label,
    values,
    word,
)
from sparsewire.experiments.hidden_structures.setup import SMOKE, Count, MethodsSpec, Shares
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section

NAME: Final = "hidden_structures.retraining"
FIXED: Final = "fixed"
VARIABLE: Final = "variable"
ABOUT: Final = (
    "Variable: until an epoch does not raise the validation accuracy, ten at most. The paper tells no numbers. That "
    "both are equal within 0.3 points at 90 % removed, and that neither is more than 0.3 points below the unpruned "
    "network with as many extra epochs at 80 %, are our own bounds."
)


class RetrainingSpec(MethodsSpec):
    """One base, and two descents for every method and every fraction: with fixed and with variable retraining.

    Args:
        removed: what a step removes of the weights that are left.
        most: epochs of a variable retraining, at most; `retraining` is the number of the fixed one.
    """

    experiment: Literal["hidden_structures.retraining"] = NAME
    removed: Shares = (0.25, 0.5, 0.75)
    most: Count = 10


def specs(scale: Scale) -> Sequence[RetrainingSpec]:
    """784-100-10, five methods, three fractions, at desk and at full scale alike: only the number of seeds differs.

    On one thread a trial takes about 170 s, so three seeds take 4 minutes on two cores.
    """
    if scale == "smoke":
        return [RetrainingSpec(**SMOKE, methods=("blind", "obd"), removed=(0.75,), most=4)]
    return [RetrainingSpec()]


def run(spec: RetrainingSpec, trial: Trial) -> None:
    """A base, 30 descents, the control."""
    descents = []
    for method in spec.methods:
        for removed in spec.removed:
            rule = share_removed(removed)
            fixed, variable = (_name(method, removed, how) for how in (FIXED, VARIABLE))
            descents.append(Descent(fixed, method, rule, spec.retraining))
            descents.append(Descent(variable, method, rule, spec.most, is_variable=True))
    run_descents(spec, trial, descents)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The curves, how many epochs a variable retraining takes, and what it is worth."""
    intro = "Every step removes a fraction of the weights that are left; how long is the network retrained after it?"
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: RetrainingSpec = outcomes[0].spec  # type: ignore[assignment]
    kinds = tuple(_label(removed, how) for how in (VARIABLE, FIXED) for removed in sorted(spec.removed))
    ways = Ways(spec.methods, kinds, "Of the weights that are left")
    names, compared = ways.names(kinds[0]), as_published(spec, "methods", "removed")
    tables = [
        ClaimTable("Variable or fixed", shown(_claims(spec, outcomes), compared), ABOUT),
        order_at(outcomes, names, 90, compared),
        near_base(outcomes, names, compared),
    ]
    title = f"Variable and fixed retraining{label and f', {label}'}"
    found = [_epochs(title, spec, outcomes), *blocks(title, outcomes, ways)]
    return [*labelled(tables, label), *found]


def _claims(spec: RetrainingSpec, outcomes: Sequence[Outcome]) -> list[Claim]:
    """For class-blind pruning, in the smallest steps."""
    removed = min(spec.removed)
    variable, fixed = (_name("blind", removed, how) for how in (VARIABLE, FIXED))
    gaps = finite([at(one, variable, 90) - at(one, fixed, 90) for one in outcomes])
    gap = Claim("variable − fixed, class-blind, 90 % removed", 0.0, gaps, TOLERANCE, "points", by_interval=True)
    return [gap, *(behind_control(outcomes, name, 80) for name in (variable, fixed))]


def _epochs(title: str, spec: RetrainingSpec, outcomes: Sequence[Outcome]) -> Grid:
    """How long a retraining took, and what it gained."""
    rows = []
    for method in spec.methods:
        for removed in spec.removed:
            name = _name(method, removed, VARIABLE)
            epochs = [values(one, f"{name} epochs") for one in outcomes]
            each = [found[-1] / (len(found) - 1) for found in epochs if len(found) > 1]
            gains = [max(found) for one in outcomes if (found := values(one, f"{name} gain"))]
            rows.append((word(method), percent_label(removed), mean_and_spread(each), mean_and_spread(gains)))
    columns = ("method", "step", "epochs a retraining", "largest gain of a retraining, points")
    return Grid(f"{title}: epochs", columns, tuple(rows), "Mean over seeds ± sample standard deviation.")


def _name(method: str, removed: float, how: str) -> str:
    return descent_name(method, _label(removed, how))


def _label(removed: float, how: str) -> str:
    return f"{percent_label(removed)}, {how}"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RetrainingSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 25},
    trial=run,
    findings=findings,
)
