"""Every route against the loop that everybody writes: the same losses, weights and memory, step by step."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.training.fused import Choice, choose
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.steps import step_of

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def chain(dtype=torch.float64, *, flatten=False, bias=True):
    before = (nn.Flatten(),) if flatten else ()
    model = nn.Sequential(
        *before,
        nn.Linear(12, 9, bias=bias),
        nn.Tanh(),
        nn.Linear(9, 7, bias=bias),
        nn.ReLU(),
        nn.Linear(7, 4, bias=bias),
    ).to(dtype)
    source = generator(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=source)
    return model


def batches(dtype=torch.float64, shape=(12,), count=12):
    source = generator(5)
    for index in range(count):
        rows = 5 if index % 3 == 2 else 8
        inputs = torch.randn(rows, *shape, generator=source, dtype=torch.float64).to(dtype)
        yield inputs, torch.randint(4, (rows,), generator=source)


def masks_for(model):
    return Masks(
        {name: torch.rand(mask.shape, generator=generator(8)) < 0.5 for name, mask in Masks.from_model(model).items()}
    )


class DropOne:
    """Removes one more weight of the first layer at every step."""

    when, dense = "before", False

    def __call__(self, step, masks, weights, gradients):
        changed = {name: mask.clone() for name, mask in masks.items()}
        first = next(iter(changed.values())).view(-1)
        first[: step + 1] = False
        return Masks(changed)


def sparse(rule=None, **options):
    return lambda m: SparseOptimizer(torch.optim.SGD(m.parameters(), lr=0.1, **options), m, masks_for(m), rule)


def two_rates(model):
    return torch.optim.SGD(
        [{"params": model[-1].parameters(), "lr": 0.2}, {"params": model[:-1].parameters()}], lr=0.05
    )


# name → (optimizer of a model, the route that it should take)
OPTIMIZERS = {
    "SGD": (lambda m: torch.optim.SGD(m.parameters(), lr=0.1), "update"),
    "SGD, two rates": (two_rates, "update"),
    "SGD, rate as a tensor": (lambda m: torch.optim.SGD(m.parameters(), lr=torch.tensor(0.1)), "update"),
    "SGD of the last layer": (lambda m: torch.optim.SGD(m[-1].parameters(), lr=0.1), "update"),
    "SGD with masks": (sparse(), "update"),
    "momentum": (lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01), "gradients"),
    "momentum with masks": (sparse(momentum=0.9), "gradients"),
    "SGD with a rule": (sparse(DropOne()), "gradients"),
    "Adam": (lambda m: torch.optim.Adam(m.parameters(), lr=0.01), "gradients"),
    "RMSprop": (lambda m: torch.optim.RMSprop(m.parameters(), lr=0.01), "gradients"),
    "Rprop": (lambda m: torch.optim.Rprop(m.parameters(), lr=0.01), "gradients"),
}


def usual_loop(model, optimizer, data, clip_norm=None):
    losses = []
    for inputs, labels in data:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same(ours, theirs, tolerance):
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_usual_loop(name, dtype):
    make, route = OPTIMIZERS[name]
    ours, theirs = chain(dtype), chain(dtype)
    optimizer, other = make(ours), make(theirs)
    choice = choose(ours, optimizer)
    assert choice.route == route
    step = step_of(choice, ours, optimizer)
    losses = [step(*batch) for batch in batches(dtype)]
    assert losses == pytest.approx(usual_loop(theirs, other, batches(dtype)), rel=TOLERANCE[dtype])
    assert_same(ours, theirs, TOLERANCE[dtype])
    if isinstance(optimizer, SparseOptimizer):
        assert (optimizer.masks, optimizer.steps) == (other.masks, 12)
        optimizer.masks.apply_(theirs)
        assert Masks.from_weights(ours) == Masks.from_weights(theirs)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("options", [{"flatten": True}, {"bias": False}])
def test_steps_of_other_chains(name, options):
    make, _ = OPTIMIZERS[name]
    ours, theirs = chain(**options), chain(**options)
    optimizer = make(ours)
    shape = (3, 2, 2) if "flatten" in options else (12,)
    step = step_of(choose(ours, optimizer), ours, optimizer)
    losses = [step(*batch) for batch in batches(shape=shape)]
    assert losses == pytest.approx(usual_loop(theirs, make(theirs), batches(shape=shape)), rel=1e-12)
    assert_same(ours, theirs, 1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "momentum with masks"])
def test_gradients_are_clipped(name):
    make, _ = OPTIMIZERS[name]
    ours, theirs, free = chain(), chain(), chain()
    optimizer = make(ours)
    choice = choose(ours, optimizer, clip_norm=0.1)
    assert choice.route == "gradients"
    step = step_of(choice, ours, optimizer, clip_norm=0.1)
    for batch in batches():
        step(*batch)
    usual_loop(theirs, make(theirs), batches(), clip_norm=0.1)
    assert_same(ours, theirs, 1e-12)
    usual_loop(free, make(free), batches())
    with pytest.raises(AssertionError):
        assert_same(ours, free, 1e-3)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("layers", [(0,), (2,), (0, 2), (0, 2, 4)])
def test_frozen_layers_stay(name, layers):
    make, _ = OPTIMIZERS[name]
    ours, theirs = chain(), chain()
    for model in (ours, theirs):
        for layer in layers:
            model[layer].weight.requires_grad_(False)
            if layer:
                model[layer].bias.requires_grad_(False)
    before = [ours[layer].weight.clone() for layer in layers]
    optimizer = make(ours)
    step = step_of(choose(ours, optimizer), ours, optimizer)
    for batch in batches():
        step(*batch)
    usual_loop(theirs, make(theirs), batches())
    assert_same(ours, theirs, 1e-12)
    assert all(torch.equal(ours[layer].weight, kept) for layer, kept in zip(layers, before, strict=True))


def test_a_batch_that_is_none_for_the_kernel_goes_through_autograd():
    ours, theirs = chain(), chain()
    step = step_of(choose(ours, sgd := torch.optim.SGD(ours.parameters(), lr=0.1)), ours, sgd)
    other = torch.optim.SGD(theirs.parameters(), lr=0.1)
    # Shares of the classes instead of labels; a label that does not count; and an ordinary batch between.
    data = list(batches(count=3))
    data[0] = data[0][0], torch.full((8, 4), 0.25, dtype=torch.float64)
    data[2][1][0] = -100
    losses = [step(*batch) for batch in data]
    assert losses == pytest.approx(usual_loop(theirs, other, data), rel=1e-12)
    assert_same(ours, theirs, 1e-12)


def test_the_errors_are_those_of_the_model():
    model = chain()
    step = step_of(choose(model, sgd := torch.optim.SGD(model.parameters(), lr=0.1)), model, sgd)
    with pytest.raises(RuntimeError, match="dtype"):
        step(torch.ones(2, 12), torch.tensor([0, 1]))
    with pytest.raises(RuntimeError, match="shape"):
        step(torch.ones(2, 11, dtype=torch.float64), torch.tensor([0, 1]))
    with pytest.raises(IndexError, match="out of bounds"):
        step(torch.ones(2, 12, dtype=torch.float64), torch.tensor([0, 4]))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("route", ["its own", "autograd"])
def test_a_loss_that_is_not_finite_changes_nothing(name, route):
    make, _ = OPTIMIZERS[name]
    model = chain()
    optimizer = make(model)
    step = step_of(choose(model, optimizer) if route == "its own" else Choice("autograd"), model, optimizer)
    first, second = batches(count=2)
    step(*first)
    before = [parameter.clone() for parameter in model.parameters()]
    second[0][3, 3] = torch.nan
    assert torch.tensor(step(*second)).isnan()
    assert all(map(torch.equal, model.parameters(), before))
    assert not isinstance(optimizer, SparseOptimizer) or optimizer.steps == 1


def test_an_update_leaves_no_gradients_that_are_out_of_date():
    model = chain()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    step = step_of(choose(model, sgd), model, sgd)
    for batch in batches(count=2):
        step(*batch)
        assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("loss", "found"),
    [(lambda outputs, labels: outputs.sum(1), r"shape \(8,\)"), (lambda outputs, labels: 1.0, "float")],
)
def test_a_loss_that_is_no_number_is_refused(loss, found):
    model = chain()
    step = step_of(Choice("autograd"), model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
    with pytest.raises(RequestError, match=f"loss: found a value of {found}"):
        step(*next(batches()))
