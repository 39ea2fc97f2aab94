"""A small network, and a training of it that is the same each time."""

import io

import torch
from torch import nn

from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 5))


def train(model, optimizer, steps, after=None, begin=0):
    for step in range(begin, steps):
        optimizer.zero_grad()
        inputs = torch.randn(16, 10, generator=torch.Generator().manual_seed(step))
        (model(inputs) - inputs[:, :5].sin()).square().mean().backward()
        optimizer.step()
        if after is not None:
            after(step)


def ends_of_a_run_and_of_one_stopped(make, other, steps, stop):
    """(weights, masks) after so many steps: in one go, and stopped, saved in a file, gone on with by another rule."""
    ends = []
    for parts in ((steps,), (stop, steps)):
        model, optimizer = sparse(make())
        done = 0
        for end in parts:
            if done:
                file = io.BytesIO()
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
                file.seek(0)
                state = torch.load(file, weights_only=True)
                model, optimizer = sparse(other())
                model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
            train(model, optimizer, end, begin=done)
            done = end
        ends.append((list(model.parameters()), optimizer.masks))
    return ends


def sparse(rule, density=1.0):
    model = network()
    masks = prune(model, score="magnitude", density=density)
    return model, SparseOptimizer(torch.optim.Adam(model.parameters(), lr=0.01), model, masks, rule)
