"""Cost of the study of pruned recurrent networks (hidden_structures.recurrent) against a plain loop over masked cells.

    python benchmarks/recurrent_study.py [--cells tanh relu lstm gru] [--steps 60] [--rounds 3] [--plain-steps 3]

For each cell it takes samples of the paper's setup (three layers of 50, Reber strings, batches of 32, Adam, clipped):
of the base training, and of the retraining after 10, 40, 70 and 100 % of each scope's weights were removed.

* "ours": what the experiment does, `fit` on the live weights alone, and `evaluate` in batches of 32;
* "plain": a loop in Python over time steps and layers, with weight · mask in every call of torch's cell (which is
  itself one fused call; the paper's code has several), autograd, `clip_grad_norm_`, Adam.

The two take turns in every round; a ratio is the median over the rounds of two times of one round. The mean loss of the
same first steps has to be the same for both to 1e-4. What counts is the processor's time of one thread, which other
programs on the machine change little.

It prints milliseconds of a step, seconds of a test, and what one seed of the whole study (50 epochs, and 10 for each of
three scopes and ten shares, a test after each) comes to: the mean of the four shares is that of the ten if cost is
linear in them.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparsewire.data.reber_samples import reber_set
from sparsewire.data.samples import Samples
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, SCOPES, Cell
from sparsewire.experiments.hidden_structures.recurrent_setup import RecurrentSpec, Strings, masks_at, network, pruned
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.training.loop import evaluate, fit

SHARES = (10, 40, 70, 100)
STEPS = {
    "tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell, "lstm": torch.lstm_cell, "gru": torch.gru_cell,
}  # fmt: skip
Masked = dict[str, Tensor]


class PlainLoop(nn.Module):
    """The network as a loop over masked cells, with the weights of a `SequenceClassifier`."""

    def __init__(self, model: SequenceClassifier, cell: Cell, masks: Masked) -> None:
        super().__init__()
        self.model, self.cell, self.masks = copy.deepcopy(model), cell, masks

    def forward(self, symbols: Tensor) -> Tensor:
        """The logits."""
        recurrent, step = self.model.recurrent, STEPS[self.cell]
        vectors = self.model.embedding(symbols[:, : int(self.model.lengths(symbols).max())])
        zeros = vectors.new_zeros(len(symbols), recurrent.hidden_size)
        states = [zeros] * recurrent.num_layers
        memories = [zeros] * recurrent.num_layers
        for vector in vectors.unbind(1):
            below = vector
            for layer in range(recurrent.num_layers):
                weights = [self._masked(f"weight_{way}_l{layer}") for way in ("ih", "hh")]
                biases = [getattr(recurrent, f"bias_{way}_l{layer}") for way in ("ih", "hh")]
                if self.cell == "lstm":
                    states[layer], memories[layer] = step(below, (states[layer], memories[layer]), *weights, *biases)
                else:
                    states[layer] = step(below, states[layer], *weights, *biases)
                below = states[layer]
        return self.model.readout(below)

    def _masked(self, name: str) -> Tensor:
        weight = getattr(self.model.recurrent, name)
        return weight * self.masks.get(f"recurrent.{name}", torch.ones_like(weight))


def by_fit(model: nn.Module, data: Samples, spec: RecurrentSpec) -> float:
    """One epoch on the live weights; the mean loss."""
    options = {"epochs": 1, "batch_size": spec.batch, "clip_norm": spec.clip}
    order = torch.Generator().manual_seed(0)
    return fit(model, data, optimizer=lambda p: torch.optim.Adam(p, lr=spec.rate), generator=order, **options).loss[0]


def by_loop(model: PlainLoop, data: Samples, spec: RecurrentSpec) -> float:
    """The same steps, in the order that `fit` draws."""
    optimizer = torch.optim.Adam(model.parameters(), lr=spec.rate)
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(0))
    losses = []
    for rows in order.split(spec.batch):
        optimizer.zero_grad()
        loss = cross_entropy(model(data.inputs[rows]), data.labels[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
        optimizer.step()
        losses.append(loss.item())
    return statistics.fmean(losses)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(
    model: nn.Module, plain: PlainLoop, train: Samples, test: Samples, spec: RecurrentSpec, options: argparse.Namespace
) -> list[tuple[float, float, float, float]]:
    """For each round: seconds of our step, of a plain one, of our test of a batch, of a plain one."""
    some = train.take(options.plain_steps * spec.batch)
    first = by_fit(copy.deepcopy(model), some, spec), by_loop(copy.deepcopy(plain), some, spec)
    assert abs(first[0] - first[1]) < 1e-4, first
    found = []
    for _ in range(options.rounds):
        many, few = train.take(options.steps * spec.batch), Strings(some, test, spec.batch).test[: options.plain_steps]
        found.append(
            (
                seconds(lambda: by_fit(copy.deepcopy(model), many, spec)) / options.steps,  # noqa: B023
                seconds(lambda: by_loop(copy.deepcopy(plain), some, spec)) / options.plain_steps,
                seconds(lambda: evaluate(model, few)) / len(few),  # noqa: B023
                seconds(lambda: evaluate(plain, few)) / len(few),  # noqa: B023
            )
        )
    return found


def study(cell: Cell, train: Samples, test: Samples, options: argparse.Namespace) -> tuple[float, float]:
    """Prints a line for each phase; hours of one seed, ours and plain."""
    spec = RecurrentSpec(cell=cell)
    base = network(spec, torch.Generator().manual_seed(0))
    steps, batches = -(-spec.strings // spec.batch), -(-spec.test_strings // spec.batch)
    phases = {"base": (None, spec.epochs)}
    each = spec.retraining * len(spec.removed) // len(SHARES)
    phases |= {f"{scope} {removed} %": ((scope, removed), each) for scope in SCOPES for removed in SHARES}
    totals = [0.0, 0.0]
    for name, (pruning, epochs) in phases.items():
        masks = {} if pruning is None else masks_at(base, *pruning, spec)
        model = base if pruning is None else pruned(base, masks, spec)
        rounds = measure(model, PlainLoop(base, cell, dict(masks)), train, test, spec, options)
        step, plain_step, judged, plain_judged = map(statistics.median, zip(*rounds, strict=True))
        ratio = statistics.median(one[1] / one[0] for one in rounds)
        totals[0] += epochs * (steps * step + batches * judged)
        totals[1] += epochs * (steps * plain_step + batches * plain_judged)
        print(
            f"{CELLS[cell]:10}{name:12}{1000 * step:10.2f}{1000 * plain_step:10.1f}{ratio:8.1f} ×"
            f"{steps * step:12.1f}{batches * judged:10.2f}",
            flush=True,
        )
    return totals[0] / 3600, totals[1] / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--steps", type=int, default=60, help="steps of ours in a round")
    parser.add_argument("--plain-steps", type=int, default=3, help="steps of the plain loop in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = reber_set(generator=torch.Generator().manual_seed(0))
    print(f"{'cell':10}{'phase':12}{'ours, ms':>10}{'plain, ms':>10}{'ratio':>10}{'s an epoch':>12}{'s a test':>10}")
    hours = {cell: study(cell, data.train, data.test, options) for cell in options.cells}
    print(f"\n{'one seed of the study':24}{'ours, h':>10}{'plain, h':>10}{'ratio':>10}")
    for cell, (ours, plain) in [*hours.items(), ("all", tuple(map(sum, zip(*hours.values(), strict=True))))]:
        print(f"{CELLS.get(cell, cell):24}{ours:10.2f}{plain:10.2f}{plain / ours:8.1f} ×")


if __name__ == "__main__":
    main()
