"""How long a genome's network takes for a batch of images: measured, for searches that want little of it."""

import time
from collections.abc import Callable
from typing import Final

import torch

from sparsewire.experiments.hidden_structures.search_setup import CLASSES, CandidateSpec, shape_of
from sparsewire.lab.trials.surroundings import threads
from sparsewire.search.building import phenotype
from sparsewire.search.freed_pages import pages_kept
from sparsewire.search.genotype import Genome

MEASURED: Final = "forward seconds"  # the metric
ABOUT_MEASURED: Final = (
    "a forward pass of a batch by one thread, the least of many, measured once, when the genome was trained; on "
    "another machine, or a busier one, it is another"
)
_BEFORE: Final = 3  # passes that are not timed: the first ones ask for memory, and choose their kernels
_PASSES: Final = 15
_LONG: Final = 0.1  # seconds over which they are spread at least
_FINE: Final = 1e-6  # seconds; a clock that is coarser sees no pass


def forward_seconds(spec: CandidateSpec, genome: Genome) -> float:
    """How long the genome's network takes for `spec.batch` random images: the least of 15 passes or more.

    A forward pass of a network that is used, not trained: no gradients, batch normalisation by its running averages.
    That is what remains of a genome once it is found; a step of training (`limits.step_seconds`) costs about three
    times as much and depends on the optimizer, too. The weights are those before training.

    On the CPU it is the time of one thread on a processor, whoever trains with how many threads. The least, as what
    else is at work can only add to it: on a machine with three processes a core the median was up to ten times as much.
    Three passes go before, untimed; the timed ones last a tenth of a second at least.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> forward_seconds(CandidateSpec(data="digits", batch=4), Genome((Vertex("conv3", 2),), ())) > 0
        True
    """
    shape = shape_of(spec)
    model = phenotype(genome, shape, CLASSES).to(spec.device).eval()
    images = torch.rand((spec.batch, *shape), generator=torch.Generator().manual_seed(0)).to(spec.device)

    def forward() -> None:
        model(images)
        if spec.device == "cuda":
            torch.cuda.synchronize()  # a pass there is only asked for, not waited for

    own = spec.device == "cpu" and time.get_clock_info("thread_time").resolution < _FINE
    with threads(1), torch.inference_mode(), pages_kept():
        return _least(forward, time.thread_time if own else time.perf_counter)


def _least(forward: Callable[[], None], clock: Callable[[], float]) -> float:
    for _ in range(_BEFORE):
        forward()
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < _PASSES or time.perf_counter() - begun < _LONG:
        start = clock()
        forward()
        taken.append(clock() - start)
    return min(taken)
