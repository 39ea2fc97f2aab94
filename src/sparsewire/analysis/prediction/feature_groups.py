"""Which features can be done without: R² without some of them, and of some alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sparsewire.analysis.prediction.feature_tables import feature_table
from sparsewire.analysis.prediction.permutations import checked_groups
from sparsewire.analysis.prediction.r2_scores import R2, accuracy_r2
from sparsewire.analysis.prediction.regressors import seed_from
from sparsewire.errors import RequestError

GROUPS = {
    "size": ("nodes", "edges", "source_nodes", "sink_nodes"),
    "variances": (
        "eccentricity_var", "degree_var", "closeness_var", "nodes_betweenness_var", "edge_betweenness_var",
    ),
}  # fmt: skip


def ablation(
    features: Mapping[str, Any], accuracy: Any, groups: Mapping[str, Sequence[str]] | None = None, *,
    split: str = "paper", regressors: Sequence[str] | None = None, folds: int = 10, repeats: int = 3,
    generator: torch.Generator | None = None,
) -> dict[str, dict[str, float] | dict[str, R2]]:  # fmt: skip
    """R² from all features, from all but a group, and from a group alone; everything else as in `accuracy_r2`.

    Each choice is tested on the same networks, so that the numbers of a regressor can be compared.

    Args:
        features: name → one finite number for each network.
        accuracy: one number for each network, not all the same.
        groups: name → its features. None: the paper's two, as far as all their features are there: "size" (nodes,
            edges, source_nodes, sink_nodes) and "variances" (the five that end in _var).
        split: "paper" or "cross_validation".
        regressors: some of `REGRESSORS`; None: all.
        folds: of the cross-validation.
        repeats: of the cross-validation.
        generator: where seeds come from; None: 7. All choices get the same ones.

    Returns:
        "all", "without GROUP", "only GROUP", … → what `accuracy_r2` answers. A group of all features has no "without".

    Raises:
        RequestError: as `accuracy_r2`; or no groups are given and the features have none of the paper's.
        UnknownNameError: there is no such split or regressor, or a group names a feature that is not there.

    Example:
        >>> nodes = torch.arange(40.0)
        >>> features = {"nodes": nodes, "noise": nodes % 2}
        >>> found = ablation(features, nodes / 50, {"size": ["nodes"]}, regressors=["bayesian_ridge"])
        >>> {choice: round(r2["bayesian_ridge"], 1) for choice, r2 in found.items()}
        {'all': 1.0, 'without size': -0.7, 'only size': 1.0}

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.3, of which their code has these three: without the size, the size alone, the variances alone.
    """
    table = feature_table(features)
    if groups is None:
        groups = {group: names for group, names in GROUPS.items() if set(names) <= set(table.names)}
        if not groups:
            raise RequestError(
                "groups: the features have none of the paper's groups (nodes, edges, source_nodes, sink_nodes, or the "
                "five variances of a graph's properties); name your own, such as {'size': ['nodes']}"
            )
    choices: dict[str, tuple[str, ...]] = {"all": table.names}
    for group, names in checked_groups(groups, table.names).items():
        inside = table.only(names).names
        rest = tuple(name for name in table.names if name not in inside)
        choices |= ({f"without {group}": rest} if rest else {}) | {f"only {group}": inside}
    seed = seed_from(generator, otherwise=0)
    found = {}
    for choice, names in choices.items():
        chosen = table.only(names)
        columns = {name: chosen.values[:, place] for place, name in enumerate(chosen.names)}
        found[choice] = accuracy_r2(
            columns, accuracy, split, regressors=regressors, folds=folds, repeats=repeats,
            generator=None if generator is None else torch.Generator().manual_seed(seed),
        )  # fmt: skip
    return found
