"""What is asked of single methods in the ranking, whatever their place."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sparsewire.experiments.comparable import paired
from sparsewire.experiments.initial_pruning.setup import accuracy
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.findings import Claim

TENTH: Final = 0.1
CLOSE: Final = 1.0  # point below dense
THOUSANDTH: Final = 0.001
UNTRAINED: Final = 85.0  # percent, without a trained weight
AHEAD: Final = 10.0  # points: a network with a layer gone can only guess


def claims_of(outcomes: Sequence[Outcome]) -> Iterator[Claim]:
    """Moving masks near dense, no collapsed layer under SynFlow, a good network without training.

    Numbers are compared on MNIST alone, and with LeNet-300-100: smaller ones are asked nothing.

    Args:
        outcomes: on one set of images.
    """
    is_meant = all(_is_meant(outcome.spec) for outcome in outcomes)
    yield from _near_dense(outcomes, is_meant)
    yield from _collapse(outcomes, is_meant)
    found = _of(outcomes, "edge_popup", 0.5)
    if found:
        ours = tuple(map(accuracy, found))
        label = "edge-popup at 50 %, no weight trained"
        yield Claim(label, UNTRAINED if is_meant else None, ours, 0.0, "%", 2, "at_least", True)


def _near_dense(outcomes: Sequence[Outcome], is_meant: bool) -> Iterator[Claim]:
    dense = _of(outcomes, "dense", 1.0)
    for method, name in (("rigl", "RigL"), ("set", "SET")):
        ours = paired(_of(outcomes, method, TENTH), dense, accuracy)
        if ours:
            yield Claim(f"dense − {name} at 10 %", CLOSE if is_meant else None, ours, 0.0, "points", 2, "at_most", True)


def _collapse(outcomes: Sequence[Outcome], is_meant: bool) -> Iterator[Claim]:
    """The thinnest layer of SynFlow holds something, that of the largest magnitudes nothing."""
    flow, large = _of(outcomes, "synflow", THOUSANDTH), _of(outcomes, "magnitude", THOUSANDTH)
    if flow:
        ours = tuple(map(_thinnest, flow))
        label = "SynFlow at 0.1 %: weights of the thinnest layer, smallest of all seeds"
        yield Claim(label, 1.0 if is_meant else None, (min(ours),), 0.0, "", 0, "at_least")
    if large:
        ours = tuple(map(_thinnest, large))
        label = "magnitude at 0.1 %: weights of the thinnest layer, largest of all seeds"
        yield Claim(label, 0.0 if is_meant else None, (max(ours),), 0.0, "", 0, "at_most")
    ours = paired(large, flow, accuracy)
    if ours:
        label = "SynFlow − magnitude at 0.1 %"
        yield Claim(label, AHEAD if is_meant else None, ours, 0.0, "points", 2, "at_least", True)


def _of(outcomes: Sequence[Outcome], method: str, density: float) -> list[Outcome]:
    found: list[Outcome] = []
    for outcome in outcomes:
        spec: Any = outcome.spec
        if (spec.method, spec.density) == (method, density):
            found.append(outcome)
    return found


def _thinnest(outcome: Outcome) -> float:
    return outcome.metrics["weights of the thinnest layer"]


def _is_meant(spec: Any) -> bool:
    return bool(spec.data == "mnist" and spec.hidden == (300, 100))
