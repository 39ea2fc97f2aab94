"""Loops of pruning and retraining: laws, the slow loop by hand, rewinding, and going on after a kill."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from tests.training.shelf import Shelf, Stopped
from torch import nn
from torch.utils.data import TensorDataset

import sparsewire as sw
from sparsewire.errors import CheckpointError, RequestError
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.models.zoo import mlp
from sparsewire.structure import schedules
from sparsewire.structure.masks import Masks
from sparsewire.structure.score_buckets import bucket
from sparsewire.training import stop_rules
from sparsewire.training.iterating import iterate
from sparsewire.training.iterations import Iterations
from sparsewire.training.judging import evaluate
from sparsewire.training.loop import fit
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.retraining import Retraining
from sparsewire.training.rewinding import kept_weights

SOURCE = torch.Generator().manual_seed(0)
INPUTS = torch.rand(60, 6, generator=SOURCE)
LABELS = INPUTS[:, :4].argmax(1)
DATA = INPUTS, LABELS
SEQUENCES = torch.randint(6, (60, 5), generator=SOURCE), LABELS


def chain() -> nn.Module:
    return mlp((6, 12, 8, 4), generator=torch.Generator().manual_seed(1))


def gru() -> nn.Module:
    return SequenceClassifier("gru", 6, 8, 4, 1, symbols=6, generator=torch.Generator().manual_seed(4))


def convolution() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Flatten(), nn.Linear(24, 4),
        )  # fmt: skip


def stored_sparse() -> nn.Module:
    model = chain()
    return sw.sparsify(model, sw.prune(model, score="magnitude", density=0.8), plan="sparse")


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02)


def halving(epoch: int) -> float:
    return 0.1 * 0.5**epoch


def seeded(seed: int = 9) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loop(model: nn.Module, data: Any = DATA, **options: Any) -> Iterations:
    given = {"densities": [0.5, 0.25], "optimizer": momentum, "batch_size": 10, "generator": seeded()}
    return iterate(model, data, **(given | options))


CASES: dict[str, dict[str, Any]] = {
    "kept": {},
    "fresh": {"retrain": Retraining(1, fresh=True)},
    "adam": {"optimizer": adam, "score": "random"},
    "variable": {"retrain": Retraining(5, gain=0.02)},
    "rates": {"retrain": Retraining(2, rate=halving), "first": 2},
    "rate": {"retrain": Retraining(2, rate=halving), "rewind": "rate", "first": 1},
    "start": {"rewind": "start", "first": 2},
    "epoch": {"rewind": 1, "first": 2, "retrain": Retraining(2, rate=halving)},
    "step": {"rewind": "step 7", "first": 2},
    "no control": {"control": False},
    "sparse": {"sparse": "sparse", "retrain": Retraining(2, fresh=True)},
    "sparse layers": {"model": stored_sparse, "densities": [0.5, 0.2], "rewind": "start", "first": 1},
    "sparse layers, kept": {"model": stored_sparse, "densities": [0.5, 0.2], "optimizer": adam},
    "buckets": {"densities": schedules.buckets(2.0), "steps": 2},
    "neurons": {"pattern": "neurons", "score": "neuron_l2"},
    "convolution": {"model": convolution, "rewind": "start", "first": 1},
    "recurrent": {"model": gru, "data": SEQUENCES, "only": "h2h", "clip_norm": 1.0},
}


def of_case(name: str, **more: Any) -> tuple[nn.Module, Iterations]:
    case = dict(CASES[name])
    model = case.pop("model", chain)()
    return model, loop(model, case.pop("data", DATA), **(case | more))


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str) -> None:
    seen: list[int] = []
    model, found = of_case(name, on_step=lambda model, done: seen.append(len(done)))
    assert seen == [1, 2]
    assert len(found) == 2
    assert found.masks == found[-1].masks
    for earlier, later in itertools.pairwise([one.masks for one in found]):
        assert (earlier & later) == later  # nested
    dense, _ = sw.densify(model)
    for weight, mask in zip(found.masks.weights_of(dense).values(), found.masks.values(), strict=True):
        assert not weight[~mask].any()
        assert weight[mask].count_nonzero()
    for one in found:
        assert one.control_steps == (0 if name == "no control" else one.steps)
        assert (one.control is None) == (name == "no control")
        assert one.steps == 6 * one.epochs
        assert one.left == one.masks.count
    assert found[1].before == found[0].retrained
    assert found[0].before == found.base
    # The weights are those that were judged (a sparse copy, and a batch's end, may round otherwise).
    data = CASES[name].get("data", DATA)
    assert evaluate(model, data).accuracy == pytest.approx(found[-1].accuracy, abs=1e-9)


@pytest.mark.parametrize("name", ["adam", "rates", "start", "buckets", "recurrent"])
def test_the_same_generator_gives_the_same_bits(name: str) -> None:
    model, found = of_case(name)
    again, same = of_case(name)
    _assert_same(model, again, found, same)


@pytest.mark.parametrize(("fresh", "rewinds"), [(False, False), (True, False), (True, True)])
def test_the_loop_by_hand(fresh: bool, rewinds: bool) -> None:
    model, hand = chain(), chain()
    retrain = Retraining(2, fresh=fresh and not rewinds, rate=halving)
    found = loop(model, retrain=retrain, first=1, rewind="start" if rewinds else None, score="random")

    generator = seeded()
    start = kept_weights(hand)
    networks = [(hand, momentum(list(hand.parameters())))]

    def trained(network: nn.Module, optimizer: Any, seed: int, epochs: range) -> None:
        order = torch.Generator().manual_seed(seed)
        for epoch in epochs:
            for group in optimizer.param_groups:
                group["lr"] = halving(epoch)
            fit(network, DATA, optimizer=optimizer, epochs=1, batch_size=10, generator=order)

    def drawn() -> int:
        return int(torch.randint(2**62, (), generator=generator))

    trained(hand, networks[0][1], drawn(), range(1))
    base = evaluate(hand, DATA)
    control = chain()
    control.load_state_dict(hand.state_dict())
    other = momentum(list(control.parameters()))
    other.load_state_dict(copy.deepcopy(networks[0][1].state_dict()))  # it would share its memory
    networks.append((control, other))
    masks, judged, epoch = None, [], 1
    for density in (0.5, 0.25):
        masks = sw.prune(hand, score="random", density=density, masks=masks, generator=generator)
        masks.apply_(hand)
        pruned = evaluate(hand, DATA)
        seed = drawn()
        if rewinds:
            hand.load_state_dict(start)
            control.load_state_dict(start)
            epoch = 0
        if fresh:
            networks = [(network, momentum(list(network.parameters()))) for network in (hand, control)]
        trained(hand, SparseOptimizer(networks[0][1], hand, masks), seed, range(epoch, epoch + 2))
        trained(control, networks[1][1], seed, range(epoch, epoch + 2))
        epoch += 2
        judged.append((pruned, evaluate(hand, DATA), evaluate(control, DATA)))
    assert found.base == base
    assert [(one.pruned, one.retrained, one.control) for one in found] == judged
    assert found.masks == masks
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), hand.parameters(), strict=True))


@pytest.mark.parametrize("make", [chain, stored_sparse, convolution])
@pytest.mark.parametrize(("rewind", "epochs"), [("start", 0), (1, 1), ("step 6", 1)])
def test_rewound_weights_are_those_that_were_kept(make: Any, rewind: Any, epochs: int) -> None:
    """Without retraining the weights after the loop are the kept ones, on the mask."""
    model, other = make(), make()
    found = loop(model, rewind=rewind, first=2, retrain=Retraining(0))
    seed = int(torch.randint(2**62, (), generator=seeded()))
    fit(other, DATA, optimizer=momentum, epochs=epochs, batch_size=10, generator=seeded(seed))
    kept = kept_weights(other)
    assert found[-1].retrained == evaluate(model, DATA)
    for name, weight in kept_weights(model).items():
        expected = kept[name] * found.masks[name] if name in found.masks else kept[name]
        torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-6)  # routes may round otherwise


def test_weights_of_elsewhere_can_be_rewound_to() -> None:
    elsewhere = kept_weights(mlp((6, 12, 8, 4), generator=seeded(77)))
    model = chain()
    found = loop(model, rewind=elsewhere, retrain=Retraining(0))
    assert all(torch.equal(w, elsewhere[name] * found.masks[name]) for name, w in model.named_parameters()
               if name in found.masks)  # fmt: skip


@pytest.mark.parametrize(
    ("rewind", "expected"),
    [(None, [0, 1, 2, 3, 4, 5, 6]), ("rate", [0, 1, 2, 0, 1, 0, 1]), ("start", [0, 1, 2, 0, 1, 0, 1]),
     (2, [0, 1, 2, 2, 3, 2, 3]), ("step 7", [0, 1, 2, 1, 2, 1, 2])],
)  # fmt: skip
def test_epochs_are_counted_for_the_rates(rewind: Any, expected: list[int]) -> None:
    asked: list[int] = []

    def rate(epoch: int) -> float:
        asked.append(epoch)
        return 0.05

    loop(chain(), rewind=rewind, first=3, control=False, retrain=Retraining(2, rate=rate))
    assert asked == expected


def test_the_control_is_what_the_loop_would_be_without_pruning() -> None:
    for options in ({"first": 1}, {"rewind": 1, "first": 2}, {"retrain": Retraining(2, fresh=True)}):
        found = loop(chain(), densities=[1.0, 1.0], **options)
        assert [one.retrained for one in found] == [one.control for one in found]


def test_the_control_keeps_what_exists_at_the_start() -> None:
    model = chain()
    masks = sw.prune(model, score="magnitude", density=0.5)
    found = loop(model, densities=[0.5, 0.5], masks=masks)
    assert [one.masks for one in found] == [masks, masks]
    assert [one.retrained for one in found] == [one.control for one in found]


def test_only_what_was_selected_goes() -> None:
    found = loop(gru(), SEQUENCES, only="h2h", densities=schedules.relative(0.9))
    assert found.ended == "no weight is left that may go"
    densities = found.masks.densities()
    assert [name for name, density in densities.items() if density < 1] == [n for n in densities if "weight_hh" in n]


@pytest.mark.parametrize(
    ("densities", "lefts"),
    [
        (0.5, [100]),
        ([0.5], [100]),
        (torch.tensor([0.5, 0.1]), [100, 20]),
        (schedules.one_shot(0.1, begin=1), [200, 20]),
        (schedules.fixed_size(80, 200), [120, 40, 0]),
        (schedules.fixed_size(80, 200, until=1), [120, 40]),
        (schedules.relative(0.5, density=0.2), [100, 50, 40]),
        (schedules.cubic(0.2, until=2), [200, 60, 40]),
        (schedules.cosine(0.2, until=2), [200, 120, 40]),
        (schedules.exponential(0.25, until=2), [200, 100, 50]),
        (lambda step: [0.5, 0.4, None][step], [100, 80]),
        (lambda step, done: None if step == 2 else (done[-1].density if step else 1.0) / 2, [100, 50]),
    ],
)
def test_densities(densities: Any, lefts: list[int]) -> None:
    model = mlp((6, 16, 4), generator=seeded(1))  # 160 weights
    wide = mlp((10, 10, 10), generator=seeded(1))
    assert Masks.from_model(wide).total == 200
    del model
    data = torch.rand(10, 10, generator=seeded()), torch.arange(10)
    found = loop(wide, data, densities=densities, control=False, retrain=Retraining(0), stop=lambda done: None)
    assert [one.left for one in found] == lefts


def test_buckets_are_emptied_one_after_another() -> None:
    model = chain()
    found = loop(model, densities=schedules.buckets(3.0), retrain=Retraining(0), control=False)
    weights = torch.cat([chain().get_parameter(name).abs().flatten() for name in found.masks])
    left, lefts = sorted(weights.tolist()), []
    while left:
        room, before = 3.0, len(left)
        while left and left[0] <= room:
            room -= left.pop(0)
        if len(left) == before:
            break
        lefts.append(len(left))
    assert [one.left for one in found] == lefts
    assert loop(chain(), densities=schedules.buckets(1e-9), masks=Masks.from_model(chain())).ended.startswith(
        "no weight fits"
    )


def test_random_scores_fill_buckets_with_what_was_drawn() -> None:
    found = loop(chain(), score="random", densities=schedules.buckets(2.0), steps=2, control=False)
    assert found[0].left > found[1].left > 0


@pytest.mark.parametrize(
    ("stop", "steps", "reason"),
    [
        (stop_rules.few_left(60), 2, "50 weights are left, no more than 60"),
        (stop_rules.empty_layer(), 1, "'2.weight' became empty"),
        ([stop_rules.few_left(60), stop_rules.empty_layer()], 1, "'2.weight' became empty"),
        (lambda done: len(done) == 3 and "enough", 3, "enough"),
        (lambda done: len(done) >= 3, 3, "said so"),
    ],
)
def test_rules_end_a_loop(stop: Any, steps: int, reason: str) -> None:
    model = mlp((6, 20, 4), generator=seeded(1))
    assert Masks.from_model(model).total == 200
    with torch.no_grad():
        model.get_parameter("2.weight").mul_(1e-3)  # all of them are among the weaker half
    found = loop(model, densities=schedules.relative(0.5), stop=stop, control=False, retrain=Retraining(0))
    assert reason in found.ended
    assert len(found) == steps


def test_a_drop_ends_a_loop() -> None:
    found = loop(chain(), first=20, densities=schedules.relative(0.5), stop=stop_rules.dropped(0.15), control=False)
    assert found.ended.startswith("the accuracy dropped by")
    drops = [found.base.accuracy - accuracy for accuracy in found.accuracies]
    assert drops[-1] > 0.15 >= max(drops[:-1], default=0)


def test_a_loop_of_so_many_steps() -> None:
    found = loop(chain(), densities=lambda step: 0.5, steps=3)
    assert len(found) == 3
    assert found.ended == "all steps are done"


def test_retraining_ends_when_little_is_gained() -> None:
    found = loop(chain(), retrain=Retraining(9, gain=0.02), validation=DATA)
    for one in found:
        gains = [b - a for a, b in itertools.pairwise([one.pruned.accuracy, *one.accuracies])]
        assert len(gains) == one.epochs
        assert all(gain >= 0.02 for gain in gains[:-1])
        assert gains[-1] < 0.02 or one.epochs == 9
        assert one.control_steps == one.steps


def test_a_score_looks_at_evidence() -> None:
    seen: list[Any] = []

    class Looks(sw.scores.ModelScore):
        def __call__(self, question: Any) -> Any:
            seen.append(question.data)
            return {name: weight.abs() for name, weight in question.weights.items()}

    few = INPUTS[:5], LABELS[:5]
    loop(chain(), score=Looks(), evidence=few, densities=0.5)
    loop(chain(), score=Looks(), densities=0.5)
    assert [len(data[0]) for data in seen] == [5, 60]


def test_sparse_layers_where_the_plan_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SPARSEWIRE_CACHE", str(tmp_path))
    model, plain = chain(), chain()
    options: dict[str, Any] = {"retrain": Retraining(1, fresh=True), "control": False, "densities": [0.3, 0.2]}
    found, masked = loop(model, sparse=True, **options), loop(plain, **options)
    assert type(model) is type(plain)
    assert found.masks == masked.masks
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"densities": []}, "densities: found none"),
        ({"densities": [0.2, 0.5]}, r"densities\[1\]: found 0.5 after 0.2"),
        ({"densities": [1.5]}, r"densities\[0\]: found 1.5"),
        ({"densities": math.nan}, r"densities\[0\]: found nan"),
        ({"densities": True}, r"densities\[0\]: found True"),
        ({"densities": "cubic"}, "densities: found 'cubic'"),
        ({"densities": None}, "densities: found None"),
        ({"densities": lambda step: 0.5}, "does not say where it ends"),
        ({"densities": schedules.relative(0.0)}, "does not say where it ends"),
        ({"densities": lambda step: 2, "steps": 1}, r"densities\(0\): found 2"),
        ({"densities": schedules.cubic}, "densities: found <class"),
        ({"optimizer": momentum(chain().parameters())}, "optimizer: found SGD"),
        ({"optimizer": None}, "optimizer: found NoneType"),
        ({"optimizer": lambda parameters: momentum(chain().parameters())}, "optimizer: found no parameter"),
        ({"retrain": 2}, "retrain: found 2"),
        ({"rewind": "begin"}, "rewind: found 'begin'"),
        ({"rewind": 3, "first": 2}, "give it first=3 or more"),
        ({"rewind": "step 13", "first": 2}, "give it first=3 or more"),
        ({"rewind": True}, "rewind: found True"),
        ({"rewind": 0.5}, "rewind: found 0.5"),
        ({"rewind": -1}, "rewind: found -1"),
        ({"rewind": "rate"}, "rewind: found 'rate', but retrain has no rule"),
        ({"rewind": {}}, "rewind: found no weights"),
        ({"rewind": {"x": 1}}, "rewind: found int for 'x'"),
        ({"rewind": {"x": torch.ones(1)}}, "x"),
        ({"first": -1}, "first: found -1"),
        ({"steps": 0}, "steps: found 0"),
        ({"control": None}, "control: found None"),
        ({"sparse": "all"}, "sparse: found 'all'"),
        ({"sparse": True}, "say retrain=Retraining"),
        ({"stop": 5}, "stop: found 5"),
        ({"stop": stop_rules.few_left}, "stop: found <class"),
        ({"on_step": 1}, "on_step: found 1"),
        ({"generator": 3}, "generator: found 3"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"score": "size"}, "size"),
        ({"densities": schedules.buckets(1.0), "pattern": "neurons"}, "pattern: found 'neurons'"),
        ({"densities": [0.5], "masks": "all"}, "masks: found str"),
    ],
)  # fmt: skip
def test_impossible_arguments(options: dict[str, Any], message: str) -> None:
    model = chain()
    before = kept_weights(model)
    with pytest.raises(RequestError, match=message):
        loop(model, **options)
    if "score" not in options and "rewind" not in options:
        assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_a_gain_needs_classes() -> None:
    model = nn.Linear(6, 1)
    with pytest.raises(RequestError, match="gain: found labels that are no classes"):
        loop(model, (INPUTS, INPUTS[:, :1]), loss=nn.MSELoss(), retrain=Retraining(2, gain=0.1))
    found = loop(model, (INPUTS, INPUTS[:, :1]), loss=nn.MSELoss(), densities=[0.5])
    assert math.isnan(found[0].accuracy)
    assert found.best(density=0.6) is None


# ---- going on after a kill


def looks_of(name: str, **more: Any) -> int:
    shelf = Shelf()
    of_case(name, checkpoints=shelf, **more)
    return shelf.looks


def _assert_same(model: nn.Module, again: nn.Module, found: Iterations, same: Iterations) -> None:
    def timeless(done: Iterations) -> list[Any]:
        return [
            {name: value for name, value in vars(one).items() if "seconds" not in name} for one in done
        ]  # fmt: skip

    assert timeless(same) == timeless(found)
    assert (same.base, same.ended) == (found.base, found.ended)
    state, other = model.state_dict(), again.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("name", CASES)
def test_a_loop_goes_on_to_the_same_bits(name: str) -> None:
    """Stopped within every phase, several times in one run, and everything made anew each time."""
    model, found = of_case(name)
    looks = looks_of(name)
    stops = tuple(range(2, looks + 1, max(1, looks // 4)))
    shelf = Shelf(stops)
    for _ in range(len(stops) + 1):
        try:
            again, same = of_case(name, checkpoints=shelf)
            break
        except Stopped:
            continue
    _assert_same(model, again, found, same)
    assert shelf.looks >= looks


@pytest.mark.parametrize("name", ["rates", "sparse layers, kept"])
def test_each_place_to_stop_at(name: str) -> None:
    model, found = of_case(name)
    for stop in range(1, looks_of(name) + 1, 9):
        shelf = Shelf((stop,))
        with pytest.raises(Stopped):
            of_case(name, checkpoints=shelf)
        again, same = of_case(name, checkpoints=shelf)
        _assert_same(model, again, found, same)


def test_steps_before_a_kill_are_not_told_again() -> None:
    looks = looks_of("kept")
    shelf, told = Shelf((looks - 2,)), []
    with pytest.raises(Stopped):
        of_case("kept", checkpoints=shelf, on_step=lambda model, done: told.append(len(done)))
    of_case("kept", checkpoints=shelf, on_step=lambda model, done: told.append(len(done)))
    assert told == [1, 2]


def test_checkpoints_of_something_else_are_refused() -> None:
    shelf = Shelf((3,))
    with pytest.raises(Stopped):
        fit(chain(), DATA, optimizer=momentum, epochs=1, batch_size=10, checkpoints=shelf)
    with pytest.raises(CheckpointError, match="not a loop's"):
        loop(chain(), checkpoints=shelf)
    shelf = Shelf((20,))
    with pytest.raises(Stopped):
        loop(chain(), checkpoints=shelf)
    with pytest.raises(CheckpointError):
        loop(mlp((6, 9, 4), generator=seeded()), checkpoints=shelf)


# ---- what the review of the loop found


@pytest.mark.parametrize("score", ["magnitude", "random"])
def test_buckets_of_a_gate(score: str) -> None:
    """The density is that of the rows which are meant, not of the whole stacked weight."""
    model = gru()
    weights = torch.cat([
        part.detach()[-len(part) // 3 :].abs().flatten()
        for name, part in model.named_parameters() if "weight_ih" in name or "weight_hh" in name
    ])  # fmt: skip
    size = float(weights.sum()) / 5
    options: dict[str, Any] = {"retrain": Retraining(0), "control": False, "only": "gate:new", "steps": 1}
    [done] = loop(model, SEQUENCES, densities=schedules.buckets(size), score=score, **options)
    new = torch.cat([mask[-len(mask) // 3 :].flatten() for name, mask in done.masks.items() if "weight_" in name])
    assert done.asked == int(new.sum()) / len(new)
    if score == "magnitude":
        assert int(new.sum()) == bucket(weights, size)


@pytest.mark.parametrize("score", ["magnitude", "random"])
def test_buckets_of_convolutions(score: str) -> None:
    """Random scores are one a unit: of a kernel's weights a matrix."""
    found = loop(convolution(), densities=schedules.buckets(2.0), score=score, steps=2, control=False)
    assert Masks.from_model(convolution()).count > found[0].left > found[1].left > 0
    assert [one.left for one in found] == [round(one.asked * one.masks.total) for one in found]


def test_a_first_bucket_that_nothing_fits() -> None:
    found = loop(chain(), densities=schedules.buckets(0.0))
    assert len(found) == 0
    assert found.ended.startswith("no weight fits")


@pytest.mark.parametrize("score", ["obd", "taylor"])
def test_scores_look_at_a_dataset_too(score: str) -> None:
    random = torch.get_rng_state()
    found = loop(chain(), TensorDataset(*DATA), score=score)
    assert torch.equal(torch.get_rng_state(), random)
    assert [one.masks for one in found] == [one.masks for one in loop(chain(), DATA, score=score)]
