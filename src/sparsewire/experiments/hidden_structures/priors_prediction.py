"""How well 23 properties of a graph foretell the accuracy of its network, and which of them it takes."""

import importlib.util
from collections.abc import Mapping
from typing import Final

from sparsewire.analysis.prediction.feature_groups import ablation
from sparsewire.analysis.prediction.permutations import Importance, importance
from sparsewire.analysis.prediction.r2_scores import R2, accuracy_r2
from sparsewire.experiments.hidden_structures.priors_claims import held_out_claims, text_claims
from sparsewire.experiments.hidden_structures.priors_published import (
    ABLATION,
    CHOICES,
    R2_STORED,
    R2_TEXT,
    REGRESSORS,
    STORED_GRAPHS,
)
from sparsewire.experiments.hidden_structures.priors_readings import Groups, accuracies, features
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, Cell
from sparsewire.lab.reporting.findings import Block, Grid, Note

_LEAST: Final = 20  # trials of a cell; of fewer the paper's split tests one or two
_MOST: Final = 6  # properties of a cell that are listed
_FOREST: Final = ("random_forest",)
Texts = Mapping[Cell, dict[str, float]]
HeldOut = Mapping[Cell, dict[str, R2]]


def prediction_blocks(groups: Groups, published: bool, suffix: str) -> list[Block]:
    """R² on the paper's split and by cross-validation, and what is left of it with some properties alone.

    Args:
        groups: the outcomes of each cell, both families; cells of fewer than 20 trials are left out.
        published: whether the paper's numbers may stand beside ours.
        suffix: of the titles.
    """
    enough = {cell: group for cell, group in groups.items() if len(group) >= _LEAST and accuracies(group).std() > 0}
    if not enough:
        return []
    if importlib.util.find_spec("sklearn") is None:
        return [Note("How well accuracy is predicted is told with scikit-learn: pip install 'sparsewire[report]'")]
    text = {cell: accuracy_r2(features(group), accuracies(group), "paper") for cell, group in enough.items()}
    held_out = {
        cell: accuracy_r2(features(group), accuracies(group), "cross_validation", repeats=1)
        for cell, group in enough.items()
    }
    blocks: list[Block] = [r2_grid(text, held_out, published, suffix), held_out_claims(held_out, published, suffix)]
    if published:
        whole = {cell: found for cell, found in text.items() if len(enough[cell]) == STORED_GRAPHS}
        blocks.append(text_claims(whole, suffix))
    return [*blocks, ablation_grid(enough, published, suffix), importance_grid(enough, suffix)]


def r2_grid(text: Texts, held_out: HeldOut, published: bool, suffix: str) -> Grid:
    """Every R², the paper's and ours, by both ways to hold networks back."""
    rows = []
    for cell, found in text.items():
        for name, word in REGRESSORS.items():
            known = [R2_TEXT[cell].get(name), R2_STORED[cell].get(name)] if published else [None, None]
            paper, stored = ("" if value is None else _digits(value) for value in known)
            ours = _digits(found[name])
            rows.append((f"{CELLS[cell]}, {word}", paper, ours, stored, *_with_interval(held_out[cell][name])))
    columns = (
        "cell, regressor", "text", "ours, the paper's split", "stored runs, held out", "ours, held out", "95 %",
    )  # fmt: skip
    note = (
        "R² on networks that were not learnt from; 1 is perfect, 0 is no better than the mean of all. The paper's "
        "split tests a tenth, and scales by all: its numbers hang on which tenth it is. Held out: ten-fold "
        "cross-validation, scaled inside the fold, with the 95 % interval of a "
        "bootstrap. The abstract has 0.81 at most, the text 0.876."
    )
    return Grid(f"R² of 23 properties{suffix}", columns, tuple(rows), note)


def ablation_grid(groups: Groups, published: bool, suffix: str) -> Grid:
    """R² of the forest without some of the properties, and with some alone."""
    rows = []
    for cell, group in groups.items():
        found = features(group), accuracies(group)
        text = ablation(*found, split="paper", regressors=_FOREST)
        held_out = ablation(*found, split="cross_validation", regressors=_FOREST, folds=5, repeats=1)
        for choice, word in CHOICES.items():
            known = ABLATION.get(cell, {}).get(choice) if published else None
            stored = "" if known is None else _digits(known)
            ours = (*_score(text[choice]["random_forest"]), *_score(held_out[choice]["random_forest"]))
            rows.append((f"{CELLS[cell]}, {word}", stored, *ours))
    columns = ("cell, properties", "stored, the paper's split", "ours, the same", "ours, held out", "95 %")
    note = "R² of the random forest. Held out: five-fold cross-validation, with the 95 % interval of a bootstrap."
    return Grid(f"Which properties it takes{suffix}", columns, tuple(rows), note)


def importance_grid(groups: Groups, suffix: str) -> Grid:
    """What R² loses when one property is shuffled among the graphs, for the properties that matter most."""
    rows = []
    for cell, group in groups.items():
        found = importance(features(group), accuracies(group), "random_forest")
        rows += [(f"{CELLS[cell]}, {name}", *_with_interval(found[name])) for name in list(found)[:_MOST]]
    note = (
        f"Of the random forest, on graphs that were held back; the {_MOST} largest of each cell, with the 95 % "
        "interval of a bootstrap. Properties that say nearly the same stand in for one another: each looks unimportant."
    )
    return Grid(
        f"What R² loses without a property{suffix}", ("cell, property", "loss of R²", "95 %"), tuple(rows), note
    )


def _score(found: float | R2) -> tuple[str, ...]:
    """A number alone, or one with its interval."""
    return _with_interval(found) if isinstance(found, R2) else (_digits(found),)


def _with_interval(found: R2 | Importance) -> tuple[str, str]:
    return _digits(found.mean), f"{_digits(found.low)} to {_digits(found.high)}"


def _digits(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
