"""sparsify and densify: the way there and back, over a table of models."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import densify, sparsify
from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.fast_paths import avoid_fast_paths_
from sparsewire.execution.kept_masks import remember_mask_, remembered_masks
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.plans import Plan, PlanRow
from sparsewire.execution.sequences import SparseSequential
from sparsewire.execution.sparse_module import sparse_modules
from sparsewire.structure.masks import Masks


class Twice(nn.Module):
    """One layer under two names and in a list, and an unused parameter and buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(6, 6)
        self.other = self.one
        self.listed = [self.one]
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("shift", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.listed[0](self.other(torch.relu(self.one(x)))) * self.scale + self.shift


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    return model


class Last(nn.Module):
    """The outputs of a recurrent layer, and no states."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 9), nn.ReLU(), nn.Dropout(0.5), nn.Linear(9, 4, bias=False))


def convolutional() -> nn.Sequential:
    groups = nn.Conv2d(4, 4, 3, groups=2)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), groups, nn.Flatten(), nn.Linear(16, 3))


def frozen() -> nn.Sequential:
    model = mlp().double()
    model[1].requires_grad_(False)
    return model


# model, the shape of its input, and which weights become sparse when all that can do
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]] = {
    "a layer": (lambda: nn.Linear(6, 5), (3, 6), {""}),
    "an MLP": (mlp, (3, 6), {"1", "4"}),
    "in double and frozen": (frozen, (3, 6), {"1", "4"}),
    "nested": (lambda: nn.Sequential(mlp(), nn.ModuleList([nn.Linear(4, 4)])[0]), (3, 6), {"0.1", "0.4", "1"}),
    "a convolutional network": (convolutional, (2, 2, 6, 6), {"0", "4"}),
    "a layer used twice": (Twice, (3, 6), {"one"}),
    "tied weights": (tied, (3, 6), {"3"}),
    "no sparse form": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU()),
                       (2, 2, 6), set()),
    "a transformer": (lambda: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True), (2, 3, 6),
                      {"linear1", "linear2"}),
    "attention": (lambda: nn.TransformerDecoderLayer(6, 2, 8, dropout=0.0, batch_first=True), None,
                  {"linear1", "linear2"}),
    "an RNN": (lambda: Last(nn.RNN(6, 5, num_layers=2, bidirectional=True)), (4, 2, 6), {"layer"}),
    "a GRU": (lambda: Last(nn.GRU(6, 5, batch_first=True)), (4, 2, 6), {"layer"}),
    "an LSTM": (lambda: Last(nn.LSTM(6, 5, bias=False)), (4, 2, 6), {"layer"}),
    "an LSTM with projections": (lambda: Last(nn.LSTM(6, 5, proj_size=2)), (4, 2, 6), set()),
}  # fmt: skip


def masks_of(model: nn.Module, density: float = 0.5, seed: int = 0) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return Masks({name: torch.rand(mask.shape, generator=generator) < density
                  for name, mask in Masks.from_model(model).items()})  # fmt: skip


def assert_identical(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = list(one.named_parameters()), list(other.named_parameters())
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    assert list(one.state_dict()) == list(other.state_dict())
    for (name, a), (_, b) in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype, name
        assert a.requires_grad == b.requires_grad, name
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes(), name
    for (name, a), (_, b) in zip(one.named_modules(), other.named_modules(), strict=True):
        assert type(a) is type(b), name
        assert a.training == b.training, name
    assert repr(one) == repr(other)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, tuple[Tensor, ...], set[str]]:
    make, shape, names = request.param
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = make()
    dtype = next(model.parameters()).dtype
    shapes = [(2, 3, 6), (2, 4, 6)] if shape is None else [shape]
    generator = torch.Generator().manual_seed(1)
    return model, tuple(torch.randn(one, generator=generator, dtype=dtype) for one in shapes), names


@pytest.mark.parametrize("plan", ["sparse", "dense"])
@pytest.mark.parametrize("density", [0.0, 0.5, 1.0])
def test_there_and_back_is_apply(
    case: tuple[nn.Module, tuple[Tensor, ...], set[str]], plan: str, density: float
) -> None:
    model, _, names = case
    model.train(density < 0.5)
    masks, before = masks_of(model, density), copy.deepcopy(model)
    sparse = sparsify(model, masks, plan)
    assert set(sparse_modules(sparse)) == (names if plan == "sparse" else set())
    dense, found = densify(sparse)
    assert_identical(model, before)
    assert_identical(dense, masks.apply_(before))
    assert found == masks
    again, found = densify(densify(sparse)[0])
    assert_identical(again, before)
    assert not found


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch's own doing
def test_the_outputs_and_the_names_are_those_of_the_masked_model(
    case: tuple[nn.Module, tuple[Tensor, ...], set[str]],
) -> None:
    model, inputs, _ = case
    masks = masks_of(model)
    sparse = sparsify(model, masks, "sparse")
    assert {name for name, _ in sparse.named_parameters()} == {name for name, _ in model.named_parameters()}
    masks.apply_(model)
    for mode in (True, False):
        model.train(mode), sparse.train(mode)
        for grad in (torch.enable_grad(), torch.no_grad()):
            results = []
            for one in (model, sparse):
                with grad, torch.random.fork_rng(devices=()):
                    torch.manual_seed(3)
                    results.append(one(*inputs))
            tolerance = 1e-10 if inputs[0].dtype == torch.float64 else 1e-5
            torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


def test_a_copy_of_a_converted_model_knows_its_masks(case: tuple[nn.Module, tuple[Tensor, ...], set[str]]) -> None:
    model, _, _ = case
    masks = masks_of(model)
    assert densify(copy.deepcopy(sparsify(model, masks, "sparse")))[1] == masks


@pytest.mark.parametrize("plan", ["sparse", "dense"])
def test_kept_zeros_are_kept(plan: str) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Bilinear(2, 2, 3))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    masks = masks_of(model)
    sparse = sparsify(model, masks, plan)
    assert densify(sparse)[1] == masks
    assert all("mask" not in key and "kept" not in key for key in sparse.state_dict())


def test_masks_of_some_weights_only() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2), Last(nn.GRU(2, 3)))
    every = masks_of(model)
    masks = Masks({"3.layer.weight_hh_l0": every["3.layer.weight_hh_l0"], "0.bias": torch.eye(5)[0].bool()})
    for plan in ("sparse", "dense"):
        sparse = sparsify(model, masks, plan)
        assert set(sparse_modules(sparse)) == ({"3.layer"} if plan == "sparse" else set())
        dense, found = densify(sparse)
        assert found == masks
        assert_identical(dense, masks.apply_(copy.deepcopy(model)))
    with_bias = Masks({"0.weight": every["0.weight"], "0.bias": torch.eye(5)[0].bool()})
    dense, found = densify(sparsify(model, with_bias, "sparse"))
    assert found == with_bias
    assert_identical(dense, with_bias.apply_(copy.deepcopy(model)))


def test_a_structure_that_moved_is_given_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    masks, moved = masks_of(model), masks_of(model, seed=1)
    plan = Plan((row("0.weight", "sparse"), row("1.weight", "dense")))
    sparse = sparsify(model, masks, plan)
    sparse[0].restructure_("weight", moved["0.weight"])
    with torch.no_grad():
        sparse[1].weight.copy_(moved["1.weight"])
    dense, found = densify(sparse)
    assert found == moved
    assert torch.equal(dense[1].weight, moved["1.weight"].float())


def row(name: str, choice: str) -> PlanRow:
    return PlanRow(name, (name,), (1, 1), 0.5, choice, "because")


def test_the_plan_is_obeyed() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    masks = masks_of(model)
    sparse = sparsify(model, masks, Plan((row("0.weight", "dense"), row("2.weight", "sparse"))))
    assert type(sparse) is SparseSequential
    assert [type(layer) for layer in sparse] == [nn.Linear, nn.ReLU, SparseLinear]
    assert not sparse[0].weight[~masks["0.weight"]].any()
    with pytest.raises(UnknownNameError, match=r"2\.weight"):
        sparsify(model, masks, Plan((row("0.weight", "dense"),)))
    for wrong in ("fast", 3):
        with pytest.raises(RequestError, match=r"plan: found .* expected a Plan, None, 'sparse' or 'dense'"):
            sparsify(model, masks, wrong)


def test_without_a_plan_one_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("SPARSEWIRE_CACHE", str(tmp_path))
    model = nn.Linear(6, 5)
    masks = Masks.from_model(model)  # nothing to gain, so nothing to measure
    assert type(sparsify(model, masks)) is nn.Linear


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RequestError, match="no parameter of the model is named 'wait'"):
        sparsify(nn.Linear(2, 2), {"wait": torch.ones(2, 2, dtype=torch.bool)}, "sparse")
    with pytest.raises(RequestError, match=r"expected a torch.bool tensor"):
        sparsify(nn.Linear(2, 2), {"weight": torch.ones(2, 2)}, "sparse")
    with pytest.raises(RequestError, match="mask of 'weight': found it on the meta device"):
        sparsify(nn.Linear(2, 2), {"weight": torch.ones(2, 2, dtype=torch.bool, device="meta")}, "sparse")


class Own(nn.Linear):
    """A subclass may compute anything."""


def extended(layer: nn.Linear) -> nn.Linear:
    layer.register_buffer("more", torch.ones(1))
    return layer


def with_hook(layer: nn.Linear, kind: str) -> nn.Linear:
    getattr(layer, kind)(lambda *arguments, **named: None)
    return layer


def with_forward(layer: nn.Linear) -> nn.Linear:
    layer.forward = lambda x: x
    return layer


def with_parameter(layer: nn.Linear) -> nn.Linear:
    layer.scale = nn.Parameter(torch.ones(1))
    return layer


ODD = {
    "a subclass": lambda: Own(4, 3),
    "a hook": lambda: with_hook(nn.Linear(4, 3), "register_forward_hook"),
    "a hook before": lambda: with_hook(nn.Linear(4, 3), "register_forward_pre_hook"),
    "a backward hook": lambda: with_hook(nn.Linear(4, 3), "register_full_backward_hook"),
    "a hook on states": lambda: with_hook(nn.Linear(4, 3), "register_load_state_dict_post_hook"),
    "a buffer": lambda: extended(nn.Linear(4, 3)),
    "a parameter": lambda: with_parameter(nn.Linear(4, 3)),
    "a forward": lambda: with_forward(nn.Linear(4, 3)),
    "a padding by reflection": lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_layers_with_additions_stay_dense(odd: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"odd": odd()})
    mask = torch.zeros_like(model["odd"].weight, dtype=torch.bool)
    sparse = sparsify(model, {"odd.weight": mask}, "sparse")
    assert type(sparse["odd"]) is type(model["odd"])
    assert not sparse["odd"].weight.any()
    assert densify(sparse)[1] == Masks({"odd.weight": mask})


@pytest.mark.parametrize("make", [lambda: nn.Linear(4, 4), lambda: nn.Conv2d(4, 4, 1), lambda: nn.LSTM(4, 1)])
def test_plain_attributes_go_there_and_back_and_hooks_back(make: Callable[[], nn.Module]) -> None:
    model = nn.Sequential(make(), nn.Identity())
    model[0].note, model[0].friends = "kept", [model[1]]
    masks = Masks({name: torch.zeros_like(mask) for name, mask in Masks.from_model(model).items()})
    sparse = sparsify(model, masks, "sparse")
    assert sparse[0].note == "kept"
    assert sparse[0].friends[0] is sparse[1]
    calls = []
    sparse[0].register_forward_hook(lambda module, *_, **__: calls.append(module), with_kwargs=True)
    dense = densify(copy.deepcopy(sparse))[0]
    assert dense[0].note == "kept"
    assert dense[0].friends[0] is dense[1]
    assert vars(dense[0]).keys() == vars(model[0]).keys()
    dense[0](torch.ones(4, 4, *(1, 1) * isinstance(dense[0], nn.Conv2d)))
    assert calls == [dense[0]]


def test_a_parametrized_layer_stays_dense() -> None:
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)))
    name = next(name for name, _ in model.named_parameters() if name.endswith("original"))
    masks = Masks({name: torch.eye(3, 4).bool()})
    sparse = sparsify(model, masks, "sparse")
    assert not sparse_modules(sparse)
    assert densify(sparse)[1] == masks


def test_one_layer_in_several_places_stays_one() -> None:
    sparse = sparsify(Twice(), masks_of(Twice()), "sparse")
    assert sparse.one is sparse.other
    assert sparse.one is sparse.listed[0]


def test_containers() -> None:
    class Named(nn.Sequential):
        pass

    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    hook = inner.register_forward_hook(lambda module, inputs, output: output + 1)
    model = nn.Sequential(inner, Named(nn.Linear(4, 4)), nn.Sequential(nn.ReLU()))
    sparse = sparsify(model, masks_of(model), "sparse")
    assert [type(module) for module in (sparse, *sparse)] == [
        nn.Sequential, SparseSequential, Named, nn.Sequential,
    ]  # fmt: skip
    assert len(sparse[0]._forward_hooks) == 1
    hook.remove()
    assert [type(module) for module in densify(sparse)[0]] == [nn.Sequential, Named, nn.Sequential]


def test_gradients_reach_live_weights_and_a_plain_optimizer_keeps_the_structure() -> None:
    model = mlp()
    masks = masks_of(model)
    sparse = sparsify(model, masks, "sparse")
    optimizer = torch.optim.AdamW(sparse.parameters(), lr=0.1)
    sparse(torch.ones(3, 6)).square().sum().backward()
    optimizer.step()
    dense, found = densify(sparse)
    assert found == masks
    assert not dense[1].weight[~masks["1.weight"]].any()
    assert (dense[1].weight != model[1].weight).any()


def test_an_encoder_with_sparse_layers_takes_the_ordinary_way() -> None:
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    masks = masks_of(model)
    sparse = sparsify(model, masks, "sparse")
    avoid_fast_paths_(sparse)
    x, padded = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0)), torch.eye(2, 3).bool().flip(1)
    with torch.no_grad():
        expected = masks.apply_(copy.deepcopy(model)).train()(x, src_key_padding_mask=padded)
        torch.testing.assert_close(sparse(x, src_key_padding_mask=padded), expected)
    dense, _ = densify(sparse)
    assert dense.use_nested_tensor == model.use_nested_tensor
    assert dense.layers[0].activation_relu_or_gelu == model.layers[0].activation_relu_or_gelu == 1


def test_what_is_remembered() -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, -0.0]]))
    mask = torch.tensor([[True, True, False], [False, True, True]])
    remember_mask_(layer, "weight", mask)
    assert torch.equal(remembered_masks(copy.deepcopy(layer))["weight"], mask)
    with torch.no_grad():
        layer.weight[0, 2] = 1
    assert remembered_masks(layer)["weight"][0].all()


def test_convolutions_become_sparse() -> None:
    sparse = sparsify(convolutional(), masks_of(convolutional()), "sparse")
    assert type(sparse[0]) is SparseConv2d
    assert type(sparse[2]) is nn.Conv2d
