"""The rigged lottery: the weakest connections go, those with the largest gradients come."""

from sparsewire.structure.selection import Only
from sparsewire.training.rules.exchange import Exchange, magnitude
from sparsewire.training.rules.pools import Over
from sparsewire.training.rules.timetable import Timetable


def rigl(
    steps: int = 100,
    until: int = 5000,
    fraction: float = 0.3,
    *,
    decay: str = "cosine",
    over: Over = "parts",
    only: Only | None = None,
) -> Exchange:
    """The rule of the rigged lottery (RigL): the smallest weights go, as many come where the gradient is largest.

        every `steps` steps, in each weight:  k = f(t) · connections;  drop the k smallest |w|;  grow the k largest |g|
        f(t) = fraction / 2 · (1 + cos(π t / until))

    It acts before the weights' step, on the dense gradients of that step, and the step is taken all the same: what
    comes starts from zero with fresh memory, and its first step follows the gradient for which it was chosen. The
    density of each weight stays. Sparse layers compute dense gradients at the steps of an exchange, and only there.

    Args:
        steps: from one exchange to the next.
        until: the last step at which there may be an exchange; in the paper at three quarters of the training.
        fraction: of the connections that exist, at the beginning.
        decay: of the fraction: "cosine", "constant", "linear" or "cubic".
        over: within which weights the number of connections stays, as for `set_`.
        only: which weights, as for `prune`; the others stay as they are.

    Raises:
        RequestError: an argument that cannot be.

    Example:
        >>> import torch
        >>> from sparsewire.structure.masks import Masks
        >>> rule = rigl(steps=10, until=40, fraction=0.6)
        >>> weights = {"weight": torch.tensor([[1.0, -3.0, 0.0, 0.0]])}
        >>> gradients = {"weight": torch.tensor([[9.0, 0.0, 9.5, -12.0]])}
        >>> rule(10, Masks({"weight": weights["weight"] != 0}), weights, gradients)["weight"]
        tensor([[False,  True, False,  True]])

    Reference: Evci et al. 2020, algorithm 1 (every 100 steps, fraction 0.3, cosine; masks that start at random, with
    `prune(score="random", scope="erk")` or "uniform"). There an exchange takes the place of the weights' step; here no
    batch is spent on it alone. As there, what has just gone may come again; it keeps its weight, as in their program.
    """
    return Exchange("rigl", Timetable(steps, until, fraction, decay), magnitude, "gradient", over, only)
