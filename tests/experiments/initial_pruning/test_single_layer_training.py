import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from sparsewire.data.samples import Samples
from sparsewire.experiments.initial_pruning.single_layer_training import SingleLayers, order_of, train
from sparsewire.structure.masks import Masks
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules.populations import Population, bernoulli
from sparsewire.training.rules.starts import k_starts

INPUTS, OUTPUTS = 23, 4


def squared(outputs, labels):
    return ((outputs.sigmoid() - one_hot(labels, OUTPUTS)) ** 2).sum() / 2 / len(labels)


LOSSES = {
    "softmax": cross_entropy,
    "sigmoid": lambda outputs, labels: (
        OUTPUTS * binary_cross_entropy_with_logits(outputs, one_hot(labels, OUTPUTS).to(outputs.dtype))
    ),
    "squared": squared,
}


def samples(count=40, dtype=torch.float64):
    source = torch.Generator().manual_seed(0)
    return Samples(
        torch.rand(count, INPUTS, generator=source, dtype=dtype), torch.randint(OUTPUTS, (count,), generator=source)
    )


def start(dtype=torch.float64):
    return torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(1), dtype=dtype)


def population(k):
    frame = torch.ones(OUTPUTS, INPUTS).bool()
    return Population(bernoulli(frame, 0.5, k, torch.Generator().manual_seed(2))) if k else None


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("output", LOSSES)
def test_each_is_what_the_optimizer_with_the_rule_gives(output, batch):
    data, order = samples(), order_of(40, 60, batch, torch.Generator().manual_seed(3))
    networks = SingleLayers(start(), [population(k) for k in (0, 1, 8)], rate=0.05, output=output)
    train(networks, data, order, lambda done: None)
    assert networks.changes[:2] == [0, 1]
    assert networks.changes[2] > 2
    for number, k in enumerate((0, 1, 8)):
        layer = nn.Linear(INPUTS, OUTPUTS, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(start())
            layer.bias.zero_()
        rule = k_starts(0.5, k=k, generator=torch.Generator().manual_seed(2)) if k else None
        adam = torch.optim.Adam(layer.parameters(), lr=0.05)
        optimizer = SparseOptimizer(adam, layer, Masks.from_model(layer), rule)
        for rows in order:
            optimizer.zero_grad()
            LOSSES[output](layer(data.inputs[rows]), data.labels[rows]).backward()
            optimizer.step()
        torch.testing.assert_close(networks.layers[number, :, :-1], layer.weight.detach(), rtol=0, atol=1e-9)
        torch.testing.assert_close(networks.layers[number, :, -1], layer.bias.detach(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("alone", [0, 1, 2])
def test_no_bit_depends_on_the_neighbours(alone):
    ks, data = (0, 1, 8), samples(dtype=torch.float32)
    order = order_of(40, 50, 1, torch.Generator().manual_seed(3))
    ends = []
    for chosen in (ks, ks[alone : alone + 1]):
        networks = SingleLayers(start(torch.float32), [population(k) for k in chosen], rate=0.05, output="softmax")
        train(networks, data, order, lambda done: None)
        ends.append(networks)
    assert torch.equal(ends[0].layers[alone], ends[1].layers[0])
    assert ends[0].accuracies(data)[alone] == ends[1].accuracies(data)[0]


def test_accuracy_counts_the_highest_output():
    networks = SingleLayers(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), [None], rate=0.1, output="softmax")
    found = networks.accuracies(Samples(torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 0.0]]), torch.tensor([0, 1, 1])))
    assert found == pytest.approx([200 / 3])


def test_the_order_is_one_permutation_after_the_other():
    order = order_of(7, 10, 2, torch.Generator().manual_seed(0))
    assert order.shape == (10, 2)
    flat = order.flatten().tolist()
    assert sorted(flat[:7]) == sorted(flat[7:14]) == list(range(7))
    assert flat[:7] != flat[7:14]
    assert torch.equal(order, order_of(7, 10, 2, torch.Generator().manual_seed(0)))


def test_each_step_is_told():
    seen = []
    networks = SingleLayers(start(), [None], rate=0.1, output="softmax")
    train(networks, samples(), order_of(40, 3, 1, torch.Generator()), seen.append)
    assert seen == [1, 2, 3]
