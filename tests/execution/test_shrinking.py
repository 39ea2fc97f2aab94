import copy
import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.execution.shrinking import ELEMENTWISE, FINAL, live_neurons, shrink, shrink_masks
from sparsewire.structure.masks import Masks

# One way to make each elementwise activation; a new one needs a line here.
MAKE: dict[type[nn.Module], Callable[[], nn.Module]] = {kind: kind for kind in ELEMENTWISE}
MAKE[nn.Threshold] = lambda: nn.Threshold(0.1, 20.0)
MAKE[nn.ReLU] = lambda: nn.ReLU(inplace=True)
MAKE[nn.GELU] = lambda: nn.GELU(approximate="tanh")
MAKE[nn.Softplus] = lambda: nn.Softplus(beta=2)
MAKE[nn.PReLU] = lambda: nn.PReLU(init=0.3)

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 5e-2}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chain(
    sizes: Sequence[int], make: Callable[[], nn.Module] = nn.ReLU, *, bias: Sequence[bool] = (), seed: int = 0
) -> nn.Sequential:
    generator, modules = seeded(seed), []
    for place, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layer = nn.Linear(inputs, outputs, bias=bool(bias[place]) if bias else True)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, generator=generator)
        modules += [layer, make()]
    return nn.Sequential(*modules[:-1])


def random_masks(model: nn.Module, density: float, seed: int) -> Masks:
    generator = seeded(seed)
    everything = Masks.from_model(model)
    return Masks({name: torch.rand(mask.shape, generator=generator) < density for name, mask in everything.items()})


def sizes_of(model: nn.Module) -> list[int]:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def neurons_on_paths(masks: Masks) -> list[list[bool]]:
    """The slow obvious version: walk every path there could be, one neuron in each layer."""
    junctions = list(masks.values())
    sizes = [junctions[0].shape[1], *(junction.shape[0] for junction in junctions)]
    found = [[False] * size for size in sizes]
    for path in itertools.product(*map(range, sizes)):
        steps = zip(junctions, itertools.pairwise(path), strict=True)
        if all(junction[after, before] for junction, (before, after) in steps):
            for layer, neuron in enumerate(path):
                found[layer][neuron] = True
    return found


def assert_same_output(model: nn.Module, smaller: nn.Module, inputs: Tensor) -> None:
    with torch.no_grad():
        before, after = model(inputs), smaller(inputs)
    assert (before.shape, before.dtype) == (after.shape, after.dtype)
    difference = (before - after).abs().max().item() if before.numel() else 0.0
    assert difference <= TOLERANCE[before.dtype] * max(1e-30, before.abs().max().item() if before.numel() else 1.0)


def test_an_example_worked_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    # Neuron 0: 2·x₀ + 1. Neuron 1: no input, so always relu(5) = 5. Neuron 2: x₁, but nothing takes its output.
    model[0].weight.data = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    model[0].bias.data = torch.tensor([1.0, 5.0, 0.0])
    model[2].weight.data = torch.tensor([[4.0, 10.0, 0.0]])
    model[2].bias.data = torch.tensor([0.5])
    smaller = shrink(model)
    assert smaller[0].weight.tolist() == [[2.0, 0.0]]
    assert smaller[0].bias.tolist() == [1.0]
    assert smaller[2].weight.tolist() == [[4.0]]
    assert smaller[2].bias.tolist() == [50.5]  # 0.5 + 10 · 5
    assert smaller(torch.tensor([[1.0, 9.0]])).tolist() == [[62.5]]  # 4 · relu(2 · 1 + 1) + 50.5
    assert [live.tolist() for live in live_neurons(model)] == [[True, False], [True, False, False], [True]]


def test_constants_are_folded_through_several_layers() -> None:
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Sigmoid(), nn.Linear(2, 2, bias=False), nn.Sigmoid())
    model.append(nn.Linear(2, 1, bias=False))
    # First layer: neuron 1 has no input and no bias: σ(0) = 1/2. Second: neuron 1 gets 4 · 1/2 = 2 and nothing else:
    # σ(2) = 0.880797. The output gets 3 · σ(2) = 2.642391 as its bias, which it did not have.
    model[0].weight.data = torch.tensor([[1.0], [0.0]])
    model[2].weight.data = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    model[4].weight.data = torch.tensor([[1.0, 3.0]])
    smaller = shrink(model)
    assert sizes_of(smaller) == [1, 1, 1, 1]
    assert smaller[0].bias is None
    assert smaller[2].bias is None  # only the removed neuron got a constant
    assert smaller[4].bias.item() == pytest.approx(2.642391, abs=1e-6)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    make=st.sampled_from(list(MAKE.values())),
    bias=st.lists(st.booleans(), min_size=4, max_size=4),
    density=st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    given_masks=st.booleans(),
    seed=st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=150)
def test_the_laws_of_shrinking(
    sizes: list[int], make: Callable[[], nn.Module], bias: list[bool], density: float, dtype: torch.dtype,
    given_masks: bool, seed: int,
) -> None:  # fmt: skip
    model = chain(sizes, make, bias=bias, seed=seed).to(dtype)
    masks = random_masks(model, density, seed + 1)
    masked = masks.apply_(copy.deepcopy(model))
    before = copy.deepcopy((model if given_masks else masked).state_dict())
    smaller = shrink(model, dict(masks)) if given_masks else shrink(masked)

    assert_same_output(masked, smaller, torch.randn(7, sizes[0], dtype=dtype, generator=seeded(seed + 2)))
    live = live_neurons(model, dict(masks)) if given_masks else live_neurons(masked)
    assert [layer.tolist() for layer in live] == neurons_on_paths(masks)
    hidden = [max(1, int(layer.sum())) for layer in live[1:-1]]
    assert sizes_of(smaller) == [sizes[0], *hidden, sizes[-1]]

    after = (model if given_masks else masked).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # the model is not changed
    left = shrink_masks(model, dict(masks))  # a plain mapping is one of masks too
    assert left == Masks.from_weights(smaller)  # no random weight is 0 by itself
    # A second time there is nothing left to remove, but for the silent neurons of a network without paths.
    again = shrink(smaller)
    assert sizes_of(again) == sizes_of(smaller)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in smaller.state_dict().items())


@pytest.mark.parametrize("kind", ELEMENTWISE, ids=lambda kind: kind.__name__)
def test_every_activation_is_folded_with_its_own_function(kind: type[nn.Module]) -> None:
    model = chain([3, 4, 3, 2], MAKE[kind], seed=3)
    model[0].bias.data = torch.tensor([0.1, 1.5, -1.2, 0.2])
    everything = Masks.from_model(model)
    cut = Masks({**everything, "0.weight": everything["0.weight"] & torch.tensor([[True], [False], [False], [True]])})
    smaller = shrink(model, cut)
    assert sizes_of(smaller) == [3, 2, 3, 2]
    assert_same_output(cut.apply_(copy.deepcopy(model)), smaller, torch.randn(9, 3, generator=seeded(1)))
    with torch.no_grad():
        folded = model[2].bias + model[2].weight[:, 1:3] @ MAKE[kind]()(torch.tensor([1.5, -1.2]))
    torch.testing.assert_close(smaller[2].bias.data, folded)
    assert not torch.allclose(folded, model[2].bias, atol=1e-3)


def test_a_kept_weight_that_is_zero_keeps_its_neuron_when_masks_say_so() -> None:
    model = chain([2, 2, 1])
    model[2].weight.data = torch.tensor([[1.0, 0.0]])
    everything = Masks.from_model(model)
    assert sizes_of(shrink(model)) == [2, 1, 1]
    assert sizes_of(shrink(model, everything)) == [2, 2, 1]
    assert shrink_masks(model, everything) == everything
    # A layer that the masks do not name is dense.
    assert sizes_of(shrink(model, Masks({"0.weight": everything["0.weight"]}))) == [2, 2, 1]


@pytest.mark.parametrize("bias", [[True] * 3, [False] * 3])
def test_a_network_without_a_complete_path_becomes_a_constant(bias: list[bool]) -> None:
    model = chain([3, 4, 4, 2], nn.Sigmoid, bias=bias)
    model[2].weight.data.zero_()
    smaller = shrink(model)
    assert sizes_of(smaller) == [3, 1, 1, 2]
    assert shrink_masks(model).count == 0
    for silent in (smaller[0], smaller[2]):
        assert not any(parameter.any() for parameter in silent.parameters())
    for batch in (0, 1, 5):
        assert_same_output(model, smaller, torch.randn(batch, 3, generator=seeded(0)))
    smaller(torch.randn(5, 3, generator=seeded(0))).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in smaller.parameters())


def test_half_precision_is_folded_in_double() -> None:
    model = chain([3, 8, 2], nn.Tanh).to(torch.bfloat16)
    masks = random_masks(model, 0.3, 1)
    smaller = shrink(model, masks)
    assert all(parameter.dtype == torch.bfloat16 for parameter in smaller.parameters())
    assert_same_output(masks.apply_(model), smaller, torch.randn(4, 3, generator=seeded(0)).to(torch.bfloat16))


def test_names_mode_and_learning_are_kept_in_nested_chains() -> None:
    shared = nn.ReLU()
    inner = nn.Sequential(nn.Linear(6, 5), shared, nn.Dropout(0.5))
    model = nn.Sequential(nn.Flatten(), inner, nn.Linear(5, 4), shared, nn.Identity(), nn.Linear(4, 3), nn.Softmax(1))
    model.eval()
    model[2].train()
    model[1][0].weight.requires_grad_(False)
    masks = random_masks(model, 0.4, 4)
    smaller = shrink(model, masks)
    assert [name for name, _ in smaller.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert [module.training for module in smaller.modules()] == [module.training for module in model.modules()]
    assert [p.requires_grad for p in smaller.parameters()] == [p.requires_grad for p in model.parameters()]
    assert smaller[3] is smaller[1][1]
    assert_same_output(masks.apply_(model), smaller, torch.randn(5, 2, 3, generator=seeded(0)))


def test_one_dense_layer_is_a_chain_too() -> None:
    layer = nn.Linear(3, 2)
    masks = Masks({"weight": torch.tensor([[True, False, False], [False, False, False]])})
    smaller = shrink(layer, masks)
    assert smaller is not layer
    assert_same_output(masks.apply_(layer), smaller, torch.randn(4, 3, generator=seeded(0)))
    assert shrink_masks(layer, masks) == masks


def test_sequences_of_inputs_work_as_before() -> None:
    model = chain([4, 6, 2], nn.Tanh)
    masks = random_masks(model, 0.3, 2)
    assert_same_output(
        masks.apply_(copy.deepcopy(model)), shrink(model, masks), torch.randn(3, 5, 4, generator=seeded(0))
    )


def test_training_goes_on_inside_the_masks_that_are_left() -> None:
    model = chain([5, 9, 7, 2], nn.ReLU, seed=5)
    masks = random_masks(model, 0.3, 5)
    smaller, left = shrink(model, masks), shrink_masks(model, masks)
    before = copy.deepcopy(smaller.state_dict())
    left.apply_(smaller)  # fits, and finds every weight outside already 0
    assert all(torch.equal(before[name], value) for name, value in smaller.state_dict().items())
    live = live_neurons(model, masks)
    for name, here, there in (("0.weight", torch.ones(5, dtype=torch.bool), live[1]), ("2.weight", live[1], live[2])):
        assert torch.equal(left[name], masks[name][there][:, here])


def test_neither_the_generator_nor_the_hooks_of_the_user_are_touched() -> None:
    model = chain([3, 4, 2])
    seen: list[object] = []
    model[1].register_forward_hook(lambda *arguments: seen.append(arguments))
    before = torch.random.get_rng_state()
    shrink(model, random_masks(model, 0.4, 0))
    assert torch.equal(before, torch.random.get_rng_state())
    assert seen == []


def pruned() -> nn.Module:
    from torch.nn.utils import prune

    return nn.Sequential(prune.random_unstructured(nn.Linear(2, 2), "weight", amount=1))


def hooked() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    return nn.Sequential(layer)


def tied() -> nn.Module:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second)


def used_twice() -> nn.Module:
    layer = nn.Linear(2, 2)
    return nn.Sequential(layer, nn.ReLU(), layer)


def not_finite() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.bias.data[0] = torch.inf
    return nn.Sequential(layer)


class Doubled(nn.Sequential):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + super().forward(inputs)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(4, 2)), r"'0' \(Conv2d\): expected nn.Linear"),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)), r"'1' \(BatchNorm1d\)"),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))), r"'0.1' \(LSTM\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.RReLU(), nn.Linear(2, 2)), r"'1' \(RReLU\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.PReLU(2), nn.Linear(2, 2)), r"'1' \(PReLU\): expected one slope"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 2)), r"'1' \(Softmax\): mixes its inputs"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 2)), r"'1' \(Linear\): found 2 inputs after 3 outputs"),
        (nn.ModuleList([nn.Linear(2, 2)]), r"'' \(ModuleList\): expected nn.Linear"),
        (Doubled(nn.Linear(2, 2)), r"'' \(Doubled\)"),
        (nn.Sequential(nn.ReLU()), "found no nn.Linear in a Sequential"),
        (None, "found NoneType, expected a torch module"),
        ({"0.weight": torch.ones(2, 2)}, "found dict, expected a torch module"),
        (pruned(), "its weight is computed from another"),
        (hooked(), "it has hooks"),
        (tied(), r"'2' \(Linear\): its parameters are used by another layer too"),
        (used_twice(), r"'2' \(Linear\): its parameters are used by another layer too"),
        (not_finite(), "its bias is torch.float32 or not finite"),
        (nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64)), "its weight is torch.complex64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_chain_is_refused_by_the_name_of_the_module(model: nn.Module, says: str) -> None:
    for ask in (shrink, shrink_masks, live_neurons):
        with pytest.raises(RequestError, match=says):
            ask(model)


def test_a_sparse_model_is_refused_and_its_dense_form_with_its_masks_is_not() -> None:
    masks = Masks({"0.weight": torch.eye(3, 2).bool(), "2.weight": torch.eye(1, 3).bool()})
    sparse = sparsify(chain([2, 3, 1]), masks, "sparse")
    with pytest.raises(RequestError, match=r"'0' is a sparse layer, expected dense ones; take shrink\(\*densify"):
        shrink(sparse)
    assert shrink(*densify(sparse))[0].out_features == 1


def test_masks_of_another_model_are_refused() -> None:
    model = chain([2, 3, 1])
    with pytest.raises(RequestError, match=r"no parameter of the model is named '1\.weight'"):
        shrink(model, Masks({"1.weight": torch.ones(3, 2, dtype=torch.bool)}))
    with pytest.raises(RequestError, match=r"found shape \(2, 3\), expected \(3, 2\)"):
        shrink(model, Masks({"0.weight": torch.ones(2, 3, dtype=torch.bool)}))
    with pytest.raises(RequestError, match=r"found '0\.bias', expected weights of dense layers: 0\.weight, 2\.weight"):
        shrink(model, Masks({"0.bias": torch.ones(3, dtype=torch.bool)}))


@pytest.mark.parametrize("kind", FINAL, ids=lambda kind: kind.__name__)
def test_what_follows_the_last_layer_stays(kind: type[nn.Module]) -> None:
    model = chain([3, 4, 3]).append(kind(dim=1))
    masks = random_masks(model, 0.4, 1)
    assert_same_output(masks.apply_(copy.deepcopy(model)), shrink(model, masks), torch.randn(4, 3, generator=seeded(0)))
