"""Figure 7, Table 1 and the predictions of the paper on hidden structures (section 4.3) beside ours."""

from collections.abc import Sequence
from typing import Final

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, families
from sparsewire.experiments.hidden_structures.priors_claims import (
    family_claims,
    level_claims,
    sign_claims,
    table_claims,
)
from sparsewire.experiments.hidden_structures.priors_correlations import correlated
from sparsewire.experiments.hidden_structures.priors_figures import (
    correlation_grid,
    cost_grid,
    distribution_chart,
    family_comparison,
    graph_grid,
    level_grid,
    sources_chart,
    training_chart,
)
from sparsewire.experiments.hidden_structures.priors_prediction import prediction_blocks
from sparsewire.experiments.hidden_structures.priors_published import FAMILIES, TABLE
from sparsewire.experiments.hidden_structures.priors_readings import accuracies, by_cell, features
from sparsewire.experiments.hidden_structures.priors_setup import NAME, PriorsSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.comparison import ComparisonTable
from sparsewire.lab.reporting.findings import Block, ClaimTable, Note, Section

VARIED: Final = ("cell", "family")  # what one study has all of
# In what a setup may differ from the paper's and still be compared: the strings drawn, and the masks of the gates.
FREE: Final = (*VARIED, "data", "gate_masks")
NOTES: Final = (
    "The paper says of its graphs only that there are 100 of each family; its code draws 10 to 50 nodes, k = n // 5 "
    "and p = 1 for Watts and Strogatz, which leaves hardly a small world, and m = n // 10 for Barabási and Albert, "
    "grown from m nodes without edges. Today's networkx grows them from a star, with one "
    "source; the stored graphs have m.",
    "An undirected edge leads from the lower to the higher number, and a node's layer is the longest path that ends in "
    "it. A letter is as many numbers as there are sources, and only the deepest layer is read: most nodes that lead "
    "nowhere are never asked.",
    "In the code every connection past layers is a cell with a bias and a state of its own, as here. Its masks for the "
    "gates of LSTM and GRU are mixed up among units; here they are right, unless a title says otherwise.",
    "Accuracy is that on the test set after the last epoch, as in the code. The bigram rule alone has 93.9 % of these "
    "strings: a network above it has learnt more than which letters follow each other.",
)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Families, correlations and predictions, each setup by itself."""
    blocks: list[Block] = []
    for label, study in families(outcomes, *VARIED, name=_setup).items():
        blocks += _study(study, f", {label}" if label else "")
    intro = (
        "Random graphs become recurrent networks that learn Reber's grammar; 23 properties of each graph are measured "
        "before. Which family is better, which properties go with accuracy, and how well do they foretell it?"
    )
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (*blocks, *map(Note, NOTES)))


def _study(outcomes: Sequence[Outcome], suffix: str) -> list[Block]:
    """Everything about one setup; `suffix` tells its titles apart."""
    groups = by_cell(outcomes)
    published = all(as_published(outcome.spec, *FREE) for outcome in outcomes)
    # Correlations of one family alone are not the paper's, which has both together.
    both = {cell: group for cell, group in groups.items() if len({o.spec.family for o in group}) == len(FAMILIES)}  # type: ignore[attr-defined]
    correlations = {
        cell: correlated(features(group, tuple(TABLE[cell])), accuracies(group)) for cell, group in both.items()
    }
    blocks: list[Block] = [distribution_chart(groups, suffix), level_grid(groups, published, suffix)]
    blocks += [family_claims(groups, published, suffix), family_comparison(groups, suffix)]
    blocks += [level_claims(groups, published, suffix), training_chart(groups, suffix), sources_chart(groups, suffix)]
    if correlations:
        blocks += [sign_claims(correlations, published, suffix), correlation_grid(correlations, published, suffix)]
        blocks += table_claims(correlations, published, suffix)
    blocks += prediction_blocks(both, published, suffix)
    blocks += [graph_grid(groups, suffix), cost_grid(groups, published, suffix)]
    return [block for block in blocks if not _is_empty(block)]


def _is_empty(block: Block) -> bool:
    if isinstance(block, ClaimTable):
        return not block.claims
    return isinstance(block, ComparisonTable) and not block.comparisons


def _setup(spec: PriorsSpec) -> str:
    """What a study is called where there are several, or where it is not the code's way."""
    words = [
        ("one cell a layer", spec.merge == "pre"),
        ("all sinks read", spec.readout == "sinks"),
        ("gates masked as in the code", spec.gate_masks == "rows"),
        ("grown from a star", spec.start == "star"),
        (f"rewired with {spec.rewiring:g}", spec.rewiring != 1),
        ("padding not read", not spec.reads_padding),
        ("false strings perturbed", spec.false_strings == "perturbed"),
    ]
    return ", ".join(word for word, holds in words if holds)
