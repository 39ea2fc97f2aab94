"""What the paper on hidden structures says of pruned recurrent networks (section 4.2), and what its stored runs say."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

Cell = Literal["tanh", "relu", "lstm", "gru"]
Scope = Literal["both", "i2h", "h2h"]

CELLS: Final[dict[Cell, str]] = {"tanh": "RNN tanh", "relu": "RNN ReLU", "lstm": "LSTM", "gru": "GRU"}
SCOPES: Final[dict[Scope, str]] = {"both": "i2h and h2h", "i2h": "i2h alone", "h2h": "h2h alone"}
FIGURES: Final[dict[Scope, str]] = {"both": "Figure 2b", "i2h": "Figure 5a", "h2h": "Figure 5b"}
REMOVED: Final = tuple(range(10, 101, 10))  # percent

# Base accuracy, percent: the text has 100 for three of them; the plateau of tanh is that of the stored runs.
BASE: Final[dict[Cell, float]] = {"tanh": 93.7, "relu": 100.0, "lstm": 100.0, "gru": 100.0}
BIGRAMS: Final = 93.8  # percent of the stored test set, by the rule "every pair of neighbours is one of the grammar"

# The largest share that can be "safely" removed, percent: text of section 4.2.
SAFE: Final[dict[tuple[Scope, Cell], int]] = {
    ("both", "tanh"): 80, ("both", "relu"): 70, ("both", "lstm"): 60, ("both", "gru"): 80,
    ("i2h", "tanh"): 70, ("i2h", "relu"): 70, ("i2h", "lstm"): 70, ("i2h", "gru"): 80,
    ("h2h", "tanh"): 80, ("h2h", "relu"): 70, ("h2h", "lstm"): 70, ("h2h", "gru"): 80,
}  # fmt: skip

# Test accuracy, percent, directly after 10, 20, … 100 % were removed: the authors' stored runs, one of each.
STORED: Final[dict[tuple[Scope, Cell], tuple[float, ...]]] = {
    ("both", "tanh"): (93.7, 93.7, 93.7, 93.7, 93.7, 93.7, 93.3, 91.9, 65.6, 49.4),
    ("both", "relu"): (100, 100, 100, 100, 99.8, 99.3, 98.6, 54.9, 50.3, 50.6),
    ("both", "lstm"): (100, 100, 100, 100, 100, 100, 80.3, 66.8, 49.5, 50.6),
    ("both", "gru"): (100, 100, 100, 100, 100, 100, 99.8, 99.4, 55.1, 50.6),
    ("i2h", "tanh"): (93.7, 93.7, 93.7, 93.7, 93.7, 93.7, 93.1, 81.4, 49.4, 49.4),
    ("i2h", "relu"): (100, 100, 100, 100, 100, 100, 100, 95.0, 90.5, 50.6),
    ("i2h", "lstm"): (100, 100, 100, 100, 100, 100, 99.2, 94.6, 62.1, 50.6),
    ("i2h", "gru"): (100, 100, 100, 100, 100, 100, 100, 99.7, 87.6, 50.6),
    ("h2h", "tanh"): (93.7, 93.7, 93.7, 93.7, 93.7, 93.7, 92.6, 93.7, 72.0, 49.4),
    ("h2h", "relu"): (100, 100, 100, 100, 100, 99.7, 99.1, 64.9, 46.4, 50.6),
    ("h2h", "lstm"): (100, 100, 100, 100, 100, 100, 100, 99.9, 95.3, 52.1),
    ("h2h", "gru"): (100, 100, 100, 100, 100, 99.8, 99.3, 95.6, 95.1, 57.3),
}

# The stored runs after one epoch of retraining, where that does not bring the base's accuracy back.
NOT_IN_ONE_EPOCH: Final[dict[tuple[Scope, Cell, int], float]] = {
    ("both", "tanh", 90): 92.5,
    ("i2h", "tanh", 90): 73.9,
    ("h2h", "tanh", 100): 51.8,
    ("h2h", "relu", 100): 51.6,
}
SLOW: Final[tuple[Scope, Cell]] = ("i2h", "tanh")  # the one that takes two epochs to come back from 90 %
# Where one epoch does bring it back with no connection of a unit to itself or another one left but one.
RETURNS_AT_100: Final[dict[Cell, float]] = {"lstm": 98.8, "gru": 97.4}
CHANCE: Final = 50.6  # percent: the larger class of the stored test set

# Points of accuracy by which a network that was "safely" pruned may be worse than its base.
DROP: Final = 4.5
STRICT_DROP: Final = 2.0


def safe_share(base: float, accuracies: Mapping[int, float], drop: float = DROP) -> int:
    """The largest share that was removed before the accuracy directly after pruning first fell by more than `drop`.

        max { p : base − accuracy(q) ≤ drop for all q ≤ p }, or 0

    The paper says what is safe but not by which rule. Of all rules of this form those with 4.4 ≤ drop < 4.9 give most
    of its numbers from its own stored accuracies, 11 of 12; we take 4.5. The twelfth, LSTM with h2h alone, is said to
    be 70 % and is 80 % by the rule, since the stored accuracy at 80 % is 99.9 %; no drop gives both it and the 80 % of
    the GRU, which falls to 95.6 % there. By 2 points (1.8 ≤ drop < 4.4) the latter is 70 %, and 10 of 12 agree.

    Args:
        base: accuracy before pruning, percent.
        accuracies: share removed → accuracy directly afterwards, both in percent.
        drop: how much is allowed, in points.

    Example:
        >>> safe_share(100, {50: 100, 60: 99, 70: 80.3, 80: 99}), safe_share(100, {10: 60})
        (60, 0)
    """
    safe = 0
    for removed in sorted(accuracies):
        # 100 − 95.5 is 4.5, but the like of 93.7 − 89.2 is not.
        if not base - accuracies[removed] <= drop + 1e-9:  # so that NaN is not safe
            break
        safe = removed
    return safe


def stored_safe_share(scope: Scope, cell: Cell, drop: float = DROP) -> int:
    """What the rule of `safe_share` makes of the stored accuracies.

    Example:
        >>> stored_safe_share("both", "lstm"), SAFE["both", "lstm"]
        (60, 60)
    """
    return safe_share(BASE[cell], by_share(STORED[scope, cell]), drop)


def by_share(values: Sequence[float]) -> dict[int, float]:
    """Values at 10, 20, … 100 % under these shares."""
    return dict(zip(REMOVED, values, strict=True))
