"""Stier, Darji, Granitzer 2021, section 4.1, experiment 5: LeNet-300-100, pruned by fractions of what is left."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import by_spec
from sparsewire.experiments.hidden_structures.claims import behind_control, shown
from sparsewire.experiments.hidden_structures.descent_findings import descent_blocks
from sparsewire.experiments.hidden_structures.figures import Ways
from sparsewire.experiments.hidden_structures.readings import percent_label
from sparsewire.experiments.hidden_structures.relative import run
from sparsewire.experiments.hidden_structures.setup import SMOKE, Count, Hidden, MethodsSpec, Shares
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.findings import Block, ClaimTable, Section

NAME: Final = "hidden_structures.lenet"


class LenetSpec(MethodsSpec):
    """784-300-100-10; the fields are those of `hidden_structures.relative`."""

    experiment: Literal["hidden_structures.lenet"] = NAME
    hidden: Hidden = (300, 100)
    removed: Shares = (0.75, 0.5, 0.25)
    least: Count = 2000


def specs(scale: Scale) -> Sequence[LenetSpec]:
    """Five methods; full: three fractions; desk: the smallest and the largest.

    On one thread a trial takes about 200 s at desk and 240 s at full scale, so three seeds take 5 minutes on two cores.
    """
    if scale == "smoke":
        return [LenetSpec(**{**SMOKE, "hidden": (20, 15)}, removed=(0.75,))]
    return [LenetSpec() if scale == "full" else LenetSpec(removed=(0.75, 0.25))]


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The curves of Figure 2a for the larger network; the paper gives no numbers for it."""
    intro = "As the relative steps on 784-100-10, on 266,200 weights in three layers."
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: LenetSpec = outcomes[0].spec  # type: ignore[assignment]
    ways = Ways(spec.methods, tuple(map(percent_label, sorted(spec.removed))), "Of the weights that are left")
    title = f"LeNet-300-100{label and f', {label}'}"

    def of_blind(name: str, compared: bool) -> ClaimTable:
        claims = [behind_control(outcomes, name, removed) for removed in (80, 90)]
        return ClaimTable("Against the unpruned network", shown(claims, compared), ABOUT)

    return descent_blocks(title, label, outcomes, ways, "removed", of_blind)


ABOUT: Final = "The control has as many extra epochs as the pruned network; the bound is our own, 0.3 points."

EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=LenetSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 10},
    trial=run,
    findings=findings,
)
