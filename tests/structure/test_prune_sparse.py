"""For tests/structure/test_select.py, once select.py takes sparse models."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune


def dense_and_sparse(density=0.5):
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 6))
    source = torch.Generator().manual_seed(1)
    masks = Masks({n: torch.rand(m.shape, generator=source) < density for n, m in Masks.from_model(dense).items()})
    masks = masks | {"0.weight": torch.zeros(8, 12).bool(), "2.weight": torch.ones(6, 8).bool()}
    masks.apply_(dense)
    sparse = nn.Sequential(SparseLinear.from_dense(dense[0], masks["0.weight"]), *dense[1:])
    return dense, sparse, masks


@pytest.mark.parametrize("score", ["magnitude", "random"])
@pytest.mark.parametrize("scope", ["blind", "uniform", "erk", "distributed", {"0.weight": 0.1}])
def test_a_sparse_model_is_pruned_as_the_dense_one_with_its_masks(scope, score):
    dense, sparse, masks = dense_and_sparse()
    for density in (0.1, 0.3, 0.4):
        asked = {"score": score, "density": density, "scope": scope}
        one = prune(dense, masks=masks, generator=torch.Generator().manual_seed(2), **asked)
        other = prune(sparse, generator=torch.Generator().manual_seed(2), **asked)
        assert one == other
        everything = Masks.from_model(dense)
        assert prune(sparse, masks=everything, generator=torch.Generator().manual_seed(2), **asked) == one


def test_whole_neurons_of_a_sparse_model():
    dense, sparse, masks = dense_and_sparse()
    asked = {"score": "neuron_l2", "density": 0.5, "scope": "uniform", "pattern": "neurons"}
    assert prune(dense, masks=masks, **asked) == prune(sparse, **asked)


def test_more_than_a_sparse_model_stores_is_refused():
    sparse = dense_and_sparse(0.2)[1]
    with pytest.raises(RequestError, match=r"density: found 0\.9, which is .* but the masks hold only"):
        prune(sparse, score="magnitude", density=0.9)
    assert prune(sparse, score="magnitude", density=1.0, only="2.*")["2.weight"].all()
