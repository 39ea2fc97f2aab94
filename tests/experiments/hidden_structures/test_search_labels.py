"""What methods are called follows the share that is foretold and what foretells."""

from typing import get_args

import pytest

from sparsewire.experiments.hidden_structures.search_labels import NAMES, foreteller, foretelling, label
from sparsewire.experiments.hidden_structures.search_setup import METHODS, CandidateSpec


def test_every_method_and_regressor_has_a_name_of_its_own() -> None:
    for estimated in (0.0, 0.5, 0.123):
        first = CandidateSpec(estimated=estimated)
        assert len({label(first, method) for method in METHODS}) == len(METHODS)
    assert tuple(NAMES) == get_args(CandidateSpec.model_fields["regressor"].annotation)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "genetic, half foretold"),
        ({"estimated": 0.0}, "genetic, none foretold"),
        ({"estimated": 0.75}, "genetic, 75 % foretold"),
        ({"regressor": "gaussian_process"}, "genetic, half foretold by Gaussian process"),
        ({"estimated": 0.0, "regressor": "adaboost"}, "genetic, none foretold"),
    ],
)
def test_labels(fields, words) -> None:
    assert label(CandidateSpec(**fields), "genetic") == words


def test_sentences() -> None:
    assert foreteller(CandidateSpec(regressor="gaussian_process")) == "a Gaussian process"
    assert foretelling(CandidateSpec(estimated=0.0)) == "Every new genome is trained."
    assert "half is not trained: AdaBoost foretells" in foretelling(CandidateSpec(regressor="adaboost"))
