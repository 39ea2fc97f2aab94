"""Layer-wise Optimal Brain Surgeon on the linear layers of LeNet-300-100: its time, and what it saves.

    python benchmarks/surgeon.py [--threads 1] [--sizes 784 300 100 10] [--density 0.1] [--samples 2000] [--at-once N]

The inputs are random and correlated (64 hidden numbers, a linear map, a tenth of noise): no data is needed. For each
layer that follows the inputs it prints the squared change of its outputs relative to the outputs, with the weights that
magnitude keeps and with those that the surgeon keeps and updates; and the seconds that `surgeon_` takes.
"""

import argparse
import copy
import itertools
import time

import torch
from torch import nn

from sparsewire.structure.select import prune
from sparsewire.training.surgeon import surgeon_


def network(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def changes(before: nn.Sequential, after: nn.Sequential, inputs: torch.Tensor) -> list[float]:
    """Of each linear layer, on the inputs that it had before."""
    found = []
    for old, new in zip(before, after, strict=True):
        if isinstance(old, nn.Linear) and isinstance(new, nn.Linear):
            whole = inputs @ old.weight.T
            found.append(float(((inputs @ new.weight.T - whole) ** 2).sum() / (whole**2).sum()))
        inputs = old(inputs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 300, 100, 10])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--at-once", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = network(options.sizes)
    hidden = torch.randn(options.samples, 64) @ torch.randn(64, options.sizes[0])
    inputs = hidden + 0.1 * torch.randn_like(hidden)
    by_magnitude, by_surgeon = copy.deepcopy(model), copy.deepcopy(model)
    prune(model, score="magnitude", scope="uniform", density=options.density).apply_(by_magnitude)
    start, busy = time.perf_counter(), time.process_time()
    surgeon_(by_surgeon, (inputs, inputs), density=options.density, at_once=options.at_once)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"torch {torch.__version__}, threads: {options.threads}, density {options.density}")
    print(f"surgeon_: {seconds:.2f} s, of the processor {busy:.2f} s")
    pairs = zip(changes(model, by_magnitude, inputs), changes(model, by_surgeon, inputs), strict=True)
    for place, (magnitude, surgeon) in enumerate(pairs):
        print(f"  layer {place}: change by magnitude {magnitude:8.4f}, by surgeon {surgeon:8.4f}")


if __name__ == "__main__":
    main()
