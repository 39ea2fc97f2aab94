"""Which outcomes may be compared with each other, and seed by seed."""

from sparsewire.experiments.comparable import families, paired
from sparsewire.experiments.predefined.mnist_dense import MnistSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import run_id


def outcome(spec: MnistSpec, seed: int, accuracy: float) -> Outcome:
    return Outcome(spec, seed, "done", None, 1.0, {"accuracy": accuracy}, {})


def accuracy(one: Outcome) -> float:
    return one.metrics["accuracy"]


def test_differences_are_of_one_seed_and_in_the_order_of_the_seeds() -> None:
    spec = MnistSpec()
    a = [outcome(spec, seed, value) for seed, value in ((2, 10.0), (0, 20.0), (1, 30.0))]
    b = [outcome(spec, seed, value) for seed, value in ((0, 21.0), (5, 0.0), (2, 13.0))]
    assert paired(a, b, accuracy) == (1.0, 3.0)
    assert paired(a, [], accuracy) == ()


def test_a_family_differs_in_the_named_fields_alone() -> None:
    specs = [MnistSpec(), MnistSpec(fan_outs=(28, 10)), MnistSpec(epochs=1), MnistSpec(epochs=1, execution="masked")]
    outcomes = [outcome(spec, 0, 0.0) for spec in specs]
    found = families(outcomes, "fan_outs", "execution")
    assert [[one.spec for one in family] for family in found.values()] == [specs[:2], specs[2:]]
    assert list(families(outcomes[:2], "fan_outs", name=lambda spec: "a")) == ["a"]
    assert list(families(outcomes, "fan_outs", "execution", name=lambda spec: "a")) == [
        f"a, as {run_id(MnistSpec())}",
        f"a, as {run_id(MnistSpec(epochs=1))}",
    ]
