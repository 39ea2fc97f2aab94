"""What a layer gains by running sparse on this machine: the rows of `sparsewire bench`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparsewire.execution.contenders import SECONDS, measured
from sparsewire.execution.measuring import Timing
from sparsewire.execution.planning import verdict
from sparsewire.execution.roofline import Limits, least_seconds, work_of
from sparsewire.execution.subjects import Subject

Measure = Callable[[Subject, Sequence[int], bool], Sequence[Timing]]


@dataclass(frozen=True)
class Gain:
    """A dense layer of torch beside the sparse one, for one shape, density and batch.

    Args:
        inputs: of the layer.
        outputs: of the layer.
        density: live weights / weights.
        training: whether a training step was measured; else a forward pass.
        timing: what was measured.
        fraction: the least time that the machine's measured limits allow / the time of the sparse layer.
        verdict: what to do.

    Example:
        >>> gain = Gain(784, 300, 0.1, True, Timing(32, 3e-3, 1e-3, 3.0), 0.25, "sparse: 3.0× faster")
        >>> gain.shape, gain.as_dict()["ratio"]
        ('784x300', 3.0)
    """

    inputs: int
    outputs: int
    density: float
    training: bool
    timing: Timing
    fraction: float
    verdict: str

    @property
    def shape(self) -> str:
        """Inputs x outputs, as the command line takes it."""
        return f"{self.inputs}x{self.outputs}"

    def as_dict(self) -> dict[str, str | int | float]:
        """Plain values, for JSON."""
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "density": self.density,
            "batch": self.timing.batch,
            "pass": "training" if self.training else "inference",
            "dense_seconds": self.timing.dense,
            "sparse_seconds": self.timing.sparse,
            "ratio": self.timing.ratio,
            "fraction_of_limit": self.fraction,
            "verdict": self.verdict,
        }


def gains_of(
    shape: tuple[int, int],
    density: float,
    batches: Sequence[int],
    training: bool,
    limits: Limits,
    seconds: float = SECONDS,
    measure: Measure | None = None,
) -> list[Gain]:
    """What a linear layer gains, in float32, for each batch size.

    Args:
        shape: (inputs, outputs), each at least 1.
        density: live weights / weights, from 0 to 1.
        batches: batch sizes, each at least 1.
        training: training steps, else forward passes.
        limits: of this machine, with as many threads.
        seconds: how long each comparison may take.
        measure: how; None: side by side, now.

    Example:
        >>> limits = Limits(1, 1e11, 5e10, ((1 << 30, 1e10),), native=True)
        >>> by_hand = lambda subject, batches, training: [Timing(batch, 3e-3, 1e-3, 3.0) for batch in batches]
        >>> round(gains_of((784, 300), 0.1, [32], False, limits, measure=by_hand)[0].fraction, 4)
        0.0301
    """
    inputs, outputs = shape
    subject = Subject("Linear", (outputs, inputs), bias=True, density=density, dtype="float32", device="cpu")
    asked = measured(subject, batches, training, seconds) if measure is None else measure(subject, batches, training)
    found = []
    for timing in asked:
        work = work_of(outputs, inputs, round(density * inputs * outputs), timing.batch, training=training)
        choice, why = verdict([timing])
        told = f"sparse: {why}" if choice == "sparse" else f"use dense: {why.rpartition(': ')[2]}"
        fraction = least_seconds(work, limits) / timing.sparse
        found.append(Gain(inputs, outputs, density, training, timing, fraction, told))
    return found
