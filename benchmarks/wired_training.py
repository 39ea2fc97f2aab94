"""Cost of the study of random graphs (hidden_structures.priors) against a plain loop over time steps and masked cells.

    python benchmarks/wired_training.py [--cells gru tanh] [--graphs 1] [--steps 147] [--plain-steps 2] [--check 10]

For each cell and family it draws graphs as the paper does (10 to 50 nodes; Watts and Strogatz with k = n // 5, p = 1,
Barabási and Albert with m = n // 10) and trains the network that each wires, as the experiment does: Reber strings in
batches of 128, read with their padding, a cell for every junction, Adam, gradients clipped at 5.

* "ours": `fit` with the graph's masks, which goes by native steps, and `evaluate`;
* "plain": a loop in Python over time steps and cells, each from its formula with weight · mask at every call, autograd,
  `clip_grad_norm_`, Adam. Here the norm does not count what lies outside the masks; in `fit` it does.

With --check N the mean loss of the first N steps has to be the same for both to 1e-4. The two take turns in every
round; a ratio is the median over the rounds of two times of one round. What counts is the processor's time of one
thread, which other programs on the machine change little.

It prints milliseconds of a step for each graph, and hours of the whole study (100 graphs of each family for each cell,
15 epochs, a test at the end), taking every graph to cost as much as the mean of those that were measured.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from sparsewire.data.reber_samples import reber_set
from sparsewire.data.samples import Samples
from sparsewire.models.wired import WiredSequences, wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.small_worlds import watts_strogatz
from sparsewire.training.loop import evaluate, fit

CELLS = {"tanh": "rnn_tanh", "relu": "rnn_relu", "gru": "gru", "lstm": "lstm"}
GRAPHS, EPOCHS, BATCH, RATE, CLIP, SYMBOLS = 100, 15, 128, 1e-3, 5.0, 128


class PlainLoop(nn.Module):
    """The network as a loop over time steps and masked cells, with the weights of a `WiredSequences`."""

    def __init__(self, model: WiredSequences, masks: Masks) -> None:
        super().__init__()
        self.model, self.masks = copy.deepcopy(model), dict(masks)

    def forward(self, symbols: Tensor) -> Tensor:
        """The logits."""
        network = self.model.network
        vectors = self.model.embedding(symbols[:, : int(self.model.lengths(symbols).max())])
        states = [vectors.new_zeros(len(symbols), network.graph_sizes[wire.target]) for wire in network.wiring]
        memories = list(states)
        layers: list[Tensor] = []
        for vector in vectors.unbind(1):
            layers = []
            for k, (wire, cell) in enumerate(zip(network.wiring, network.cells, strict=True)):
                below = layers[wire.sources[0]] if wire.sources else vector
                weight = cell.weight_ih_l0
                if wire.sources:
                    weight = weight * self.masks[f"network.cells.{k}.weight_ih_l0"]
                given = linear(below, weight, cell.bias_ih_l0)
                own = linear(states[k], cell.weight_hh_l0, cell.bias_hh_l0)
                states[k], memories[k] = _state(network.cell, given, own, states[k], memories[k])
                if wire.target == len(layers):
                    layers.append(states[k])
                else:
                    layers[wire.target] = layers[wire.target] + states[k]
        return network.readout(layers[-1])


def _state(cell: str, given: Tensor, own: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    if cell == "gru":
        (r, z, n), (r_own, z_own, n_own) = given.chunk(3, 1), own.chunk(3, 1)
        keep = torch.sigmoid(z + z_own)
        return (1 - keep) * torch.tanh(n + torch.sigmoid(r + r_own) * n_own) + keep * h, c
    if cell == "lstm":
        i, f, g, o = (given + own).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    return (torch.tanh(given + own) if cell == "rnn_tanh" else torch.relu(given + own)), c


def by_fit(model: nn.Module, masks: Masks, data: Samples) -> float:
    """One epoch; the mean loss."""
    order = torch.Generator().manual_seed(0)
    options = {"epochs": 1, "batch_size": BATCH, "clip_norm": CLIP, "generator": order, "masks": masks}
    history = fit(model, data, optimizer=lambda p: torch.optim.Adam(p, lr=RATE), **options)
    assert history.epochs[0].route == "native"
    return history.loss[0]


def by_loop(model: PlainLoop, data: Samples) -> float:
    """The same steps, in the order that `fit` draws."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(0))
    losses = []
    for rows in order.split(BATCH):
        optimizer.zero_grad()
        loss = cross_entropy(model(data.inputs[rows]), data.labels[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.item())
    return statistics.fmean(losses)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def drawn(family: str, number: int, nodes: int | None) -> NetGraph:
    """One of the paper's graphs."""
    source = torch.Generator().manual_seed(number)
    n = nodes or int(torch.randint(10, 51, (), generator=source))
    return (
        watts_strogatz(n, n // 5, generator=source) if family == "WS" else barabasi_albert(n, n // 10, generator=source)
    )


def measure(cell: str, graph: NetGraph, train: Samples, test: Samples, options: argparse.Namespace) -> list[float]:
    """Seconds of a step, ours and plain, their ratio, seconds of a test of ours."""
    source = torch.Generator().manual_seed(0)
    network, own = wired(graph, graph.sizes[0], 2, CELLS[cell], "post", generator=source)
    model = WiredSequences(network, SYMBOLS, 0, reads_padding=True, generator=source)
    masks = Masks({f"network.{name}": mask for name, mask in own.items()})
    plain = PlainLoop(model, masks)
    if options.check:
        some = train.take(options.check * BATCH)
        both = by_fit(copy.deepcopy(model), masks, some), by_loop(copy.deepcopy(plain), some)
        assert abs(both[0] - both[1]) < 1e-4, both
        print(f"  mean loss of the first {options.check} steps: {both[0]:.6f}, plain {both[1]:.6f}")
    many, few = train.take(options.steps * BATCH), train.take(options.plain_steps * BATCH)
    rounds = []
    for _ in range(options.rounds):
        ours = seconds(lambda: by_fit(copy.deepcopy(model), masks, many)) / options.steps
        theirs = seconds(lambda: by_loop(copy.deepcopy(plain), few)) / options.plain_steps
        judged = seconds(lambda: evaluate(model, test.take(BATCH * 4), batch_size=BATCH)) / (4 * BATCH)
        rounds.append((ours, theirs, theirs / ours, judged * len(test.labels)))
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--graphs", type=int, default=1, help="of each family and cell")
    parser.add_argument("--nodes", type=int, help="of every graph, instead of 10 to 50")
    parser.add_argument("--steps", type=int, default=146, help="steps of ours in a round, at most an epoch (146)")
    parser.add_argument("--plain-steps", type=int, default=2, help="steps of the plain loop in a round")
    parser.add_argument("--check", type=int, default=10, help="steps whose losses are compared; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = reber_set(generator=torch.Generator().manual_seed(0))
    steps = -(-len(data.train.labels) // BATCH)
    print(f"{'cell':6}{'graph':24}{'ours, ms':>10}{'plain, ms':>11}{'ratio':>10}{'s a test':>10}")
    hours = [0.0, 0.0]
    for cell in options.cells:
        for family in ("WS", "BA"):
            found = []
            for number in range(options.graphs):
                graph = drawn(family, number, options.nodes)
                found.append(measure(cell, graph, data.train, data.test, options))
                ours, plain, ratio, judged = found[-1]
                name = f"{family} {sum(graph.sizes)} nodes, {len(graph.sizes)} layers"
                print(
                    f"{cell:6}{name:24}{1000 * ours:10.2f}{1000 * plain:11.1f}{ratio:8.1f} ×{judged:10.2f}", flush=True
                )
            for k in (0, 1):
                each = statistics.fmean(EPOCHS * steps * one[k] + (one[3] if k == 0 else 0.0) for one in found)
                hours[k] += GRAPHS * each / 3600
    print(
        f"\nthe study, hours: ours {hours[0]:.2f}, plain {hours[1]:.1f} without its tests, {hours[1] / hours[0]:.0f} ×"
    )


if __name__ == "__main__":
    main()
