"""Sparse layers beside everything else that multiplies with a sparse matrix, as ratios to the dense torch layer.

    python benchmarks/layers.py [--threads 1 2] [--seconds 0.5] [--quick] [--svg FILE]

All contenders of a shape, density and batch take turns in one run; a ratio is the median over the rounds of the dense
layer's time / the contender's. Layers are drop-in: batch-major tensors in and out, autograd included, float32; a
training step is a forward and a backward pass with gradients made anew. Peers are shown where they are installed
(sparselab, sparseprop, deepstruct). "% of limit": the least time that the machine's measured limits allow / the sparse
layer's time. "-": does not run; "<": left out, as one pass took more than 20 times as long as the dense layer's.
"""

import argparse
import importlib.util
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsewire.execution.contenders import layers, measured, pass_of
from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import Clock, take_turns
from sparsewire.execution.planning import plan_by, told
from sparsewire.execution.roofline import Limits, least_seconds, measure_limits, work_of
from sparsewire.execution.subjects import Subject

SHAPES = ((784, 300), (4096, 512), (3072, 768), (4096, 4096))
DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.01)
# (training, batch) → what the ratio to dense should be at least, by density
WANTED = {
    (True, 32): (1.2, 2.5, 4.5, 7, 13),
    (True, 256): (0.85, 1.6, 2.7, 4, 8),
    (False, 32): (1.8, 3, 5.5, 8.5, 20),
    (False, 1): (1.4, 2.2, 3.4, 4.5, 8),
    (False, 256): (),
}
OURS, PEERS = "sparsewire", ("sparselab", "sparseprop", "deepstruct")
NAMES = (OURS, "masked torch", "torch.sparse", "scipy", *PEERS)
Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One line of a table."""

    shape: tuple[int, int]
    density: float
    batch: int
    training: bool


@dataclass(frozen=True)
class Found:
    """What was measured for a case; a ratio of 0: does not run, of −1: too slow."""

    case: Case
    dense: float
    ratios: dict[str, float]
    fraction: float


class Masked(nn.Module):
    """What a masked layer of torch does in each step."""

    def __init__(self, dense: nn.Linear, mask: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(dense.weight.detach().clone()), nn.Parameter(dense.bias.detach().clone())
        self.register_buffer("mask", mask.float())

    def forward(self, x: Tensor) -> Tensor:
        """The dense product with W ∘ M."""
        return functional.linear(x, self.weight * self.mask, self.bias)


class Rows(nn.Module):
    """torch's own compressed rows."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "in beta state"
            self.weight = nn.Parameter(dense.weight.detach().to_sparse_csr())
        self.bias = nn.Parameter(dense.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """The transpose of W xᵀ, and the bias."""
        return torch.sparse.mm(self.weight, x.t()).t() + self.bias


def of_scipy(dense: nn.Linear) -> Layer:
    from scipy.sparse import csr_matrix

    weight, bias = csr_matrix(dense.weight.detach().numpy()), dense.bias.detach()
    return lambda x: torch.from_numpy((weight @ x.numpy().T).T) + bias


def of_sparselab(dense: nn.Linear, mask: Tensor) -> nn.Module:
    from sparselab import SparseLinear

    density = float(mask.float().mean())  # it draws its own mask
    return SparseLinear(dense.in_features, dense.out_features, sparsity=1 - density)


def of_sparseprop(dense: nn.Linear, mask: Tensor) -> nn.Module:
    from sparseprop.modules import SparseLinear

    return SparseLinear.from_dense(dense)


def of_deepstruct(dense: nn.Linear, mask: Tensor) -> nn.Module:
    from deepstruct.sparse import MaskedLinearLayer

    layer = MaskedLinearLayer(dense.in_features, dense.out_features)
    layer.mask = mask
    return layer


def contenders(shape: tuple[int, int], density: float) -> dict[str, Layer]:
    subject = Subject("Linear", shape[::-1], bias=True, density=density, dtype="float32", device="cpu")
    dense, sparse = layers(subject, torch.Generator().manual_seed(0))
    mask = dense.weight != 0
    found = {"dense": dense, OURS: sparse, "masked torch": Masked(dense, mask), "torch.sparse": Rows(dense)}
    found["scipy"] = of_scipy(dense)
    for name, make in zip(PEERS, (of_sparselab, of_sparseprop, of_deepstruct), strict=True):
        if importlib.util.find_spec(name):
            try:
                found[name] = make(dense, mask)
            except Exception as cause:  # noqa: BLE001  # whatever ails a peer
                print(f"{name} does not run: {cause!r}")
    return found


def runnable(
    found: dict[str, Layer], case: Case, x: Tensor
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """What can be timed, and the ratio 0 or −1 of what cannot."""
    works, others = {}, {}
    for name, layer in found.items():
        try:
            if case.training and name == "scipy":
                raise NotImplementedError("no gradients")
            work = pass_of(layer, x, case.training)
            work()
            start = time.perf_counter()
            work()
            took = time.perf_counter() - start
            if name == "dense":
                usual = took
            if took > max(20 * usual, 0.05):
                others[name] = -1.0
            else:
                works[name] = work
        except Exception:  # noqa: BLE001
            others[name] = 0.0
    return works, others


def measure(found: dict[str, Layer], case: Case, limits: Limits, seconds: float, clock: Clock) -> Found:
    inputs, outputs = case.shape
    x = torch.randn(case.batch, inputs, generator=torch.Generator().manual_seed(1))
    works, ratios = runnable(found, case, x)
    times = take_turns(works, seconds, clock)
    for name, taken in times.items():
        ratios[name] = statistics.median(a / b for a, b in zip(times["dense"], taken, strict=True))
    work = work_of(outputs, inputs, round(case.density * inputs * outputs), case.batch, training=case.training)
    fraction = least_seconds(work, limits) / statistics.median(times[OURS])
    return Found(case, statistics.median(times["dense"]), ratios, fraction)


def every(
    shapes: Sequence[tuple[int, int]], densities: Sequence[float], limits: Limits, seconds: float, clock: Clock
) -> list[Found]:
    rows = []
    for shape, density in itertools.product(shapes, densities):
        found = contenders(shape, density)
        for training, batch in WANTED:
            rows.append(measure(found, Case(shape, density, batch, training), limits, seconds, clock))
    return rows


def mean(numbers: Sequence[float]) -> float:
    """Geometric; 0 where one of them was not measured."""
    return math.exp(statistics.fmean(map(math.log, numbers))) if numbers and min(numbers) > 0 else 0.0


def shown(ratio: float) -> str:
    return "-" if ratio == 0 else "<" if ratio < 0 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def show(lines: Sequence[Sequence[str]]) -> None:
    print(*("| " + " | ".join(cells) + " |" for cells in (lines[0], ["---"] * len(lines[0]), *lines[1:])), sep="\n")


def titled(training: bool, batch: int) -> str:
    return f"{'training step' if training else 'inference'}, batch {batch}"


def show_settings(rows: Sequence[Found], names: Sequence[str]) -> None:
    for training, batch in WANTED:
        print(f"\n### {titled(training, batch)}\n")
        lines = [["layer", "density", "dense ms", *names, "% of limit"]]
        for row in rows:
            case = row.case
            if (case.training, case.batch) == (training, batch):
                cells = [f"{case.shape[0]}×{case.shape[1]}", f"{case.density:g}", f"{row.dense * 1e3:.3g}"]
                cells += [shown(row.ratios.get(name, 0.0)) for name in names]
                lines.append([*cells, f"{100 * row.fraction:.0f}"])
        show(lines)


def show_summary(rows: Sequence[Found], names: Sequence[str], densities: Sequence[float]) -> dict[str, list[float]]:
    """The geometric means over the layers, which are also returned for the sparse layer, by setting."""
    print("\n### Geometric mean over the layers\n")
    lines, means = [["", "density", *(f"{density:g}" for density in densities)]], {}
    for (training, batch), wanted in WANTED.items():
        title = titled(training, batch)
        for name in (*names, "% of limit", "at least"):
            cells = []
            for density in densities:
                chosen = [
                    r for r in rows if (r.case.training, r.case.batch, r.case.density) == (training, batch, density)
                ]
                if name == "at least":
                    asked = dict(zip(DENSITIES, wanted, strict=False)).get(density)
                    cells.append("" if asked is None else f"**{asked:g}**")
                elif name == "% of limit":
                    cells.append(f"{100 * mean([row.fraction for row in chosen]):.0f}")
                else:
                    average = mean([row.ratios.get(name, 0.0) for row in chosen])
                    cells.append(shown(average))
                    if name == OURS:
                        means.setdefault(title, []).append(average)
            lines.append([title, name, *cells])
    show(lines)
    return means


def show_plan(rows: Sequence[Found]) -> None:
    """Whether the default plan, measured by itself, ever chose sparse where these tables say that it loses."""
    chosen = []
    for shape, density in dict.fromkeys((row.case.shape, row.case.density) for row in rows):
        layer = nn.utils.skip_init(nn.Linear, *shape)
        masks = {"weight": torch.rand(shape[::-1], generator=torch.Generator().manual_seed(0)) < density}
        for training in (True, False):
            if plan_by(measured, layer, masks, training=training).runs_sparse("weight"):
                chosen += [r for r in rows if r.case.shape == shape and r.case.density == density
                           and r.case.training == training]  # fmt: skip
    print(f"\nDefault plan: sparse in {len(chosen)} of {len(rows)} cases", end="")
    if chosen:
        worst = min(chosen, key=lambda row: row.ratios[OURS])
        print(f"; the least ratio among them is {worst.ratios[OURS]:.2f}: {worst.case}", end="")
    print(".")


def draw(means: dict[str, list[float]], densities: Sequence[float], file: Path) -> None:
    from sparsewire.analysis.draw import curves

    xs = [100 * density for density in densities]
    series = {title: [(xs, ratios)] for title, ratios in means.items() if min(ratios) > 0}
    labels = {"x_label": "density, %", "y_label": "times faster than dense, geometric mean over the layers"}
    curves(series, log_x=True, log_y=True, published={"as fast as dense": 1.0}, **labels).savefig(file)
    print(f"\nwritten: {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--seconds", type=float, default=0.5, help="for all contenders of one case together")
    parser.add_argument("--cpu-time", action="store_true", help="with one thread: its own time, on a busy machine")
    parser.add_argument("--quick", action="store_true", help="the smallest layer at two densities, in a moment")
    parser.add_argument("--svg", type=Path, help="a plot of the last number of threads")
    options = parser.parse_args()
    shapes, densities = (SHAPES[:1], (0.1, 0.01)) if options.quick else (SHAPES, DENSITIES)
    seconds = 0.05 if options.quick else options.seconds
    names = [name for name in NAMES if name not in PEERS or importlib.util.find_spec(name)]
    for threads in options.threads:
        torch.set_num_threads(threads)
        limits = measure_limits()
        print(f"\n## {told(machine())}\n\n{limits}")
        clock = time.thread_time if options.cpu_time and threads == 1 else time.perf_counter
        rows = every(shapes, densities, limits, seconds, clock)
        show_settings(rows, names)
        means = show_summary(rows, names, densities)
        show_plan(rows)
    if options.svg:
        draw(means, densities, options.svg)


if __name__ == "__main__":
    main()
