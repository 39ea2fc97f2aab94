"""The two Triton kernels: sums over the entries of a line, and products of two lines at the entries alone.

Importable where Triton is not: `triton` is None then, and the kernels are plain functions that nobody calls. Both take
activations feature by feature (features, batch), so that one entry reads a stretch of memory. There are no atomic
additions: every number is the work of one program, and the order of its sums follows from the sizes alone. The loops
are `while` loops, which compile to the same code: with numpy 2.4 Triton's interpreter takes no loaded bound in a range.
"""
# Triton reads the bodies, in its own language; Python's types do not describe them.
# mypy: disable-error-code="no-untyped-def"

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    triton: Any = importlib.import_module("triton")
    tl: Any = importlib.import_module("triton.language")
except ImportError:
    triton = tl = None

if TYPE_CHECKING:
    constexpr = Any
else:
    constexpr = int if tl is None else tl.constexpr


def jit(kernel: Callable[..., None]) -> Any:
    """The kernel for Triton (its interpreter, if TRITON_INTERPRET is set), or as it is where there is no Triton."""
    return kernel if triton is None else triton.jit(kernel)


def is_interpreted() -> bool:
    """Whether the kernels run in Triton's interpreter, on the CPU."""
    return triton is not None and not isinstance(sum_lines, triton.JITFunction)


@jit
def sum_lines(
    x, values, bias, y, starts, others, places, lines, batch,
    ACC: constexpr, ENTRIES: constexpr, SAMPLES: constexpr, BIAS: constexpr,
):  # fmt: skip
    """y[line, sample] = bias[line] + Σ over the line's entries e of values[places[e]] · x[others[e], sample]."""
    program = tl.program_id(0)
    # Neighbouring programs share the samples, hence the part of x that they read.
    line = program % lines
    sample = (program // lines) * SAMPLES + tl.arange(0, SAMPLES)
    asked = sample < batch
    end = tl.load(starts + line + 1)
    total = tl.zeros((ENTRIES, SAMPLES), ACC)
    first = tl.load(starts + line)
    while first < end:
        entry = first + tl.arange(0, ENTRIES)
        there = entry < end
        value = tl.load(values + tl.load(places + entry, mask=there, other=0), mask=there, other=0).to(ACC)
        # 64 bits: features × batch may pass 2³¹.
        other = tl.load(others + entry, mask=there, other=0).to(tl.int64)
        tile = tl.load(x + other[:, None] * batch + sample[None, :], mask=there[:, None] & asked[None, :], other=0)
        total += value[:, None] * tile.to(ACC)
        first += ENTRIES
    found = tl.sum(total, 0)
    if BIAS:
        found += tl.load(bias + line).to(ACC)
    tl.store(y + line.to(tl.int64) * batch + sample, found, mask=asked)


@jit
def multiply_lines(
    x, gradient, found, starts, others, places, lines, parts, batch,
    ACC: constexpr, ENTRIES: constexpr, SAMPLES: constexpr,
):  # fmt: skip
    """found[places[e]] = Σ over the samples of gradient[line, sample] · x[others[e], sample] for its entries."""
    program = tl.program_id(0)
    line = program % lines
    part = program // lines
    end = tl.load(starts + line + 1)
    row = gradient + line.to(tl.int64) * batch
    first = tl.load(starts + line) + part * ENTRIES
    while first < end:
        entry = first + tl.arange(0, ENTRIES)
        there = entry < end
        other = tl.load(others + entry, mask=there, other=0).to(tl.int64)
        total = tl.zeros((ENTRIES, SAMPLES), ACC)
        before = 0
        while before < batch:
            sample = before + tl.arange(0, SAMPLES)
            asked = sample < batch
            tile = tl.load(x + other[:, None] * batch + sample[None, :], mask=there[:, None] & asked[None, :], other=0)
            total += tl.load(row + sample, mask=asked, other=0).to(ACC)[None, :] * tile.to(ACC)
            before += SAMPLES
        tl.store(found + tl.load(places + entry, mask=there, other=0), tl.sum(total, 1), mask=there)
        first += parts * ENTRIES
