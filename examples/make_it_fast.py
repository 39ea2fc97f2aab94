"""A pruned network made fast: train, prune, go over to sparse layers, train on, measure, keep it small.

    python examples/make_it_fast.py

Runs in seconds on the embedded digits. What is gained depends on the machine; `sparsewire bench` says so for any layer.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch

import sparsewire as sw


def main(folder: Path = Path("sparsewire-demo")) -> Path:
    """Trains a digit classifier sparse and fast; returns the path of its compact checkpoint."""
    torch.manual_seed(0)  # only for PyTorch's own layers; sparsewire takes generators
    generator = torch.Generator().manual_seed(0)
    digits = sw.data.digits().flat()

    # Train dense, and keep the strongest twentieth of the weights, small layers denser than large ones.
    model = sw.zoo.mlp((64, 1000, 300, 10), generator=generator)
    dense = sw.fit(model, digits.train, optimizer=torch.optim.Adam, epochs=5, generator=generator)
    masks = sw.prune(model, score="magnitude", density=0.05, scope="erk")
    print(f"dense: {sw.evaluate(model, digits.test).accuracy:.1%}, then {masks}")

    # The plan measures dense and sparse layers side by side, on this machine, once.
    plan = sw.plan(model, masks, batch=100)
    print(plan)

    # Go over to sparse layers and train on. Their Parameters are the live values, so any optimizer will do; the masks
    # are for the layers that the plan left dense.
    fast = sw.sparsify(model, masks, plan)
    history = sw.fit(fast, digits.train, optimizer=torch.optim.Adam, masks=masks, epochs=10, generator=generator)
    seconds = min(dense.seconds), min(history.seconds)
    print(f"sparse: {sw.evaluate(fast, digits.test).accuracy:.1%}, route {history.epochs[-1].route}")
    print(f"an epoch: dense {seconds[0] * 1e3:.1f} ms, sparse {seconds[1] * 1e3:.1f} ms")

    # Predictions: the same comparison by hand.
    images = digits.test.inputs
    with torch.no_grad():
        times = fastest(lambda: model(images)), fastest(lambda: fast(images))
    print(f"{len(images)} predictions: dense {times[0] * 1e3:.2f} ms, sparse {times[1] * 1e3:.2f} ms")

    # Keep it: live values and a few bits for each place. The file is the same for the sparse and the dense form.
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fast.safetensors"
    sw.save_compact(fast, path)
    dense_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    print(f"{path.stat().st_size:,} bytes; dense weights alone take {dense_bytes:,}")

    # And back: an ordinary network with exact zeros.
    again = sw.zoo.mlp((64, 1000, 300, 10))
    sw.load_compact(path, again)
    with torch.no_grad():
        difference = (again(images) - fast(images)).abs().max() / fast(images).abs().max()
    print(f"loaded into a dense network, its outputs differ by {difference:.1e} of their scale")
    return path


def fastest(work: Callable[[], object], tries: int = 20) -> float:
    """Seconds of the quickest of some calls, the one that nobody disturbed."""
    taken = []
    for _ in range(tries):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    print(f"see {main()}")
