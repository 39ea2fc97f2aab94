"""Training steps per second of sparse recurrent networks against what torch offers: 3 layers of 50 units, 8 symbols.

    python benchmarks/recurrent_speed.py [--rounds 9] [--threads 1 2] [--densities 1 0.3 0.1]

A step is: forward over 32 one-hot sequences of 15 to 30 symbols, a dense readout of the last valid state,
cross-entropy, backward, SGD. All networks take theirs in turns; each round is a few steps of each. What counts are the
ratios: each is the median over the rounds of two times in the same round, so that a slow moment of the machine meets
both.

* "layers": the sparse layers by autograd, in a loop over batches;
* "fit": the same network as a `SequenceClassifier` by `fit`, in native whole-network steps;
* "replicate": one such network for each thread; the steps of all are counted;

* "masked cells": a loop over steps and layers of torch's cells, with W · M in every call, as masked training is
  usually written;
* "masked nn": torch's layer over the padded batch, and the masks applied to the weights after every step.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sparsewire.execution.recurrent import SparseGRU, SparseLSTM, SparseRNN
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.training.loop import fit
from sparsewire.training.replicas import replicate

SYMBOLS, HIDDEN, LAYERS, BATCH, STEPS, CLASSES, RATE = 8, 50, 3, 32, 30, 2, 0.1
KINDS: dict[str, tuple[type[nn.RNNBase], type[nn.Module], dict[str, str]]] = {
    "tanh": (nn.RNN, SparseRNN, {"nonlinearity": "tanh"}),
    "relu": (nn.RNN, SparseRNN, {"nonlinearity": "relu"}),
    "gru": (nn.GRU, SparseGRU, {}),
    "lstm": (nn.LSTM, SparseLSTM, {}),
}
CELLS: dict[str, Callable[..., Tensor]] = {
    "tanh": torch.rnn_tanh_cell,
    "relu": torch.rnn_relu_cell,
    "gru": torch.gru_cell,
    "lstm": torch.lstm_cell,
}
Batch = tuple[Tensor, Tensor, Tensor]
Training = Callable[[list[Batch]], float]  # batches → their mean loss, each before its step


def batches(count: int) -> list[Batch]:
    """One-hot sequences (batch, steps, symbols), their lengths and their labels."""
    g, found = torch.Generator().manual_seed(0), []
    for _ in range(count):
        symbols = torch.randint(SYMBOLS, (BATCH, STEPS), generator=g)
        lengths = torch.randint(15, STEPS + 1, (BATCH,), generator=g)
        found.append((functional.one_hot(symbols, SYMBOLS).float(), lengths, torch.randint(2, (BATCH,), generator=g)))
    return found


def masks_of(layer: nn.RNNBase, density: float) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1)
    weights = {name: p for name, p in layer.named_parameters() if name.startswith("weight")}
    return {name: torch.rand(p.shape, generator=g) < density for name, p in weights.items()}


def last_states(output: Tensor, lengths: Tensor) -> Tensor:
    return output[torch.arange(len(lengths)), lengths - 1]


def by_cells(kind: str, layer: nn.RNNBase, masks: Mapping[str, Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    cell, weights = CELLS[kind], dict(layer.named_parameters())

    def forward(x: Tensor, lengths: Tensor) -> Tensor:
        states = [x.new_zeros(len(x), HIDDEN) for _ in range(LAYERS)]
        cs = [x.new_zeros(len(x), HIDDEN) for _ in range(LAYERS)]
        outputs = []
        for t in range(x.shape[1]):
            below = x[:, t]
            for k in range(LAYERS):
                names = f"weight_ih_l{k}", f"weight_hh_l{k}"
                masked = [weights[name] * masks[name] for name in names]
                biases = weights[f"bias_ih_l{k}"], weights[f"bias_hh_l{k}"]
                if kind == "lstm":
                    states[k], cs[k] = cell(below, (states[k], cs[k]), *masked, *biases)
                else:
                    states[k] = cell(below, states[k], *masked, *biases)
                below = states[k]
            outputs.append(below)
        return last_states(torch.stack(outputs, 1), lengths)

    return forward


def by_layer(layer: nn.RNNBase) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, lengths: last_states(layer(x)[0], lengths)


def by_sparse(layer: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    def forward(x: Tensor, lengths: Tensor) -> Tensor:
        _, state = layer(x, lengths=lengths)
        last: Tensor = (state[0] if isinstance(state, tuple) else state)[-1]
        return last

    return forward


def stepping(
    layer: nn.Module, forward: Callable[[Tensor, Tensor], Tensor], masks: Mapping[str, Tensor] | None
) -> Training:
    readout = nn.Linear(HIDDEN, CLASSES)
    optimizer = torch.optim.SGD([*layer.parameters(), *readout.parameters()], lr=RATE)

    def step(batch: Batch) -> float:
        x, lengths, labels = batch
        optimizer.zero_grad()
        loss = functional.cross_entropy(readout(forward(x, lengths)), labels)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for name, mask in (masks or {}).items():
                layer.get_parameter(name).mul_(mask)
        return loss.item()

    return lambda data: statistics.fmean(step(batch) for batch in data)


def fitting(kind: str, layers: list[nn.Module]) -> Training:
    """The same networks by `fit`, or several by `replicate`: 0 pads, the vectors of the other symbols are one-hot."""
    models = []
    for layer in layers:
        torch.manual_seed(1)
        readout = nn.Linear(HIDDEN, CLASSES)
        model = SequenceClassifier(kind, SYMBOLS, HIDDEN, CLASSES, LAYERS, symbols=SYMBOLS + 1, padding=0)
        model.recurrent, model.readout = layer, readout
        model.embedding.weight.requires_grad_(False).copy_(torch.eye(SYMBOLS + 1)[:, 1:])
        models.append(model)
    optimizers = [torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE) for model in models]

    def train(data: list[Batch]) -> float:
        ends = torch.arange(STEPS)
        symbols = [(x.argmax(2) + 1) * (ends < lengths[:, None]) for x, lengths, _ in data]
        samples = TensorDataset(torch.cat(symbols), torch.cat([labels for *_, labels in data]))
        source = DataLoader(samples, batch_size=BATCH)
        if len(models) == 1:
            history = fit(models[0], source, optimizer=optimizers[0], epochs=1)
        else:
            history = replicate(models, source, optimizer=optimizers, epochs=1)[0]
        return history.loss[0]

    return train


def trainings(kind: str, density: float) -> dict[str, Training]:
    """The ways to train one network, from the same weights."""
    dense_class, sparse_class, options = KINDS[kind]
    torch.manual_seed(0)
    layers = [dense_class(SYMBOLS, HIDDEN, LAYERS, batch_first=True, **options) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    masks = masks_of(layers[0], density)
    with torch.no_grad():
        for layer in layers:
            for name, mask in masks.items():
                layer.get_parameter(name).mul_(mask)
    sparse = [sparse_class.from_dense(layers[0], masks) for _ in range(2 + torch.get_num_threads())]  # type: ignore[attr-defined]
    ways = {
        "masked cells": (layers[0], by_cells(kind, layers[0], masks), None),
        "masked nn": (layers[1], by_layer(layers[1]), masks),
        "layers": (sparse[0], by_sparse(sparse[0]), None),
    }
    found = {}
    for name, way in ways.items():
        torch.manual_seed(1)  # the same readout
        found[name] = stepping(*way)
    return found | {"fit": fitting(kind, sparse[1:2]), "replicate": fitting(kind, sparse[2:])}


# Batches at a time: the shorter a way's step, the more.
AT_A_TIME = {"masked cells": 2, "masked nn": 2, "layers": 10, "fit": 60, "replicate": 60}


def measure(ways: dict[str, Training], data: list[Batch], rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of each way in each round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, train in ways.items():
            some = (data * AT_A_TIME[name])[: AT_A_TIME[name]]
            start = time.perf_counter()
            train(some)
            if number:  # the first round is for warming up
                networks = torch.get_num_threads() if name == "replicate" else 1
                times[name].append((time.perf_counter() - start) / len(some) / networks)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--densities", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    options = parser.parse_args()
    data = batches(10)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"\n{f'{threads} thread(s)':24}{'density':>8}{'steps/s':>10}{'of masked cells':>18}{'of masked nn':>15}")
        for kind in options.kinds:
            for density in options.densities:
                losses = [train(data[:3]) for train in trainings(kind, density).values()]
                assert all(abs(loss - losses[0]) < 1e-4 for loss in losses), losses
                times = measure(trainings(kind, density), data, options.rounds)
                for name in ("layers", "fit") if threads == 1 else ("layers", "fit", "replicate"):
                    cells, layer = (
                        statistics.median(other / own for other, own in zip(times[way], times[name], strict=True))
                        for way in ("masked cells", "masked nn")
                    )
                    speed = 1 / statistics.median(times[name])
                    print(
                        f"{f'{kind}, {name}':24}{density:8.2f}{speed:10.0f}{cells:16.1f} ×{layer:13.1f} ×", flush=True
                    )


if __name__ == "__main__":
    main()
