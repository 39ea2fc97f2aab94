import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo import lenet_300_100, mlp
from sparsewire.structure.evidence.curvature import HessianDiagonal, hessian_diagonal
from sparsewire.structure.masks import Masks, maskable


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def slowly(model, loss, data):
    """The diagonal by one backward pass a weight, in float64, of the mean loss on all data at once."""
    model = copy.deepcopy(model).double().eval()
    inputs, labels = data
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    labels = labels.double() if labels.is_floating_point() else labels
    weights = {name: weight.requires_grad_() for name, weight in maskable(model).items()}
    with sdpa_kernel(SDPBackend.MATH):  # others cannot be differentiated twice
        value = loss(model(inputs), labels)
    gradients = torch.autograd.grad(value, list(weights.values()), create_graph=True, materialize_grads=True)
    found = {}
    for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
        entries = []
        for place, entry in enumerate(gradient.flatten()):
            second = None
            if entry.requires_grad:
                [second] = torch.autograd.grad(entry, weight, retain_graph=True, allow_unused=True)
            entries.append(0.0 if second is None else float(second.flatten()[place]))
        found[name] = torch.tensor(entries, dtype=torch.float64).view(weight.shape)
    return found


class Residual(nn.Module):
    """Convolutions around which the input runs too, with calls of functions between."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.shortcut = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(2, 4, 1, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        inner = functional.relu(self.norm(self.first(images)))
        summed = torch.relu(self.second(inner) + self.shortcut(images))
        return self.head(summed.mean((2, 3)))


class InPlace(nn.Module):
    """A skip connection by +=, which changes a layer's output."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        values = self.one(inputs)
        values += inputs
        values = values.relu_()
        return self.three(nn.functional.leaky_relu(self.two(values), 0.3) * 0.5 + values)


class Places(nn.Module):
    """A linear layer at every place of a sequence."""

    def __init__(self):
        super().__init__()
        self.each, self.head = nn.Linear(3, 4), nn.Linear(8, 3)

    def forward(self, inputs):
        return self.head(functional.relu(self.each(inputs.view(inputs.size(0), 2, 3))).flatten(1))


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 3, 2, stride=2, dilation=1, padding=1, padding_mode="circular"), nn.Hardtanh()),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3)),
    )


def chain(one, two):
    return nn.Sequential(nn.Linear(6, 5), one, nn.Linear(5, 4), two, nn.Linear(4, 3))


def along():
    return nn.Sequential(
        nn.Unflatten(1, (2, 3)),
        nn.Conv1d(2, 3, 2, dilation=2, padding="same"),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(9, 3),
    )


def deep():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3, 1)), nn.Conv3d(1, 2, (2, 2, 1)), nn.ReLU6(), nn.Flatten(), nn.Linear(4, 3)
    )


VECTORS, IMAGES = (6,), (2, 5, 5)
PIECEWISE = {
    "no hidden layer": (lambda: nn.Linear(6, 3), VECTORS),
    "no bias": (lambda: nn.Linear(6, 3, bias=False), VECTORS),
    "one hidden": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), VECTORS),
    "three hidden": (lambda: mlp((6, 7, 5, 4, 3)), VECTORS),
    "leaky": (lambda: chain(nn.LeakyReLU(0.2), nn.PReLU()), VECTORS),
    "hardtanh": (lambda: chain(nn.Hardtanh(), nn.ReLU6()), VECTORS),
    "convolutions": (convolutions, IMAGES),
    "convolution along": (along, VECTORS),
    "convolution in space": (deep, VECTORS),
    "residual": (Residual, IMAGES),
    "in place": (InPlace, VECTORS),
    "places": (Places, VECTORS),
}  # fmt: skip


def made(make, scale=1.0, seed=0):
    """The model with numbers in its running statistics, too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    return model


def samples(shape, count=20, classes=3, seed=1):
    source = seeded(seed)
    return torch.randn(count, *shape, generator=source), torch.randint(classes, (count,), generator=source)


def assert_near(found, expected, relative=1e-5):
    """Relative to the largest entry of each weight."""
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert found[name].shape == wanted.shape
        assert (found[name] - wanted).abs().max() <= relative * wanted.abs().max(), name


@pytest.mark.parametrize(("make", "shape"), PIECEWISE.values(), ids=PIECEWISE)
def test_piecewise_linear_networks_have_the_diagonal_of_the_double_backward(make, shape):
    model, data = made(make), samples(shape)
    expected = slowly(model, functional.cross_entropy, data)
    for batch_size in (1, 7, 500):
        found = hessian_diagonal(model, None, data, batch_size=batch_size)
        assert repr(found) == f"HessianDiagonal({len(expected)} weights, exact by gauss_newton)"
        assert_near(found, expected)
        assert all((values >= 0).all() for values in found.values())
    # and in double precision each entry to itself
    model, data = model.double(), (data[0].double(), data[1])
    for name, wanted in expected.items():
        alone = hessian_diagonal(model, nn.CrossEntropyLoss(), data, only=name)
        assert list(alone) == [name]
        torch.testing.assert_close(alone[name], wanted, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize(("scale", "relative"), [(0.1, 1e-5), (3.0, 1e-4)])  # outputs themselves have 24 bits
def test_sure_networks_lose_no_digits(scale, relative):
    model, data = made(lambda: mlp((6, 7, 5, 3)), scale), samples(VECTORS)
    assert_near(hessian_diagonal(model, None, data), slowly(model, functional.cross_entropy, data), relative)


def test_label_smoothing_and_the_squared_error_are_exact_too():
    model, data = made(lambda: mlp((6, 5, 4, 3))), samples(VECTORS)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.2)
    assert_near(hessian_diagonal(model, smooth, data), slowly(model, smooth, data))
    targets = data[0], torch.randn(20, 3, generator=seeded(2))
    for loss in (nn.MSELoss(), functional.mse_loss):
        found = hessian_diagonal(model, loss, targets, batch_size=6)
        assert found.is_exact
        assert_near(found, slowly(model, loss, targets))


def test_two_classes_by_hand():
    # p = σ(2 w x) of one input and weights ±w: h = p (1 − p) x² for both weights; x = 1 and 2, w = 0.5
    model = nn.Linear(1, 2, bias=False)
    model.weight.data.copy_(torch.tensor([[0.5], [-0.5]]))
    chances = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-2))]
    expected = sum(p * (1 - p) * x**2 for p, x in zip(chances, (1, 2), strict=True)) / 2
    found = hessian_diagonal(model, None, (torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])))
    assert found["weight"].flatten().tolist() == pytest.approx([expected] * 2)


def test_it_is_of_the_mean_over_all_batches_and_not_of_the_last():
    model, (inputs, labels) = made(lambda: mlp((6, 5, 3))), samples(VECTORS, 21)
    whole = hessian_diagonal(model, None, (inputs, labels), batch_size=21)
    parts = [(inputs[:16], labels[:16]), (inputs[16:16], labels[16:16]), (inputs[16:], labels[16:])]
    assert_near(hessian_diagonal(model, None, iter(parts)), whole)
    last = hessian_diagonal(model, None, parts[-1:])
    assert not torch.allclose(last["0.weight"], whole["0.weight"], rtol=0.1)


def test_pruned_weights_are_evaluated_as_zeros():
    model, data = made(lambda: mlp((6, 5, 3))), samples(VECTORS)
    full = hessian_diagonal(model, None, data)
    masks = Masks({name: torch.rand(w.shape, generator=seeded()) < 0.5 for name, w in maskable(model).items()})
    masks.apply_(model)
    found = hessian_diagonal(model, None, data)
    assert_near(found, slowly(model, functional.cross_entropy, data))
    assert not torch.allclose(found["2.weight"], full["2.weight"])


def test_without_a_path_there_is_no_curvature():
    class DeadEnd(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, inputs):
            self.unused(inputs)
            return self.used(inputs)

    found = hessian_diagonal(DeadEnd(), None, samples(VECTORS))
    assert found.is_exact
    assert not found["unused.weight"].any()


def test_gauss_newton_needs_layers_that_are_called():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.unused = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, inputs):
            return functional.linear(inputs, self.layer.weight)

    model = Aside()
    with pytest.raises(RequestError, match=r"model: uses 'layer.weight' without calling its layer"):
        hessian_diagonal(model, None, samples(VECTORS), method="gauss_newton")
    for weight in model.layer.parameters():
        weight.requires_grad_(False)
    assert not hessian_diagonal(model, None, samples(VECTORS), method="gauss_newton", only="unused")[
        "unused.weight"
    ].any()
    with pytest.raises(RequestError, match=r"'layer.self_attn.out_proj.weight' belongs to another"):
        hessian_diagonal(Attention(), None, samples((3, 4)), method="gauss_newton", only="out_proj")


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell, self.head = kind(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.cell(inputs)[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.1, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.head(self.layer(inputs).mean(1))


CURVED = {
    "tanh": (lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)), VECTORS, "'1' is a Tanh"),
    "rnn": (lambda: Recurrent(nn.RNN), (4, 3), "'cell' is a RNN"),
    "gru": (lambda: Recurrent(nn.GRU), (4, 3), "'cell' is a GRU"),
    "lstm": (lambda: Recurrent(nn.LSTM), (4, 3), "'cell' is a LSTM"),
    "attention": (Attention, (3, 4), "'layer' is a TransformerEncoderLayer"),
}


@pytest.mark.parametrize(("make", "shape", "reason"), CURVED.values(), ids=CURVED)
def test_the_estimate_of_any_other_network_is_unbiased(make, shape, reason):
    model, data = made(make, 2.0).double(), samples(shape, 8)
    data = data[0].double(), data[1]
    found = hessian_diagonal(model, None, data, samples=200, generator=seeded(), batch_size=4)
    assert repr(found) == f"HessianDiagonal({len(found)} weights, estimated by hutchinson: {reason})"
    assert (found.is_exact, found.method, found.reason) == (False, "hutchinson", reason)
    expected = slowly(model, functional.cross_entropy, data)
    rounds = [hessian_diagonal(model, None, data, samples=8, generator=source) for source in [seeded(3)] * 25]
    for name, wanted in expected.items():
        several = torch.stack([one[name] for one in rounds])
        deviation = several.std(0) / len(rounds) ** 0.5  # of the mean of the rounds
        assert ((several.mean(0) - wanted).abs() <= 6 * deviation + 1e-12).all()
        # and one with as many vectors in all lies as near
        assert ((found[name] - wanted).abs() <= 6 * deviation + 1e-12).all()


def test_the_estimate_is_drawn_from_the_generator_alone():
    model, data = made(CURVED["tanh"][0]), samples(VECTORS)
    before = torch.get_rng_state()
    first, again, other = (hessian_diagonal(model, None, data, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first["0.weight"], again["0.weight"])
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(RequestError, match=r"generator: found None, .*estimated, since '1' is a Tanh; pass torch.Gen"):
        hessian_diagonal(model, None, data)
    with pytest.raises(RequestError, match="generator: found 3, expected one"):
        hessian_diagonal(model, None, data, generator=3)


def test_other_losses_are_estimated():
    model, (inputs, _) = made(lambda: nn.Sequential(nn.Linear(6, 2))).double(), samples(VECTORS, 8)
    data = inputs.double(), torch.randn(8, 2, generator=seeded(), dtype=torch.float64)
    smooth = nn.HuberLoss(delta=5.0)
    found = hessian_diagonal(model, smooth, data, samples=600, generator=seeded())
    assert found.reason == "the loss is neither plain cross-entropy nor the plain mean squared error"
    torch.testing.assert_close(found["0.weight"], slowly(model, smooth, data)["0.weight"], rtol=0.3, atol=0.02)
    flat = hessian_diagonal(model, nn.L1Loss(), data, generator=seeded())  # no curvature at all
    assert not flat["0.weight"].any()


def test_a_method_can_be_asked_for():
    model, data = made(CURVED["tanh"][0]), samples(VECTORS)
    found = hessian_diagonal(model, None, data, method="gauss_newton")
    assert repr(found) == "HessianDiagonal(2 weights, approximated by gauss_newton: '1' is a Tanh)"
    assert all((values >= 0).all() for values in found.values())
    # in the last layer the outputs are linear all the same
    assert_near(
        {"2.weight": found["2.weight"]}, {"2.weight": slowly(model, functional.cross_entropy, data)["2.weight"]}
    )
    straight = mlp((6, 4, 3))
    assert hessian_diagonal(straight, None, data, method="hutchinson", generator=seeded()).reason == "it was asked for"


def test_gauss_newton_of_layers_that_are_called_again_squares_their_sum():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 3)

        def forward(self, inputs):
            one, two = inputs.chunk(2, 1)  # not in series, so that it is exact though nothing proves it
            return self.head(torch.relu(self.layer(one)) + torch.relu(self.layer(two)))

    model, data = made(Twice), samples(VECTORS)
    found = hessian_diagonal(model, None, data, method="gauss_newton")
    assert not found.is_exact
    assert_near(found, slowly(model, functional.cross_entropy, data))


def test_the_model_is_left_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutions()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, inputs):
            self.calls += 1
            return self.inner(inputs)

    for make in (convolutions, Counting):
        model, data = made(make), samples(IMAGES)
        functional.cross_entropy(model(data[0]), data[1]).backward()
        model.eval()
        first = next(iter(maskable(model).values()))
        first.requires_grad_(False)
        next(iter(model.modules())).train(True)
        list(model.modules())[2].eval()
        before, gradients = copy.deepcopy(model), [weight.grad.clone() for weight in model.parameters()]
        for method in ("gauss_newton", "hutchinson"):
            hessian_diagonal(model, None, data, method=method, samples=1, generator=seeded())
        after, was = model.state_dict(), before.state_dict()
        assert all(torch.equal(after[name], was[name]) for name in was)
        assert [module.training for module in model.modules()] == [module.training for module in before.modules()]
        assert not any(module._forward_hooks for module in model.modules())
        assert all(torch.equal(one.grad, was) for one, was in zip(model.parameters(), gradients, strict=True))
        assert [weight.requires_grad for weight in model.parameters()].count(False) == 1
        assert not first.requires_grad


def test_it_works_where_gradients_are_switched_off():
    model, data = made(lambda: mlp((6, 5, 3))), samples(VECTORS)
    expected = hessian_diagonal(model, None, data)
    with torch.no_grad():
        assert_near(hessian_diagonal(model, None, data), expected, 0)
    with torch.inference_mode():
        assert_near(hessian_diagonal(model, None, data), expected, 0)


def test_half_precision_and_lenet():
    model, data = lenet_300_100(), (torch.rand(12, 784, generator=seeded()), torch.arange(12) % 10)
    found = hessian_diagonal(model, None, data)
    assert found.is_exact
    assert [tuple(values.shape) for values in found.values()] == [(300, 784), (100, 300), (10, 100)]
    narrow = hessian_diagonal(model.bfloat16(), None, (data[0].bfloat16(), data[1]))
    assert narrow["0.weight"].dtype == torch.float32
    assert_near({"4.weight": narrow["4.weight"].float()}, {"4.weight": found["4.weight"]}, 0.1)


def test_the_diagonal_is_a_mapping():
    found = HessianDiagonal({"a": torch.ones(2)}, "gauss_newton")
    assert (list(found), len(found), found.get("b")) == (["a"], 1, None)
    with pytest.raises(UnknownNameError, match="no weight is named 'b'"):
        found["b"]
    with pytest.raises(AttributeError):
        found.method = "other"


PAIR = samples(VECTORS)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "exact"}, UnknownNameError, "no method is named 'exact'"),
        ({"samples": 0}, RequestError, "samples: found 0, expected a whole number of at least 1"),
        ({"samples": 2.5}, RequestError, "samples: found 2.5"),
        ({"batch_size": True}, RequestError, "batch_size: found True"),
        ({"only": "5"}, UnknownNameError, "no weight to prune is named '5'"),
        ({"only": []}, RequestError, "only: found no patterns"),
        ({"data": None}, RequestError, "data: found nothing, expected"),
        ({"data": (PAIR[0], PAIR[1][:5])}, RequestError, r"inputs of shape \(20, 6\) and labels of shape \(5,\)"),
        ({"data": (PAIR[0][:0], PAIR[1][:0])}, RequestError, "data: found no samples"),
        ({"data": []}, RequestError, "data: found no samples"),
        ({"data": (PAIR[0], PAIR[1] + 1)}, RequestError, "expected one class from 0 to 2 for each of the 20 samples"),
        ({"data": (PAIR[0], PAIR[1].masked_fill(PAIR[1] == 0, -100))}, RequestError, "expected one class from 0 to 2"),
        ({"data": (PAIR[0], torch.rand(20, 3))}, RequestError, r"labels of shape \(20, 3\) and type torch.float32"),
        ({"loss": nn.MSELoss()}, RequestError, r"data: found labels of shape \(20,\), expected \(20, 3\)"),
        ({"loss": nn.CrossEntropyLoss(reduction="sum")}, RequestError, "loss: found .* with reduction='sum'"),
        ({"loss": nn.MSELoss}, RequestError, "loss: found <class .*expected a function"),
        ({"loss": 3}, RequestError, "loss: found 3"),
        ({"model": nn.ReLU()}, RequestError, "model: found no weights"),
        ({"model": "mlp"}, RequestError, "model: found str"),
        ({"model": nn.GRU(6, 3), "method": "gauss_newton"}, RequestError, "'weight_ih_l0' belongs to another"),
        ({"loss": nn.L1Loss(), "method": "gauss_newton"}, RequestError, "'gauss_newton' is impossible, since the loss"),
    ],
)
def test_what_cannot_be_is_refused(change, error, message):
    asked = {"model": mlp((6, 5, 3)), "loss": None, "data": PAIR, **change}
    with pytest.raises(error, match=message):
        hessian_diagonal(asked.pop("model"), asked.pop("loss"), asked.pop("data"), **asked)


def test_a_label_that_the_loss_leaves_out_is_not_taken_for_a_class():
    model, loss = mlp((6, 5, 3), generator=seeded()), nn.CrossEntropyLoss(ignore_index=1)
    data = torch.randn(20, 6, generator=seeded(1)), torch.randint(3, (20,), generator=seeded(2))
    with pytest.raises(RequestError, match="'gauss_newton' is impossible, since the loss leaves out the label 1"):
        hessian_diagonal(model, loss, data, method="gauss_newton")
    found = hessian_diagonal(model, loss, data, generator=seeded(3), samples=4000)
    assert (found.method, found.reason) == ("hutchinson", "the loss leaves out the label 1")
    for name, exact in slowly(model, loss, data).items():
        torch.testing.assert_close(found[name].double(), exact, rtol=0.2, atol=0.01)


def test_small_curvature_survives_half_precision():
    model = mlp((6, 5, 3), generator=seeded())
    inputs, labels = 1e-3 * torch.randn(20, 6, generator=seeded(1)), torch.arange(20) % 3
    exact = hessian_diagonal(model, None, (inputs, labels))["0.weight"]
    assert exact.max() < 1e-6
    narrow = copy.deepcopy(model).half()
    data = inputs.half(), labels
    found = hessian_diagonal(narrow, None, data)["0.weight"]
    torch.testing.assert_close(found, exact, rtol=0.02, atol=1e-10)
    estimate = hessian_diagonal(narrow, None, data, method="hutchinson", samples=4, generator=seeded(2))
    assert {found.dtype, estimate["0.weight"].dtype} == {torch.float32}


class Around(nn.Module):
    """A layer that gets its inputs by name, behind one that is not trained with the others."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, inputs):
        with torch.no_grad():
            features = torch.relu(self.backbone(inputs))
        return self.head(input=features)


@pytest.mark.parametrize("batch_size", [7, 20])
def test_layers_without_gradients_and_inputs_by_name(batch_size):
    model = Around()
    data = torch.randn(20, 6, generator=seeded(1)), torch.randint(3, (20,), generator=seeded(2))
    found = hessian_diagonal(model, None, data, batch_size=batch_size)
    assert found.is_exact
    assert not found["backbone.weight"].any()
    for name, exact in slowly(model, functional.cross_entropy, data).items():
        torch.testing.assert_close(found[name].double(), exact, rtol=1e-5, atol=1e-8)
