"""Stier, Darji, Granitzer 2021, section 4.1, experiment 1: every step removes the same fraction of what is left."""

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import by_spec
from sparsewire.experiments.hidden_structures.claims import at_eighty
from sparsewire.experiments.hidden_structures.descent_findings import descent_blocks
from sparsewire.experiments.hidden_structures.descents import Descent, run_descents, share_removed
from sparsewire.experiments.hidden_structures.figures import Ways
from sparsewire.experiments.hidden_structures.readings import descent_name, percent_label
from sparsewire.experiments.hidden_structures.setup import SMOKE, MethodsSpec, Shares
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Block, Section

NAME: Final = "hidden_structures.relative"


class RelativeSpec(MethodsSpec):
    """One base, and a descent for every method and every fraction.

    Args:
        removed: what a step removes of the weights that are left, one descent each.
    """

    experiment: Literal["hidden_structures.relative"] = NAME
    removed: Shares = (0.7, 0.6, 0.5, 0.4, 0.25)


def specs(scale: Scale) -> Sequence[RelativeSpec]:
    """784-100-10, five methods, five fractions, at desk and at full scale alike: only the number of seeds differs.

    Each seed has its own base; the paper prunes 4 bases 25 times each, hence 100 seeds at full scale. On one thread a
    trial takes about 120 s (470 epochs, most on a fifth of the weights or fewer), so five seeds take 5 minutes on two
    cores.
    """
    if scale == "smoke":
        return [RelativeSpec(**SMOKE, removed=(0.7, 0.5))]
    return [RelativeSpec()]


def run(spec: RelativeSpec, trial: Trial) -> None:
    """A base, 25 descents, the control."""
    run_descents(
        spec,
        trial,
        [
            Descent(descent_name(method, percent_label(removed)), method, share_removed(removed), spec.retraining)
            for method in spec.methods
            for removed in spec.removed
        ],
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 2a, and what the text says of 80 %, of the order of the methods, and of random pruning."""
    intro = "Every step removes a fraction of the weights that are left, and two epochs of retraining follow."
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: RelativeSpec = outcomes[0].spec  # type: ignore[assignment]
    ways = Ways(spec.methods, tuple(map(percent_label, sorted(spec.removed))), "Of the weights that are left")
    title = f"Figure 2a{label and f', {label}'}"
    return descent_blocks(title, label, outcomes, ways, "removed", partial(at_eighty, outcomes))


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RelativeSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 100},
    trial=run,
    findings=findings,
)
