"""The 56 features of random genomes: how many a minute, beside networkx.

    python benchmarks/genome_features.py [--genomes 10000] [--rounds 3] [--without-native]

For genomes of depth 6 to 12 (as a search begins) and of depth 10 to 36 (as random search draws them), on one thread:
the processor's time of a genome, and genomes a minute, of `feature_table` of all, of `features` one after another, and
of the five measures alone that networkx has. The last two are asked of some of the genomes only. Contenders take turns,
the median counts. Then the largest difference of any number from networkx's; and, for the genome with most edges, how
far the expected lengths of random walks are from the means of 10,000 simulated ones, in standard errors.
"""

import argparse
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import networkx as nx
import numpy as np
import torch

from sparsewire.kernels import native
from sparsewire.search.genotype import PAPER_INITIAL, PAPER_RANDOM, Genome
from sparsewire.search.measures import feature_table, features
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.walks import path_lengths

SOME = 200
WALKS = 10_000


def by_networkx(genome: Genome) -> dict[str, float]:
    graph = nx.empty_graph(len(genome))
    graph.add_edges_from(genome.edges)
    measures = {
        "edge_betweenness": nx.edge_betweenness_centrality(graph),
        "eccentricity": nx.eccentricity(graph),
        "closeness": nx.closeness_centrality(graph),
        "average_neighbour_degree": nx.average_neighbor_degree(graph),
        "degree": nx.degree_centrality(graph),
    }
    found: dict[str, float] = {}
    for name, values in measures.items():
        numbers = np.array(list(values.values()))
        var = float(numbers.var(ddof=1)) if numbers.size > 1 else 0.0
        found |= {f"{name}_mean": float(numbers.mean()), f"{name}_var": var, f"{name}_std": var**0.5}
    return found


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the processor for one call of each."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, action in contenders.items():
            start = time.process_time()
            action()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def beside_networkx(genomes: Sequence[Genome], rounds: int) -> None:
    some = genomes[:SOME]
    contenders: dict[str, Callable[[], object]] = {
        "a table of all": lambda: feature_table(genomes),
        "one by one": lambda: [features(genome) for genome in some],
        "networkx, 15 of 56": lambda: [by_networkx(genome) for genome in some],
    }
    taken = medians(contenders, rounds)
    each = {name: seconds / len(genomes if name == "a table of all" else some) for name, seconds in taken.items()}
    for name, seconds in each.items():
        print(f"  {name:<20}{1e6 * seconds:8.0f} µs a genome {60 / seconds:11,.0f} a minute", end="")
        print(f" {seconds / each['a table of all']:6.1f} times the first", flush=True)
    expected, found = [by_networkx(genome) for genome in some], feature_table(some)
    apart = max(abs(found[name][place] - value) for place, row in enumerate(expected) for name, value in row.items())
    print(f"  largest difference from networkx {apart:.0e}")


def simulated(genome: Genome, seed: int) -> list[float]:
    """For each vertex where walks differ: how many standard errors their mean length is off."""
    chance, steps = random.Random(seed), defaultdict(list)
    behind, sources = genome.successors, genome.sources
    for _ in range(WALKS):
        place, length = chance.choice(sources), 0
        steps[place].append(length)
        while behind[place]:
            place, length = chance.choice(behind[place]), length + 1
            steps[place].append(length)
    expected = path_lengths(genome).random_walk
    errors = {place: float(np.std(lengths) / len(lengths) ** 0.5) for place, lengths in steps.items()}
    return [(statistics.fmean(steps[place]) - expected[place]) / error for place, error in errors.items() if error]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-native", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.without_native:
        native.is_at_hand = lambda: False
    print(f"native kernels: {'yes' if native.is_at_hand() else 'no'}")
    for depth in (PAPER_INITIAL, PAPER_RANDOM):
        generator = torch.Generator().manual_seed(0)
        genomes = [random_genome(generator, depth=depth) for _ in range(chosen.genomes)]
        vertices, edges = sum(map(len, genomes)), sum(len(genome.edges) for genome in genomes)
        print(
            f"{len(genomes):,} genomes of depth {depth[0]} to {depth[1]}: on average {vertices / len(genomes):.1f}",
            end="",
        )
        print(f" vertices, {edges / len(genomes):.1f} edges")
        beside_networkx(genomes, chosen.rounds)
        off = simulated(max(genomes[:SOME], key=lambda genome: len(genome.edges)), 0)
        print(f"  {WALKS:,} random walks: {len(off)} vertices off by", end=" ")
        print(f"{np.sqrt(np.mean(np.square(off))):.2f} standard errors (root mean square)", end=", ")
        print(f"at most {max(map(abs, off)):.2f}")


if __name__ == "__main__":
    main()
