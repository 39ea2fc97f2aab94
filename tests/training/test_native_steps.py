"""The native route through `fit` against autograd and the torch optimizer: weights, memory, step counts, errors."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sparsewire.errors import DivergedError
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sequences import SparseSequential
from sparsewire.kernels import native
from sparsewire.structure.masks import Masks
from sparsewire.training.fused import choose
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer

pytestmark = pytest.mark.skipif(not native.is_at_hand(), reason="the native library is not built")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity}
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.05), momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "Adam, decay": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "groups": lambda p: torch.optim.SGD([{"params": p[:2]}, {"params": p[2:], "lr": 0.02, "momentum": 0.5}], lr=0.1),
    "some": lambda p: torch.optim.Adam(p[2:], lr=0.01),
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def dense(act="tanh", dtype=torch.float64, bias=True):
    model = nn.Sequential(
        nn.Linear(20, 17, bias=bias), ACTIVATIONS[act](), nn.Linear(17, 9, bias=bias), ACTIVATIONS[act](),
        nn.Linear(9, 5, bias=bias),
    ).to(dtype)  # fmt: skip
    source = drawn(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=source)
    return model


def masks_of(model, density=0.2):
    """Random ones; the first row of the first layer is empty."""
    source = drawn(4)
    masks = {n: torch.rand(m.shape, generator=source) < density for n, m in Masks.from_model(model).items()}
    masks["0.weight"][0] = False
    return Masks(masks)


def sparse(model, masks, some=("0", "2", "4")):
    layers = [
        SparseLinear.from_dense(child, masks[f"{name}.weight"]) if name in some else copy.deepcopy(child)
        for name, child in masks.apply_(copy.deepcopy(model)).named_children()
    ]
    return SparseSequential(*layers)


def data(dtype=torch.float64, count=130):
    source = drawn(6)
    inputs = torch.randn(count, 20, generator=source, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(5, (count,), generator=source)


def near(ours, theirs, tolerance):
    return all(
        float((one.detach() - other.detach()).abs().max()) <= tolerance * float(other.detach().abs().max())
        for one, other in zip(ours, theirs, strict=True)
    )


def memory_of(optimizer, model):
    inner = optimizer.inner if isinstance(optimizer, SparseOptimizer) else optimizer
    return [inner.state.get(parameter, {}) for parameter in model.parameters()]


def reference(make, model, masks, **options):
    """The masked dense network by autograd."""
    model = masks.apply_(copy.deepcopy(model))
    optimizer = SparseOptimizer(make(list(model.parameters())), model, masks)
    return model, optimizer, fit(model, data(model[0].weight.dtype), optimizer=optimizer, fused=False, **options)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("density", [0.05, 0.25])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_weights_under_masks_end_where_autograd_ends(name, density, dtype):
    make, options = OPTIMIZERS[name], {"epochs": 2, "batch_size": 33}
    model = dense(dtype=dtype)
    masks = masks_of(model, density)
    theirs, other, slow = reference(make, model, masks, **options)
    ours = masks.apply_(copy.deepcopy(model))
    optimizer = SparseOptimizer(make(list(ours.parameters())), ours, masks)
    quick = fit(ours, data(dtype), optimizer=optimizer, **options)
    assert [epoch.route for epoch in quick.epochs] == ["native", "native"]
    assert near(ours.parameters(), theirs.parameters(), TOLERANCE[dtype])
    assert quick.loss == pytest.approx(slow.loss, rel=TOLERANCE[dtype])
    assert (optimizer.steps, optimizer.masks) == (other.steps, masks)
    assert all(bool((parameter[~masks[n]] == 0).all()) for n, parameter in ours.named_parameters() if n in masks)
    assert name == "some" or all(parameter.grad is None for parameter in ours.parameters())
    for one, two in zip(memory_of(optimizer, ours), memory_of(other, theirs), strict=True):
        assert one.keys() == two.keys()
        assert near(one.values(), two.values(), 20 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("name", ["momentum", "Adam", "some"])
@pytest.mark.parametrize("watched", [False, True])
def test_sparse_layers_end_where_masked_ones_end(name, act, dtype, watched):
    make, options = OPTIMIZERS[name], {"epochs": 2, "batch_size": 33}
    model = dense(act, dtype)
    masks = Masks({**masks_of(model, 0.4), "4.weight": torch.ones(5, 9, dtype=torch.bool)})
    theirs, other, _ = reference(make, model, masks, **options)
    ours = sparse(model, masks, some=("0", "2"))
    optimizer = make(list(ours.parameters()))
    seen = []
    history = fit(
        ours,
        data(dtype),
        optimizer=optimizer,
        progress=(lambda *step: seen.append(step)) if watched else None,
        **options,
    )
    assert history.epochs[1].route == "native"
    assert len(seen) == (8 if watched else 0)
    for layer, masked in zip(ours, theirs, strict=True):
        if isinstance(layer, SparseLinear):
            assert near([layer.dense_weight("weight"), layer.bias], [masked.weight, masked.bias], TOLERANCE[dtype])
    if "exp_avg" in memory_of(other, theirs)[-1]:
        assert memory_of(optimizer, ours)[-1]["step"] == memory_of(other, theirs)[-1]["step"] == 8


def test_many_samples_are_worth_another_order_of_the_values():
    """With groups of rows the values of a sparse layer lie in another order than the one that is used."""
    model = dense()
    masks, many = masks_of(model, 0.4), data(count=5000)
    ends = []
    for fused in (None, False):
        ours = sparse(model, masks)
        assert ours[0].junction("weight").group == 4
        optimizer = OPTIMIZERS["Adam"](ours.parameters())
        fit(ours, many, optimizer=optimizer, epochs=2, batch_size=1000, fused=fused)
        ends.append([*ours.parameters(), *(state["exp_avg"] for state in memory_of(optimizer, ours))])
    assert near(*ends, 1e-10)


@pytest.mark.parametrize("sort", ["masked", "sparse"])
def test_one_can_change_routes_at_any_time(sort):
    """The memory is the torch optimizer's own, so what one route leaves the other goes on with."""
    model, make = dense(), OPTIMIZERS["Adam"]
    masks = masks_of(model)
    ends = []
    for routes in ((None, None, None), (None, False, None), (False, False, False)):
        ours = masks.apply_(copy.deepcopy(model)) if sort == "masked" else sparse(model, masks)
        optimizer = make(ours.parameters())
        optimizer = SparseOptimizer(optimizer, ours, masks) if sort == "masked" else optimizer
        order = drawn(0)
        for fused in routes:
            fit(ours, data(), optimizer=optimizer, epochs=1, batch_size=33, fused=fused, generator=order)
        ends.append(list(ours.parameters()))
    assert near(ends[0], ends[2], 1e-10)
    assert near(ends[1], ends[2], 1e-10)


def test_what_is_frozen_stays():
    model = dense()
    masks = masks_of(model)
    model[2].requires_grad_(False)
    theirs, _, _ = reference(OPTIMIZERS["Adam"], model, masks, epochs=2, batch_size=33)
    ours = masks.apply_(copy.deepcopy(model))
    history = fit(ours, data(), optimizer=OPTIMIZERS["Adam"], masks=masks, epochs=2, batch_size=33)
    assert history.epochs[0].route == "native"
    assert near(ours.parameters(), theirs.parameters(), 1e-10)


@pytest.mark.parametrize("form", ["flat", "images", "loader", "no bias", "double steps"])
def test_all_forms_of_data_take_it(form):
    bias = form != "no bias"
    inputs, labels = data(count=99 if form == "double steps" else 130)
    ends = []
    for fused in (None, False):
        model = dense(bias=bias)
        masks = masks_of(model)
        used = (inputs, labels)
        if form == "images":
            model, used = nn.Sequential(nn.Flatten(), *model), (inputs.view(-1, 4, 5), labels)
            masks = Masks({f"{int(n[0]) + 1}.weight": mask for n, mask in masks.items()})
        if form == "loader":
            used = DataLoader(TensorDataset(*used), 33, shuffle=True, generator=drawn(1))
        options = {"optimizer": OPTIMIZERS["momentum"], "masks": masks, "epochs": 2, "batch_size": 33}
        history = fit(model, used, fused=fused, **options)
        assert history.epochs[0].route == ("autograd" if fused is False else "native")
        ends.append(list(model.parameters()))
    assert near(*ends, 1e-10)


def test_a_rate_that_a_scheduler_changes_is_obeyed(recwarn):
    model, ends = dense(), []
    masks = masks_of(model)
    for fused in (None, False):
        ours = masks.apply_(copy.deepcopy(model))
        optimizer = SparseOptimizer(OPTIMIZERS["SGD"](ours.parameters()), ours, masks)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.3)
        fit(
            ours, data(), optimizer=optimizer, epochs=3, batch_size=33, fused=fused,
            on_epoch=lambda *_, schedule=schedule: schedule.step(),
        )  # fmt: skip
        ends.append(list(ours.parameters()))
    assert near(*ends, 1e-10)
    assert not [warning for warning in recwarn if "lr_scheduler" in str(warning.message)]


@pytest.mark.parametrize("sort", ["masked", "sparse"])
@pytest.mark.parametrize("row", [0, 70])
def test_a_loss_that_is_not_finite_ends_the_training_before_the_step(sort, row):
    model = dense("relu")
    masks = masks_of(model)
    inputs, labels = data()
    inputs[row] = math.nan
    ends = []
    for fused in (None, False):
        ours = masks.apply_(copy.deepcopy(model)) if sort == "masked" else sparse(model, masks)
        optimizer = OPTIMIZERS["Adam"](ours.parameters())
        optimizer = SparseOptimizer(optimizer, ours, masks) if sort == "masked" else optimizer
        with pytest.raises(DivergedError) as error:
            fit(ours, (inputs, labels), optimizer=optimizer, epochs=1, batch_size=10, fused=fused)
        ends.append((list(ours.parameters()), str(error.value)[:60]))
    assert near(ends[0][0], ends[1][0], 1e-10)
    assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize("sort", ["masked", "sparse"])
def test_a_label_that_is_no_class_is_torchs_error(sort):
    model = dense()
    masks = masks_of(model)
    ours = masks.apply_(copy.deepcopy(model)) if sort == "masked" else sparse(model, masks)
    inputs, labels = data()
    labels[77] = 5
    with pytest.raises(IndexError, match="out of bounds"):
        fit(ours, (inputs, labels), optimizer=OPTIMIZERS["SGD"], epochs=1, batch_size=10)


def test_sparse_layers_get_gradients_where_the_optimizer_is_another():
    model = dense()
    masks = masks_of(model)
    for options in ({"optimizer": torch.optim.RMSprop}, {"optimizer": OPTIMIZERS["SGD"], "clip_norm": 0.1}):
        ends = []
        for fused in (None, False):
            ours = sparse(model, masks)
            history = fit(ours, data(), epochs=2, batch_size=33, fused=fused, **options)
            ends.append(list(ours.parameters()))
        assert near(*ends, 1e-8)
        assert history.epochs[0].route == "autograd"
    assert choose(ours, torch.optim.RMSprop(ours.parameters())).route == "gradients"


def test_a_structure_that_changes_between_steps_is_seen():
    model, ends = dense(), []
    masks = masks_of(model, 0.4)
    for fused in (None, False):
        ours = sparse(model, masks)

        def change(epoch, step, steps, loss, layer=ours[0]):
            if step == 2:
                layer.restructure_("weight", masks["0.weight"] & (torch.arange(20) % 3 > 0))

        fit(ours, data(), optimizer=OPTIMIZERS["SGD"], epochs=1, batch_size=33, fused=fused, progress=change)
        ends.append(list(ours.parameters()))
    assert near(*ends, 1e-10)


def masked_with(make=OPTIMIZERS["SGD"], density=0.2, rule=None):
    model = dense()
    masks = masks_of(model, density)
    return model, SparseOptimizer(make(list(model.parameters())), model, masks, rule)


REASONS = {
    "dense": (lambda: masked_with(density=0.6), "more than the 0.3 up to which it pays"),
    "another optimizer": (lambda: masked_with(lambda p: torch.optim.RMSprop(p)), "the optimizer is RMSprop"),
    "amsgrad": (lambda: masked_with(lambda p: torch.optim.Adam(p, amsgrad=True)), "amsgrad=True"),
    "a rule": (lambda: masked_with(rule=lambda *_: None), "may move the masks"),
    "no masks": (lambda: (m := dense(), OPTIMIZERS["SGD"](m.parameters())), "there are no masks"),
}


@pytest.mark.parametrize("name", REASONS)
def test_why_it_is_not_taken(name):
    make, reason = REASONS[name]
    model, optimizer = make()
    choice = choose(model, optimizer, whole_epochs=True)
    assert choice.route in ("update", "gradients")
    if choice.route == "update":
        assert reason in choice.reason
    assert choose(*masked_with(), whole_epochs=True).route == "native"
    assert choose(*masked_with()).route == "update"


def test_large_networks_of_sparse_layers_use_the_threads_of_their_layers():
    model = SparseSequential(SparseLinear(2000, 500, torch.ones(500, 2000, dtype=torch.bool)))
    assert choose(model, OPTIMIZERS["SGD"](model.parameters())).route == "native"
    torch.set_num_threads(2)
    choice = choose(model, OPTIMIZERS["SGD"](model.parameters()))
    assert choice.route == "autograd"
    assert "work for several threads" in choice.reason
