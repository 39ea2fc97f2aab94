"""Classifiers wired by a graph as the native whole-network step sees them, and what keeps a model from being one."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels import native
from sparsewire.kernels.recurrent_step import Embedding, Sequences
from sparsewire.kernels.whole_steps import Trainee, Update
from sparsewire.kernels.wired_step import Masked, WiredStep
from sparsewire.models.wired.native_states import SMALL, against_cells, plan_for, tensors_of
from sparsewire.models.wired.recurrent import WiredRecurrent
from sparsewire.models.wired.symbols import WiredSequences
from sparsewire.training.chains import against_calls, against_parameters

# (parameter, where its live values lie in it or None) → what the step is given of it.
Lend: TypeAlias = Callable[[Tensor, Tensor | None], Trainee]


class Wired(NamedTuple):
    """A recurrent classifier that is wired by a graph, in the place of a `Chain`."""

    model: WiredRecurrent | WiredSequences
    flattens: bool = False

    @property
    def network(self) -> WiredRecurrent:
        """Without the vectors of symbols."""
        network = self.model.network if isinstance(self.model, WiredSequences) else self.model
        assert isinstance(network, WiredRecurrent)
        return network

    @property
    def embedding(self) -> nn.Embedding | None:
        """The vectors of symbols, where the inputs are such."""
        return self.model.embedding if isinstance(self.model, WiredSequences) else None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return list(self.model.parameters())

    @property
    def sparse_layers(self) -> list[SparseModule]:
        """None."""
        return []

    @property
    def is_sparse(self) -> bool:
        """Never: the weights are dense."""
        return False

    @property
    def weights(self) -> list[nn.Parameter]:
        """Of the cells and the readout, without biases."""
        layers = *self.network.cells, self.network.readout
        return [p for layer in layers for name, p in layer.named_parameters() if name.startswith("weight")]


def against_wired(model: nn.Module) -> Iterator[str]:
    """What keeps such a classifier from being trained by the native whole-network step; nothing if it can be.

    Example:
        >>> from scipy.sparse import csr_array
        >>> from sparsewire.models.wired import wired
        >>> from sparsewire.structure.graphs import NetGraph
        >>> network, _ = wired(NetGraph((1, 1), {(0, 1): csr_array([[1.0]])}), 3, 2, cell="gru")
        >>> network.cells[1].dropout = 0.5
        >>> next(against_wired(network))
        'cell 1 has several layers or directions, projections or dropout, or is not batch_first'
    """
    yield from against_calls(model)
    inner = model.network if isinstance(model, WiredSequences) else model
    if type(inner) is not WiredRecurrent or type(inner.readout) is not nn.Linear:
        yield f"the network is a {type(inner).__name__}, or its readout is not the usual one"
        return
    embedding = model.embedding if isinstance(model, WiredSequences) else None
    if embedding is not None and (type(embedding) is not nn.Embedding or _is_special(embedding)):
        yield "the embedding is not a plain one"
    yield from against_cells(inner)
    yield from against_parameters(model)
    if any(not parameter.is_contiguous() for parameter in model.parameters()):
        yield "a weight is not contiguous"
    if not native.is_at_hand():
        yield "the native kernels are not at hand"
    plan = plan_for(inner)
    if plan.unread and inner.reads == "last_layer":
        yield f"layer {plan.unread[0]} is read by no cell, so that autograd gives its weights no gradients"
    small = int(SMALL / torch.get_num_threads() * min(1.0, native.vector_bytes() / 32))
    if plan.weights > small:
        yield f"{plan.weights:,} dense weights are more than the {small:,} up to which it pays"


def _is_special(embedding: nn.Embedding) -> bool:
    return embedding.max_norm is not None or embedding.scale_grad_by_freq or embedding.sparse


def fits_wired(inputs: Tensor, labels: Tensor, form: Wired) -> bool:
    """Whether the step can take samples like these: symbols (batch, steps), or features (batch, steps, inputs)."""
    if len(inputs) != len(labels) or not inputs.numel():
        return False
    if form.embedding is not None:
        return inputs.dtype == torch.int64 and inputs.dim() == 2
    network = form.network
    return inputs.dtype == network.readout.weight.dtype and inputs.dim() == 3 and inputs.shape[2] == network.n_inputs


def wired_sequences(form: Wired, inputs: Tensor, labels: Tensor, rows: Tensor, ends: Tensor) -> Sequences:
    """The samples, with the lengths that the model's padding says."""
    lengths, shared = None, False
    if isinstance(form.model, WiredSequences) and form.model.padding is not None:
        lengths, shared = form.model.lengths(inputs), form.model.reads_padding
    return Sequences(inputs.contiguous(), labels.contiguous(), rows, ends, lengths, shared)


def wired_step(
    form: Wired, masks: Mapping[int, Tensor], lend: Lend, update: Update, clip_norm: float | None
) -> tuple[WiredStep, list[Tensor | None]]:
    """The step, and the parameter that each of its trainees is; `masks` by the identity of their weights."""
    network, vectors = form.network, form.embedding

    def masked(parameter: Tensor | None) -> Masked | None:
        if parameter is None:
            return None
        mask = masks.get(id(parameter))
        return Masked(lend(parameter, None), None if mask is None else mask.contiguous())

    embedding = None if vectors is None else Embedding(lend(vectors.weight, None), vectors.padding_idx)
    tensors = tensors_of(network)
    readout, bias = network.readout.weight, network.readout.bias
    weight = masked(readout)
    assert weight is not None
    last = None if bias is None else lend(bias, None)
    step = WiredStep(
        plan_for(network), [masked(tensor) for tensor in tensors], network.read.cpu(), weight, last, embedding, update,
        clip_norm,
    )  # fmt: skip
    return step, [None if vectors is None else vectors.weight, *tensors, readout, bias]
