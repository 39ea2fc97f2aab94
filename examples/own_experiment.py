"""An experiment of your own: a sweep on all cores, which can be stopped and goes on, then a comparison and a table.

    python examples/own_experiment.py

Run it again, and nothing is left to do; delete `own-runs` to begin anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

import sparsewire as sw
from sparsewire.lab.executors.by_name import executor
from sparsewire.lab.executors.contract import Order, Receipt
from sparsewire.lab.experiment import Experiment, Outcome, Trial
from sparsewire.lab.reporting.comparison import compare
from sparsewire.lab.reporting.findings import Grid, Section
from sparsewire.lab.runner import run
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.export import to_csv
from sparsewire.lab.store import Store
from sparsewire.lab.trials.work import do


class DensitySpec(Spec):
    """How much of a digit classifier is kept, and for how long it is trained."""

    experiment: Literal["densities"] = "densities"
    density: float = 0.1
    epochs: int = 10


def trial(spec: DensitySpec, trial: Trial) -> None:
    digits = sw.data.digits().flat()
    model = sw.zoo.mlp((64, 100, 10), generator=trial.generator("weights"))
    masks = sw.prune(model, score="random", density=spec.density, generator=trial.generator("masks"))
    sw.fit(
        model,
        digits.train,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        epochs=spec.epochs,
        masks=masks,
        generator=trial.generator("order"),
        checkpoints=trial.checkpoints(),  # goes on in the middle of an epoch
        on_epoch=lambda epoch, _, history: trial.record("loss", history.loss[-1], epoch),
    )
    trial.record("accuracy", sw.evaluate(model, digits.test).accuracy)
    trial.show(sw.NetGraph.from_model(model, masks))


def findings(outcomes: Sequence[Outcome]) -> Section:
    rows = tuple((outcome.spec.density, outcome.seed, outcome.metrics["accuracy"]) for outcome in outcomes)  # type: ignore[attr-defined]
    return Section("Densities", "", "", (Grid("Accuracy", ("density", "seed", "accuracy"), rows),))


EXPERIMENT = Experiment(
    name="densities",
    title="How much of a digit classifier is needed",
    source="an example",
    spec=DensitySpec,
    specs=lambda scale: [DensitySpec(density=density) for density in (0.02, 0.1, 0.5)],
    seeds={"smoke": 1, "desk": 4, "full": 10},
    trial=trial,
    findings=findings,
)


def work(order: Order) -> Receipt:
    """What a worker does: it imports this file, so it knows the experiment."""
    return do(EXPERIMENT, order)


def main(folder: Path = Path("own-runs"), where: str = "here") -> Path:
    """Does what is left to do; returns the path of the table."""
    doer = executor(where, work)
    try:
        with Store.open(folder) as store:
            print(run(EXPERIMENT, "desk", store, executor=doer))
            outcomes = store.outcomes("densities", {"densities": DensitySpec})
    finally:
        doer.close(2.0)
    few, many = ([one for one in outcomes if one.spec.density == density] for density in (0.02, 0.5))
    found = compare(few, many, "accuracy", names=("2 %", "50 %"))
    print(f"50 % against 2 %: {found.difference:+.3f}, interval {found.interval}: {found.verdict}")
    to_csv(outcomes, folder / "trials.csv")
    print(f"pandas.read_csv('{folder / 'trials.csv'}'); sparsewire dashboard --store {folder}")
    return folder / "trials.csv"


if __name__ == "__main__":  # workers import this file
    main(where="local")
