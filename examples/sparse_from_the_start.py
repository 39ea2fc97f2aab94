"""Train a network that is sparse from its first step to its last, while its connections move to where they help.

    python examples/sparse_from_the_start.py

Runs in a few seconds on the embedded digits; nothing is downloaded.
"""

from pathlib import Path

import torch

import sparsewire as sw


def main(folder: Path = Path("sparsewire-demo")) -> Path:
    """Trains a digit classifier with 10 % of its connections, fixed and moving; returns the path of the table."""
    digits = sw.data.digits().flat()
    epochs, lines = 30, []
    steps = epochs * -(-len(digits.train.labels) // 50)
    for name, rule in {
        "they stay": sw.rules.static(),
        "they move by gradient (RigL)": sw.rules.rigl(steps=20, until=steps * 3 // 4),
        "they move by chance (SET)": sw.rules.set_(
            steps=20, until=steps * 3 // 4, generator=torch.Generator().manual_seed(2)
        ),
    }.items():
        draws = torch.Generator().manual_seed(0)
        model = sw.zoo.mlp((64, 100, 50, 10), generator=draws)
        masks = sw.prune(model, score="random", density=0.1, scope="erk", generator=draws)
        history = sw.fit(
            model, digits.train, optimizer=torch.optim.Adam, epochs=epochs, batch_size=50, masks=masks, rule=rule
        )
        assert history.masks is not None
        accuracy = sw.evaluate(model, digits.test).accuracy
        layers = ", ".join(f"{layer} {density:.1%}" for layer, density in history.masks.densities().items())
        lines.append(
            f"{name}: {accuracy:.1%} right with density {history.masks.density:.1%} ({layers}); "
            f"{masks.overlap(history.masks):.0%} of the connections are those of the start"
        )
        print(lines[-1])

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sparse_from_the_start.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    print(f"see {main()}")
