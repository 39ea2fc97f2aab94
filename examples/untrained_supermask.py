"""A network that is never trained tells digits apart, once the right half of its weights is left out.

    python examples/untrained_supermask.py

Runs in a few seconds on the embedded digits; nothing is downloaded.
"""

from pathlib import Path

import torch

import sparsewire as sw
from sparsewire.training import soft


def main(folder: Path = Path("sparsewire-demo")) -> Path:
    """Finds supermasks of an untrained digit classifier in two ways; returns the path of the better one's masks."""
    digits = sw.data.digits().flat()

    def network() -> torch.nn.Module:
        return sw.zoo.mlp((64, 300, 100, 10), generator=torch.Generator().manual_seed(0))

    def adam(scores: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(scores, lr=0.01)

    print(f"untrained: {sw.evaluate(network(), digits.test)}")

    # Edge-popup: each layer keeps the half of its weights with the highest scores, and the scores are what is learned.
    popped = network()
    found = soft.edge_popup(
        popped,
        digits.train,
        density=0.5,
        init="signed_constant",
        generator=torch.Generator().manual_seed(0),
        optimizer=adam,
        epochs=20,
        validation=digits.test,
    )
    print(f"edge-popup: {found}")

    # Zhou's: each weight is kept with a probability, which is learned; how many are kept is not asked for.
    tossed = network()
    other = soft.zhou(
        tossed,
        digits.train,
        init="signed_constant",
        generator=torch.Generator().manual_seed(0),
        optimizer=lambda scores: torch.optim.Adam(scores, lr=0.1),
        epochs=20,
        validation=digits.test,
    )
    print(f"zhou: {other}")

    # Ordinary masks: the model with what they leave is an ordinary sparse network, and its weights have one size.
    found.masks.apply_(popped)
    print(f"applied: {sw.evaluate(popped, digits.test)}")
    print(f"sizes of the first layer's weights: {popped[0].weight.abs().unique().tolist()}")

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "supermask.safetensors"
    found.masks.save(path)
    return path


if __name__ == "__main__":
    print(f"see {main()}")
