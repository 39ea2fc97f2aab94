import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.structure.masks import Masks
from sparsewire.training.agreement import checked_state, compared, plain_name, present_gradients, weights_of

OLD = Masks({"w": torch.tensor([True, False]), "v": torch.tensor([True])})


def test_a_compiled_models_names_are_the_plain_ones():
    model = torch.compile(nn.Sequential(nn.Linear(2, 2)), backend="eager")
    assert [plain_name(name) for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]


def test_weights_are_found_under_the_masks_own_names_and_sparse_ones_are_told_apart():
    mask = torch.eye(2).bool()
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(SparseLinear(2, 2, mask)))
    masks = Masks({"1._orig_mod.0.weight": mask, "0.weight": mask})
    weights, sparse = weights_of(model, masks)
    assert list(weights) == list(masks)
    assert weights["1._orig_mod.0.weight"] is model[1][0].weight
    assert list(sparse) == ["1._orig_mod.0.weight"]
    assert sparse["1._orig_mod.0.weight"].module is model[1][0]


def test_an_answer_is_taken_in_the_order_of_the_old_masks():
    new, changed = compared({"v": torch.tensor([True]), "w": torch.tensor([True, True])}, OLD, "answer")
    assert list(new) == ["w", "v"]
    assert new["w"].tolist() == [True, True]
    assert changed["w"].tolist() == [False, True]
    assert not changed["v"].any()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1], "answer: found list, expected Masks"),
        ({"w": OLD["w"]}, "answer: masks of different models: 'v' is in one of the two only"),
        ({"w": OLD["w"], "v": torch.ones(1)}, "answer: mask of 'v': found dtype torch.float32"),
        ({"w": OLD["w"], "v": OLD["w"]}, r"answer: mask of 'v': shapes \(2,\) and \(1,\) differ"),
    ],
)
def test_an_answer_that_does_not_fit_names_its_source(answer, message):
    with pytest.raises(RequestError, match=message):
        compared(answer, OLD, "answer")


def test_gradients_are_those_that_are_there_and_dense():
    weight, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2, 2)
    assert present_gradients({"w": weight, "v": other}) == {"w": weight.grad}
    weight.grad = torch.eye(2).to_sparse()
    with pytest.raises(RequestError, match=r"gradient of 'w': found layout torch.sparse_coo, expected a dense tensor"):
        present_gradients({"w": weight})


def test_a_state_has_to_agree_with_the_structure_of_sparse_layers():
    model = SparseLinear(2, 1, torch.tensor([[True, False]]))
    groups = [{"params": [0, 1]}]
    state = {
        "state": {},
        "param_groups": groups,
        "rule": {},
        "steps": 3,
        "masks": {"weight": torch.tensor([[True, False]])},
    }
    masks = Masks.from_model(model)
    sparse = weights_of(model, masks)[1]
    assert checked_state(state, masks, groups, sparse) == masks
    state["masks"] = {"weight": torch.tensor([[True, True]])}
    assert checked_state(state, masks, groups, {})["weight"].all()
    with pytest.raises(
        RequestError, match="the sparse weight 'weight' has 1 weights that differ from them; load the mod"
    ):
        checked_state(state, masks, groups, sparse)
