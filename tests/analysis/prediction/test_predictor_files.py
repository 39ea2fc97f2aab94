"""Predictors in files: read without scikit-learn, and what is no predictor, or was changed, is refused in one line."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sparsewire.analysis.prediction.predictor_files import FORMAT, VERSION
from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.errors import FileError
from sparsewire.structure.sealed_arrays import digest

FEATURES = {"nodes": np.arange(12.0), "edges": np.arange(12.0) ** 2 % 7}


def made(path: Path, regressor: str = "bayesian_ridge") -> Predictor:
    accuracy = FEATURES["nodes"] / 20 + FEATURES["edges"] / 100
    predictor = Predictor.fit(FEATURES, accuracy, regressor, folds=2, notes={"cell": "gru", "größe": "klein"})
    predictor.save(path)
    return predictor


def refused(path: Path, told: str) -> None:
    with pytest.raises(FileError, match=told) as caught:
        Predictor.load(path)
    assert "\n" not in str(caught.value)


def test_it_is_read_without_scikit_learn(tmp_path: Path) -> None:
    names = ("random_forest", "gaussian_process")
    expected = [made(tmp_path / name, name).predict(FEATURES) for name in names]
    code = (
        "import json, sys\nsys.modules['sklearn'] = sys.modules['joblib'] = None\n"
        "from sparsewire.analysis.prediction import Predictor\n"
        "features = json.loads(sys.argv[1])\n"
        "found = [Predictor.load(path).predict(features) for path in sys.argv[2:]]\n"
        "print([[one.mean.tolist(), one.spread.tolist()] for one in found])"
    )
    features = json.dumps({name: column.tolist() for name, column in FEATURES.items()})
    command = [sys.executable, "-c", code, features, *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), [[one.mean, one.spread] for one in expected], rtol=1e-9)


def test_everything_comes_back(tmp_path: Path) -> None:
    one = made(tmp_path / "p")
    again = Predictor.load(os.fspath(tmp_path / "p"))
    assert (again.names, again.regressor, again.floor, again.r2) == (one.names, one.regressor, one.floor, one.r2)
    assert dict(again.notes) == dict(one.notes)
    assert np.array_equal(again.misses, one.misses)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    made(tmp_path / "p")
    whole = (tmp_path / "p").read_bytes()
    for place in range(0, len(whole), 37):
        changed = bytearray(whole)
        changed[place] ^= 0x15
        (tmp_path / "changed").write_bytes(changed)
        refused(tmp_path / "changed", "changed|predictor")
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        refused(tmp_path / "cut", "cut")


def test_what_is_no_predictor(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no predictor at .*none: there is no such file")
    refused(tmp_path, "cannot read a predictor from .*: it is no regular file")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    refused(tmp_path / "pickle", "cannot read a predictor")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "no regular file")
    save_file({"a": np.zeros(2)}, tmp_path / "other")
    refused(tmp_path / "other", f"its format is 'not stated', expected '{FORMAT}-{VERSION}'; save one with Predictor")
    save_file({"a": np.zeros(2)}, tmp_path / "masks", {"format": "sparsewire-masks-1"})
    refused(tmp_path / "masks", "its format is 'sparsewire-masks-1'")
    save_file({"a": np.zeros(2)}, tmp_path / "newer", {"format": f"{FORMAT}-2"})
    refused(tmp_path / "newer", "is a predictor of format 2, expected 1, .*; install a newer one")


GOOD = {"regressor": "bayesian_ridge", "features": ["nodes", "edges"], "notes": {}}


@pytest.mark.parametrize(
    ("about", "parts", "told"),
    [
        ("[" * 5000, {}, "holds no predictor"),
        ("nonsense", {}, "holds no predictor: Expecting value"),
        ("[]", {}, "its features have no names"),
        (GOOD | {"features": []}, {}, "its features have no names"),
        (GOOD | {"features": ["nodes", 3]}, {}, "its features have no names"),
        (GOOD | {"features": ["nodes", "nodes"]}, {}, "two of its features have the same name"),
        (GOOD | {"features": ["nodes"]}, {}, r"'lowest' is float64 of shape \(2,\), expected float64 of shape \(1,\)"),
        (GOOD | {"regressor": "oracle"}, {}, "no regressor is named 'oracle'"),
        (GOOD | {"regressor": ["oracle"]}, {}, "no regressor is named"),
        (GOOD | {"regressor": "random_forest"}, {}, "trees: it has no 'roots'"),
        (GOOD | {"notes": [1]}, {}, "notes: found"),
        (GOOD, {"lowest": np.full(2, 1e9)}, "its ranges or its misses are not in order"),
        (GOOD, {"misses": np.array([2.0, 1.0])}, "not in order"),
        (GOOD, {"misses": np.zeros(0)}, "not in order"),
        (GOOD, {"misses": np.array([-1.0])}, "not in order"),
        (GOOD, {"floor": np.zeros(1)}, "not in order"),
        (GOOD, {"floor": np.array([np.nan])}, "'floor' has NaN"),
        (GOOD, {"r2": np.zeros(2)}, r"'r2' is float64 of shape \(2,\)"),
        (GOOD, {"model.slope": np.zeros(3)}, "bayesian_ridge: its 'slope' is"),
    ],
)
def test_what_was_made_by_hand_must_fit_together(
    about: str | dict[str, Any], parts: dict[str, Any], told: str, tmp_path: Path
) -> None:
    made(tmp_path / "p")
    with safe_open(tmp_path / "p", framework="numpy") as file:
        all_parts = {name: file.get_tensor(name) for name in file.keys()} | parts  # noqa: SIM118
    text = about if isinstance(about, str) else json.dumps(about)
    metadata = {"format": f"{FORMAT}-{VERSION}", "about": text, "sha256": digest(all_parts, text)}
    save_file(all_parts, tmp_path / "forged", metadata)
    refused(tmp_path / "forged", told)


def test_a_predictor_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    predictor = made(tmp_path / "p")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileError, match="cannot write"):
        predictor.save(tmp_path / "file" / "p")
    with pytest.raises(FileError, match=r"cannot write .*: it is a folder"):
        predictor.save(tmp_path)
    huge = Predictor.fit({"x" * 2_000_000: [1, 2, 3, 4]}, [1, 2, 3, 5], "bayesian_ridge", folds=2)
    with pytest.raises(FileError, match="its header takes"):
        huge.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "p"]
