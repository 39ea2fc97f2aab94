"""What the search for architectures found (section 4.4): genomes, what foretells them, and what foretelling saves."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.hidden_structures.priors_correlations import correlated
from sparsewire.experiments.hidden_structures.search_alone import alone_blocks
from sparsewire.experiments.hidden_structures.search_claims import (
    best_claims,
    method_claims,
    sign_claims,
    top_claims,
    unseen_claims,
)
from sparsewire.experiments.hidden_structures.search_figures import (
    best_blocks,
    correlation_grid,
    genome_grid,
    importance_grid,
    method_grid,
    progress_chart,
    score_grid,
)
from sparsewire.experiments.hidden_structures.search_front_figures import front_blocks
from sparsewire.experiments.hidden_structures.search_labels import foretelling
from sparsewire.experiments.hidden_structures.search_prediction import LEAST, most_important, score, scores
from sparsewire.experiments.hidden_structures.search_published import TOP
from sparsewire.experiments.hidden_structures.search_readings import Study, guesses, studies, table
from sparsewire.experiments.hidden_structures.search_saving import saving_claims, saving_grid, savings
from sparsewire.experiments.hidden_structures.search_setup import NAME
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Block, ClaimTable, Grid, Note, Section

_LEAST_GUESSES: Final = 10
NOTES: Final = (
    "The paper gives the graphs, the variations and five numbers: population 30, mutation 0.5, crossover 0, worst 0.1, "
    "estimated 0.5. Channels, how unequal shapes are merged, the budget of a training, the number of generations "
    "and what estimates are ours; see `phenotype`, `random_genome` and the fields of the spec.",
    "A genome's worth is its best validation accuracy over all epochs, as in Figure 8b, in one training. The best of "
    "many such numbers is partly luck: the test accuracy beside it is not.",
    "Candidates that several searches come to are trained once, and counted by each. Genomes above the limits are "
    "drawn or varied again, by all methods alike.",
)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The searches against each other, the best genome, predictions, correlations; then genomes trained alone."""
    found = studies(outcomes)
    blocks: list[Block] = []
    for study in found:
        blocks += _study(study, f", {_label(study, found)}" if len(found) > 1 else "")
    if not found:
        blocks.append(Note("No search is among these trials: the first trial of each, which says how it goes, is not."))
    intro = (
        "Networks of convolutions are drawn as labelled graphs, varied and selected. Some of the new ones are not "
        "trained: a regressor foretells their accuracy from 56 features of the graph."
    )
    who = list(dict.fromkeys(foretelling(study.first) for study in found))
    if len(who) == 1:
        intro = f"Networks of convolutions are drawn as labelled graphs, varied and selected. {who[0]}"
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        intro,
        (*blocks, *alone_blocks(outcomes, found), *map(Note, NOTES)),
    )


def _study(study: Study, suffix: str) -> list[Block]:
    """Everything about one study; `suffix` tells its titles apart."""
    blocks: list[Block] = []
    waiting = sum(bool(course.needed) for course in study.courses)
    if waiting:
        text = (
            f"{waiting} of {len(study.courses)} searches are under way{suffix}; what follows is what there is so far."
        )
        blocks.append(Note(text))
    if not study.genomes:
        return blocks
    features = table(study)[0]
    blocks += [progress_chart(study, suffix), method_grid(study, suffix)]
    saved = savings(study, timed=importlib.util.find_spec("sklearn") is not None)
    blocks += [method_claims(study, suffix), saving_claims(saved, suffix), saving_grid(study, saved, suffix)]
    blocks += [best_claims(study, suffix), *front_blocks(study, suffix)]
    blocks += [*best_blocks(study, suffix), genome_grid(features, study, suffix)]
    blocks += _foretold(study, suffix)
    return [block for block in blocks if not _is_empty(block)]


def _foretold(study: Study, suffix: str) -> list[Block]:
    """What is known of accuracy before any training."""
    features, accuracy, owners = table(study)
    if len(accuracy) < LEAST or accuracy.std() == 0:
        return []
    correlations = correlated(features, accuracy)
    blocks: list[Block] = [sign_claims(correlations, suffix), correlation_grid(correlations, suffix)]
    if importlib.util.find_spec("sklearn") is None:
        return [
            *blocks,
            Note("How well accuracy is foretold is told with scikit-learn: pip install 'sparsewire[report]'"),
        ]
    found = scores(features, accuracy, owners)
    said, worth = guesses(study)
    if len(said) >= _LEAST_GUESSES:
        found["in the search"] = {study.first.regressor: score(said, worth)}
    important = most_important(features, accuracy, TOP)
    blocks += [score_grid(found, suffix), unseen_claims(found, study.first.regressor, suffix)]
    return [*blocks, importance_grid(important, correlations, suffix), top_claims(important, suffix)]


def _label(study: Study, among: Sequence[Study]) -> str:
    """What tells a study from the others: its data, and where that does not do, all fields that differ."""
    if sum(other.first.data == study.first.data for other in among) == 1:
        return study.first.data
    fields = [
        name
        for name in type(study.first).model_fields
        if len({repr(getattr(other.first, name)) for other in among}) > 1
    ]
    return ", ".join(f"{name} {getattr(study.first, name)}" for name in fields)


def _is_empty(block: Block) -> bool:
    if isinstance(block, ClaimTable):
        return not block.claims
    return not (block.rows if isinstance(block, Grid) else block.series if isinstance(block, Chart) else True)
