"""A graph as a network: `wired`."""

import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.models.wired.cells import KINDS
from sparsewire.models.wired.forward import WiredForward
from sparsewire.models.wired.network import Design, checked_design
from sparsewire.models.wired.recurrent import WiredRecurrent
from sparsewire.models.wired.wires import wires_of
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks

_MOST = 2**31  # dense weights: 8 GiB in float32; a graph of more is meant to be sparse


def wired(
    graph: NetGraph,
    n_inputs: int,
    n_outputs: int,
    cell: str = "relu",
    merge: str = "pre",
    readout: str = "last_layer",
    sparse: bool = False,
    *,
    gate_masks: str = "tiled",
    generator: torch.Generator | None = None,
) -> tuple[nn.Module, Masks]:
    """The network whose neurons and connections are those of a graph, and the masks that keep it so.

    The graph's layers are hidden layers: a dense map of the inputs feeds layer 0, and a dense readout reads the last.
    With merge="pre" a layer is a function of the sum over all that leads to it; with "post" it is the sum of one
    function a junction:

        pre:  a⁰ = W x + b,    aˡ = σ(Σₛ (Wˢˡ ∘ Mˢˡ) aˢ + bˡ)
        post: a⁰ = σ(W x + b), aˡ = Σₛ σ((Wˢˡ ∘ Mˢˡ) aˢ + bˢˡ)

    In a recurrent network σ is a cell of torch's with dense weights from its own state, which "post" has once a
    junction. Only the input weights of cells between layers are masked. Weights outside the masks are zero; `fit` and
    `SparseOptimizer` with the masks keep them so. A neuron to which nothing leads has its bias; one in layer 0, its
    inputs.

    Args:
        graph: layers and edges; its values are not looked at.
        n_inputs: features of an input, or of a step, at least 1.
        n_outputs: how many logits, at least 1.
        cell: "relu" or "tanh", for inputs of shape (batch, n_inputs); "rnn_tanh", "rnn_relu", "gru" or "lstm", for
            (batch, steps, n_inputs), of which the last step is read.
        merge: "pre", the paper's formula; "post", its code.
        readout: "last_layer"; "sinks": all neurons of all layers from which no edge leads on.
        sparse: whether the network stores and computes the edges only; it has no masks then, and without recurrent
            cells it cannot be pruned any further.
        gate_masks: "tiled": the weights of each gate have the graph's mask. "rows": those of the paper's code, which
            repeats each row of the mask while torch stacks whole gates, so that the gates of a neuron see other
            neurons; to compare with its results only.
        generator: where the weights are drawn from; None: the global seed, as PyTorch's constructors do.

    Returns:
        A `WiredForward` or `WiredRecurrent`, or a sparse module; the masks by parameter name, none if sparse.
        `NetGraph.from_model(module, masks)` has the graph's layers and edges again.

    Raises:
        RequestError: a number is no whole number of at least 1, something is no graph or generator, the dense form has
            more than 2³¹ weights, or `gate_masks="rows"` is asked for where there are no gates, or with `sparse`.
        UnknownNameError: there is no such cell, merge, readout or order of gate masks.

    Example:
        >>> import networkx as nx
        >>> graph = NetGraph.from_networkx(nx.Graph([(0, 2), (2, 3), (1, 3), (0, 3)]))
        >>> network, masks = wired(graph, n_inputs=5, n_outputs=2, generator=torch.Generator().manual_seed(0))
        >>> network
        WiredForward(
          2-1-1, cell='relu', merge='pre', reads='last_layer'
          (cells): ModuleList(
            (0): Linear(in_features=5, out_features=2, bias=True)
            (1): Linear(in_features=2, out_features=1, bias=True)
            (2): Linear(in_features=3, out_features=1, bias=True)
          )
          (readout): Linear(in_features=1, out_features=2, bias=True)
        )
        >>> masks["cells.1.weight"].int().tolist(), NetGraph.from_model(network, masks)
        ([[1, 0]], NetGraph(2-1-1, 4 edges, density 0.8))

    Reference:
        Properties of the hidden structures of sparse networks, definition 2 (whose sum starts at layer 1 in print) and
        section 4.3; the paper's code for "post" and "rows".
    """
    design = checked_design(Design(graph, n_inputs, n_outputs, cell, merge, readout, gate_masks), generator)
    if not isinstance(sparse, bool):
        raise RequestError(f"sparse: found {sparse!r}, expected True or False")
    if gate_masks == "rows" and (sparse or KINDS[cell].gates == 1):
        other = "sparse=True" if sparse else f"the cell {cell!r}, which has no gates"
        raise RequestError(f"gate_masks: found 'rows' with {other}; expected 'tiled'")
    if sparse:
        from sparsewire.models.wired.sparse_forward import sparse_wired

        return sparse_wired(graph, *design[1:6], generator), Masks({})
    _check_size(design)
    network = _dense(design, generator)
    masks = Masks(network.graph_masks(graph.sizes, graph.blocks))
    masks.apply_(network)
    return network, masks


def _dense(design: Design, generator: torch.Generator | None) -> WiredForward | WiredRecurrent:
    if KINDS[design.cell].recurrent:
        return WiredRecurrent(*design[:6], gate_masks=design.gate_masks, generator=generator)
    return WiredForward(*design[:6], generator=generator)


def _check_size(design: Design) -> None:
    sizes, gates = design.graph.sizes, KINDS[design.cell].gates
    inputs = [
        (wire.target, sum(sizes[source] for source in wire.sources)) for wire in wires_of(design.graph, design.merge)
    ]
    weights = gates * sum(sizes[target] * many for target, many in inputs)
    if weights > _MOST:
        raise RequestError(
            f"graph: found {design.graph!r}, whose dense form has {weights:,} weights, expected at most {_MOST:,}; "
            "pass sparse=True, whose memory is in proportion to the edges"
        )
