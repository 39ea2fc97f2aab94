import math
import warnings

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from sparsewire.data.samples import Samples
from sparsewire.errors import DivergedError, RequestError
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation
from sparsewire.training.loop import evaluate, fit
from sparsewire.training.optimizer import SparseOptimizer


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(count=64, features=6, classes=3, seed=1):
    inputs = torch.randn(count, features, generator=generator(seed))
    return Samples(inputs, inputs[:, :classes].argmax(1))


def network(seed=2, activation="relu"):
    return mlp((6, 10, 3), activation, generator=generator(seed))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def half(model, seed=4):
    return Masks(
        {
            name: torch.rand(mask.shape, generator=generator(seed)) < 0.5
            for name, mask in Masks.from_model(model).items()
        }
    )


def usual_loop(model, data, order, epochs, batch_size, make=sgd):
    """What everybody writes; the weights that fit must end with, and the mean loss of each epoch."""
    optimizer, means = make(model.parameters()), []
    for _ in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(data.labels), generator=order).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.inputs[chosen]), data.labels[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        means.append(total / len(data.labels))
    return tuple(means)


def assert_close(ours, theirs, tolerance=1e-5):
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


# ---- the same as the usual loop ----


@pytest.mark.parametrize("fused", [True, False, None])
@pytest.mark.parametrize("make", [sgd, momentum, torch.optim.Adam])
def test_weights_and_losses_are_those_of_the_usual_loop(make, fused):
    data, ours, theirs = samples(70), network(), network()
    history = fit(ours, data, optimizer=make, epochs=3, batch_size=16, generator=generator(9), fused=fused)
    means = usual_loop(theirs, data, generator(9), 3, 16, make)
    assert history.loss == pytest.approx(means, rel=1e-5)
    assert_close(ours, theirs)
    assert (len(history), history.steps) == (3, 15)  # four batches of 16 and one of 6
    expected = "autograd" if fused is False else "update" if make is sgd else "gradients"
    assert {epoch.route for epoch in history.epochs} == {expected}


def test_lenet_ends_with_the_weights_of_the_usual_loop():
    # Random images and labels, for which descent is as chaotic as it gets; 40 steps.
    data = Samples(torch.rand(4000, 784, generator=generator()), torch.randint(10, (4000,), generator=generator(1)))
    ours, theirs = (mlp((784, 300, 100, 10), generator=generator(2)) for _ in range(2))
    make = lambda parameters: torch.optim.SGD(parameters, lr=0.05)  # noqa: E731
    history = fit(ours, data, optimizer=make, epochs=1, generator=generator(3), fused=True)
    usual_loop(theirs, data, generator(3), 1, 100, make)
    assert history.epochs[0].route == "update"
    assert_close(ours, theirs, 1e-4)


@pytest.mark.parametrize("make", [sgd, momentum])
def test_masked_training_is_the_same_on_both_ways_and_stays_in_the_masks(make):
    ends = []
    for fused in (True, False):
        model = network()
        masks = half(model)
        history = fit(model, samples(), optimizer=make, epochs=2, batch_size=10, masks=masks, fused=fused)
        assert history.masks == masks
        assert all(
            (weight[~mask] == 0).all()
            for weight, mask in zip((model[0].weight, model[2].weight), masks.values(), strict=True)
        )
        ends.append(model)
    assert_close(*ends)


def test_a_sparse_optimizer_can_be_given_and_counts_its_steps():
    model = network()
    optimizer = SparseOptimizer(sgd(model.parameters()), model, half(model))
    history = fit(model, samples(64), optimizer=optimizer, epochs=2, batch_size=10)
    assert history.epochs[0].route == "update"
    assert optimizer.steps == history.steps == 14
    assert history.masks == optimizer.masks


class Shrinking:
    """Removes one weight of the first layer per step."""

    when, dense = "before", False

    def __call__(self, step, masks, weights, gradients):
        changed = {name: mask.clone() for name, mask in masks.items()}
        changed["0.weight"].view(-1)[step] = False
        return Masks(changed)


@pytest.mark.parametrize("fused", [None, False])
def test_the_history_has_the_masks_to_which_a_rule_moved(fused):
    model, seen = network(), []
    masks = Masks.from_model(model)
    history = fit(
        model, samples(40), optimizer=sgd, epochs=2, batch_size=10, masks=masks, rule=Shrinking(), fused=fused,
        on_epoch=lambda epoch, _, so_far: seen.append(so_far.masks.count),
    )  # fmt: skip
    assert seen == [masks.total - 4, masks.total - 8]
    assert history.masks.count == masks.total - 8
    assert (model[0].weight.view(-1)[:8] == 0).all()


# ---- data and order ----


def test_the_order_comes_from_the_generator_or_from_seed_zero_and_never_from_the_global_seed():
    def trained(order):
        model = network()
        fit(model, samples(), optimizer=sgd, epochs=2, batch_size=10, generator=order)
        return model[0].weight.detach().clone()

    state = torch.get_rng_state()
    assert torch.equal(trained(generator(5)), trained(generator(5)))
    assert not torch.equal(trained(generator(5)), trained(generator(6)))
    assert torch.equal(trained(None), trained(generator(0)))
    assert torch.equal(torch.get_rng_state(), state)


def test_all_forms_of_data_train_alike():
    data = samples(30)
    batches = [(data.inputs[start : start + 10], data.labels[start : start + 10]) for start in (0, 10, 20)]
    forms = {
        "list": batches,
        "loader": DataLoader(TensorDataset(*data), 10),
        "loader of another data set": DataLoader(list(zip(*data, strict=True)), 10),
    }
    ends = []
    for form in forms.values():
        model = network()
        history = fit(model, form, optimizer=sgd, epochs=2, validation=form)
        assert history.steps == 6
        assert history.validation[-1].count == 30
        ends.append(model)
    assert_close(ends[0], ends[1])
    assert_close(ends[0], ends[2])


def test_an_iterator_is_enough_for_one_epoch_but_not_for_two():
    data = samples(20)
    batches = [(data.inputs[:10], data.labels[:10]), (data.inputs[10:], data.labels[10:])]
    assert fit(network(), iter(batches), optimizer=sgd, epochs=1).steps == 2
    with pytest.raises(RequestError, match="found no batch in epoch 2"):
        fit(network(), iter(batches), optimizer=sgd, epochs=2)


def test_images_are_flattened_by_the_model_on_the_fast_way_too():
    data = samples(40)
    images = Samples(data.inputs.view(40, 1, 2, 3), data.labels)
    plain, flattening = network(), nn.Sequential(nn.Flatten(), *network())
    fit(plain, data, optimizer=sgd, epochs=2, batch_size=10)
    assert fit(flattening, images, optimizer=sgd, epochs=2, batch_size=10, fused=True).epochs[0].route == "update"
    assert_close(plain, flattening)


# ---- what may change between epochs ----


@pytest.mark.parametrize("fused", [True, False])
def test_a_scheduler_is_obeyed_and_does_not_complain(fused):
    def trained(step_of_epoch):
        model = network()
        optimizer = sgd(model.parameters())
        after = step_of_epoch(optimizer)
        fit(model, samples(), optimizer=optimizer, epochs=3, batch_size=16, fused=fused, on_epoch=after)
        return model

    def by_scheduler(optimizer):
        scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
        return lambda *_: scheduler.step()

    def by_hand(optimizer):
        return lambda epoch, *_: optimizer.param_groups[0].update(lr=0.1 * 0.5**epoch)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_close(trained(by_scheduler), trained(by_hand))


def test_a_learning_rate_of_zero_ends_the_movement():
    model, after = network(), []

    def stop(epoch, model, history):
        optimizer.param_groups[0]["lr"] = 0.0
        after.append(model[0].weight.detach().clone())

    optimizer = sgd(model.parameters())
    fit(model, samples(), optimizer=optimizer, epochs=3, on_epoch=stop)
    assert torch.equal(after[0], after[2])


def test_the_way_is_chosen_anew_in_every_epoch():
    model = network()

    def hook(epoch, model, history):
        if epoch == 1:
            optimizer.param_groups[0]["momentum"] = 0.9
        if epoch == 2:
            model[0].register_forward_hook(lambda *_: None)

    optimizer = sgd(model.parameters())
    history = fit(model, samples(), optimizer=optimizer, epochs=3, on_epoch=hook)
    assert [epoch.route for epoch in history.epochs] == ["update", "gradients", "autograd"]


def test_new_weights_and_a_larger_batch_between_epochs_are_seen():
    model, marks = network(), []

    def replace(epoch, model, history):
        marks.append(model[0].weight.detach().abs().max().item())
        model[0].weight.data = torch.full_like(model[0].weight, 5.0)

    fit(model, samples(), optimizer=sgd, epochs=2, on_epoch=replace, fused=True)
    assert marks[0] < 1 < 4 < marks[1]


# ---- callbacks ----


def test_on_epoch_is_called_after_validation_with_the_history_so_far():
    seen = []
    history = fit(
        network(), samples(), optimizer=sgd, epochs=3, validation=samples(seed=7),
        on_epoch=lambda epoch, model, so_far: seen.append((epoch, len(so_far), len(so_far.validation))),
    )  # fmt: skip
    assert seen == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    assert len(history) == 3


def test_only_true_ends_the_training():
    assert len(fit(network(), samples(), optimizer=sgd, epochs=5, on_epoch=lambda epoch, *_: epoch == 2)) == 2
    assert len(fit(network(), samples(), optimizer=sgd, epochs=3, on_epoch=lambda *_: 1)) == 3


def test_progress_is_told_every_step():
    seen = []
    history = fit(
        network(), samples(25), optimizer=sgd, epochs=2, batch_size=10, progress=lambda *now: seen.append(now)
    )
    assert [now[:3] for now in seen] == [(epoch, step, 3) for epoch in (1, 2) for step in (1, 2, 3)]
    assert history.loss[0] == pytest.approx((10 * seen[0][3] + 10 * seen[1][3] + 5 * seen[2][3]) / 25)


def test_validation_is_what_evaluate_says():
    model, data = network(), samples(seed=7)
    history = fit(model, samples(), optimizer=sgd, epochs=2, validation=data)
    assert history.validation[-1] == evaluate(model, data)


# ---- modes, devices, losses ----


class Watched(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5), nn.Linear(5, 3))
        self.modes = []

    def forward(self, inputs):
        self.modes.append((self.training, self.inner[1].training, torch.is_grad_enabled()))
        return self.inner(inputs)


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_right_and_restored(training):
    model = Watched().train(training)
    model.inner[1].train(not training)
    fit(model, samples(20), optimizer=sgd, epochs=2, batch_size=10, validation=samples(10))
    assert model.modes == 2 * [*2 * [(True, True, True)], (False, False, False)]
    assert (model.training, model.inner[1].training, model.inner[0].training) == (training, not training, training)
    evaluate(model, samples(10))
    assert (model.training, model.inner[1].training) == (training, not training)


def test_modes_are_restored_after_an_error():
    model = Watched().eval()
    with pytest.raises(DivergedError):
        fit(model, samples(20), optimizer=lambda p: torch.optim.SGD(p, lr=1e30), epochs=3, batch_size=10)
    assert not model.training


def test_another_loss_and_targets_that_are_no_classes():
    data = samples()
    model = mlp((6, 6), generator=generator())
    history = fit(
        model, (data.inputs, data.inputs), optimizer=sgd, epochs=5, batch_size=8, loss=nn.functional.mse_loss,
        validation=(data.inputs, data.inputs),
    )  # fmt: skip
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert math.isnan(history.validation[-1].accuracy)
    assert history.validation_loss[-1] == pytest.approx(
        ((model(data.inputs) - data.inputs) ** 2).mean().item(), rel=1e-5
    )


def test_a_device_moves_the_model_there():
    model = network()
    with pytest.raises(RuntimeError, match="meta"):  # numbers cannot come back from there, but all of it went there
        fit(model, samples(), optimizer=sgd, epochs=1, device="meta")
    assert model[0].weight.is_meta


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("make", [sgd, torch.optim.Adam])
def test_a_gpu_trains_alike(make):
    here, there, data = network(), network(), samples()
    fit(here, data, optimizer=make, epochs=3, batch_size=16)
    history = fit(
        there,
        data,
        optimizer=make,
        epochs=3,
        batch_size=16,
        device="cuda",
        validation=data,
        masks=Masks.from_model(there),
    )
    assert there[0].weight.is_cuda
    assert history.masks["0.weight"].is_cuda
    assert history.epochs[0].route == "autograd"
    assert_close(there.cpu(), here, 1e-3)


# ---- divergence ----


@pytest.mark.parametrize("fused", [True, False])
def test_a_nan_in_the_data_is_noticed_at_its_step_and_spoils_no_weight(fused):
    data = samples(40)
    batches = [(data.inputs[start : start + 10].clone(), data.labels[start : start + 10]) for start in (0, 10, 20, 30)]
    batches[2][0][3, 1] = torch.nan
    model, other = network(), network()
    with pytest.raises(
        DivergedError, match=r"the loss is nan at step 3 of epoch 1; the loss before it was [\d.]+\. .*clip_norm"
    ):
        fit(model, batches, optimizer=sgd, epochs=5, fused=fused)
    fit(other, batches[:2], optimizer=sgd, epochs=1, fused=fused)
    assert_close(model, other)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.SGD(p, lr=1e20), lambda p: torch.optim.SGD(p, lr=1e20, momentum=0.5)]
)
def test_a_learning_rate_that_is_too_high_is_noticed(make, fused):
    with pytest.raises(DivergedError, match="Lower the learning rate"):
        fit(network(), samples(), optimizer=make, epochs=5, batch_size=8, fused=fused)


@pytest.mark.parametrize("fused", [True, False])
def test_weights_that_the_last_step_spoiled_are_noticed(fused):
    make = lambda parameters: torch.optim.SGD(parameters, lr=1e38)  # noqa: E731
    data = samples()
    data.inputs.mul_(1e4)
    with pytest.raises(DivergedError, match=r"'0\.weight' holds numbers that are not finite after epoch 1"):
        fit(network(), data, optimizer=make, epochs=1, batch_size=64, fused=fused)


def test_a_nan_at_the_very_start_points_to_the_data():
    data = samples(8)
    data.inputs[:] = torch.nan
    with pytest.raises(DivergedError, match=r"at step 1 of epoch 1; it was the epoch's first\. .*NaN in the data"):
        fit(network(), data, optimizer=sgd, epochs=1)


# ---- requests ----


def test_fused_true_says_why_not():
    with pytest.raises(RequestError, match=r"fused: found True, but the model is a Watched, not an nn\.Sequential"):
        fit(Watched(), samples(), optimizer=sgd, epochs=1, fused=True)
    with pytest.raises(RequestError, match="fused: found True, but the loss is not plain cross-entropy"):
        fit(network(), samples(), optimizer=sgd, epochs=1, fused=True, loss=nn.functional.mse_loss)


def test_requests_that_cannot_be():
    model = network()
    with pytest.raises(RequestError, match=r"masks=Masks\.from_model\(model\)"):
        fit(model, samples(), optimizer=sgd, epochs=1, rule=Shrinking())
    both = SparseOptimizer(sgd(model.parameters()), model, half(model))
    with pytest.raises(RequestError, match="beside a SparseOptimizer"):
        fit(model, samples(), optimizer=both, epochs=1, masks=half(model))
    with pytest.raises(RequestError, match="LBFGS"):
        fit(model, samples(), optimizer=torch.optim.LBFGS, epochs=1)
    with pytest.raises(RequestError, match="epochs: found -1"):
        fit(model, samples(), optimizer=sgd, epochs=-1)


def test_no_epochs_are_an_empty_history():
    model = network()
    before = model[0].weight.clone()
    assert len(fit(model, samples(), optimizer=sgd, epochs=0)) == 0
    assert torch.equal(model[0].weight, before)


# ---- evaluate ----


def test_evaluate_is_the_mean_over_samples_however_they_are_cut():
    model, data = network(), samples(53)
    with torch.no_grad():
        outputs = model(data.inputs)
    loss = nn.functional.cross_entropy(outputs, data.labels).item()
    share = (outputs.argmax(1) == data.labels).double().mean().item()
    for size in (1, 7, 53, 1000):
        found = evaluate(model, data, batch_size=size)
        assert (found.loss, found.accuracy, found.count) == (pytest.approx(loss, rel=1e-5), share, 53)


def test_evaluate_counts_positions_where_there_are_several_labels_in_a_sample():
    # Two samples of three positions; per position two scores, of which the larger says 1, 1, 0 and 0, 0, 0.
    scores = torch.tensor([[[0.0, 0, 1], [1, 1, 0]], [[1.0, 1, 1], [0, 0, 0]]])
    labels = torch.tensor([[1, 0, 0], [0, 1, 1]])
    assert evaluate(nn.Identity(), (scores, labels)).accuracy == pytest.approx(3 / 6)


def test_evaluate_without_data_is_refused():
    with pytest.raises(RequestError, match="found no batch"):
        evaluate(network(), iter([]))


def test_evaluate_in_other_forms_is_the_same():
    model, data = network(), samples(20)
    expected = evaluate(model, data)
    found = evaluate(model, DataLoader(TensorDataset(*data), 6))
    assert found == Evaluation(pytest.approx(expected.loss), expected.accuracy, 20)
