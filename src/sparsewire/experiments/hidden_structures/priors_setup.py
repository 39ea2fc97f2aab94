"""A random graph as a recurrent network that learns Reber's grammar (section 4.3), as the paper's code does it.

Where text and code differ, the fields of `PriorsSpec` offer both and the code's way is the default, as the stored
accuracies are the code's; but for the masks of gated cells, which are right here.
"""

from typing import Annotated, Final, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from sparsewire.analysis.topology.properties import graph_properties
from sparsewire.data.reber_samples import reber_set
from sparsewire.experiments.hidden_structures.priors_published import Family
from sparsewire.experiments.hidden_structures.recurrent_published import Cell
from sparsewire.experiments.hidden_structures.recurrent_setup import SYMBOLS, Count, Strings
from sparsewire.lab.experiment import Trial, stream
from sparsewire.lab.spec import Spec
from sparsewire.models.wired.building import wired
from sparsewire.models.wired.symbols import WiredSequences
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.small_worlds import watts_strogatz
from sparsewire.training.history import History
from sparsewire.training.loop import fit

NAME: Final = "hidden_structures.priors"
WIRED_CELLS: Final[dict[Cell, str]] = {"tanh": "rnn_tanh", "relu": "rnn_relu", "lstm": "lstm", "gru": "gru"}
Nodes = Annotated[int, Field(ge=10, le=1000)]


class PriorsSpec(Spec):
    """One cell and one family; every seed draws another graph, and trains one network that is wired by it.

    Args:
        cell: of the recurrent layers.
        family: which law the graphs follow: Watts and Strogatz with k = n // 5, Barabási and Albert with m = n // 10.
        least_nodes: the number of nodes n is drawn from here on, each as likely.
        most_nodes: up to here.
        rewiring: the probability p of Watts and Strogatz; at 1, the code's, hardly a small world is left.
        start: what Barabási and Albert's graphs grow from: "sources", m nodes without edges, as in the stored runs
            (old versions of networkx); "star", one node joined to m others, as in networkx today.
        merge: "post": every connection past layers has a cell of its own, with its own bias and state, and what cells
            give is added up, as in the code; "pre": one cell a layer, as in the text.
        readout: "last_layer": only the deepest layer is read, as in the code; "sinks": all nodes that lead nowhere.
        gate_masks: "tiled": all gates of a unit see the same nodes; "rows": as in the code, where gates of gated cells
            get the masks of other units.
        data: the seed of the strings, which all trials share, as in the paper.
        strings: to train with, half of them of Reber's grammar.
        test_strings: to test with.
        false_strings: "relabelled": of eight automata of the same shape, as in the paper's file; "perturbed": true
            ones after a random edit, which are harder to tell.
        epochs: of training; the accuracy after the last one counts.
        batch: strings in a step, and at a time when the test set is judged.
        rate: Adam's.
        clip: the largest norm of the gradients.
        reads_padding: whether the state is read after the last step of a batch's longest string, as in the code, or
            after each string's own last letter.
    """

    experiment: Literal["hidden_structures.priors"] = NAME
    cell: Cell = "gru"
    family: Family = "watts_strogatz"
    least_nodes: Nodes = 10
    most_nodes: Nodes = 50
    rewiring: float = Field(default=1.0, ge=0, le=1)
    start: Literal["sources", "star"] = "sources"
    merge: Literal["post", "pre"] = "post"
    readout: Literal["last_layer", "sinks"] = "last_layer"
    gate_masks: Literal["tiled", "rows"] = "tiled"
    data: int = Field(default=0, ge=0, le=2**31)
    strings: Count = 18_750
    test_strings: Count = 6_250
    false_strings: Literal["relabelled", "perturbed"] = "relabelled"
    epochs: Count = 15
    batch: Count = 128
    rate: float = Field(default=1e-3, gt=0)
    clip: float = Field(default=5.0, gt=0)
    reads_padding: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_nodes > self.most_nodes:
            raise ValueError(f"least_nodes at most most_nodes, {self.most_nodes}; found {self.least_nodes}")
        return self


def drawn_graph(spec: PriorsSpec, generator: torch.Generator) -> NetGraph:
    """A graph of the family, with a number of nodes that is drawn first.

    Example:
        >>> spec = PriorsSpec(family="barabasi_albert", least_nodes=25, most_nodes=25)
        >>> drawn_graph(spec, torch.Generator().manual_seed(0)).edges  # m · (n - m), with m = 2
        46
    """
    nodes = int(torch.randint(spec.least_nodes, spec.most_nodes + 1, (), generator=generator))
    if spec.family == "barabasi_albert":
        return barabasi_albert(nodes, nodes // 10, generator=generator, start=spec.start)
    return watts_strogatz(nodes, nodes // 5, spec.rewiring, generator=generator)


def strings_of(spec: PriorsSpec) -> Strings:
    """The data, the same for all trials."""
    generator = torch.Generator().manual_seed(stream(spec.data, "strings"))
    data = reber_set(spec.strings, spec.test_strings, false=spec.false_strings, generator=generator)
    return Strings(data.train, data.test, spec.batch)


def network(spec: PriorsSpec, graph: NetGraph, generator: torch.Generator) -> tuple[nn.Module, Masks]:
    """Letters as vectors with one number for each source of the graph, the graph's cells, a readout.

    Example:
        >>> graph = drawn_graph(PriorsSpec(), torch.Generator().manual_seed(0))
        >>> model, masks = network(PriorsSpec(), graph, torch.Generator().manual_seed(0))
        >>> model(torch.randint(128, (3, 7))).shape
        torch.Size([3, 2])
    """
    # Without several gates there is nothing that rows could be mistaken for.
    gate_masks = spec.gate_masks if spec.cell in ("lstm", "gru") else "tiled"
    sources = graph.sizes[0]  # as in the code, which gives a letter as many numbers as the graph has sources
    inner, masks = wired(
        graph, sources, 2, WIRED_CELLS[spec.cell], spec.merge, spec.readout, gate_masks=gate_masks, generator=generator
    )
    model = WiredSequences(inner, SYMBOLS, padding=0, reads_padding=spec.reads_padding, generator=generator)
    return model, Masks({f"network.{name}": mask for name, mask in masks.items()})


def properties(graph: NetGraph, trial: Trial) -> None:
    """Records the graph's properties under their names."""
    for name, value in graph_properties(graph).items():
        trial.record(name, value)


def train(model: nn.Module, masks: Masks, strings: Strings, spec: PriorsSpec, trial: Trial) -> History:
    """Trains with Adam; records the accuracy on the test set, percent, and the loss there, after every epoch."""

    def record(epoch: int, _: nn.Module, history: History) -> None:
        trial.record("accuracy", 100 * history.validation[-1].accuracy, step=epoch)
        trial.record("loss", history.validation[-1].loss, step=epoch)
        trial.record("training loss", history.loss[-1], step=epoch)
        trial.report(epoch / spec.epochs, f"{spec.cell}: epoch {epoch}")

    return fit(
        model,
        strings.train,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=spec.rate),
        epochs=spec.epochs,
        batch_size=spec.batch,
        masks=masks,
        clip_norm=spec.clip,
        validation=strings.test,
        generator=trial.generator("order of the strings"),
        on_epoch=record,
        checkpoints=trial.checkpoints(),
    )
