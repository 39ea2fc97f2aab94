import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.models.zoo import mlp
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.masks import maskable


def samples(count=13):
    source = torch.Generator().manual_seed(0)
    return torch.randn(count, 6, generator=source), torch.randint(3, (count,), generator=source)


def plainly(model, data, loss=cross_entropy):
    model = copy.deepcopy(model).eval()
    loss(model(data[0]), data[1]).backward()
    return {name: weight.grad for name, weight in maskable(model).items()}


@pytest.mark.parametrize("batch_size", [1, 5, 13, 100])
def test_it_is_the_gradient_of_the_mean_over_all_data(batch_size):
    model, data = nn.Sequential(mlp((6, 5, 4)), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)), samples()
    found = mean_gradients(model, None, data, batch_size=batch_size)
    torch.testing.assert_close(found, plainly(model, data), rtol=1e-4, atol=1e-6)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_batches_count_by_their_labels():
    model, (inputs, labels) = mlp((6, 5, 3)), samples()
    parts = [(inputs[:12], labels[:12]), (inputs[12:], labels[12:])]
    torch.testing.assert_close(
        mean_gradients(model, nn.CrossEntropyLoss(), iter(parts)),
        plainly(model, (inputs, labels)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_sparse_layers_have_zeros_where_they_store_nothing():
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    sparse = SparseLinear(6, 3, mask, generator=torch.Generator().manual_seed(2))
    found = mean_gradients(sparse, None, samples())["weight"]
    torch.testing.assert_close(found, plainly(sparse.to_dense(), samples())["weight"] * mask, rtol=1e-4, atol=1e-6)


def test_recurrent_layers_and_weights_without_a_path():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.unused = nn.GRU(3, 3, batch_first=True), nn.Linear(2, 2)

        def forward(self, inputs):
            return self.cell(inputs.view(len(inputs), 2, 3))[0][:, -1]

    found = mean_gradients(Last(), None, samples())
    assert found["cell.weight_hh_l0"].any()
    assert not found["unused.weight"].any()
    assert list(mean_gradients(Last(), None, samples(), only="h2h")) == ["cell.weight_hh_l0"]


def test_half_precision_is_summed_in_single():
    model, (inputs, labels) = mlp((6, 5, 3)).bfloat16(), samples()
    found = mean_gradients(model, None, (inputs.bfloat16(), labels), batch_size=1)
    assert found["0.weight"].dtype == torch.float32


def test_it_works_where_gradients_are_switched_off():
    model, data = mlp((6, 5, 3)), samples()
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            found = mean_gradients(model, None, data)
        torch.testing.assert_close(found, plainly(model, data), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda outputs, labels: outputs, r"loss: found shape \(13, 3\) for a batch, expected one number"),
        (lambda outputs, labels: 3.0, "loss: found float for a batch"),
        (lambda outputs, labels: outputs.detach().mean(), "loss: found a number without gradient"),
        ("cross_entropy", "loss: found 'cross_entropy', expected a function"),
    ],
)
def test_what_is_no_loss_is_refused(loss, message):
    with pytest.raises(RequestError, match=message):
        mean_gradients(mlp((6, 5, 3)), loss, samples())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data: found nothing"),
        ("mnist", "data: found str"),
        (torch.ones(3, 6), "data: found Tensor"),
        ([torch.ones(3, 6)], "data: found a batch of Tensor"),
        ([(torch.ones(3, 6), torch.ones(3), 1)], "data: found a batch of 3 parts"),
        ([(torch.ones(3, 6), [0, 1, 2])], "data: found a batch of 2 parts, expected .* with a tensor of labels"),
        ((torch.ones(()), torch.ones(3)), r"data: found inputs of shape \(\)"),
        (iter([]), "data: found no samples"),
    ],
)
def test_what_is_no_data_is_refused(data, message):
    with pytest.raises(RequestError, match=message):
        mean_gradients(mlp((6, 5, 3)), None, data)
    with pytest.raises(RequestError, match="batch_size: found 0"):
        mean_gradients(mlp((6, 5, 3)), None, samples(), batch_size=0)
