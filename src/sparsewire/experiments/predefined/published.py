"""The numbers that the paper on pre-defined sparsity prints, as it prints them: Tables 1 and 2, and Appendix 5.1."""

from typing import Final, NamedTuple

Net = str


class Row1(NamedTuple):
    """A row of Table 1: fan-outs, densities of the junctions and of all connected layers in percent, as printed."""

    fan_outs: tuple[int, ...]
    junctions: tuple[str, ...]
    overall: str


class Row2(NamedTuple):
    """A row of Table 2, as printed; which fan-outs it is about is our reading, from the sparse parameters.

    Args:
        fan_outs: of the sparse network.
        layers: connected layers / all layers.
        conv_params: parameters of the convolutions, millions.
        conv_ops: their operations, thousands of millions.
        full: parameters of the connected layers, millions.
        sparse: those that are left, millions.
        param_reduction: of all parameters, percent.
        op_reduction: of all operations, percent.
    """

    fan_outs: tuple[int, ...]
    layers: str
    conv_params: str
    conv_ops: str
    full: str
    sparse: str
    param_reduction: str
    op_reduction: str


MORSE: Final = "Morse CL"
MNIST: Final = "MNIST CL (x = 224)"
MNIST_CONV: Final = "MNIST conv+2CLs"
CIFAR10_2: Final = "CIFAR10 conv+2CLs"
CIFAR10_3: Final = "CIFAR10 conv+3CLs"
CIFAR100_2: Final = "CIFAR100 conv+2CLs"
CIFAR100_3: Final = "CIFAR100 conv+3CLs"

TABLE_1: Final[dict[Net, tuple[Row1, ...]]] = {
    CIFAR10_2: (Row1((1, 1), ("0.2", "6.3"), "0.22"), Row1((1, 8), ("0.2", "50"), "0.39")),
    CIFAR10_3: (
        Row1((1, 1, 1), ("0.2", "0.4", "6.3"), "0.22"),
        Row1((1, 1, 8), ("0.2", "0.4", "50"), "0.3"),
    ),
    CIFAR100_2: (
        Row1((1, 1), ("0.2", "0.8"), "0.21"),
        Row1((1, 8), ("0.2", "6.3"), "0.38"),
        Row1((1, 32), ("0.2", "25"), "0.95"),
    ),
    CIFAR100_3: (
        Row1((1, 1, 1), ("0.2", "0.4", "0.8"), "0.22"),
        Row1((1, 1, 16), ("0.2", "0.4", "13"), "0.39"),
        Row1((1, 2, 32), ("0.2", "0.8", "25"), "0.59"),
    ),
    MNIST_CONV: (
        Row1((1, 5), ("0.1", "50"), "0.29"),
        Row1((4, 10), ("0.5", "100"), "0.83"),
        Row1((16, 10), ("2", "100"), "2.35"),
    ),
    MNIST: (Row1((4, 10), ("1.79", "100"), "3.02"), Row1((112, 10), ("50", "100"), "50.63")),
    MORSE: (Row1((512, 32), ("50", "50"), "50"),),
}

TABLE_2: Final[dict[Net, Row2]] = {
    MORSE: Row2((512, 32), "2/2", "0", "0", "0.131", "0.066", "50", "50"),
    MNIST: Row2((112, 5), "2/2", "0", "0", "0.178", "0.089", "50", "50"),
    MNIST_CONV: Row2((16, 10), "2/6", "0.05", "0.1", "2.47", "0.06", "95.63", "18.29"),
    CIFAR10_2: Row2((1, 1), "2/17", "1.15", "0.15", "2.11", "0.005", "64.63", "1.35"),
    CIFAR100_2: Row2((1, 32), "2/17", "1.15", "0.15", "2.16", "0.02", "64.76", "1.38"),
    CIFAR10_3: Row2((1, 1, 16), "3/18", "1.15", "0.15", "2.23", "0.009", "65.83", "1.43"),
    CIFAR100_3: Row2((1, 2, 32), "3/18", "1.15", "0.15", "2.26", "0.013", "65.99", "1.45"),
}

# Appendix 5.1, Morse code, test accuracy in percent by overall density: junction 1 as sparse as it can be and junction
# 2 as dense, and the other way round.
FIRST_SPARSE: Final = {25.0: 36.0, 50.0: 36.0}
SECOND_SPARSE: Final = {25.0: 67.0, 50.0: 75.0}


def decimals(printed: str) -> int:
    """How many digits a printed number has behind its point.

    Example:
        >>> decimals("0.22"), decimals("50")
        (2, 0)
    """
    return len(printed.partition(".")[2])
