"""Ablation: what is left without some features, and of some alone."""

import numpy as np
import pytest
import torch

from sparsewire.analysis.prediction.feature_groups import GROUPS, ablation
from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.r2_scores import R2, accuracy_r2
from sparsewire.errors import RequestError, UnknownNameError

ONE = ["bayesian_ridge"]


def made(networks: int = 40) -> tuple[dict[str, Numbers], Numbers]:
    drawn = np.random.default_rng(0)
    names = [name for group in GROUPS.values() for name in group]
    features = {name: drawn.random(networks) for name in [*names, "diameter"]}
    return features, features["nodes"] + features["degree_var"] + 0.1 * drawn.normal(size=networks)


def test_each_choice_is_what_accuracy_r2_says_of_its_features() -> None:
    features, accuracy = made()
    found = ablation(features, accuracy, regressors=["bayesian_ridge", "gradient_boosting"])
    assert list(found) == ["all", "without size", "only size", "without variances", "only variances"]
    chosen = {
        "all": features,
        "only size": {name: features[name] for name in GROUPS["size"]},
        "without variances": {name: features[name] for name in features if name not in GROUPS["variances"]},
    }
    for choice, columns in chosen.items():
        assert found[choice] == accuracy_r2(columns, accuracy, regressors=["bayesian_ridge", "gradient_boosting"])


def test_cross_validated_with_groups_of_one_s_own() -> None:
    features, accuracy = made()
    groups = {"both": ["nodes", "degree_var"], "everything": list(features)}
    generator = torch.Generator().manual_seed(3)
    found = ablation(features, accuracy, groups, split="cross_validation", regressors=ONE, generator=generator)
    assert list(found) == ["all", "without both", "only both", "only everything"]
    r2 = {choice: each["bayesian_ridge"] for choice, each in found.items()}
    assert all(isinstance(one, R2) for one in r2.values())
    assert r2["all"] == r2["only everything"]  # the same features, the same folds
    low = {choice: one.low for choice, one in r2.items() if isinstance(one, R2)}
    assert low["only both"] > 0.8
    assert low["without both"] < 0


def test_the_paper_s_groups_as_far_as_they_are_there() -> None:
    features, accuracy = made()
    del features["edges"]
    assert list(ablation(features, accuracy, regressors=ONE)) == ["all", "without variances", "only variances"]
    with pytest.raises(RequestError, match=r"groups: the features have none of the paper's groups .*; name your own"):
        ablation({"a": accuracy}, accuracy)


def test_bad_requests_get_one_message() -> None:
    features, accuracy = made()
    with pytest.raises(UnknownNameError, match="no feature is named 'node'; did you mean 'nodes'"):
        ablation(features, accuracy, {"size": ["node"]})
    with pytest.raises(RequestError, match=r"groups\['size'\]: found 'nodes', .* as a list"):
        ablation(features, accuracy, {"size": "nodes"})
    with pytest.raises(RequestError, match=r"groups: found \{\}"):
        ablation(features, accuracy, {})
    with pytest.raises(UnknownNameError, match="no split is named 'best'"):
        ablation(features, accuracy, split="best")
