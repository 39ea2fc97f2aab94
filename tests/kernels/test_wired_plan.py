"""Plans of wired networks: where the numbers of every cell lie, and which wirings are refused."""

import pytest

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.wired_plan import WiredPlan, plan_of

POST = (((), 0), ((0,), 1), ((0,), 2), ((1,), 2))
PRE = (((), 0), ((0,), 1), ((0, 1), 2))


def test_cells_that_share_a_layer_have_states_of_their_own() -> None:
    plan = WiredPlan("lstm", 2, (3, 1, 2), POST)
    assert [(cell.at, cell.own, cell.adds) for cell in plan.cells] == [
        (2, 2, False), (5, 5, False), (6, 8, False), (6, 10, True),
    ]  # fmt: skip
    assert [cell.sources.tolist() for cell in plan.cells] == [[0, 1], [2, 3, 4], [2, 3, 4], [5]]
    assert (plan.nodes, plan.features, plan.unread) == (6, 12, ())
    assert plan.weights == 12 * (2 + 3) + 4 * (3 + 1) + 8 * (3 + 2) + 8 * (1 + 2)


def test_a_cell_reads_layers_side_by_side() -> None:
    plan = WiredPlan("tanh", 2, (3, 1, 2), PRE, maps_inputs=True)
    assert [cell.kind for cell in plan.cells] == ["linear", "tanh", "tanh"]
    assert plan.cells[0].shapes == ((3, 2), (0, 0), (3,), (0,))
    assert plan.cells[2].shapes == ((2, 4), (2, 2), (2,), (2,))
    assert plan.cells[2].sources.tolist() == [2, 3, 4, 5]
    assert plan.features == 2 + plan.nodes


def test_a_layer_that_no_cell_reads_is_told() -> None:
    assert WiredPlan("gru", 1, (1, 1, 1), (((), 0), ((0,), 1), ((0,), 2))).unread == (1,)


def test_the_same_arguments_are_the_same_plan() -> None:
    assert plan_of("gru", 2, (3, 1, 2), POST, False) is plan_of("gru", 2, (3, 1, 2), POST, False)
    assert plan_of("gru", 2, (3, 1, 2), POST, False) is not plan_of("gru", 3, (3, 1, 2), POST, False)


@pytest.mark.parametrize(
    "wiring", [(((1,), 0),), (((0,), 0),), (((), 0), ((0,), 3)), (((), 1), ((), 0)), (((), 0), ((-1,), 1))], ids=str
)
def test_wirings_that_cannot_be(wiring: tuple[tuple[tuple[int, ...], int], ...]) -> None:
    with pytest.raises(RequestError, match="wiring: found a cell that reads"):
        WiredPlan("gru", 2, (3, 1), wiring)


def test_kinds_and_inputs_that_cannot_be() -> None:
    with pytest.raises(UnknownNameError):
        WiredPlan("linear", 2, (3,), (((), 0),))
    with pytest.raises(RequestError, match="plan: found 0 inputs"):
        WiredPlan("gru", 0, (3,), (((), 0),))
