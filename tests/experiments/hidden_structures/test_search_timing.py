"""The time of a forward pass: the least of many, of one thread, and nothing else is touched by it."""

import itertools

import pytest
import torch
from tests.experiments.hidden_structures.made_search import SMALL

from sparsewire.experiments.hidden_structures import search_timing
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, chain
from sparsewire.experiments.hidden_structures.search_timing import forward_seconds

SPEC = CandidateSpec(**SMALL)


def test_it_is_the_least_of_at_least_fifteen(monkeypatch) -> None:
    monkeypatch.setattr(search_timing, "_LONG", 0.0)
    taken = [9.0, 4.0, 5.0, *[7.0] * 12, 1.0]  # the sixteenth is not waited for
    passes = []
    clock = itertools.chain.from_iterable((0.0, one) for one in taken)
    assert search_timing._least(lambda: passes.append(1), lambda: next(clock)) == 4.0
    assert len(passes) == 3 + 15


def test_passes_go_on_for_a_while(monkeypatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(search_timing.time, "perf_counter", lambda: next(ticks) / 400)
    passes = []
    search_timing._least(lambda: passes.append(1), lambda: 0.0)
    assert len(passes) == 3 + 15 + 39  # the clock of the wall is first asked after the fifteenth


@pytest.mark.parametrize("resolution", [1e-9, 1e-2])  # a clock of threads that is too coarse is not asked
def test_nothing_else_is_touched(monkeypatch, resolution) -> None:
    clock = type("Clock", (), {"resolution": resolution})
    monkeypatch.setattr(search_timing.time, "get_clock_info", lambda _: clock)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert 0 < forward_seconds(SPEC, chain(4)) < 60
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.is_inference_mode_enabled()
