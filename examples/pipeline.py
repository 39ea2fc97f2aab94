"""The whole flow on one page: model → structure → training → analysis → execution → report.

    python examples/pipeline.py

Runs in a few seconds on the embedded digits; nothing is downloaded.
"""

from pathlib import Path

import torch

import sparsewire as sw


def main(folder: Path = Path("sparsewire-demo")) -> Path:
    """Prunes a digit classifier to a tenth of its weights and draws what is left; returns the picture's path."""
    torch.manual_seed(0)  # only for PyTorch's own layers; sparsewire takes generators
    generator = torch.Generator().manual_seed(0)
    digits = sw.data.digits().flat()

    # MODEL: plain PyTorch. The start is a thousand complete paths from pixels to digits.
    model = sw.zoo.mlp((64, 100, 50, 10))
    sw.lightning_(model, paths=1000, strength=0.3, generator=generator)

    # TRAINING, dense at first.
    def sgd(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1)

    sw.fit(model, digits.train, optimizer=sgd, epochs=10, generator=generator)
    dense = sw.evaluate(model, digits.test)

    # STRUCTURE: keep the strongest tenth of all weights, wherever they are.
    masks = sw.prune(model, score="magnitude", density=0.1)
    print(masks)

    # TRAINING with the structure: any optimizer, and after each step the weights outside the masks are zero.
    sw.fit(model, digits.train, optimizer=sgd, masks=masks, epochs=10, generator=generator)
    sparse = sw.evaluate(model, digits.test)
    print(f"dense {dense.accuracy:.1%}, at density {masks.density:.0%} {sparse.accuracy:.1%}")

    # ANALYSIS: what is the structure like?
    graph = sw.NetGraph.from_model(model, masks)
    print(f"{graph.edges} edges, {sw.complete_paths(graph).edges} of them on complete paths")
    print(sw.dead_areas(graph))

    # EXECUTION: layers that hold live weights only, where this machine runs them faster …
    plan = sw.plan(model, masks)
    fast = sw.sparsify(model, masks, plan)
    print(plan)
    print(f"with sparse layers {sw.evaluate(fast, digits.test).accuracy:.1%}")
    # … or a dense network of the same function, without the neurons that no path uses.
    small = sw.shrink(model, masks)
    print(sw.cost_table(model, masks))
    print(sw.cost_table(small))

    # REPORT: a picture of the network, pixels on the left and digits on the right.
    path = folder / "network.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sw.draw.to_svg(sw.draw.network(graph, image_shape=(8, 8))))
    return path


if __name__ == "__main__":
    print(f"see {main()}")
