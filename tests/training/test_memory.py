import pytest
import torch

from sparsewire.training.memory import carry_, forget_


def stepped(kind, shape=(2, 3), **options):
    """An optimizer after two steps with different gradients, and its only weight."""
    weight = torch.nn.Parameter(torch.ones(shape))
    optimizer = kind([weight], **options)
    for gradient in (1.0, 2.0):
        weight.grad = torch.full(shape, gradient)
        optimizer.step()
    return optimizer, weight


# name of the state → its start, for a learning rate of 0.25
STARTS = {
    torch.optim.Adam: {"exp_avg": 0.0, "exp_avg_sq": 0.0, "max_exp_avg_sq": 0.0},
    torch.optim.Rprop: {"prev": 0.0, "step_size": 0.25},
    torch.optim.Adagrad: {"sum": 0.5},
}
OPTIONS = {
    torch.optim.Adam: {"lr": 0.25, "amsgrad": True},
    torch.optim.Rprop: {"lr": 0.25},
    torch.optim.Adagrad: {"lr": 0.25, "initial_accumulator_value": 0.5},
}


@pytest.mark.parametrize("kind", STARTS)
def test_memory_starts_anew_where_it_is_told_to_and_stays_elsewhere(kind):
    optimizer, weight = stepped(kind, **OPTIONS[kind])
    before = {key: value.clone() for key, value in optimizer.state[weight].items()}
    mask = torch.tensor([[True, False, True], [False, False, True]])
    forget_(optimizer, {"w": weight}, {"w": mask})
    assert before.keys() == {"step", *STARTS[kind]}
    for key, start in STARTS[kind].items():
        after = optimizer.state[weight][key]
        assert torch.equal(after[mask], torch.full((3,), start)), key
        assert torch.equal(after[~mask], before[key][~mask]), key
        assert not (before[key] == start).any(), f"{key} had not left its start, so the test would see nothing"
    assert optimizer.state[weight]["step"] == 2


def test_the_start_of_rprop_is_the_learning_rate_of_the_weights_own_group_now():
    first, second = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Rprop([{"params": [first], "lr": 0.5}, {"params": [second], "lr": 0.25}])
    first.grad, second.grad = torch.ones(2), torch.ones(2)
    optimizer.step()
    optimizer.param_groups[1]["lr"] = 0.125
    forget_(optimizer, {"w": second}, {"w": torch.tensor([True, False])})
    assert optimizer.state[second]["step_size"].tolist() == [0.125, 0.25]
    assert optimizer.state[first]["step_size"].tolist() == [0.5, 0.5]


def test_rows_and_columns_of_adafactor_are_left():
    optimizer, weight = stepped(torch.optim.Adafactor)
    before = {key: value.clone() for key, value in optimizer.state[weight].items()}
    forget_(optimizer, {"w": weight}, {"w": torch.ones(2, 3, dtype=torch.bool)})
    assert before.keys() == {"step", "row_var", "col_var"}
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state[weight].items())


def test_a_weight_without_dimensions_keeps_its_memory_and_its_step_count():
    optimizer, weight = stepped(torch.optim.Adam, shape=(), lr=0.25)
    before = optimizer.state[weight]["exp_avg"].clone()
    forget_(optimizer, {"w": weight}, {"w": torch.tensor(True)})
    assert optimizer.state[weight]["step"] == 2
    assert optimizer.state[weight]["exp_avg"] == before


def test_a_weight_of_which_nothing_is_remembered_gets_no_memory_either():
    optimizer, _ = stepped(torch.optim.SGD, lr=0.1)
    foreign = torch.nn.Parameter(torch.ones(2))
    forget_(optimizer, {"w": foreign}, {"w": torch.ones(2, dtype=torch.bool)})
    assert foreign not in optimizer.state


# ---- memory of weights that move ----

MOVING = {
    "SGD": (torch.optim.SGD, {"momentum": 0.9}, {"momentum_buffer": 0.0}),
    "Adam": (torch.optim.Adam, {"amsgrad": True}, {"exp_avg": 0.0, "exp_avg_sq": 0.0, "max_exp_avg_sq": 0.0}),
    "Rprop": (torch.optim.Rprop, {}, {"prev": 0.0, "step_size": 0.5}),
    "Adagrad": (torch.optim.Adagrad, {"initial_accumulator_value": 0.3}, {"sum": 0.3}),
}


@pytest.mark.parametrize(("kind", "options", "starts"), MOVING.values(), ids=MOVING)
def test_memory_follows_values_and_what_comes_starts_fresh(kind, options, starts):
    values, other = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    optimizer = kind([other, values], lr=0.5, **options)
    values.grad, other.grad = torch.tensor([1.0, 2.0, 3.0]), torch.ones(3)
    optimizer.step()
    before = {key: value.clone() for key, value in optimizer.state[values].items()}
    same = {key: value.clone() for key, value in optimizer.state[other].items()}
    values.data = torch.zeros(4)
    carry_(optimizer, values, torch.Size([3]), torch.tensor([2, -1, -1, 0]))
    after = optimizer.state[values]
    assert after.keys() == before.keys()
    for key, start in starts.items():
        assert after[key].tolist() == pytest.approx([before[key][2].item(), start, start, before[key][0].item()])
    assert all(torch.equal(after[key], before[key]) for key in before.keys() - starts.keys())
    assert all(torch.equal(value, optimizer.state[other][key]) for key, value in same.items())


def test_memory_of_values_that_the_optimizer_has_not_stepped_or_does_not_own_is_none():
    values, other = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    for optimizer in (torch.optim.Adam([values]), torch.optim.Adam([other]), torch.optim.LBFGS([other])):
        carry_(optimizer, values, torch.Size([3]), torch.tensor([0, -1]))
        assert not optimizer.state


def test_lbfgs_forgets_a_history_that_is_of_other_variables_and_counts_on():
    values = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = torch.optim.LBFGS([values], max_iter=3)

    def closure():
        values.grad = 2 * values.detach()
        return values.detach().square().sum()

    optimizer.step(closure)
    evaluations = optimizer.state[values]["func_evals"]
    values.data = torch.ones(5)
    carry_(optimizer, values, torch.Size([3]), torch.tensor([0, 1, 2, -1, -1]))
    optimizer.step(closure)
    assert optimizer.state[values]["func_evals"] > evaluations
    assert values.shape == (5,)
    assert values.abs().max() < 1e-3
