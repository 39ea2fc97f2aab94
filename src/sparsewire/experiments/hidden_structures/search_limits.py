"""What to say where no genome holds the limits of a search: which of its fields, and what they would have to be."""

from collections.abc import Sequence

from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.search_setup import CLASSES, CandidateSpec, Method, shape_of
from sparsewire.search.costing import genome_cost
from sparsewire.search.genotype import Genome

_MIB = 2**20


def refusal(first: CandidateSpec, method: Method, drawn: Sequence[Genome]) -> RequestError:
    """The error that names the limit which genomes that were drawn exceed, and what the smallest of them needs.

    Args:
        first: whose limits.
        method: of the search, which says by which fields it draws.
        drawn: genomes of its space, none of which holds them; at least one.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16),), ())
        >>> str(refusal(CandidateSpec(most_multiply_adds=10), "genetic", [genome])).split(";")[0]
        'most_multiply_adds: found 10, but the smallest of 1 genomes that were drawn needs 442,528 for an image'
    """
    costs = [genome_cost(genome, shape_of(first), CLASSES) for genome in drawn]
    products = min(cost.multiply_adds for cost in costs)
    memory = min(-(-cost.training_bytes(first.batch) // _MIB) for cost in costs)
    depth = "random_least_depth" if method == "random" else "least_depth"
    smaller = f"fewer channels (now {', '.join(map(str, first.channels))}) or a smaller {depth}"
    if first.most_multiply_adds and products > first.most_multiply_adds:
        found, needed = f"most_multiply_adds: found {first.most_multiply_adds:,}", f"{products:,} for an image"
    elif memory > first.most_memory:
        found, needed = f"most_memory: found {first.most_memory:,}", f"{memory:,} MiB for {first.batch:,} images"
        smaller += ", or a smaller batch"
    else:
        limits = [f"most_memory: found {first.most_memory:,}"]
        if first.most_multiply_adds:
            limits.append(f"most_multiply_adds {first.most_multiply_adds:,}")
        found = f"{', with '.join(limits)}, but hardly any genome holds {'both' if limits[1:] else 'it'}"
        return RequestError(f"{found}; allow more, or draw smaller ones: {smaller}")
    return RequestError(
        f"{found}, but the smallest of {len(drawn):,} genomes that were drawn needs {needed}; allow more than that, or "
        f"draw smaller ones: {smaller}"
    )
