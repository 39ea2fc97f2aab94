"""Which machine this is."""

import json

import pytest
import torch

from sparsewire.execution.machine import machine
from sparsewire.kernels import native


def test_it_is_plain_and_the_same_twice() -> None:
    facts = machine()
    assert json.loads(json.dumps(facts)) == facts == machine()
    assert facts["processor"]


def test_the_number_of_threads_makes_another_machine() -> None:
    before, facts = torch.get_num_threads(), machine()
    torch.set_num_threads(before + 1)
    try:
        assert machine() == {**facts, "threads": before + 1}
    finally:
        torch.set_num_threads(before)


def test_so_does_running_on_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    assert machine()["kernels"] == "plain torch"
