"""Whether a genome's network is small and fast enough to be trained, known before it is."""

import math
import statistics
import time
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.search.building import phenotype
from sparsewire.search.costing import genome_cost
from sparsewire.search.freed_pages import pages_kept
from sparsewire.search.genotype import CONVOLUTIONS, Genome
from sparsewire.structure.blocks import whole

_SHARE = 8  # a step with this fraction of the batch is timed first: a hopeless genome is refused sooner


def check_limits(
    genome: Genome,
    input_shape: Sequence[int],
    classes: int,
    *,
    parameters: int | None = None,
    multiply_adds: int | None = None,
    memory: int | None = None,
    seconds: float | None = None,
    batch: int = 100,
) -> None:
    """Refuses a genome whose network would be too large or too slow; else nothing happens.

    The arguments are those of `exceeded`, which tells the same without an error.

    Raises:
        RequestError: what is exceeded, with what was found and what was allowed; or an argument that cannot be.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> check_limits(Genome((Vertex("conv3", 16),), ()), (3, 32, 32), 10, multiply_adds=500_000)
    """
    found = exceeded(
        genome, input_shape, classes, parameters=parameters, multiply_adds=multiply_adds, memory=memory,
        seconds=seconds, batch=batch,
    )  # fmt: skip
    if found:
        raise RequestError("; ".join(found))


def exceeded(
    genome: Genome,
    input_shape: Sequence[int],
    classes: int,
    *,
    parameters: int | None = None,
    multiply_adds: int | None = None,
    memory: int | None = None,
    seconds: float | None = None,
    batch: int = 100,
) -> tuple[str, ...]:
    """Which limits a genome's network exceeds, one line each; nothing is built unless `seconds` is asked for.

    Parameters and multiply-adds are exact, see `genome_cost`, and memory is its estimate for a training step. Seconds
    are measured, as `step_seconds` does, where nothing else is exceeded: on another machine, or a busy one, the answer
    may be another.

    Args:
        genome: of any size.
        input_shape: (channels, height, width) of an image, each at least 1.
        classes: how many logits, at least 1.
        parameters: how many numbers it may learn.
        multiply_adds: how many it may need for one image.
        memory: how many bytes a training step may need.
        seconds: how long a training step may take here and now.
        batch: images in a step, at least 1; only memory and seconds depend on it.

    Raises:
        RequestError: an argument cannot be: a limit that is not a positive number, a shape that is none, ….

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> exceeded(Genome((Vertex("conv7", 64),), ()), (3, 32, 32), 10, parameters=9000, multiply_adds=10**7)
        ('parameters: found 10,186, expected at most 9,000',)
    """
    images = whole("batch", batch, least=1)
    limits = {"parameters": parameters, "multiply_adds": multiply_adds, "memory": memory}
    allowed = {name: whole(name, limit, least=1) for name, limit in limits.items() if limit is not None}
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 < seconds < math.inf):
        raise RequestError(f"seconds: found {seconds!r}, expected a positive number")
    cost = genome_cost(genome, input_shape, classes)
    values = (cost.parameters, cost.multiply_adds, cost.training_bytes(images))
    needed = dict(zip(limits, values, strict=True))
    units = {"parameters": "", "multiply_adds": " for an image", "memory": f" bytes for {images:,} images"}
    found = [
        f"{name}: found {needed[name]:,}{units[name]}, expected at most {limit:,}"
        for name, limit in allowed.items()
        if needed[name] > limit
    ]
    if not found and seconds is not None:
        found += _too_slow(genome, input_shape, classes, images, seconds)
    return tuple(found)


def step_seconds(
    genome: Genome, input_shape: Sequence[int], classes: int, *, batch: int = 100, repeats: int = 3
) -> float:
    """How long a training step of the genome's network takes on this machine's processor now: the median of some.

    A step: forward, cross-entropy, backward, SGD with momentum, on random images, within `pages_kept`. One more goes
    before, untimed.

    Args:
        genome: of any size.
        input_shape: (channels, height, width) of an image, each at least 1.
        classes: how many logits, at least 1.
        batch: images in a step, at least 1; of images of 1 × 1 at least 2, as batch normalisation cannot learn from a
            single number a channel.
        repeats: steps that are timed, at least 1.

    Raises:
        RequestError: an argument cannot be, or one image is too little.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> step_seconds(Genome((Vertex("conv3", 2),), ()), (1, 8, 8), 10, batch=4) > 0
        True
    """
    count = whole("repeats", repeats, least=1)
    model = phenotype(genome, input_shape, classes)
    images = whole("batch", batch, least=1)
    if images == 1 and tuple(input_shape)[1:] == (1, 1) and _normalises(genome):
        raise RequestError(
            "batch: found 1 image of 1 × 1, a single number a channel, from which batch normalisation cannot learn; "
            "expected at least 2"
        )
    with pages_kept():
        taken = list(_steps(model, input_shape, classes, images, count + 1))
    return statistics.median(taken[1:])


def _normalises(genome: Genome) -> bool:
    return any(vertex.operation in CONVOLUTIONS for vertex in genome.vertices)


def _too_slow(genome: Genome, input_shape: Sequence[int], classes: int, batch: int, seconds: float) -> Iterator[str]:
    for images in sorted({min(batch, max(2, batch // _SHARE)), batch}):
        taken = step_seconds(genome, input_shape, classes, batch=images)
        if taken > seconds:
            yield f"seconds: found {taken:.3g} for a step of {images:,} images, expected at most {seconds:g}"
            return


def _steps(model: nn.Module, input_shape: Sequence[int], classes: int, batch: int, count: int) -> Iterator[float]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((batch, *input_shape), generator=generator)
    labels = torch.randint(classes, (batch,), generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(count):
        start = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield time.perf_counter() - start
