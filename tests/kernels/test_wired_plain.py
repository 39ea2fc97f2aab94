"""The plain form of wired recurrent networks: numbers worked out by hand; torch's cells are its oracle elsewhere."""

import torch

from sparsewire.kernels.wired_plain import wired_recurrent
from sparsewire.kernels.wired_plan import WiredPlan

ONE = torch.ones(1, 1)


def test_one_cell_a_layer_adds_up_what_it_reads() -> None:
    plan = WiredPlan("relu", 1, (1, 1, 1), (((), 0), ((0,), 1), ((0, 1), 2)), maps_inputs=True)
    cells = [2 * ONE, None, None, None, ONE, ONE, None, None, torch.tensor([[1.0, 10.0]]), 0 * ONE, None, None]
    # inputs 1, 1, 1; layer 0: 2, 2, 2; layer 1: 2, 4, 6; layer 2: 22, 42, 62
    assert wired_recurrent(torch.ones(1, 3, 1), cells, plan).tolist() == [[2.0, 6.0, 62.0]]


def test_cells_of_one_layer_have_states_of_their_own() -> None:
    plan = WiredPlan("relu", 1, (1, 1, 1), (((), 0), ((0,), 1), ((0,), 2), ((1,), 2)))
    cells = [ONE, 0 * ONE, None, None] + [ONE, ONE, None, None] * 3
    # layer 0: 1, 1, 1; layer 1: 1, 2, 3; the cells of layer 2: 1, 2, 3 and 1, 3, 6
    assert wired_recurrent(torch.ones(1, 3, 1), cells, plan).tolist() == [[1.0, 3.0, 9.0]]


def test_a_sequence_ends_with_its_length() -> None:
    plan = WiredPlan("relu", 1, (1,), (((), 0),))
    x, lengths = torch.ones(3, 3, 1), torch.tensor([1, 2, 3])
    assert wired_recurrent(x, [ONE, ONE, None, None], plan, lengths).flatten().tolist() == [1.0, 2.0, 3.0]
