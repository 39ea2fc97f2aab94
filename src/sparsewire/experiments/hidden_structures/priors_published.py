"""What the paper on hidden structures says of random graphs as networks (section 4.3), and what its stored runs say."""

from typing import Final, Literal, NamedTuple

from sparsewire.experiments.hidden_structures.recurrent_published import Cell

Family = Literal["watts_strogatz", "barabasi_albert"]
FAMILIES: Final[dict[Family, str]] = {"watts_strogatz": "Watts-Strogatz", "barabasi_albert": "Barabási-Albert"}
STORED_GRAPHS: Final = 200  # for each cell, half of each family
CHANCE: Final = 60.0  # percent; what is below has learnt next to nothing

# Table 1: Pearson's correlation of a property with the test accuracy, both families together.
_ORDER: Final[tuple[Cell, ...]] = ("tanh", "relu", "lstm", "gru")
_TABLE: Final[dict[str, tuple[float, float, float, float]]] = {
    "layers": (0.25, 0.30, 0.28, 0.34),
    "nodes": (0.40, 0.44, 0.44, 0.49),
    "edges": (0.38, 0.43, 0.42, 0.49),
    "source_nodes": (0.35, 0.47, 0.57, 0.74),
    "diameter": (-0.23, -0.27, -0.32, -0.20),
    "density": (0.29, 0.15, 0.29, 0.34),
    "average_shortest_path_length": (-0.27, -0.25, -0.36, -0.23),
    "eccentricity_var": (-0.22, -0.24, -0.30, -0.21),
    "degree_var": (-0.28, -0.26, -0.39, -0.58),
    "closeness_var": (-0.46, -0.39, -0.51, -0.67),
    "nodes_betweenness_var": (-0.49, -0.41, -0.56, -0.52),
    "edge_betweenness_var": (-0.34, -0.30, -0.44, -0.26),
}
TABLE: Final[dict[Cell, dict[str, float]]] = {
    cell: {name: row[place] for name, row in _TABLE.items()} for place, cell in enumerate(_ORDER)
}
STRONG: Final = 0.4  # |r| from which the sign is claimed; the paper prints these in bold

COUNTS: Final = ("nodes", "edges", "source_nodes", "sink_nodes")
VARIANCES: Final = tuple(
    f"{name}_var" for name in ("eccentricity", "degree", "closeness", "nodes_betweenness", "edge_betweenness")
)
# All that the regressors see.
PROPERTIES: Final = (
    "layers", *COUNTS, "diameter", "density", "average_shortest_path_length",
    *(name.replace("_var", f"_{part}") for name in VARIANCES for part in ("mean", "var", "std")),
)  # fmt: skip


class Level(NamedTuple):
    """Test accuracy of the 100 stored networks of a cell and a family, percent: mean, median, share below 60 %."""

    mean: float
    median: float
    below: float


# Figure 7, from the stored runs.
LEVELS: Final[dict[Cell, dict[Family, Level]]] = {
    "tanh": {"barabasi_albert": Level(84.2, 89.5, 13), "watts_strogatz": Level(89.3, 92.2, 3)},
    "relu": {"barabasi_albert": Level(72.8, 83.4, 45), "watts_strogatz": Level(82.9, 93.7, 25)},
    "lstm": {"barabasi_albert": Level(91.6, 93.2, 3), "watts_strogatz": Level(97.6, 98.1, 0)},
    "gru": {"barabasi_albert": Level(92.8, 94.1, 0), "watts_strogatz": Level(98.4, 99.4, 0)},
}
# How likely the stored families would be so far apart if they did not differ.
P_VALUES: Final[dict[Cell, str]] = {"tanh": "0.002", "relu": "0.0008", "lstm": "8e-10", "gru": "8e-20"}
# Section 5: "performed equally" with these, and "Barabási-Albert … better than Watts-Strogatz" with the other two.
SAID_EQUAL: Final[tuple[Cell, ...]] = ("tanh", "relu")

REGRESSORS: Final = {
    "bayesian_ridge": "Bayesian ridge",
    "random_forest": "random forest",
    "adaboost": "AdaBoost",
    "gradient_boosting": "gradient boosting",
    "gaussian_process": "Gaussian process",
}
# R² of the text, from one test split of 20 rows; its abstract has 0.81 at most.
R2_TEXT: Final[dict[Cell, dict[str, float]]] = {
    "tanh": {"bayesian_ridge": 0.47919, "random_forest": 0.43163, "adaboost": 0.35698},
    "relu": {"bayesian_ridge": 0.36075, "random_forest": 0.61504, "adaboost": 0.53469},
    "lstm": {"bayesian_ridge": 0.37206, "random_forest": 0.57933, "adaboost": 0.59514},
    "gru": {"bayesian_ridge": 0.67224, "random_forest": 0.87635, "adaboost": 0.78313},
}
# What ten-fold cross-validation gives on the same stored rows.
R2_STORED: Final[dict[Cell, dict[str, float]]] = {
    "tanh": {"bayesian_ridge": 0.29, "random_forest": 0.25, "adaboost": 0.24},
    "relu": {"bayesian_ridge": 0.33, "random_forest": 0.30, "adaboost": 0.27},
    "lstm": {"bayesian_ridge": 0.39, "random_forest": 0.40, "adaboost": 0.31},
    "gru": {"bayesian_ridge": 0.59, "random_forest": 0.65, "adaboost": 0.59},
}
R2_SPREAD: Final = 0.17  # sample standard deviation of the GRU's forest over 20 other splits of the stored rows

# What `ablation` answers, in words; "size" is nodes, edges, sources and sinks.
CHOICES: Final = {
    "all": "all 23",
    "without size": "without nodes, edges, sources, sinks",
    "only size": "nodes, edges, sources, sinks alone",
    "without variances": "without the five variances",
    "only variances": "the five variances alone",
}
# R² of the forest on the paper's split: the stored runs of ReLU and GRU.
ABLATION: Final[dict[Cell, dict[str, float]]] = {
    "relu": {"all": 0.62, "without size": -0.05, "only size": 0.71, "only variances": 0.06},
    "gru": {"all": 0.88, "without size": 0.78, "only size": 0.75, "only variances": 0.76},
}
STORED_HOURS: Final = {"least": 0.55, "most": 0.9, "all": 575.0}  # for one network, and for all 800
