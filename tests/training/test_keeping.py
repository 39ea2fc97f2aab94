"""A training that is stopped anywhere and taken up again ends with the same bits: every route, optimizer and rule."""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from tests.training.shelf import Shelf, Stopped
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import sparsewire as sw
from sparsewire.errors import CheckpointError, RequestError
from sparsewire.kernels import native
from sparsewire.lab.checkpoint_folder import CheckpointFolder
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training import passes
from sparsewire.training.batches import feed
from sparsewire.training.history import Epoch, Evaluation, History, Route
from sparsewire.training.keeping import Keeping, Position
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.replicas import replicate
from sparsewire.training.state import State


class Drawing(Dataset[Any]):
    """Draws noise from the global streams, as augmentations do."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002
        return self.inputs[index] + 0.1 * noise, self.labels[index]


SOURCE = torch.Generator().manual_seed(0)
INPUTS = torch.rand(57, 6, generator=SOURCE)
LABELS = torch.randint(4, (57,), generator=SOURCE)
SEQUENCES = torch.randint(6, (57, 5), generator=SOURCE)


def chain() -> nn.Module:
    return mlp((6, 16, 12, 4), generator=torch.Generator().manual_seed(1))


def masks_of(model: nn.Module, density: float = 0.25) -> Masks:
    return sw.prune(model, score="magnitude", density=density)


def convolution() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.02, amsgrad=True)


def fused_adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02, fused=True)


def channels_last() -> nn.Module:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(30, 4),
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)


def set_rule() -> Any:
    source = torch.Generator().manual_seed(5)

    class Moves:
        """Drops and grows at random every third step; remembers its generator."""

        when, dense = "before", False

        def __call__(
            self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
        ) -> Masks | None:
            if step % 3:
                return None
            moved = {}
            for name, mask in masks.items():
                order = torch.rand(mask.numel(), generator=source).argsort()
                moved[name] = mask.flatten()[order].view_as(mask)
            return Masks(moved)

        def state_dict(self) -> dict[str, Any]:
            return {"source": source.get_state()}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            source.set_state(state["source"])

    return Moves()


def noisy(inputs: Tensor, generator: torch.Generator) -> Tensor:
    return inputs + 0.1 * torch.rand(inputs.shape, generator=generator)


CASES: dict[str, dict[str, Any]] = {
    "dense, update": {"route": "update", "model": chain, "optimizer": sgd},
    "dense, gradients": {"route": "gradients", "model": chain, "optimizer": adam},
    "dense, autograd": {"route": "autograd", "model": chain, "optimizer": momentum, "fused": False},
    "dense, amsgrad": {"route": "gradients", "model": chain, "optimizer": adamw},
    "masked, native": {"route": "native", "model": chain, "optimizer": sgd, "masked": True},
    "masked, native, momentum": {"route": "native", "model": chain, "optimizer": momentum, "masked": True},
    "masked, native, adam": {"route": "native", "model": chain, "optimizer": adam, "masked": True},
    "masked, moving": {"route": "gradients", "model": chain, "optimizer": adam, "masked": True, "rule": set_rule},
    "masked, autograd": {"route": "autograd", "model": chain, "optimizer": momentum, "masked": True, "fused": False},
    "clipped": {"route": "gradients", "model": chain, "optimizer": adam, "masked": True, "clip_norm": 0.5},
    "sparse, native": {"route": "native", "model": "sparse", "optimizer": adam},
    "sparse, momentum": {"route": "native", "model": "sparse", "optimizer": momentum},
    "sparse, autograd": {"route": "autograd", "model": "sparse", "optimizer": adam, "fused": False},
    "sparse, moving": {
        "route": "gradients",
        "model": "sparse",
        "optimizer": momentum,
        "masked": True,
        "rule": set_rule,
    },
    "convolution": {"route": "autograd", "model": convolution, "optimizer": adam},
    "convolution, masked": {"route": "autograd", "model": convolution, "optimizer": momentum, "masked": True},
    "recurrent": {"route": "native", "model": "gru", "optimizer": adam, "data": "sequences"},
    "recurrent, clipped": {"route": "native", "model": "lstm", "optimizer": sgd, "data": "sequences", "clip_norm": 0.3},
    "data set": {"route": "gradients", "model": chain, "optimizer": adam, "data": "drawing"},
    "tensor data set": {"route": "update", "model": chain, "optimizer": sgd, "data": "tensors"},
    "channels last": {"route": "autograd", "model": channels_last, "optimizer": adam},
    "channels last, fused": {"route": "autograd", "model": channels_last, "optimizer": fused_adam},
    "augmented": {"route": "gradients", "model": chain, "optimizer": adam, "augment": noisy},
    "augmented convolution": {"route": "autograd", "model": convolution, "optimizer": momentum, "augment": noisy},
    "validated": {"route": "update", "model": chain, "optimizer": sgd, "validation": (INPUTS, LABELS)},
}


def made(kind: Any) -> nn.Module:
    if kind == "sparse":
        model = chain()
        masks = masks_of(model)
        return sw.sparsify(model, masks, plan="sparse")
    if kind in ("gru", "lstm"):
        return SequenceClassifier(kind, 6, 8, 4, 2, symbols=6, generator=torch.Generator().manual_seed(4))
    return kind()  # type: ignore[no-any-return]


def trained(case: Mapping[str, Any], shelf: Shelf | None, **more: Any) -> tuple[nn.Module, Any, History]:
    options = {key: value for key, value in case.items() if key in ("fused", "clip_norm", "validation", "augment")}
    data: Any = {
        "sequences": (SEQUENCES, LABELS),
        "drawing": Drawing(INPUTS, LABELS),
        "tensors": TensorDataset(INPUTS, LABELS),
    }.get(case.get("data", ""), (INPUTS, LABELS))
    model = made(case["model"])
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    optimizer = case["optimizer"](list(model.parameters()))
    if case.get("masked"):
        masks = Masks.from_model(model) if case["model"] == "sparse" else masks_of(model)
        optimizer = SparseOptimizer(optimizer, model, masks, case["rule"]() if "rule" in case else None)
    history = fit(
        model, data, optimizer=optimizer, epochs=3, batch_size=10, checkpoints=shelf,
        generator=torch.Generator().manual_seed(9), **options, **more,
    )  # fmt: skip
    return model, optimizer, history


def until_done(case: Mapping[str, Any], shelf: Shelf, **more: Any) -> tuple[nn.Module, Any, History]:
    for _ in range(len(shelf.stops) + 1):
        try:
            return trained(case, shelf, **more)
        except Stopped:
            continue
    raise AssertionError("it did not come to an end")


def assert_same(one: tuple[nn.Module, Any, History], other: tuple[nn.Module, Any, History]) -> None:
    assert_equal(dict(one[0].state_dict()), dict(other[0].state_dict()), "model")
    assert_equal(one[1].state_dict(), other[1].state_dict(), "optimizer")
    first, second = ([(*epoch[:3], *epoch[4:]) for epoch in history.epochs] for history in (one[2], other[2]))
    assert repr(first) == repr(second)
    assert one[2].masks == other[2].masks


def assert_equal(one: Any, other: Any, where: str) -> None:
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype, where
        assert one.shape == other.shape, where
        assert one.contiguous().flatten().view(torch.uint8).equal(other.contiguous().flatten().view(torch.uint8)), where
    elif isinstance(one, Mapping):
        assert list(one) == list(other), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, value in enumerate(one):
            assert_equal(value, other[index], f"{where}.{index}")
    else:
        assert one == other, where


WHOLE: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native calls of two steps, so that there is something between them."""
    monkeypatch.setattr(passes, "_FIRST_STEPS", 2)
    monkeypatch.setattr(passes, "_CALL_SECONDS", 0.0)


def whole(name: str) -> tuple[nn.Module, Any, History]:
    if name not in WHOLE:
        WHOLE[name] = trained(CASES[name], None)
    return WHOLE[name]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stops", [(1,), (2, 5), (3, 4, 9), (6,)])
def test_stopped_and_taken_up_it_ends_with_the_same_bits(name: str, stops: tuple[int, ...]) -> None:
    assert_same(until_done(CASES[name], Shelf(stops)), whole(name))


@pytest.mark.parametrize("name", CASES)
def test_the_cases_go_the_ways_that_they_are_named_for(name: str) -> None:
    if native.is_at_hand():
        assert {epoch.route for epoch in whole(name)[2].epochs} == {CASES[name]["route"]}


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(CASES)), stops=st.sets(st.integers(1, 21), min_size=1, max_size=4))
def test_wherever_it_is_stopped(name: str, stops: set[int]) -> None:
    assert_same(until_done(CASES[name], Shelf(tuple(stops))), whole(name))


def test_a_scheduler_is_kept_with_it() -> None:
    def run(shelf: Shelf | None) -> tuple[list[float], list[Tensor]]:
        model = chain()
        optimizer = sgd(model.parameters())
        scheduler = torch.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 1 / (1 + epoch))
        fit(
            model, (INPUTS, LABELS), optimizer=optimizer, epochs=4, batch_size=10, checkpoints=shelf,
            stateful={"scheduler": scheduler}, on_epoch=lambda *_: scheduler.step() and None,
        )  # fmt: skip
        return scheduler.get_last_lr(), [weight.detach().clone() for weight in model.parameters()]

    shelf = Shelf((9, 16))
    for _ in range(2):
        with pytest.raises(Stopped):
            run(shelf)
    rates, weights = run(shelf)
    expected_rates, expected = run(None)
    assert rates == expected_rates
    assert all(map(torch.equal, weights, expected))


@pytest.mark.parametrize("name", ["a rule's", "torch's own"])
def test_a_generator_that_others_draw_from_too_is_kept(name: str) -> None:
    def run(shelf: Shelf | None) -> dict[str, Tensor]:
        source = torch.default_generator if name == "torch's own" else torch.Generator()

        class Moves:
            when, dense = "before", False

            def __call__(self, step: int, masks: Masks, *_: Any) -> Masks:
                draws = {name: torch.rand(mask.numel(), generator=source) for name, mask in masks.items()}
                return Masks({n: mask.flatten()[draws[n].argsort()].view_as(mask) for n, mask in masks.items()})

            def state_dict(self) -> dict[str, Any]:
                return {"source": source.get_state()}

            def load_state_dict(self, state: dict[str, Any]) -> None:
                source.set_state(state["source"])

        model = chain()
        source.manual_seed(3)
        fit(
            model, (INPUTS, LABELS), optimizer=adam, epochs=3, batch_size=10, checkpoints=shelf, masks=masks_of(model),
            rule=Moves(), generator=source,
        )  # fmt: skip
        return dict(model.state_dict())

    expected = run(None)
    for stop in (2, 6, 7, 11):  # within an epoch, after its last step, after it, within the next
        shelf = Shelf((stop,))
        with pytest.raises(Stopped):
            run(shelf)
        assert_equal(run(shelf), expected, f"{name}, stopped at {stop}")


def exponential(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: np.exp(-epoch))  # NumPy's float64


def in_sequence(optimizer: Any) -> Any:
    schedulers = torch.optim.lr_scheduler
    warm, later = schedulers.ConstantLR(optimizer, 0.5, 2), schedulers.MultiStepLR(optimizer, [1, 1])  # has a Counter
    return schedulers.SequentialLR(optimizer, [warm, later], milestones=[2])


@pytest.mark.filterwarnings("ignore:.*epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("make", [exponential, in_sequence])
def test_what_schedulers_hold_is_kept(make: Any) -> None:
    def run(shelf: Shelf | None) -> dict[str, Tensor]:
        model = chain()
        optimizer = torch.optim.SGD(model.parameters(), lr=np.logspace(-2, 0, 3)[1])
        scheduler = make(optimizer)
        fit(
            model, (INPUTS, LABELS), optimizer=optimizer, epochs=4, batch_size=10, checkpoints=shelf,
            stateful={"scheduler": scheduler}, on_epoch=lambda *_: scheduler.step() and None,
        )  # fmt: skip
        return dict(model.state_dict())

    shelf = Shelf((9,))
    with pytest.raises(Stopped):
        run(shelf)
    assert_equal(run(shelf), run(None), "model")


def test_gpus_that_nobody_uses_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [torch.zeros(16, dtype=torch.uint8)] * 2)
    for is_used in (False, True):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda used=is_used: used)
        shelf = Shelf((3,))
        with pytest.raises(Stopped):
            trained(CASES["dense, update"], shelf)
        assert shelf.kept is not None
        assert ("streams/cuda/1" in load(shelf.kept[0])) == is_used
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)  # it goes on where there are fewer
        assert_same(trained(CASES["dense, update"], shelf), whole("dense, update"))


def test_more_epochs_go_on_where_fewer_ended() -> None:
    shelf = Shelf()
    shelf.is_due = lambda: True  # type: ignore[method-assign]
    keep = shelf.save

    def save(state: State) -> None:
        with pytest.raises(Stopped):
            keep(state)

    shelf.save = save  # type: ignore[method-assign]
    case = CASES["masked, native, adam"]
    short, long = ({**case, "optimizer": adam} for _ in range(2))
    trained(short, shelf)
    model = made(long["model"])
    optimizer = SparseOptimizer(adam(list(model.parameters())), model, masks_of(model))
    order = torch.Generator().manual_seed(9)
    history = fit(
        model, (INPUTS, LABELS), optimizer=optimizer, epochs=5, batch_size=10, checkpoints=shelf, generator=order
    )
    other = made(case["model"])
    one = SparseOptimizer(adam(list(other.parameters())), other, masks_of(other))
    order = torch.Generator().manual_seed(9)
    whole = fit(other, (INPUTS, LABELS), optimizer=one, epochs=5, batch_size=10, generator=order)
    assert_same((model, optimizer, history), (other, one, whole))


def test_what_on_epoch_ended_stays_ended() -> None:
    calls: list[int] = []

    def run(shelf: Shelf) -> History:
        model = chain()
        return fit(
            model, (INPUTS, LABELS), optimizer=sgd, epochs=9, batch_size=10, checkpoints=shelf,
            on_epoch=lambda epoch, *_: calls.append(epoch) or epoch == 2,
        )  # fmt: skip

    shelf = Shelf((14,))  # six steps and one look after each epoch
    with pytest.raises(Stopped):
        run(shelf)
    assert len(run(shelf)) == 2
    assert calls == [1, 2]


def test_data_with_an_order_of_its_own_is_refused() -> None:
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=10, shuffle=True)
    with pytest.raises(RequestError, match="give the tensors or the Dataset itself"):
        fit(chain(), loader, optimizer=sgd, epochs=1, checkpoints=Shelf())


def test_another_training_is_refused() -> None:
    shelf = Shelf((3,))
    with pytest.raises(Stopped):
        trained(CASES["dense, update"], shelf)
    with pytest.raises(CheckpointError, match="with 6 steps an epoch"):
        fit(chain(), (INPUTS, LABELS), optimizer=sgd, epochs=3, batch_size=20, checkpoints=shelf)
    with pytest.raises(CheckpointError, match="does not fit this training"):
        fit(mlp((6, 5, 4)), (INPUTS, LABELS), optimizer=sgd, epochs=3, batch_size=10, checkpoints=shelf)
    with pytest.raises(CheckpointError, match="nothing was kept of"):
        trained(CASES["dense, update"], shelf, stateful={"scheduler": shelf})


def several(shelves: list[Shelf | None], numbers: list[int]) -> dict[int, dict[str, Tensor]]:
    """Networks of several seeds, trained side by side."""
    models = [mlp((6, 16, 12, 4), generator=torch.Generator().manual_seed(number)) for number in numbers]
    replicate(
        models, (INPUTS, LABELS), optimizer=adam, epochs=3, batch_size=10, masks=[masks_of(model) for model in models],
        generators=[torch.Generator().manual_seed(number) for number in numbers], checkpoints=shelves,
    )  # fmt: skip
    return {number: dict(model.state_dict()) for number, model in zip(numbers, models, strict=True)}


def test_networks_that_were_trained_side_by_side_may_go_on_in_other_company() -> None:
    expected = several([None] * 4, [0, 1, 2, 3])
    shelves: list[Shelf | None] = [Shelf((number + 2,)) for number in range(4)]
    left = [0, 1, 2, 3]
    rounds = 0
    while True:  # whoever stops, stops all: some with a checkpoint, some with none
        rounds += 1
        try:
            found = several([shelves[number] for number in left], left)
            break
        except Stopped:
            left = left[::-1]
    assert rounds > 2
    for number in left:
        assert_equal(found[number], expected[number], f"model {number}")
    alone = several([shelves[2]], [2])  # its last checkpoint, by itself
    assert_equal(alone[2], expected[2], "model 2 alone")


def test_networks_that_are_asked_to_stop_side_by_side_keep_all_of_them() -> None:
    class Asked(BaseException):
        pass

    class Obeying(Shelf):
        def save(self, state: State) -> None:
            with pytest.raises(Stopped):
                super().save(state)
            raise Asked

    shelves: list[Shelf | None] = [Obeying((2,)) for _ in range(3)]
    with pytest.raises(Asked):
        several(shelves, [0, 1, 2])
    assert all(shelf is not None and shelf.kept is not None for shelf in shelves) == native.is_at_hand()
    if native.is_at_hand():
        expected = several([None] * 3, [0, 1, 2])
        assert_equal(several(shelves, [0, 1, 2]), expected, "models")


def test_a_hundred_thousand_epochs_can_be_kept(tmp_path: Path) -> None:
    def keeping() -> Keeping:
        model, order = chain(), torch.Generator()
        return Keeping(CheckpointFolder(tmp_path), model, sgd(model.parameters()), order, feed((INPUTS, LABELS), 10))

    judged = (None, Evaluation(0.3, math.nan, 0), Evaluation(0.1, 0.5, 10**9))
    routes: tuple[Route, ...] = ("autograd", "gradients", "update", "native")
    history = History(tuple(Epoch(n, 6, 1 / n, 0.1 * n, judged[n % 3], routes[n % 4]) for n in range(1, 120_001)), None)
    one = keeping()
    one.begin(history)
    one.save(Position(120_001))
    assert repr(keeping().restored()[0].epochs[-5:]) == repr(history.epochs[-5:])
    assert len(keeping().restored()[0]) == 120_000
