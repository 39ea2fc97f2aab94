"""What the paper on hidden structures says of its genetic search for architectures (section 4.4 and Figure 8)."""

from typing import Final

DEPTHS: Final = (6, 12)  # of all graphs; mutations make them deeper
RANDOM_DEPTHS: Final = (10, 36)  # of random search
FEATURES: Final = 56
CANDIDATES: Final = 2_472  # rows of the table of features and accuracies
TEST_SHARE: Final = 0.3  # of these rows
BEST: Final = 82.4  # percent on CIFAR-10
TOP: Final = 10  # features whose importance is told
TOP_SPREADS: Final = 6  # of these, standard deviations of path lengths to convolutions or pooling vertices

# Which six is not said; all six correlate positively with the best validation accuracy.
_LENGTHS: Final = ("shortest_path", "longest_path", "random_walk")
_BLOCKS: Final = ("conv", "max_pool", "avg_pool")
SPREADS: Final = tuple(f"{length}_{block}_std" for length in _LENGTHS for block in _BLOCKS)
CENTRALITY: Final = "closeness_mean"  # "mean centrality … an inverted measurement of the farness": negative
SIGNS: Final[dict[str, int]] = {**dict.fromkeys(SPREADS, 1), CENTRALITY: -1}
