"""What the findings on random graphs read off outcomes: accuracies, properties, families, the graphs themselves."""

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.priors_correlations import Numbers
from sparsewire.experiments.hidden_structures.priors_published import CHANCE, FAMILIES, PROPERTIES, Family, Level
from sparsewire.experiments.hidden_structures.priors_setup import PriorsSpec
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, Cell
from sparsewire.lab.experiment import Outcome
from sparsewire.structure.blocks import block_of_edges
from sparsewire.structure.graphs import NetGraph

Groups = dict[Cell, list[Outcome]]  # the outcomes of each cell


def spec_of(outcome: Outcome) -> PriorsSpec:
    """The outcome's spec."""
    spec: PriorsSpec = outcome.spec  # type: ignore[assignment]
    return spec


def by_cell(outcomes: Sequence[Outcome]) -> Groups:
    """The outcomes of each cell, in the paper's order."""
    found: Groups = {cell: [outcome for outcome in outcomes if spec_of(outcome).cell == cell] for cell in CELLS}
    return {cell: group for cell, group in found.items() if group}


def by_family(outcomes: Sequence[Outcome]) -> dict[Family, list[Outcome]]:
    """The outcomes of each family, by seed."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.seed)
    found: dict[Family, list[Outcome]] = {
        family: [outcome for outcome in ordered if spec_of(outcome).family == family] for family in FAMILIES
    }
    return {family: group for family, group in found.items() if group}


def accuracy(outcome: Outcome) -> float:
    """On the test set after the last epoch, percent."""
    return outcome.metrics["accuracy"]


def accuracies(outcomes: Sequence[Outcome]) -> Numbers:
    """Accuracy of each outcome, percent."""
    return np.array([accuracy(outcome) for outcome in outcomes])


def features(outcomes: Sequence[Outcome], names: Sequence[str] = PROPERTIES) -> dict[str, Numbers]:
    """Property → one number for each outcome, in their order: what `accuracy_r2` and a predictor learn from."""
    return {name: np.array([outcome.metrics[name] for outcome in outcomes]) for name in names}


def level(outcomes: Sequence[Outcome]) -> Level:
    """Mean, median and share below 60 %, of the accuracies, percent.

    Example:
        >>> metrics = [{"accuracy": value} for value in (50.0, 90.0, 100.0, 100.0)]
        >>> level([Outcome(PriorsSpec(), 0, "done", None, 1.0, found, {}) for found in metrics])
        Level(mean=85.0, median=95.0, below=25.0)
    """
    found = [accuracy(outcome) for outcome in outcomes]
    return Level(fmean(found), median(found), 100 * sum(value < CHANCE for value in found) / len(found))


def graph_of(outcome: Outcome) -> NetGraph:
    """The graph that wired the network of a trial, as the trial kept it; values are 1.

    Raises:
        UnknownNameError: the trial kept none.
        RequestError: it had too many edges to be kept whole.
        StoreError: the file is missing, or is not the one that was kept.
    """
    arrays = outcome.arrays("network")
    sizes, blocks = [int(size) for size in arrays["sizes"]], {}
    for name in arrays:
        if name.startswith("rows_"):
            ends = name.removeprefix("rows_")
            source, target = map(int, ends.split("_"))
            rows, columns = arrays[name], arrays[f"columns_{ends}"]
            values = np.asarray(arrays[f"values_{ends}"], dtype=np.float64)
            blocks[source, target] = block_of_edges(rows, columns, values, (sizes[target], sizes[source]))
    graph = NetGraph(tuple(sizes), blocks)
    if graph.edges != outcome.metrics["edges"]:
        raise RequestError(
            f"outcome: of the {outcome.metrics['edges']:,.0f} edges of its graph {graph.edges:,} were kept, expected "
            "all; draw it again from its spec and seed"
        )
    return graph
