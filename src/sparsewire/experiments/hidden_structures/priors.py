"""The paper on hidden structures, section 4.3: random graphs as recurrent networks, and what foretells their accuracy.

Graphs of Watts and Strogatz and of Barabási and Albert are drawn; each becomes a network with tanh, ReLU, LSTM or GRU
cells that learns to tell the strings of Reber's grammar. Which of a graph's properties go with its accuracy, which
family is better, and how well can accuracy be predicted from 23 properties before any training?
"""

from collections.abc import Sequence
from typing import Final

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.hidden_structures.priors_findings import findings
from sparsewire.experiments.hidden_structures.priors_published import FAMILIES
from sparsewire.experiments.hidden_structures.priors_setup import (
    NAME,
    PriorsSpec,
    drawn_graph,
    network,
    properties,
    strings_of,
    train,
)
from sparsewire.experiments.hidden_structures.recurrent_published import Cell
from sparsewire.lab.experiment import Experiment, Scale, Trial

# The cells whose trials are longest come first, so that none is left alone at the end.
ORDER: Final[tuple[Cell, ...]] = ("lstm", "gru", "relu", "tanh")
DESK: Final[tuple[Cell, ...]] = ("gru", "tanh")


def specs(scale: Scale) -> Sequence[PriorsSpec]:
    """Full: four cells and two families, of which each seed is a graph; desk: GRU and tanh, the paper's own trainings.

    Smoke: a few small graphs, which learn nothing.
    """
    base = PriorsSpec()
    if scale == "smoke":
        base = PriorsSpec(least_nodes=10, most_nodes=14, strings=120, test_strings=60, epochs=2, batch=32)
    cells = ORDER if scale == "full" else DESK
    return [base.model_copy(update={"cell": cell, "family": family}) for cell in cells for family in FAMILIES]


def run(spec: PriorsSpec, trial: Trial) -> None:
    """Draws a graph, measures it, and trains the network that it wires."""
    graph = drawn_graph(spec, trial.generator(f"graph: {spec.family}, {spec.cell}"))  # as in the paper, none twice
    properties(graph, trial)
    trial.show(graph)
    model, masks = network(spec, graph, trial.generator("weights"))
    trial.report(0.0, f"{spec.cell}: {sum(graph.sizes)} nodes, {graph.edges} edges")
    train(model, masks, strings_of(spec), spec, trial)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=PriorsSpec,
    specs=specs,
    seeds={"smoke": 3, "desk": 40, "full": 100},
    trial=run,
    findings=findings,
)
