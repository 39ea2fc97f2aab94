"""Recurrent classifiers as the native whole-network step sees them, and what keeps a model from being one."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.recurrent import SparseGRU, SparseLSTM, SparseRNN
from sparsewire.execution.recurrent_module import SparseRecurrent
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels import native
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.recurrent_stack import Stack
from sparsewire.kernels.recurrent_step import Embedding, RecurrentStep, Sequences
from sparsewire.kernels.whole_steps import StepLayer, Trainee, Update
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.training.chains import against_calls, against_parameters

_DENSE: tuple[type[nn.Module], ...] = (nn.RNN, nn.GRU, nn.LSTM)
_SPARSE: tuple[type[nn.Module], ...] = (SparseRNN, SparseGRU, SparseLSTM)
_KINDS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "GRU": "gru", "LSTM": "lstm"}
_LARGEST_DENSE = 16384  # inputs of a dense weight whose values lie in the order of its own memory
# On one thread, which is all that the native step uses for a network: weights of dense layers, those outside masks too,
# up to which it is faster than torch's layers (at batch 32: 1.6 times as fast with 100 units of any cell). On several
# threads: live weights of sparse layers from which these are faster by themselves.
_SMALL, _LARGE = 250_000, 100_000

# (parameter, where its live values lie in it or None) → what the step is given of it.
Lend: TypeAlias = Callable[[Tensor, Tensor | None], Trainee]
# (owner of the weight, its name, outputs and inputs) → its connections and where they lie in it.
Structured: TypeAlias = Callable[[nn.Module, str, tuple[int, int]], tuple[Junction, Tensor | None]]


class Recurrent(NamedTuple):
    """A recurrent classifier, in the place of a `Chain`."""

    model: SequenceClassifier
    flattens: bool = False

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return list(self.model.parameters())

    @property
    def sparse_layers(self) -> list[SparseModule]:
        """Those that store their live weights only."""
        return [layer for layer in self.model.children() if isinstance(layer, SparseModule)]

    @property
    def is_sparse(self) -> bool:
        """Whether the recurrent layers are such."""
        return isinstance(self.model.recurrent, SparseRecurrent)

    @property
    def weights(self) -> list[nn.Parameter]:
        """Of the recurrent layers and the readout, without biases."""
        layers = self.model.recurrent, self.model.readout
        return [p for layer in layers for name, p in layer.named_parameters() if name.startswith("weight")]


def against_recurrent(model: SequenceClassifier) -> Iterator[str]:
    """What keeps a recurrent classifier from being trained by the native whole-network step; nothing if it can be.

    Example:
        >>> model = SequenceClassifier("gru", 5)
        >>> model.recurrent.dropout = 0.5
        >>> "the recurrent layers have dropout" in against_recurrent(model)
        True
    """
    yield from against_calls(model)
    recurrent, readout, embedding = model.recurrent, model.readout, model.embedding
    if type(recurrent) not in (*_DENSE, *_SPARSE) or type(readout) not in (nn.Linear, SparseLinear):
        yield f"the layers are {type(recurrent).__name__} and {type(readout).__name__}, not the usual ones"
        return
    if not recurrent.batch_first:
        yield "the recurrent layers are not batch_first"
    if isinstance(recurrent, nn.RNNBase) and (recurrent.proj_size or recurrent.dropout):
        yield f"the recurrent layers have {'projections' if recurrent.proj_size else 'dropout'}"
    if embedding is not None and (type(embedding) is not nn.Embedding or _is_special(embedding)):
        yield "the embedding is not a plain one"
    yield from against_parameters(model)
    if any(not parameter.is_contiguous() for parameter in model.parameters()):
        yield "a weight is not contiguous"
    if not native.is_at_hand():
        yield "the native kernels are not at hand"
    form = Recurrent(model)
    total, threads = sum(weight.numel() for weight in form.weights), torch.get_num_threads()
    small = int(_SMALL / threads * min(1.0, native.vector_bytes() / 32))
    if not form.is_sparse and total > small:
        yield f"{total:,} dense weights are more than the {small:,} up to which it pays"
    if form.is_sparse and total > _LARGE and threads > 1:
        yield f"{total:,} weights are work for several threads, which the layers share out and the whole step does not"
    if any(weight.dim() == 2 and weight.shape[1] > _LARGEST_DENSE for weight in form.weights):
        yield f"a dense layer has more than {_LARGEST_DENSE:,} inputs"


def _is_special(embedding: nn.Embedding) -> bool:
    return embedding.max_norm is not None or embedding.scale_grad_by_freq or embedding.sparse


def fits_recurrent(inputs: Tensor, labels: Tensor, form: Recurrent) -> bool:
    """Whether the step can take samples like these: symbols (batch, steps), or features (batch, steps, inputs)."""
    model = form.model
    first = model.readout.weight
    if len(inputs) != len(labels) or not inputs.numel():
        return False
    if model.embedding is not None:
        return inputs.dtype == torch.int64 and inputs.dim() == 2
    return inputs.dtype == first.dtype and inputs.dim() == 3 and inputs.shape[2] == model.recurrent.input_size


def sequences_of(form: Recurrent, inputs: Tensor, labels: Tensor, rows: Tensor, ends: Tensor) -> Sequences:
    """The samples, with the lengths that the model's padding says."""
    model = form.model
    lengths = None if model.padding is None else model.lengths(inputs)
    return Sequences(inputs.contiguous(), labels.contiguous(), rows, ends, lengths, model.reads_padding)


def recurrent_step(
    form: Recurrent, structured: Structured, lend: Lend, update: Update, clip_norm: float | None
) -> tuple[RecurrentStep, list[Tensor | None]]:
    """The step, and the parameter that each of its trainees is."""
    model = form.model
    layer, readout = model.recurrent, model.readout
    parameters: list[Tensor | None] = [None if model.embedding is None else model.embedding.weight]
    embedding = None
    if model.embedding is not None:
        embedding = Embedding(lend(model.embedding.weight, None), model.embedding.padding_idx)
    junctions, values, biases = [], [], []
    for end, inputs in _cells(layer):
        for way, columns in (("ih", inputs), ("hh", layer.hidden_size)):
            name, bias = f"weight_{way}_{end}", f"bias_{way}_{end}"
            junction, places = structured(layer, name, (_rows(layer), columns))
            junctions.append(junction)
            values.append(lend(layer.get_parameter(name), places))
            parameters.append(layer.get_parameter(name))
            parameters.append(layer.get_parameter(bias) if layer.bias else None)
            if layer.bias:
                biases.append(lend(layer.get_parameter(bias), None))
    junction, places = structured(readout, "weight", (readout.out_features, readout.in_features))
    bias_of_it = None if readout.bias is None else lend(readout.bias, None)
    last = StepLayer(junction, lend(readout.weight, places), bias_of_it, "identity")
    parameters += [readout.weight, readout.bias]
    stack = Stack(_kind(layer), tuple(junctions), layer.bidirectional)
    return RecurrentStep(stack, values, biases, last, embedding, update, clip_norm), parameters


def _kind(layer: nn.RNNBase | SparseRecurrent) -> str:
    return layer.kind if isinstance(layer, SparseRecurrent) else _KINDS[layer.mode]


def _rows(layer: nn.RNNBase | SparseRecurrent) -> int:
    """Of every weight: gates times units."""
    return {"lstm": 4, "gru": 3}.get(_kind(layer), 1) * layer.hidden_size


def _cells(layer: nn.RNNBase | SparseRecurrent) -> Iterator[tuple[str, int]]:
    """The end of each cell's parameter names, and how many inputs it has."""
    directions = ("", "_reverse") if layer.bidirectional else ("",)
    for number in range(layer.num_layers):
        for end in directions:
            yield f"l{number}{end}", layer.hidden_size * len(directions) if number else layer.input_size
