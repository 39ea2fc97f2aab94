"""What this machine can do at best, measured, and the least time that a sparse product can take on it.

The model has two limits, of which the slower one counts:

    least time = max(flops / row rate, bytes / bandwidth of the level that holds the working set)

*Row rate*: an unstructured sparse product multiplies one weight with a row of the activations that lies anywhere, so
every multiply-add needs a load. This pattern is measured as it is, on rows that fill the second cache (256 KiB a
thread). A product that loads a row once for several outputs, which pays at high densities, may be faster than this.
*Bandwidth*: buffers of growing size are read again and again; a working set is held to the rate of the smallest buffer
that is not smaller than it.

The flops and bytes are those that cannot be avoided: a forward pass takes 2 flops per live weight and sample, and
reads weights, their indices (2 bytes each) and inputs and writes outputs once; a training step takes three times the
flops, and its backward pass reads weights, indices, inputs and the gradient of the outputs and writes the two others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sparsewire.errors import RequestError
from sparsewire.execution.measuring import Clock, fairest_clock
from sparsewire.kernels import native

INDEX_BYTES = 2
_KIB, _MIB = 1 << 10, 1 << 20
BUFFERS = (16 * _KIB, 128 * _KIB, 512 * _KIB, 2 * _MIB, 16 * _MIB, 128 * _MIB)
_TILE = 256 * _KIB  # of rows, for each thread
_CHAINS = 8  # as in roofline.cpp


@dataclass(frozen=True)
class Limits:
    """What the machine reached in the probes.

    Args:
        threads: how many of them worked.
        peak: multiply-adds that wait for nothing, in flops a second; without the native library a matrix product.
        rows: multiply-adds with rows from anywhere in the second cache, in flops a second; without the native library
            as `peak`.
        bandwidth: (bytes of the buffer, bytes read a second) by growing size.
        native: whether the native probes measured it.

    Example:
        >>> limits = Limits(1, 1e11, 5e10, ((1024, 4e10), (4096, 1e10)), native=True)
        >>> limits.bandwidth_of(1000), limits.bandwidth_of(2000), limits.bandwidth_of(10**9)
        (40000000000.0, 10000000000.0, 10000000000.0)
    """

    threads: int
    peak: float
    rows: float
    bandwidth: tuple[tuple[int, float], ...]
    native: bool

    def bandwidth_of(self, size: float) -> float:
        """Bytes a second from a working set of so many bytes."""
        return next((rate for held, rate in self.bandwidth if size <= held), self.bandwidth[-1][1])

    def __str__(self) -> str:
        levels = ", ".join(f"{_bytes(size)} {rate / 1e9:.0f}" for size, rate in self.bandwidth)
        return (
            f"{self.threads} thread{'s' * (self.threads != 1)}: multiply-adds {self.peak / 1e9:.0f} Gflop/s, "
            f"with rows from the second cache {self.rows / 1e9:.0f} Gflop/s; reading (GB/s) {levels}"
        )


@dataclass(frozen=True)
class Work:
    """What a product has to do: flops, bytes that are moved, and bytes of everything that it touches."""

    flops: float
    moved: float
    held: float


def work_of(outputs: int, inputs: int, count: int, batch: int, *, training: bool, value_bytes: int = 4) -> Work:
    """The flops and bytes that a sparse dense-layer product cannot avoid, as this module says.

    Args:
        outputs: neurons of the layer, ≥ 0.
        inputs: its inputs, ≥ 0.
        count: its live weights, ≥ 0.
        batch: samples, ≥ 0.
        training: a forward and a backward pass; else the forward pass alone.
        value_bytes: of one number.

    Example:
        >>> work_of(300, 784, 23520, 32, training=False)
        Work(flops=1505280, moved=279872, held=279872)
    """
    weights, x, y = count * (value_bytes + INDEX_BYTES), batch * inputs * value_bytes, batch * outputs * value_bytes
    forward = Work(2 * count * batch, weights + x + y, weights + x + y)
    if not training:
        return forward
    gradients = count * value_bytes + x + y
    return Work(3 * forward.flops, 2 * forward.moved + count * value_bytes + x, forward.held + gradients)


def least_seconds(work: Work, limits: Limits) -> float:
    """The time below which the machine's measured limits do not let this work be done.

    Example:
        >>> limits = Limits(1, 1e11, 5e10, ((1 << 30, 1e10),), native=True)
        >>> least_seconds(work_of(300, 784, 23520, 32, training=False), limits)  # 1505280 / 5e10
        3.01056e-05
    """
    return max(work.flops / limits.rows, work.moved / limits.bandwidth_of(work.held))


def measure_limits(threads: int | None = None, seconds: float = 0.05) -> Limits:
    """The machine's limits now, with the best of a few tries of each probe.

    Args:
        threads: how many shall work; None: as many as torch uses, which is also the most.
        seconds: how long each of the eight probes may take.

    Raises:
        RequestError: no such number of threads.

    Example:
        >>> limits = measure_limits(threads=1, seconds=0.001)
        >>> limits.peak > 0, len(limits.bandwidth)
        (True, 6)
    """
    most = torch.get_num_threads()
    threads = most if threads is None else threads
    if not 1 <= threads <= most:
        raise RequestError(
            f"threads: found {threads}, expected 1 to {most}, as many as torch uses; see set_num_threads"
        )
    probe = _by_native if native.is_at_hand() else _by_torch
    return probe(threads, seconds, fairest_clock(threads))


def _by_native(threads: int, seconds: float, clock: Clock) -> Limits:
    out = torch.zeros(threads * 16)
    width = _CHAINS * native.vector_bytes() // 4
    add, read, walk = (native.function(f"roofline_{name}") for name in ("multiply_add", "read", "rows"))
    where = native.address(out)
    peak = _rate(lambda rounds: add(rounds * 1000, where, threads), 2000 * width * threads, seconds, clock)
    rows, count = _TILE // (4 * width), 4096
    tiles, weights = torch.zeros(threads * rows * width), torch.zeros(count)
    columns = torch.randint(rows, (count,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    places = native.address(tiles), rows, native.address(columns), native.address(weights), count
    walked = _rate(lambda rounds: walk(*places, rounds, where, threads), 2 * count * width * threads, seconds, clock)
    buffer = torch.zeros(BUFFERS[-1] // 4)

    def reading(size: int) -> float:
        return _rate(
            lambda rounds: read(native.address(buffer), size // 4, rounds, where, threads), size, seconds, clock
        )

    return Limits(threads, peak, walked, tuple((size, reading(size)) for size in BUFFERS), native=True)


def _by_torch(threads: int, seconds: float, clock: Clock) -> Limits:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    square, buffer = torch.zeros(512, 512), torch.zeros(BUFFERS[-1] // 4)

    def reading(size: int) -> float:
        part = buffer[: size // 4]
        return _rate(lambda rounds: [part.sum() for _ in range(rounds)], size, seconds, clock)

    try:
        peak = _rate(lambda rounds: [square @ square for _ in range(rounds)], 2 * 512**3, seconds, clock)
        return Limits(threads, peak, peak, tuple((size, reading(size)) for size in BUFFERS), native=False)
    finally:
        torch.set_num_threads(before)


def _rate(work: Callable[[int], object], amount: float, seconds: float, clock: Clock) -> float:
    """The largest amount a second of three tries, each of as many rounds as fill a third of the time."""
    rounds, took = 1, 0.0
    while True:
        start = clock()
        work(rounds)
        took = clock() - start
        if took * 6 >= seconds:
            break
        rounds *= 2
    best = took
    for _ in range(3):
        start = clock()
        work(rounds)
        best = min(best, clock() - start)
    return amount * rounds / max(best, 1e-9)


def _bytes(size: int) -> str:
    return f"{size // _MIB} MiB" if size >= _MIB else f"{size // _KIB} KiB"
