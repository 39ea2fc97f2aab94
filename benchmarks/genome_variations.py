"""Random variations of genomes: whether all are valid and within bounds, how often nothing changes, and how fast.

    python benchmarks/genome_variations.py [--count 100000] [--seed 0] [--quick]

The operators take turns on populations of 100 genomes, drawn with depths 6 to 12; what comes out replaces what went in,
so that genomes grow to the bounds, and after 5,000 variations a new population is drawn. Every result is looked at
without the operators' own code: edges lead up, all hangs together, depth and size are within bounds, a mutant has
another key. "same" is the share of variations after which the parents are there again. For each of these it is tried
whether there was another way: for bridges, all pairs that networkx finds; for paths, 50 further draws; for channels,
whether a layer was uneven. "avoidable" counts those where there was: 0 means that no operator is the identity more
often than it must be. "a second" counts the operator's own CPU time, of one thread.
"""

import argparse
import time
from collections import Counter, defaultdict
from itertools import product

import networkx as nx
import torch

from sparsewire.search.channel_crossing import conv_layers
from sparsewire.search.genotype import Bounds, Genome, ordered
from sparsewire.search.insertion import inserted, replaceable_edges
from sparsewire.search.path_crossing import swapped_paths
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.relabelling import relabelled
from sparsewire.search.variation import crossover, mutate

BOUNDS = Bounds()
POPULATION, LIFE = 100, 5000
OPERATORS = ("relabelled", "inserted", "mutate", "paths", "bridges", "channels", "crossover")

Genomes = tuple[Genome, ...]


def vary(operator: str, a: Genome, b: Genome, generator: torch.Generator) -> tuple[Genomes, Genomes]:
    """What went in and what came out."""
    if operator == "inserted" and not replaceable_edges(a, 2, BOUNDS):
        a = random_genome(generator)  # nothing fits into a genome as large as may be
    if operator == "relabelled":
        return (a,), (relabelled(a, generator),)
    if operator == "inserted":
        return (a,), (inserted(a, generator, bounds=BOUNDS),)
    if operator == "mutate":
        return (a,), (mutate(a, generator),)
    return (a, b), crossover(a, b, generator, kind=None if operator == "crossover" else operator)


def is_valid(genome: Genome) -> bool:
    depth = [1] * len(genome)
    near: dict[int, list[int]] = defaultdict(list)
    for tail, head in sorted(genome.edges, key=lambda edge: edge[1]):
        depth[head] = max(depth[head], depth[tail] + 1)
        near[tail].append(head)
        near[head].append(tail)
    met, waiting = {0}, [0]
    while waiting:
        new = set(near[waiting.pop()]) - met
        met |= new
        waiting += new
    leads_up = all(0 <= tail < head < len(genome) for tail, head in genome.edges)
    within = BOUNDS.depth[0] <= max(depth) <= BOUNDS.depth[1] and len(genome) <= BOUNDS.vertices
    return leads_up and within and len(met) == len(genome) and len(set(genome.edges)) == len(genome.edges)


def is_same(before: Genomes, after: Genomes) -> bool:
    if sorted(sorted(genome.vertices) for genome in before) != sorted(sorted(genome.vertices) for genome in after):
        return False
    return sorted(genome.key for genome in before) == sorted(genome.key for genome in after)


def is_avoidable(operator: str, before: Genomes) -> bool:
    """Whether the operator could have changed anything."""
    if operator in ("relabelled", "inserted", "mutate"):
        return True
    ways = {"paths": other_paths, "bridges": other_bridges, "channels": uneven_layers}
    return any(ways[kind](*before) for kind in ways if operator in (kind, "crossover"))


def other_paths(a: Genome, b: Genome) -> bool:
    draws = (swapped_paths(a, b, torch.Generator().manual_seed(seed)) for seed in range(50))
    return any(all(map(BOUNDS.holds, children)) and not is_same((a, b), children) for children in draws)


def other_bridges(a: Genome, b: Genome) -> bool:
    fronts = cuts(a)
    for one, other in product(fronts, cuts(b) if fronts else []):
        more = len(other[1]) - len(one[1])
        if max(len(a) + more, len(b) - more) <= BOUNDS.vertices:
            children = joined(a, one, b, other), joined(b, other, a, one)
            if all(map(BOUNDS.holds, children)) and not is_same((a, b), children):
                return True
    return False


def cuts(genome: Genome) -> list[tuple[tuple[int, int], set[int]]]:
    graph, found = nx.Graph(genome.edges), []
    for edge in map(sorted, nx.bridges(graph)):
        rest = graph.copy()
        rest.remove_edge(*edge)
        found.append((tuple(edge), nx.node_connected_component(rest, edge[1])))
    return found


def joined(
    a: Genome, one: tuple[tuple[int, int], set[int]], b: Genome, other: tuple[tuple[int, int], set[int]]
) -> Genome:
    front = [place for place in range(len(a)) if place not in one[1]]
    rank = {("a", place): number for number, place in enumerate(front)}
    rank |= {("b", place): len(front) + number for number, place in enumerate(sorted(other[1]))}
    edges = [(("a", tail), ("a", head)) for tail, head in a.edges] + [(("b", x), ("b", y)) for x, y in b.edges]
    edges = [(tail, head) for tail, head in edges if tail in rank and head in rank]
    edges.append((("a", one[0][0]), ("b", other[0][1])))
    vertices = [(a if side == "a" else b).vertices[place] for side, place in rank]
    return ordered(vertices, [(rank[tail], rank[head]) for tail, head in edges])


def uneven_layers(a: Genome, b: Genome) -> bool:
    layers: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for parent, genome in enumerate((a, b)):
        for vertex, layer in zip(genome.vertices, conv_layers(genome), strict=True):
            layers[layer].append((parent, vertex.channels))
    both = [found for layer, found in layers.items() if layer and {parent for parent, _ in found} == {0, 1}]
    return any(len({channels for _, channels in found}) > 1 for found in both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="variations, of all operators together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="2,100 of them, in a moment")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    done, same, avoidable, invalid = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    seconds: dict[str, float] = defaultdict(float)
    sizes: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    population: list[Genome] = []
    for number in range(2100 if options.quick else options.count):
        if number % LIFE == 0:
            population = [random_genome(generator) for _ in range(POPULATION)]
        operator = OPERATORS[number % len(OPERATORS)]
        places = torch.randperm(POPULATION, generator=generator)[:2].tolist()
        start = time.process_time()
        before, after = vary(operator, *(population[place] for place in places), generator)
        seconds[operator] += time.process_time() - start
        done[operator] += 1
        invalid[operator] += not all(map(is_valid, after))
        if is_same(before, after):
            same[operator] += 1
            avoidable[operator] += is_avoidable(operator, before)
        for place, genome in zip(places, after, strict=False):
            population[place] = genome
            sizes[operator].append((genome.depth, len(genome), len(genome.edges)))
    print("| operator | variations | invalid | same | avoidable | depth | vertices | edges | a second |")
    print("|" + " --- |" * 9)
    for operator in OPERATORS:
        ranges = " | ".join(f"{min(column)} to {max(column)}" for column in zip(*sizes[operator], strict=True))
        share, speed = same[operator] / done[operator], done[operator] / seconds[operator]
        counts = f"{done[operator]} | {invalid[operator]} | {share:.2%} | {avoidable[operator]}"
        print(f"| {operator} | {counts} | {ranges} | {speed:.0f} |")


if __name__ == "__main__":
    main()
