"""How much faster a chain of sparse dense layers is expected to be, from what is known of such layers here."""

from itertools import pairwise

from sparsewire.execution.contenders import largest_gain, measured
from sparsewire.execution.machine import machine
from sparsewire.execution.planning import Measure, verdict, with_cache
from sparsewire.execution.subjects import Subject, class_of_density
from sparsewire.structure.splits import Split


def measured_here() -> Measure:
    """The plan's way: measured side by side on this machine once, and remembered in its cache file."""
    return with_cache(measured, machine())


def expected_speed(split: Split, batch: int, training: bool, measure: Measure) -> tuple[float, tuple[bool, ...]]:
    """How many times as fast as all dense the chain is, where each layer runs as the plan decides.

        Σ dense seconds / Σ seconds of the form that the plan chooses

    Activations, the loss and the optimizer are not in it.

    Args:
        split: how many edges each junction has.
        batch: samples in a batch.
        training: forward and backward, else forward.
        measure: how long a dense and a sparse layer take.

    Returns:
        The ratio, at least about 1; and of each junction whether it runs sparse.

    Example:
        >>> from sparsewire.execution.measuring import Timing
        >>> thrice = lambda subject, batches, training: [Timing(batch, 3e-3, 1e-3, 3.0) for batch in batches]
        >>> expected_speed(Split((8, 4, 2), (2, 2)), 32, True, thrice)  # 3 + 3 against 1 + 3: the second is whole
        (1.5, (True, False))
    """
    dense = chosen = 0.0
    runs_sparse = []
    for (n_in, n_out), density in zip(pairwise(split.sizes), split.densities, strict=True):
        subject = Subject("Linear", (n_out, n_in), True, class_of_density(density), "float32", "cpu")
        [timing] = measure(subject, (batch,), training)
        believed = density < 1 and timing.ratio <= largest_gain(subject.density)
        runs_sparse.append(believed and verdict([timing], training)[0] == "sparse")
        dense += timing.dense
        chosen += timing.dense / timing.ratio if runs_sparse[-1] else timing.dense
    return dense / chosen, tuple(runs_sparse)
