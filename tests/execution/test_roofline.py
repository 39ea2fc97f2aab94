"""The machine's limits: the model by hand, and the probes as far as they can be checked without a clock."""

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.execution.roofline import BUFFERS, Limits, Work, least_seconds, measure_limits, work_of
from sparsewire.kernels import native

FLAT = Limits(1, 1e12, 1e9, ((1 << 40, 1e9),), native=True)


def test_the_forward_pass_reads_and_writes_everything_once() -> None:
    # 5 weights of 4 + 2 bytes, 7 · 3 inputs and 7 · 2 outputs of 4 bytes
    assert work_of(2, 3, 5, 7, training=False) == Work(2 * 5 * 7, 30 + 84 + 56, 30 + 84 + 56)
    assert work_of(2, 3, 5, 7, training=False, value_bytes=2).moved == 20 + 42 + 28


def test_a_training_step_is_three_products() -> None:
    # backward reads weights 30, inputs 84, the outputs' gradient 56; writes the weights' gradient 20 and the inputs' 84
    forward, step = work_of(2, 3, 5, 7, training=False), work_of(2, 3, 5, 7, training=True)
    assert step == Work(3 * forward.flops, forward.moved + 30 + 84 + 56 + 20 + 84, forward.held + 20 + 84 + 56)


def test_the_slower_limit_counts() -> None:
    assert least_seconds(Work(5e9, 1e9, 1e9), FLAT) == 5.0
    assert least_seconds(Work(5e9, 7e9, 1e9), FLAT) == 7.0


@pytest.mark.parametrize(("size", "rate"), [(0, 30.0), (10, 30.0), (11, 20.0), (100, 20.0), (101, 10.0), (10**9, 10.0)])
def test_a_working_set_is_held_to_the_buffer_that_is_not_smaller(size: int, rate: float) -> None:
    assert Limits(1, 1.0, 1.0, ((10, 30.0), (100, 20.0), (1000, 10.0)), native=True).bandwidth_of(size) == rate


def test_they_can_be_read() -> None:
    limits = Limits(2, 1.5e11, 6e10, ((16 << 10, 9e10), (128 << 20, 1.2e10)), native=True)
    assert str(limits) == (
        "2 threads: multiply-adds 150 Gflop/s, with rows from the second cache 60 Gflop/s; "
        "reading (GB/s) 16 KiB 90, 128 MiB 12"
    )


@pytest.mark.parametrize("at_hand", [True, False])
def test_probes_measure_something(at_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if at_hand and not native.is_at_hand():
        pytest.skip("the native library was not built")
    monkeypatch.setattr(native, "is_at_hand", lambda: at_hand)
    threads = torch.get_num_threads()
    limits = measure_limits(threads=1, seconds=0.001)
    assert torch.get_num_threads() == threads
    assert (limits.threads, limits.native) == (1, at_hand)
    assert limits.peak > 0
    assert limits.rows > 0
    assert [size for size, _ in limits.bandwidth] == list(BUFFERS)
    assert all(rate > 0 for _, rate in limits.bandwidth)


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_no_more_threads_than_torch_has(threads: int) -> None:
    with pytest.raises(RequestError, match="threads: found"):
        measure_limits(threads)


def test_the_native_probes_compute_what_they_say() -> None:
    """A probe whose work the compiler left out would report any rate."""
    if not native.is_at_hand():
        pytest.skip("the native library was not built")
    width, rounds = 8 * native.vector_bytes() // 4, 3
    generator = torch.Generator().manual_seed(0)
    tiles = torch.randint(9, (5, width), generator=generator).float()
    columns = torch.randint(5, (20,), generator=generator, dtype=torch.int32)
    weights = torch.randint(9, (20,), generator=generator).float()
    out = torch.zeros(16)
    places = native.address(tiles), 5, native.address(columns), native.address(weights), 20
    native.function("roofline_rows")(*places, rounds, native.address(out), 1)
    assert out[0] == rounds * (weights[:, None] * tiles[columns.long()]).sum()
    buffer = torch.randint(9, (7 * width,), generator=generator).float()
    out.zero_()
    native.function("roofline_read")(native.address(buffer), buffer.numel(), rounds, native.address(out), 1)
    assert out[0] == rounds * buffer.sum()
    out.zero_()
    native.function("roofline_multiply_add")(rounds, native.address(out), 1)
    sums = torch.arange(8, dtype=torch.float64)
    for _ in range(rounds):
        sums = sums * 0.999 + 1e-6
    torch.testing.assert_close(out[0].double(), sums.sum() * (width / 8), rtol=1e-5, atol=0)
