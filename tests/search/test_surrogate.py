"""The surrogate: the same as `sw.Predictor`, and what cannot be learnt from."""

from dataclasses import replace

import numpy as np
import pytest
from tests.search.digit_space import DIGITS, Digits, near_seven

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.errors import RequestError
from sparsewire.search.offspring import stream
from sparsewire.search.states import Candidate
from sparsewire.search.surrogate import MOST_OF_PROCESS, surrogate_of, table_of


def tried(count: int, *, objectives: int = 1) -> list[Candidate[Digits]]:
    drawn = {DIGITS.draw(stream(0, place, "test")): None for place in range(count)}
    return [
        Candidate(DIGITS.key(one), one, outcome="tried", values=(near_seven(one), 2.0, float(one[0]))[:objectives])
        for one in drawn
    ]


def test_it_is_the_predictor() -> None:
    known = tried(60)
    learnt = surrogate_of(DIGITS, known, "bayesian_ridge", least=20, seed=0)
    assert learnt is not None
    table = table_of(DIGITS, [one.genome for one in known])
    columns = dict(zip(table.names, table.values.T, strict=True))
    predictor = Predictor.fit(columns, [one.value for one in known], "bayesian_ridge")
    new = [DIGITS.draw(stream(1, place, "test")) for place in range(5)]
    fresh = table_of(DIGITS, new)
    said = predictor.predict(dict(zip(fresh.names, fresh.values.T, strict=True))).mean
    np.testing.assert_allclose([one for (one,) in learnt(DIGITS, new)], said)


def test_every_objective_is_foretold() -> None:
    learnt = surrogate_of(DIGITS, tried(60, objectives=3), "bayesian_ridge", least=20, seed=0)
    assert learnt is not None
    (row,) = learnt(DIGITS, [(7, 7, 7, 7, 7, 7)])
    assert row[1] == 2.0  # that all have
    assert abs(row[2] - 7) < 0.1


def test_from_too_few_or_equal_ones_nothing_is_learnt() -> None:
    same = [replace(one, values=(0.1,)) for one in tried(30)]
    assert surrogate_of(DIGITS, tried(19), "random_forest", least=20, seed=0) is None
    assert surrogate_of(DIGITS, same, "random_forest", least=20, seed=0) is None
    assert surrogate_of(DIGITS, [], "random_forest", least=4, seed=0) is None


def test_the_gaussian_process_learns_from_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsewire.search.surrogate.MOST_OF_PROCESS", 20)
    known, new = tried(40), [(1, 2, 3, 4, 5, 6)]
    learnt = surrogate_of(DIGITS, known, "gaussian_process", least=20, seed=0)
    latest = surrogate_of(DIGITS, known[-20:], "gaussian_process", least=20, seed=0)
    assert learnt is not None
    assert latest is not None
    assert learnt(DIGITS, new) == latest(DIGITS, new)
    assert MOST_OF_PROCESS == 500


def test_features_have_to_be_the_same() -> None:
    space = replace(DIGITS, features=lambda digits: {f"{digits[0]}": 1.0})
    with pytest.raises(RequestError, match="'1' is not there for every genome"):
        table_of(space, [(1,) * 6, (2,) * 6])
    with pytest.raises(RequestError, match="features: found None"):
        table_of(replace(DIGITS, features=None), [(1,) * 6])
