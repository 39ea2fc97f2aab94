"""Features as a table: what is taken, and that everything else gets one clear message."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sparsewire.analysis.prediction.feature_tables import checked_accuracy, feature_table
from sparsewire.errors import RequestError, UnknownNameError


@pytest.mark.parametrize(
    "column",
    [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], np.uint8), torch.tensor([1.0, 2, 3], requires_grad=True),
     torch.tensor([1, 2, 3], dtype=torch.bfloat16), pd.Series([1, 2, 3], index=[7, 8, 9]), np.array([1, 2, 3], object)],
    ids=["list", "tuple", "array", "tensor", "bfloat16", "series", "objects"],
)  # fmt: skip
def test_a_column_may_be_many_things(column: Any) -> None:
    table = feature_table({"a": column, "b": [True, False, True]})
    assert table.names == ("a", "b")
    assert table.values.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert table.values.dtype == np.float64


def test_a_data_frame_s_columns_and_single_numbers() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3.5, 4]})
    assert feature_table(dict(frame.items())).values.tolist() == [[1, 3.5], [2, 4]]
    assert feature_table({"a": 1, "b": torch.tensor(2.0)}).values.tolist() == [[1, 2]]


def test_a_choice_of_columns() -> None:
    table = feature_table({"nodes": [1], "edges": [2], "layers": [3]})
    assert table.only(["layers", "nodes"]).values.tolist() == [[3, 1]]
    with pytest.raises(UnknownNameError, match="no feature is named 'node'; did you mean 'nodes'"):
        table.only(["node"])


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ({}, "features: found none"),
        ([1, 2], "features: found list, expected a mapping"),
        (None, "features: found NoneType"),
        ({3: [1]}, "features: found the name 3, expected text"),
        ({"": [1]}, "features: found the name ''"),
        ({"a": [1, 2], "b": [1]}, r"features\['b'\]: found 1 numbers, expected 2, one for each network, as in"),
        ({"a": []}, "features: found no networks"),
        ({"a": [[1], [2]]}, r"features\['a'\]: found the shape \(2, 1\)"),
        ({"a": [[1], [2, 3]]}, r"features\['a'\]: .*; expected one number for each network"),
        ({"a": [1, float("nan")]}, r"features\['a'\]: number 1 is nan"),
        ({"a": [1, float("inf")]}, r"features\['a'\]: number 1 is inf"),
        ({"a": [1e31]}, "number 0 is 1e\\+31, expected finite ones of at most 1e\\+30"),
        ({"a": [10**400]}, r"features\['a'\]: found 1000"),
        ({"a": torch.eye(2).to_sparse()}, r"features\['a'\]: .*; expected one number for each network"),
        ({"a": ["many"]}, "found .*'many'.*, expected numbers"),
        ({"a": [None, 1]}, "found None, expected numbers"),
        ({"a": [1j]}, "expected numbers"),
        ({"a": [{}]}, "found {}, expected numbers"),
    ],
)
def test_bad_features_get_one_message(features: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        feature_table(features)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [
        ([1, 2], "accuracy: found 2 numbers, expected 3"),
        ([1e-200, 2e-200, 3e-200], "accuracy: all 3 are 1e-200, expected numbers that differ"),
        ([1, 1, 1], "accuracy: all 3 are 1, expected numbers that differ"),
        ([1, 2, float("nan")], "accuracy: number 2 is nan"),
        ("high", "accuracy: found .*'high'"),
        (None, "accuracy: found None"),
    ],
)
def test_bad_accuracies_get_one_message(accuracy: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        checked_accuracy(accuracy, networks=3, least=2)


def test_too_few_networks() -> None:
    with pytest.raises(RequestError, match="found 3 networks, expected at least 4"):
        checked_accuracy([1, 2, 3], networks=3, least=4)
