"""The predictor: as good as its regressor, honest about how far off it may be, and the same after it was saved."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparsewire.analysis.prediction.feature_tables import Numbers
from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.analysis.prediction.regressors import REGRESSORS, learning, regressor_called
from sparsewire.errors import RequestError


def made(networks: int, seed: int = 0) -> tuple[dict[str, Numbers], Numbers]:
    """Networks whose accuracy is the harder to foretell the more nodes they have."""
    drawn = np.random.default_rng(seed)
    features = {"nodes": drawn.integers(10, 51, networks) * 1.0, "density": drawn.random(networks)}
    noise = 0.002 * features["nodes"] * drawn.normal(size=networks)
    return features, 0.5 + features["nodes"] / 100 + 0.1 * features["density"] + noise


@pytest.mark.parametrize("name", REGRESSORS)
def test_it_predicts_what_its_regressor_does(name: str, tmp_path: Path) -> None:
    features, accuracy = made(40)
    new, _ = made(70, seed=1)
    predictor = Predictor.fit(features, accuracy, name, folds=3)
    scaler = learning("preprocessing").MinMaxScaler()
    values = scaler.fit_transform(np.column_stack(list(features.values())))
    theirs = regressor_called(name, 7).fit(values, accuracy)
    expected = theirs.predict(scaler.transform(np.column_stack(list(new.values()))))
    np.testing.assert_allclose(predictor.predict(new).mean, expected, rtol=0, atol=1e-12)
    predictor.save(tmp_path / "p.safetensors")
    again = Predictor.load(tmp_path / "p.safetensors")
    assert repr(again) == repr(predictor)
    for part in ("mean", "spread", "low", "high"):
        assert np.array_equal(getattr(again.predict(new), part), getattr(predictor.predict(new), part))


@pytest.mark.parametrize("name", ["bayesian_ridge", "gaussian_process", "gradient_boosting"])
def test_intervals_hold_what_they_promise(name: str) -> None:
    predictor = Predictor.fit(*made(150), name, folds=5)
    new, accuracy = made(600, seed=1)
    for coverage in (0.5, 0.9):
        found = predictor.predict(new, coverage)
        inside = np.mean((found.low <= accuracy) & (accuracy <= found.high))
        assert coverage - 0.08 < inside < coverage + 0.13  # a fold's model knows less than the last one
    nearer = np.mean(np.abs(accuracy - found.mean) <= found.spread)
    assert 0.58 < nearer < 0.78
    assert np.all(found.low < found.mean - found.spread)


def test_a_forest_s_intervals_are_wider_where_networks_are_harder() -> None:
    found = Predictor.fit(*made(150), folds=3).predict({"nodes": [12, 48], "density": [0.5, 0.5]})
    assert found.spread[1] > 1.15 * found.spread[0]


def test_what_it_says_of_its_quality_comes_from_networks_held_back() -> None:
    drawn = np.random.default_rng(0)
    noise = Predictor.fit({"a": drawn.random(60), "b": drawn.random(60)}, drawn.random(60), folds=5)
    assert noise.r2.mean < 0.1
    assert noise.r2.low < noise.r2.mean < noise.r2.high
    assert Predictor.fit(*made(60), "bayesian_ridge").r2.low > 0.5


def test_features_in_any_order_more_of_them_and_of_one_network() -> None:
    predictor = Predictor.fit(*made(20), "bayesian_ridge")
    one = predictor.predict({"density": 0.5, "colour": "red", "nodes": torch.tensor(30)})
    assert one.mean.shape == (1,)
    assert one.mean[0] == predictor.predict({"nodes": [30, 40], "density": [0.5, 0.1]}).mean[0]


def test_features_beyond_what_it_has_learnt_from_are_named() -> None:
    features, accuracy = made(20)
    predictor = Predictor.fit(features | {"same": np.full(20, 3.0)}, accuracy, "bayesian_ridge")
    least, most = features["nodes"].min(), features["nodes"].max()
    new = {"nodes": [least, most, most + 1, least - 1], "density": [0.5] * 4, "same": [3, 3, 3, 4]}
    assert predictor.predict(new).outside == ((), (), ("nodes",), ("nodes", "same"))


def test_any_number_of_features_and_few_networks() -> None:
    drawn = np.random.default_rng(0)
    wide = {f"f{place}": drawn.random(6) for place in range(56)}
    found = Predictor.fit(wide, np.arange(6.0)).predict(wide, coverage=0.99)
    assert np.all(np.isfinite(found.low))
    exact = Predictor.fit({"a": [0, 1, 2, 3]}, [0, 0, 0, 1], "gradient_boosting").predict({"a": [1]})
    assert exact.spread[0] >= 0


def test_the_generator_decides() -> None:
    features, accuracy = made(20)

    def found(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        told: list[float] = Predictor.fit(features, accuracy, "adaboost", folds=2, generator=generator).misses.tolist()
        return told

    assert found(1) == found(1) != found(2)


def test_a_copy_and_a_pickle_predict_the_same() -> None:
    features, accuracy = made(12)
    predictor = Predictor.fit(features, accuracy, "bayesian_ridge", notes={"cell": "gru"})
    for other in (copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))):  # noqa: S301
        assert repr(other) == repr(predictor)
        assert np.array_equal(other.predict(features).low, predictor.predict(features).low)


def test_notes_are_kept_and_locked() -> None:
    notes = {"cell": "gru"}
    predictor = Predictor.fit(*made(8), "bayesian_ridge", notes=notes)
    notes["cell"] = "lstm"
    assert dict(predictor.notes) == {"cell": "gru"}
    with pytest.raises(TypeError):
        predictor.notes["cell"] = "lstm"  # type: ignore[index]


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"features": {"nodes": [1, 2, 3]}}, "accuracy: found 20 numbers, expected 3"),
        ({"features": {"a": [1, 2, 3]}, "accuracy": [1, 2, 3]}, "found 3 networks, expected at least 4"),
        ({"accuracy": [1.0] * 20}, "accuracy: all 20 are 1"),
        ({"regressor": "gp"}, "no regressor is named 'gp'"),
        ({"folds": 1}, "folds: found 1"),
        ({"notes": {"cell": 3}}, "notes: found {'cell': 3}, expected text by text"),
        ({"notes": "gru"}, "notes: found 'gru'"),
        ({"generator": 1}, "generator: found 1"),
    ],
)
def test_bad_requests_to_fit_get_one_message(extra: dict[str, Any], told: str) -> None:
    features, accuracy = made(20)
    with pytest.raises(RequestError, match=told):
        Predictor.fit(**{"features": features, "accuracy": accuracy, "regressor": "bayesian_ridge"} | extra)


@pytest.mark.parametrize(
    ("features", "coverage", "told"),
    [
        ({"nodes": [1]}, 0.9, "features: 'density' is missing; this predictor needs nodes, density, each with one"),
        ([1], 0.9, "features: found list"),
        ({"nodes": [1, 2], "density": [1]}, 0.9, r"features\['density'\]: found 1 numbers, expected 2"),
        ({"nodes": [1], "density": [float("nan")]}, 0.9, r"features\['density'\]: number 0 is nan"),
        ({"nodes": [1], "density": [1]}, 0, "coverage: found 0, expected a share between 0 and 1"),
        ({"nodes": [1], "density": [1]}, 1, "coverage: found 1,"),
        ({"nodes": [1], "density": [1]}, float("nan"), "coverage: found nan"),
        ({"nodes": [1], "density": [1]}, "0.9", "coverage: found '0.9'"),
    ],
)
def test_bad_requests_to_predict_get_one_message(features: Any, coverage: Any, told: str) -> None:
    predictor = Predictor.fit(*made(8), "bayesian_ridge", folds=2)
    with pytest.raises(RequestError, match=told):
        predictor.predict(features, coverage)
