"""Prune and retrain, with the unpruned control, then a lottery ticket, and a table of both.

    python examples/prune_and_retrain.py

Runs in a few seconds on the embedded digits; nothing is downloaded.
"""

from pathlib import Path

import torch

import sparsewire as sw
from sparsewire.training.iterating import iterate
from sparsewire.training.retraining import Retraining
from sparsewire.training.stop_rules import dropped


def main(folder: Path = Path("sparsewire-demo")) -> Path:
    """Prunes a digit classifier step by step, in two ways; returns the path of the tables."""
    digits = sw.data.digits().flat()

    def sgd(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.2, momentum=0.9)

    # A dense network is trained, then 60 % of what is left goes at each step, the weakest weights first, and two epochs
    # follow. The control is the same network, trained on for as long with all of its weights.
    model = sw.zoo.mlp((64, 100, 10), generator=torch.Generator().manual_seed(0))
    pruned = iterate(
        model,
        digits.train,
        densities=sw.schedules.relative(0.6, density=0.02),
        optimizer=sgd,
        first=6,
        retrain=Retraining(epochs=2),
        stop=dropped(0.1),
        validation=digits.test,
    )
    print(pruned)
    for name, best in {"smallest with less than a point lost": pruned.best(drop=0.01),
                       "best with half of the weights gone": pruned.best(density=0.5)}.items():  # fmt: skip
        print(f"{name}: " + (f"{best.left:,} weights, {best.accuracy:.1%}" if best else "none"))

    # A lottery ticket: after each pruning what is left goes back to where it began and is trained from there, as long
    # as the dense network was, with learning rates that begin anew; and so does the control.
    ticket = iterate(
        sw.zoo.mlp((64, 100, 10), generator=torch.Generator().manual_seed(0)),
        digits.train,
        densities=[0.4, 0.16, 0.06],
        optimizer=sgd,
        first=6,
        retrain=Retraining(epochs=6, rate=lambda epoch: 0.2 * 0.7**epoch),
        rewind="start",
        validation=digits.test,
    )
    print(ticket)

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "prune_and_retrain.txt"
    path.write_text(f"pruned and trained on\n{pruned}\n\nrewound to the start\n{ticket}\n")
    return path


if __name__ == "__main__":
    print(f"see {main()}")
