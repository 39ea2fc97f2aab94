from sparsewire import data as data
from sparsewire import errors as errors
from sparsewire.analysis import draw as draw
from sparsewire.analysis.change import connection_changes as connection_changes
from sparsewire.analysis.change import type_correlation as type_correlation
from sparsewire.analysis.change import weight_correlation as weight_correlation
from sparsewire.analysis.cost import cost_table as cost_table
from sparsewire.analysis.paths import complete_path_fraction as complete_path_fraction
from sparsewire.analysis.paths import complete_paths as complete_paths
from sparsewire.analysis.paths import dead_areas as dead_areas
from sparsewire.analysis.paths import sparse_graph as sparse_graph
from sparsewire.errors import SparsewireError as SparsewireError
from sparsewire.execution.compact import load_compact as load_compact
from sparsewire.execution.compact import save_compact as save_compact
from sparsewire.execution.convert import densify as densify
from sparsewire.execution.convert import sparsify as sparsify
from sparsewire.execution.convolution import SparseConv2d as SparseConv2d
from sparsewire.execution.export import export_onnx as export_onnx
from sparsewire.execution.linear import SparseLinear as SparseLinear
from sparsewire.execution.planning import plan as plan
from sparsewire.execution.plans import Plan as Plan
from sparsewire.execution.recurrent import SparseGRU as SparseGRU
from sparsewire.execution.recurrent import SparseLSTM as SparseLSTM
from sparsewire.execution.recurrent import SparseRNN as SparseRNN
from sparsewire.execution.sequences import SparseSequential as SparseSequential
from sparsewire.execution.shrinking import live_neurons as live_neurons
from sparsewire.execution.shrinking import shrink as shrink
from sparsewire.execution.shrinking import shrink_masks as shrink_masks
from sparsewire.models import initialize as initialize
from sparsewire.models import zoo as zoo
from sparsewire.models.initialize import lightning_ as lightning_
from sparsewire.structure import patterns as patterns
from sparsewire.structure import schedules as schedules
from sparsewire.structure import scores as scores
from sparsewire.structure.graphs import NetGraph as NetGraph
from sparsewire.structure.masks import Masks as Masks
from sparsewire.structure.priors import lightning_paths as lightning_paths
from sparsewire.structure.select import prune as prune
from sparsewire.training import rules as rules
from sparsewire.training.loop import evaluate as evaluate
from sparsewire.training.loop import fit as fit
from sparsewire.training.optimizer import SparseOptimizer as SparseOptimizer
from sparsewire.training.replicas import replicate as replicate

__version__: str
__all__: list[str]
_MODULES: dict[str, str]
