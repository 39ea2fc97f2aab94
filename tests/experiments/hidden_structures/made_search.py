"""Made-up trials of the search for architectures: every genome is worth what a formula says, and nothing is trained."""

import hashlib
from collections.abc import Callable

from sparsewire.errors import DivergedError
from sparsewire.experiments.hidden_structures.search_courses import follow
from sparsewire.experiments.hidden_structures.search_setup import CLASSES, CandidateSpec, shape_of
from sparsewire.experiments.hidden_structures.search_training import genome_of
from sparsewire.lab.experiment import Outcome
from sparsewire.search.costing import genome_cost
from sparsewire.search.genotype import Genome
from sparsewire.search.measures import features

SMALL = {
    "data": "digits", "images": 60, "validation": 40, "test_images": 40, "epochs": 2, "batch": 30,
    "most_multiply_adds": 500_000, "methods": ("genetic", "all_trained", "random"), "searches": 2, "trainings": 14,
    "population": 6, "least_tried": 6, "channels": (4, 8), "random_least_depth": 6, "random_most_depth": 12,
    "regressor": "bayesian_ridge",
}  # fmt: skip
Worth = Callable[[Genome], float]


def large(genome: Genome) -> float:
    """More, the more vertices a genome has, which mutations give it; with a little that nothing foretells."""
    noise = int(hashlib.sha256(genome.key.encode()).hexdigest()[:4], 16) / 2**16
    return min(100.0, len(genome) + noise)


def made(spec: CandidateSpec, worth: Worth = large, seed: int = 0) -> Outcome:
    """The outcome of a candidate, without a training; one whose worth cannot be found has diverged."""
    genome = genome_of(spec)
    cost = genome_cost(genome, shape_of(spec), CLASSES)
    metrics = {
        **features(genome, input_channels=shape_of(spec)[0]),
        "parameters": float(cost.parameters), "multiply_adds": float(cost.multiply_adds),
    }  # fmt: skip
    try:
        reached = worth(genome)
    except DivergedError as error:
        return Outcome(spec, seed, "diverged", str(error), 1.0, metrics, {})
    series = {"validation accuracy": [(1, reached / 2), (2, reached)]}
    ends = {"validation accuracy": reached, "best validation accuracy": reached, "test accuracy": reached - 1.0}
    times = {"epochs": 2.0, "training seconds": 1.0}
    if spec.is_timed:
        times["forward seconds"] = 1e-9 * cost.multiply_adds
    return Outcome(spec, seed, "done", None, 1.0, {**metrics, **ends, **times}, series)


def led(*first: CandidateSpec, worth: Worth = large, seeds: int = 1, most: int | None = None) -> list[Outcome]:
    """The outcomes of these specs and of all that follows, or of so many rounds."""
    outcomes, new = [], list(first)
    rounds = 0
    while new and (most is None or rounds <= most):
        outcomes += [made(spec, worth, seed) for spec in new for seed in range(seeds)]
        known = {outcome.spec for outcome in outcomes}
        new = [spec for spec in follow(first, outcomes) if spec not in known]
        rounds += 1
    return outcomes
