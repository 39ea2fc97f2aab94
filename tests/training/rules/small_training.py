"""A small network, and a training of it that is the same each time."""

import torch
from torch import nn

from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 5))


def train(model, optimizer, steps, after=None):
    for step in range(steps):
        optimizer.zero_grad()
        inputs = torch.randn(16, 10, generator=torch.Generator().manual_seed(step))
        (model(inputs) - inputs[:, :5].sin()).square().mean().backward()
        optimizer.step()
        if after is not None:
            after(step)


def sparse(rule, density=1.0):
    model = network()
    masks = prune(model, score="magnitude", density=density)
    return model, SparseOptimizer(torch.optim.Adam(model.parameters(), lr=0.01), model, masks, rule)
