"""Looking for structure: genomes of labelled graphs, how they vary, what is built and foretold from them, evolution.

What is searched is a `Space`: `evolve` takes whatever can be drawn, varied, named and described.
"""

from sparsewire.search.bridge_crossing import swapped_behind_bridges
from sparsewire.search.building import Phenotype, phenotype
from sparsewire.search.channel_crossing import averaged_channels
from sparsewire.search.costing import GenomeCost, VertexCost, genome_cost
from sparsewire.search.early_stopping import hopeless, is_hopeless
from sparsewire.search.evolution import ask, begin, replay, tell
from sparsewire.search.evolving import Search, evolve
from sparsewire.search.explaining import Foresight, Reason, foresight, reasons
from sparsewire.search.freed_pages import pages_kept
from sparsewire.search.front import crowding, dominates, fronts
from sparsewire.search.genome_files import genome_from_text, genome_text, read_genome, write_genome
from sparsewire.search.genome_graphs import structure_of
from sparsewire.search.genotype import OPERATIONS, Bounds, Genome, Operation, Vertex, ordered
from sparsewire.search.insertion import inserted
from sparsewire.search.isomorphism import canonical
from sparsewire.search.limits import check_limits, exceeded, step_seconds
from sparsewire.search.masses import layer_masses
from sparsewire.search.measures import FEATURE_GROUPS, FEATURES, feature_table, features
from sparsewire.search.path_crossing import swapped_paths
from sparsewire.search.pictures import draw_genome, draw_variation
from sparsewire.search.random_genomes import random_genome
from sparsewire.search.relabelling import relabelled
from sparsewire.search.settings import METHODS, Settings
from sparsewire.search.shaping import shapes
from sparsewire.search.spaces import Space, genomes
from sparsewire.search.state_texts import state_from_text, state_text
from sparsewire.search.states import Candidate, State
from sparsewire.search.summarising import summary
from sparsewire.search.variation import crossover, mutate
from sparsewire.search.walks import PathLengths, path_lengths

__all__ = [
    "FEATURES",
    "FEATURE_GROUPS",
    "METHODS",
    "OPERATIONS",
    "Bounds",
    "Candidate",
    "Foresight",
    "Genome",
    "GenomeCost",
    "Operation",
    "PathLengths",
    "Phenotype",
    "Reason",
    "Search",
    "Settings",
    "Space",
    "State",
    "Vertex",
    "VertexCost",
    "ask",
    "averaged_channels",
    "begin",
    "canonical",
    "check_limits",
    "crossover",
    "crowding",
    "dominates",
    "draw_genome",
    "draw_variation",
    "evolve",
    "exceeded",
    "feature_table",
    "features",
    "foresight",
    "fronts",
    "genome_cost",
    "genome_from_text",
    "genome_text",
    "genomes",
    "hopeless",
    "inserted",
    "is_hopeless",
    "layer_masses",
    "mutate",
    "ordered",
    "pages_kept",
    "path_lengths",
    "phenotype",
    "random_genome",
    "read_genome",
    "reasons",
    "relabelled",
    "replay",
    "shapes",
    "state_from_text",
    "state_text",
    "step_seconds",
    "structure_of",
    "summary",
    "swapped_behind_bridges",
    "swapped_paths",
    "tell",
    "write_genome",
]
