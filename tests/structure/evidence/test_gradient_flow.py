import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.linear import SparseLinear
from sparsewire.structure.evidence.gradient_flow import hessian_gradient_products
from sparsewire.structure.evidence.gradients import mean_gradients
from sparsewire.structure.masks import maskable


def samples(count=13):
    source = torch.Generator().manual_seed(0)
    return torch.randn(count, 6, generator=source, dtype=torch.float64), torch.randint(3, (count,), generator=source)


def network(activation=nn.Tanh):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 5), activation(), nn.Linear(5, 3)).double()


def slowly(model, data, step=1e-6):
    """(g(w + t g) − g(w − t g)) / 2t, by gradients alone."""
    first = mean_gradients(model, None, data)
    ends = {}
    for sign in (1, -1):
        with torch.no_grad():
            kept = {name: weight.clone() for name, weight in maskable(model).items()}
            for name, weight in maskable(model).items():
                weight.add_(first[name], alpha=sign * step)
            ends[sign] = mean_gradients(model, None, data)
            for name, weight in maskable(model).items():
                weight.copy_(kept[name])
    return {name: (ends[1][name] - ends[-1][name]) / (2 * step) for name in first}


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_it_is_the_change_of_the_gradient_along_itself(batch_size):
    model, data = network(), samples()
    found = hessian_gradient_products(model, None, data, batch_size=batch_size)
    torch.testing.assert_close(found, slowly(model, data), rtol=1e-6, atol=1e-9)


def test_it_is_the_product_with_the_whole_matrix():
    model, data = network(nn.Softplus), samples()
    weights = list(maskable(model).values())
    gradient = torch.autograd.grad(cross_entropy(model(data[0]), data[1]), weights, create_graph=True)
    flat = torch.cat([part.flatten() for part in gradient])
    rows = [
        torch.cat([part.flatten() for part in torch.autograd.grad(one, weights, retain_graph=True)]) for one in flat
    ]
    found = hessian_gradient_products(model, None, iter([(data[0][:4], data[1][:4]), (data[0][4:], data[1][4:])]))
    torch.testing.assert_close(
        torch.cat([part.flatten() for part in found.values()]), (torch.stack(rows) @ flat).detach()
    )


def test_only_and_live():
    model, data = network(), samples()
    one = hessian_gradient_products(model, None, data, only="2")
    assert list(one) == ["2.weight"]
    nothing = {name: torch.zeros_like(weight, dtype=torch.bool) for name, weight in maskable(model).items()}
    assert not any(bool(part.any()) for part in hessian_gradient_products(model, None, data, live=nothing).values())
    other = hessian_gradient_products(model, None, data, live={"0.weight": nothing["0.weight"]})
    torch.testing.assert_close(other["2.weight"], one["2.weight"])


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature():
    layer, data = nn.Linear(6, 3).double(), samples()
    found = hessian_gradient_products(layer, lambda outputs, labels: outputs.mean(), data)
    assert not found["weight"].any()


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"data": None}, RequestError, "data: found nothing"),
        ({"loss": 3}, RequestError, "loss: found 3"),
        ({"only": "3"}, UnknownNameError, "no weight to prune is named '3'"),
        ({"batch_size": 0}, RequestError, "batch_size: found 0"),
        ({"model": nn.ReLU()}, RequestError, "model: found no weights"),
        (
            {"model": SparseLinear(6, 3, torch.ones(3, 6) > 0)},
            RequestError,
            "model: found the sparse layer of 'weight'",
        ),
    ],
)
def test_what_cannot_be_is_refused(more, error, message):
    with pytest.raises(error, match=message):
        hessian_gradient_products(**{"model": network(), "loss": None, "data": samples(), **more})
