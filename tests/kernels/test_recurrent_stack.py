import pytest
import torch

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.junctions import junction_of
from sparsewire.kernels.recurrent_stack import Stack


def test_what_is_no_stack_is_refused():
    square, wide = junction_of(torch.ones(4, 4).bool()), junction_of(torch.ones(4, 5).bool())
    with pytest.raises(UnknownNameError, match="did you mean 'gru'"):
        Stack("gruu", (square, square))
    with pytest.raises(RequestError, match="found 1, expected 2 for each layer"):
        Stack("tanh", (square,))
    with pytest.raises(RequestError, match=r"junctions\[2\]: found .* expected one of shape \(4, 4\)"):
        Stack("tanh", (wide, square, wide, square))


def test_the_workspace_grows_with_batch_and_steps():
    square = junction_of(torch.ones(8, 2).bool())
    stack = Stack("lstm", (square, square))
    # One cache line of 16 floats; for 16 columns (2 + 2) features in 3 + 3 slots, and 3 steps with 6 numbers a unit.
    assert stack.size(3, 16, 4) == 16 + 16 * (4 * 6 + 3 * 6 * 2)
    assert stack.size(3, 17, 4) == 16 + 32 * (4 * 6 + 3 * 6 * 2)
    assert stack.size(3, 0, 4) == 16
