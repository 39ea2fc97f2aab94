"""Random cases for the products with sparse weights: each must equal the masked dense network.

    python benchmarks/kernel_fuzz.py [--cases 200] [--seed 0] [--long]

A case is a chain of layers of random sizes, densities and orders of the weights, a batch from 0 to 300, numbers of some
dtype that lie in memory in some odd way with NaN around them, a choice of gradients and a number of threads. The judge
is torch with dense masked weights in float64. Half of the cases have small whole numbers and no curved activations:
nothing is rounded there, so every bit has to be right. Printed is the worst error as a part of what is permitted. The
long form is 6,000 cases for each width of vectors that this machine has, and for plain torch. A case that fails is
printed: `check(Case(…))` runs it again.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsewire.kernels import native
from sparsewire.kernels.chain_compute import Layers
from sparsewire.kernels.chain_operator import operate
from sparsewire.kernels.junctions import Junction, junction_of
from sparsewire.kernels.products import chain, linear

# Of the scale of a result. What is stored as bfloat16 is rounded once, by half a unit in its last place.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 1e-5}
ROUNDING = {torch.float32: 0.0, torch.float64: 0.0, torch.bfloat16: 2.0**-8}
EDGE = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 1e-6}
IN_PLAIN_BFLOAT16 = 2.0**-5  # plain torch rounds after every operation
FLOOR = 1.0  # the scale of what is put in: a smaller result is what is left of numbers that cancelled each other
WIDTHS = (3, 1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40, 64, 65, 100, 130, 300)
BATCHES = (3, 1, 0, 2, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 49, 63, 64, 65, 100, 127, 128, 129, 200, 257, 300)
FORMS = ("usual", "apart", "turned", "window", "same")


class Case(NamedTuple):
    """What `check` needs to know; sizes are the inputs and the outputs of each layer."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    batch: int
    density: float
    empty: str
    block: int | None
    group: int | None
    dtype: torch.dtype
    whole: bool
    biases: tuple[bool, ...]
    forms: tuple[str, ...]
    wanted: tuple[bool, ...]
    way: str
    threads: int
    seed: int


def case_of(choose: Callable[[Sequence[Any]], Any]) -> Case:
    """A case put together from choices; the first of every choice is the plainest."""
    layers = choose((1, 2, 3, 4))
    whole = choose((True, False))
    curved = ("identity", "relu") if whole else ("identity", "relu", "tanh", "sigmoid")
    widths = (*WIDTHS, 0) if choose((False,) * 19 + (True,)) else WIDTHS
    return Case(
        sizes=tuple(choose(widths) for _ in range(layers + 1)),
        activations=tuple(choose(curved) for _ in range(layers)),
        batch=choose(BATCHES),
        density=choose((0.5, 1.0, 0.0, 0.01, 0.05, 0.1, 0.2, 0.8)),
        empty=choose(("nothing", "rows", "columns", "both")),
        block=choose((None, 1, 2, 3, 5, 16, 40, 64, 1000)),
        group=choose((None, 1, 4)),
        dtype=choose((torch.float32, torch.float64, torch.bfloat16)),
        whole=whole,
        biases=tuple(choose((False, True)) for _ in range(layers)),
        forms=tuple(choose(FORMS) for _ in range(4)),
        wanted=tuple(choose((True, False)) for _ in range(1 + 2 * layers)),
        way=choose(("linear", "chain", "operator")),
        threads=choose((1, 2, 3)),
        seed=choose(range(1000)),
    )


def check(case: Case) -> dict[str, float]:
    """Runs a case and returns the largest error of the output and of the gradients, as parts of what is permitted.

    Raises:
        AssertionError: an error is larger than that, an input was changed or a second run gave other bits.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        return _check(case)
    finally:
        torch.set_num_threads(threads)


def _check(case: Case) -> dict[str, float]:
    junctions, x, values, biases, grad = _tensors(case)
    leaves = [tensor for tensor in (x, *values, *biases) if tensor is not None and tensor.requires_grad]
    before = [tensor.clone() for tensor in (x, *values, grad)]
    y, found = _run(case, junctions, x, values, biases, grad, leaves)
    again, found_again = _run(case, junctions, x, values, biases, grad, leaves)
    for one, other in zip((y, *found), (again, *found_again), strict=True):
        assert _same_bits(one, other), f"a second run gave other numbers: {case}"
    for one, other in zip((x, *values, grad), before, strict=True):
        assert torch.equal(one, other), f"an input was changed: {case}"
    wanted, gradients, near = _judge(case, junctions, x, values, biases, grad)
    worst = {"output": _part(case, y, wanted)}
    assert y.dtype == case.dtype
    assert y.is_contiguous()
    if not near:  # else rounding decides whether a rectifier is open, and with it the whole gradient
        parts = [_part(case, one, other) for one, other in zip(found, gradients, strict=True)]
        worst["gradients"] = max(parts, default=0.0)
    assert max(worst.values()) <= 1, f"{worst} of what is permitted: {case}"
    return worst


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())


def _tensors(case: Case) -> tuple[list[Junction], Tensor, list[Tensor], list[Tensor | None], Tensor]:
    generator = torch.Generator().manual_seed(case.seed)
    junctions = []
    for inputs, outputs in pairwise(case.sizes):
        mask = torch.rand(outputs, inputs, generator=generator) < case.density
        if case.empty in ("rows", "both"):
            mask[torch.rand(outputs, generator=generator) < 0.4] = False
        if case.empty in ("columns", "both"):
            mask[:, torch.rand(inputs, generator=generator) < 0.4] = False
        junctions.append(junction_of(mask, case.block, case.group))

    def numbers(scale: float, form: str, *shape: int) -> Tensor:
        if case.whole:
            drawn = torch.randint(-2, 3, shape, generator=generator).to(case.dtype)
        else:
            drawn = (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(case.dtype)
        return _lying(drawn, form)

    form_x, form_values, form_bias, form_grad = case.forms
    if form_values == "same" and not case.whole:  # equal weights saturate, and 1 − a² is then rounding alone
        form_values = "window"
    x = numbers(1, form_x, case.batch, case.sizes[0])
    values = [numbers(max(j.density * j.inputs, 1) ** -0.5, form_values, j.count) for j in junctions]
    biases = [
        numbers(1, form_bias, j.outputs) if bias else None for j, bias in zip(junctions, case.biases, strict=True)
    ]
    for tensor, wanted in zip((x, *values, *biases), case.wanted, strict=True):
        if tensor is not None:
            tensor.requires_grad_(wanted)
    return junctions, x, values, biases, numbers(1, form_grad, case.batch, case.sizes[-1])


def _lying(tensor: Tensor, form: str) -> Tensor:
    """The numbers in memory of some form; what lies between and around them is NaN."""
    if form == "same":
        return tensor[:1].clone().expand(tensor.shape) if len(tensor) else tensor
    if form == "turned" and tensor.ndim == 2:
        return tensor.t().contiguous().t()
    if form == "usual" or tensor.ndim == 0:
        return tensor
    *before, last = tensor.shape
    step, first = (2, 1) if form == "apart" else (1, 3)
    room = tensor.new_full((*before, first + step * last + 5), torch.nan)
    room[..., first : first + step * last : step] = tensor
    return room[..., first : first + step * last : step]


def _run(
    case: Case,
    junctions: list[Junction],
    x: Tensor,
    values: list[Tensor],
    biases: list[Tensor | None],
    grad: Tensor,
    leaves: list[Tensor],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    if case.way == "operator":
        y = operate(x, values, biases, Layers(tuple(junctions), case.activations))
    elif case.way == "linear" and case.activations == ("identity",):
        y = linear(x, values[0], biases[0], junctions[0])
    else:
        y = chain(x, values, biases, junctions, case.activations)
    found = torch.autograd.grad(y, leaves, grad, materialize_grads=True) if leaves else ()
    return y.detach(), found


def _judge(
    case: Case, junctions: list[Junction], x: Tensor, values: list[Tensor], biases: list[Tensor | None], grad: Tensor
) -> tuple[Tensor, tuple[Tensor, ...], bool]:
    """Output and gradients of the masked dense network in float64, and whether a rectifier's input is almost zero."""

    def wide(tensor: Tensor) -> Tensor:
        return tensor.detach().double().requires_grad_(tensor.requires_grad)

    a, near = wide(x), False
    wide_values, wide_biases = [wide(one) for one in values], [None if one is None else wide(one) for one in biases]
    leaves = [one for one in (a, *wide_values, *wide_biases) if one is not None and one.requires_grad]
    for layer, (junction, activation) in enumerate(zip(junctions, case.activations, strict=True)):
        a = torch.nn.functional.linear(a, junction.weight_of(wide_values[layer]), wide_biases[layer])
        if activation == "relu" and a.numel():
            size, edge = a.detach().abs(), IN_PLAIN_BFLOAT16 if _rounds(case) else EDGE[case.dtype]
            near = near or bool(((size > 0) & (size < edge * max(1.0, float(size.max())))).any())
        a = getattr(torch, activation)(a) if activation != "identity" else a
    gradients = torch.autograd.grad(a, leaves, grad.double(), materialize_grads=True) if leaves else ()
    return a.detach(), gradients, near


def _rounds(case: Case) -> bool:
    """Whether plain torch computes in bfloat16."""
    return case.dtype == torch.bfloat16 and (not native.is_at_hand() or 0 in case.sizes)


def _part(case: Case, found: Tensor, wanted: Tensor) -> float:
    """The largest error as a part of what is permitted."""
    assert found.shape == wanted.shape, case
    if not found.numel():
        return 0.0
    size, found, wanted = wanted.abs(), found.double(), wanted.double()
    scale = float(size.max())
    if case.whole and scale < 2**20 and not _rounds(case):
        return 0.0 if torch.equal(found, wanted.to(case.dtype).double()) else torch.inf
    if _rounds(case):
        layers = len(case.sizes) - 1  # each rounds what it hands on
        return float((found - wanted).abs().max()) / (IN_PLAIN_BFLOAT16 * layers * max(scale, 1.0))
    permitted = TOLERANCE[case.dtype] * max(scale, FLOOR) + ROUNDING[case.dtype] * size
    return float(((found - wanted).abs() / permitted).nan_to_num(torch.inf).max())


def fuzz(cases: int, seed: int) -> None:
    """Checks so many cases and prints what was found."""
    choose, start, compared = random.Random(seed).choice, time.monotonic(), 0
    worst: dict[str, dict[str, float]] = {}
    for _ in range(cases):
        case = case_of(choose)
        parts = check(case)
        compared += "gradients" in parts
        found = worst.setdefault(str(case.dtype).removeprefix("torch."), {"output": 0.0, "gradients": 0.0})
        found |= {name: max(part, found[name]) for name, part in parts.items()}
    how = f"vectors of {native.vector_bytes()} bytes" if native.is_at_hand() else "plain torch"
    print(f"{how}: {cases} cases in {time.monotonic() - start:.0f} s, gradients compared in {compared}")
    for dtype, found in sorted(worst.items()):
        print(f"    {dtype:8}  output {found['output']:.2g}, gradients {found['gradients']:.2g} of what is permitted")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    if not options.long:
        fuzz(options.cases or 200, options.seed)
        return
    hows = [{"SPARSEWIRE_VECTOR_BYTES": str(width)} for width in (16, 32, 64) if width <= native.vector_bytes()]
    for number, how in enumerate([*hows, {"SPARSEWIRE_NATIVE": "0"}]):
        again = [sys.executable, __file__, "--cases", str(options.cases or 6000), "--seed", str(options.seed + number)]
        subprocess.run(again, env=os.environ | how, check=True)


if __name__ == "__main__":
    main()
