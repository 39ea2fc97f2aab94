"""Stier, Darji, Granitzer 2021, section 4.1, experiment 3: every step removes the same number of weights."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, Literal

from pydantic import Field

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import by_spec
from sparsewire.experiments.hidden_structures.claims import at_eighty
from sparsewire.experiments.hidden_structures.descent_findings import descent_blocks
from sparsewire.experiments.hidden_structures.descents import Descent, number_removed, run_descents
from sparsewire.experiments.hidden_structures.figures import Ways
from sparsewire.experiments.hidden_structures.readings import descent_name
from sparsewire.experiments.hidden_structures.setup import SMOKE, Count, MethodsSpec
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.findings import Block, Section
from sparsewire.lab.spec import Spec

Sizes = Annotated[tuple[Count, ...], Field(min_length=1)]

NAME: Final = "hidden_structures.fixed_size"


class FixedSizeSpec(MethodsSpec):
    """One base, and a descent for every method and every number.

    Args:
        sizes: how many weights a step removes, one descent each. A step that would leave none is not taken: the paper's
            code takes it, and measures a network without weights.
    """

    experiment: Literal["hidden_structures.fixed_size"] = NAME
    sizes: Sizes = (1000, 5000, 10_000)


def specs(scale: Scale) -> Sequence[FixedSizeSpec]:
    """784-100-10 and five methods; full: three sizes; desk: 5,000, and 1,000 (158 epochs) class-blind.

    On one thread a trial takes about 80 s and 145 s at desk scale and 490 s at full scale, so three seeds take 6
    minutes on two cores at desk scale.
    """
    if scale == "smoke":
        return [FixedSizeSpec(**SMOKE, sizes=(400, 600))]
    if scale == "full":
        return [FixedSizeSpec()]
    return [FixedSizeSpec(sizes=(5000,)), FixedSizeSpec(sizes=(1000,), methods=("blind",))]


def run(spec: FixedSizeSpec, trial: Trial) -> None:
    """A base, 15 descents, the control."""
    run_descents(
        spec,
        trial,
        [
            Descent(descent_name(method, _label(size)), method, number_removed(size), spec.retraining)
            for method in spec.methods
            for size in spec.sizes
        ],
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The curves of Figure 2a in steps of equal size."""
    intro = "Every step removes the same number of weights, and two epochs of retraining follow."
    found = tuple(block for label, group in by_spec(outcomes, _steps).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: FixedSizeSpec = outcomes[0].spec  # type: ignore[assignment]
    ways = Ways(spec.methods, tuple(map(_label, sorted(spec.sizes))), "Of all weights")
    return descent_blocks(f"Figure 2a, {label}", label, outcomes, ways, "sizes", partial(at_eighty, outcomes))


def _steps(spec: Spec) -> str:
    sizes: tuple[int, ...] = spec.sizes  # type: ignore[attr-defined]
    return f"steps of {' and '.join(map(_label, sizes))}"


def _label(size: int) -> str:
    return f"{size:,}"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=FixedSizeSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 25},
    trial=run,
    findings=findings,
)
