import itertools

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.chain_step import ACTIVATIONS, ChainStep, bits

MODULES = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity}
SIZES = [(5, 3), (7, 6, 4), (6, 8, 5, 3), (4, 1, 2)]
CASES = list(itertools.product(SIZES, ACTIVATIONS, (torch.float64, torch.float32), (True, False)))
# Of the scale of the values. The kernel's own promise is the bits of autograd, but only on one version of torch.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model_of(sizes, activation, dtype, bias=True):
    modules = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        modules += [nn.Linear(fan_in, fan_out, bias=bias, dtype=dtype), MODULES[activation]()]
    model = nn.Sequential(*modules[:-1])
    source = generator(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=source)
    return model


def linears(model):
    return [module for module in model if isinstance(module, nn.Linear)]


def step_of(model, activation, batch):
    layers = linears(model)
    return ChainStep(
        [layer.weight for layer in layers], [layer.bias for layer in layers], [activation] * (len(layers) - 1), batch
    )


def batch_of(sizes, rows, dtype, seed=2):
    source = generator(seed)
    inputs = torch.randn(rows, sizes[0], generator=source, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(sizes[-1], (rows,), generator=source)


def assert_close(ours, theirs, tolerance):
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=1e-3)


@pytest.mark.parametrize(("sizes", "activation", "dtype", "bias"), CASES)
def test_loss_and_gradients_are_those_of_autograd(sizes, activation, dtype, bias):
    model = model_of(sizes, activation, dtype, bias)
    inputs, labels = batch_of(sizes, 9, dtype)
    loss = nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    layers = linears(model)
    # NaN in the buffers: what is written must not depend on what was there.
    into = [
        (torch.full_like(one.weight, torch.nan), torch.full_like(one.bias, torch.nan) if bias else None)
        for one in layers
    ]
    step = step_of(model, activation, 9)
    assert step.gradients(inputs, labels, into) == pytest.approx(loss.item(), rel=TOLERANCE[dtype])
    for layer, (weight, of_bias) in zip(layers, into, strict=True):
        assert_close(weight, layer.weight.grad, TOLERANCE[dtype])
        if bias:
            assert_close(of_bias, layer.bias.grad, TOLERANCE[dtype])
    assert_close(step.logits(inputs), model(inputs).detach(), TOLERANCE[dtype])


@pytest.mark.parametrize(("sizes", "activation", "dtype", "bias"), CASES)
def test_descent_is_sgd_over_batches_of_different_sizes(sizes, activation, dtype, bias):
    ours, theirs = (model_of(sizes, activation, dtype, bias) for _ in range(2))
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.1)
    step = step_of(ours, activation, 8)
    for seed, rows in enumerate((8, 8, 3, 8, 1)):
        inputs, labels = batch_of(sizes, rows, dtype, seed)
        sgd.zero_grad()
        loss = nn.functional.cross_entropy(theirs(inputs), labels)
        loss.backward()
        sgd.step()
        found = step.descend(inputs, labels, [(0.1, 0.1)] * (len(sizes) - 1))
        assert found == pytest.approx(loss.item(), rel=10 * TOLERANCE[dtype])
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(one.detach(), other.detach(), 10 * TOLERANCE[dtype])


def test_a_step_worked_out_by_hand():
    # One weight w = 2, one bias 0, two classes: logits (2x, −x) with x = 0 are (0, 0), p = (1/2, 1/2), label 0.
    # delta = p − onehot = (−1/2, 1/2); dW = delta·x = 0; db = delta; b ← b − 0.5·db = (1/4, −1/4).
    weight, bias = torch.tensor([[2.0], [-1.0]]), torch.zeros(2)
    step = ChainStep([weight], [bias], [], batch=1)
    loss = step.descend(torch.zeros(1, 1), torch.tensor([0]), [(0.5, 0.5)])
    assert loss == pytest.approx(0.6931471805)
    assert weight.tolist() == [[2.0], [-1.0]]
    assert bias.tolist() == [0.25, -0.25]


def test_learning_rates_are_for_each_weight_and_bias_and_zero_leaves_a_layer_alone():
    sizes, dtype = (5, 4, 4, 3), torch.float64
    ours, theirs = (model_of(sizes, "relu", dtype) for _ in range(2))
    inputs, labels = batch_of(sizes, 6, dtype)
    nn.functional.cross_entropy(theirs(inputs), labels).backward()
    rates = [(0.0, 0.0), (0.3, 0.0), (0.1, 0.2)]
    step_of(ours, "relu", 6).descend(inputs, labels, rates)
    for one, other, pair in zip(linears(ours), linears(theirs), rates, strict=True):
        assert_close(one.weight.detach(), (other.weight - pair[0] * other.weight.grad).detach(), 1e-12)
        assert_close(one.bias.detach(), (other.bias - pair[1] * other.bias.grad).detach(), 1e-12)


def test_only_the_gradients_that_are_wanted_are_made():
    sizes = (5, 4, 3, 3)
    model = model_of(sizes, "tanh", torch.float64)
    inputs, labels = batch_of(sizes, 6, torch.float64)
    nn.functional.cross_entropy(model(inputs), labels).backward()
    weight = torch.zeros(3, 4, dtype=torch.float64)
    step_of(model, "tanh", 6).gradients(inputs, labels, [(None, None), (weight, None), (None, None)])
    assert_close(weight, model[2].weight.grad, 1e-12)


def test_masked_weights_are_zero_after_the_step_and_the_others_as_without_masks():
    sizes, dtype = (6, 5, 4), torch.float32
    free, held = (model_of(sizes, "relu", dtype) for _ in range(2))
    masks = [torch.rand(layer.weight.shape, generator=generator(3)) < 0.4 for layer in linears(held)]
    inputs, labels = batch_of(sizes, 6, dtype)
    rates = [(0.1, 0.1)] * 2
    step_of(free, "relu", 6).descend(inputs, labels, rates)
    step_of(held, "relu", 6).descend(inputs, labels, rates, [bits(masks[0], dtype), None])
    assert torch.equal(held[0].weight, free[0].weight * masks[0])
    assert torch.equal(held[2].weight, free[2].weight)
    assert not torch.signbit(held[0].weight[~masks[0]]).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_bits_keep_every_number_or_make_it_zero(dtype):
    values = torch.tensor([1.5, -1.5, 0.0, -0.0, float("inf"), float("-inf"), float("nan")], dtype=dtype)
    for mask in (torch.ones(7, dtype=torch.bool), torch.zeros(7, dtype=torch.bool)):
        keep = bits(mask, dtype)
        found = (values.view(keep.dtype) & keep).view(dtype)
        assert torch.equal(found.view(keep.dtype), (values if mask[0] else torch.zeros_like(values)).view(keep.dtype))


def test_an_ignored_label_does_not_count():
    sizes, dtype = (4, 3, 3), torch.float64
    inputs, labels = batch_of(sizes, 5, dtype)
    some = labels.clone()
    some[[1, 3]] = -100
    ours, theirs = (model_of(sizes, "relu", dtype) for _ in range(2))
    whole = step_of(ours, "relu", 5).descend(inputs, some, [(0.1, 0.1)] * 2)
    left = step_of(theirs, "relu", 5).descend(inputs[[0, 2, 4]], labels[[0, 2, 4]], [(0.1, 0.1)] * 2)
    assert whole == pytest.approx(left, rel=1e-12)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(one.detach(), other.detach(), 1e-12)


def test_a_label_that_is_no_class_is_an_error_and_changes_nothing():
    model = model_of((4, 3), "relu", torch.float32)
    before = model[0].weight.clone()
    with pytest.raises(IndexError, match="out of bounds"):
        step_of(model, "relu", 2).descend(torch.ones(2, 4), torch.tensor([0, 3]), [(0.1, 0.1)])
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(bad):
    model = model_of((4, 3), "relu", torch.float32)
    before = [parameter.clone() for parameter in model.parameters()]
    inputs, labels = batch_of((4, 3), 5, torch.float32)
    inputs[2, 1] = bad
    step = step_of(model, "relu", 5)
    into = [(torch.full((3, 4), 7.0), torch.full((3,), 7.0))]
    assert not torch.tensor(step.descend(inputs, labels, [(0.1, 0.1)])).isfinite()
    assert not torch.tensor(step.gradients(inputs, labels, into)).isfinite()
    assert all(map(torch.equal, model.parameters(), before))
    assert (into[0][0] == 7).all()


def test_steps_are_deterministic():
    sizes = (40, 30, 20, 10)
    ends = []
    for _ in range(2):
        model = model_of(sizes, "sigmoid", torch.float32)
        step = step_of(model, "sigmoid", 16)
        for seed in range(20):
            step.descend(*batch_of(sizes, 16, torch.float32, seed), [(0.1, 0.1)] * 3)
        ends.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*ends)


def test_bfloat16_goes_down():
    model = model_of((8, 16, 4), "relu", torch.bfloat16)
    inputs, labels = batch_of((8, 16, 4), 32, torch.bfloat16)
    step = step_of(model, "relu", 32)
    losses = [step.descend(inputs, labels, [(0.05, 0.05)] * 2) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_tensors_are_used_where_they_are():
    model = model_of((3, 2), "relu", torch.float32)
    step = step_of(model, "relu", 1)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([3.0, 4.0]))
    assert step.logits(torch.ones(1, 3)).tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("weights", "biases", "acts", "batch", "message"),
    [
        ([], [], [], 1, "expected L, L and L − 1"),
        ([torch.zeros(2, 3)], [None], ["relu"], 1, "found 1, 1 and 1"),
        ([torch.zeros(2, 3), torch.zeros(2, 3)], [None, None], ["relu"], 1, r"weights\[1\]: found shape \(2, 3\)"),
        ([torch.zeros(2, 3)], [torch.zeros(3)], [], 1, r"biases\[0\]: found shape \(3,\), expected \(2,\)"),
        ([torch.zeros(2, 3)], [torch.zeros(2).double()], [], 1, "one floating dtype"),
        ([torch.zeros(2, 3).long()], [None], [], 1, "one floating dtype"),
        ([torch.zeros(2, 3)], [None], [], 0, "batch: found 0"),
    ],
)
def test_what_is_no_chain_is_refused(weights, biases, acts, batch, message):
    with pytest.raises(RequestError, match=message):
        ChainStep(weights, biases, acts, batch)


def test_an_unknown_activation_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        ChainStep([torch.zeros(2, 2)] * 2, [None, None], ["rellu"], 1)


@pytest.mark.parametrize("rows", [0, 4])
def test_a_batch_of_more_rows_than_asked_for_is_refused(rows):
    step = ChainStep([torch.zeros(2, 2)], [None], [], 3)
    with pytest.raises(RequestError, match=f"found {rows} rows, expected 1 to 3"):
        step.logits(torch.zeros(rows, 2))
