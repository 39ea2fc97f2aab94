import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.structure.masks import Masks, maskable, matrices
from sparsewire.structure.sparse_weights import junctions_of, sparse_weights

MASK = torch.tensor([[True, False, True], [False, True, True]])


class Pair(SparseModule):
    """Two sparse weights, one of them a kernel of four dimensions, and a dense parameter."""

    def __init__(self):
        super().__init__()
        self.register_sparse("weight_ih", MASK)
        self.register_sparse("kernel", torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)) < 0.3)
        self.scale = nn.Parameter(torch.ones(2))
        with torch.no_grad():
            self.kernel.copy_(torch.arange(1.0, len(self.kernel) + 1))


def network():
    return nn.Sequential(nn.Linear(4, 3), SparseLinear(3, 2, MASK), nn.ModuleDict({"pair": Pair()}))


def test_they_are_found_by_the_names_of_their_parameters():
    model = network()
    found = sparse_weights(model)
    assert list(found) == ["1.weight", "2.pair.weight_ih", "2.pair.kernel"]
    assert all(weight.values is model.get_parameter(name) for name, weight in found.items())
    assert list(maskable(model)) == ["0.weight", *found]
    assert found["2.pair.kernel"].shape == (4, 3, 2, 2)
    assert not junctions_of(model[0])


def test_something_else_that_is_called_junctions_is_none():
    layer = nn.Linear(2, 2)
    layer.junctions = ["weight"]
    assert not sparse_weights(layer)
    assert Masks.from_model(layer).density == 1


def test_a_shared_module_has_all_of_its_names_and_appears_once():
    layer = SparseLinear(3, 3, torch.eye(3).bool())
    model = nn.Sequential(layer, layer)
    assert list(sparse_weights(model)) == ["0.weight", "1.weight"]
    assert list(Masks.from_model(model)) == ["0.weight"]


def test_values_that_two_modules_share_are_refused():
    model = nn.Sequential(SparseLinear(3, 3, torch.eye(3).bool()), SparseLinear(3, 3, torch.eye(3).bool()))
    model[1].weight = model[0].weight
    with pytest.raises(RequestError, match="found a sparse weight 'weight' whose values two modules share"):
        sparse_weights(model)


def test_dense_tensors_and_values_go_into_each_other():
    for weight in sparse_weights(network()).values():
        dense = weight.dense()
        assert dense.shape == weight.shape
        assert torch.equal(weight.values_of(dense), weight.values)
        assert not dense[~weight.mask()].any()
        others = torch.arange(1.0, 1 + len(weight.values))
        assert torch.equal(weight.values_of(weight.dense(others)), others)
        assert torch.equal(weight.dense(others) != 0, weight.mask())


# ---- masks of models with sparse layers ----


def test_masks_of_a_sparse_layer_are_what_exists_in_the_shape_of_the_weight():
    model = network()
    masks = Masks.from_model(model)
    assert torch.equal(masks["1.weight"], MASK)
    assert torch.equal(masks["2.pair.kernel"], model[2]["pair"].mask_of("kernel"))
    assert masks["0.weight"].all()
    with torch.no_grad():
        model[1].weight.zero_()
    assert torch.equal(Masks.from_weights(model)["1.weight"], MASK)  # a zero may be a connection that has just grown


def test_matrices_have_the_shapes_of_the_masks():
    model = network()
    found = matrices(model)
    assert {name: tensor.shape for name, tensor in found.items()} == {
        n: m.shape for n, m in Masks.from_model(model).items()
    }
    assert found["0.weight"] is model[0].weight
    assert torch.equal(found["1.weight"], model[1].dense_weight("weight"))
    assert found["1.weight"].grad is None
    model[1](torch.tensor([3.0, 4.0, 5.0])).sum().backward()
    assert matrices(model)["1.weight"].grad.tolist() == [[3.0, 0.0, 5.0], [0.0, 4.0, 5.0]]


def test_applying_masks_zeroes_values_and_leaves_the_structure():
    model = SparseLinear(3, 2, MASK)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([1.0, -torch.inf, torch.nan, 4.0]))
    keep = torch.tensor([[True, True, False], [False, False, True]])  # one that does not exist, two that go
    Masks({"weight": keep}).apply_(model)
    assert torch.equal(model.mask_of("weight"), MASK)
    assert model.dense_weight("weight").tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
    assert not torch.signbit(model.weight).any()
    before = model.weight.clone()
    Masks.from_model(model).apply_(model)
    assert torch.equal(model.weight, before)


def test_applying_masks_to_a_kernel_equals_applying_them_to_the_dense_one():
    weight = sparse_weights(network())["2.pair.kernel"]
    mask = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    expected = weight.dense() * mask
    Masks({"kernel": mask}).apply_(weight.module)
    assert torch.equal(weight.dense(), expected)


@pytest.mark.parametrize("mask", [torch.ones(4), torch.ones(3, 2), torch.ones(2, 3, 1)])
def test_a_mask_of_another_shape_than_the_dense_weight_is_refused(mask):
    model = nn.Sequential(SparseLinear(3, 2, MASK))
    before = model[0].weight.clone()
    with pytest.raises(
        RequestError, match=r"mask of '0.weight': found shape \(.*\), expected \(2, 3\), the shape of the"
    ):
        Masks({"0.weight": mask.bool()}).apply_(model)
    assert torch.equal(model[0].weight, before)
