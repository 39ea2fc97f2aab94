"""What can be run: each experiment's name, where it is, what it is called, and whose it is."""

from typing import NamedTuple

# What the part of a name before the dot stands for.
PAPERS = {
    "lightning": "Dense neural networks as sparse graphs and the lightning initialization",
    "predefined": "Characterizing sparse connectivity patterns in neural networks",
    "hidden_structures": "Experiments on properties of hidden structures of sparse neural networks",
    "supermasks": "Finding dense supermasks in randomly initialized neural networks",
    "initial_pruning": "What to prune and what not to prune at initialization",
}
LIGHTNING = f"Pircher, Haspel, Schlücker: {PAPERS['lightning']}"
PREDEFINED = f"Dey, Huang, Beerel, Chugg 2018: {PAPERS['predefined']}"
HIDDEN = f"Stier, Darji, Granitzer 2021: {PAPERS['hidden_structures']}"
SUPERMASKS = f"Sándor 2020: {PAPERS['supermasks']}"
INITIAL = f"Haroon 2022: {PAPERS['initial_pruning']}"


class Entry(NamedTuple):
    """One experiment, as the catalogue lists it."""

    module: str
    title: str
    source: str


CATALOGUE = {
    "demo": Entry(
        "sparsewire.experiments.demo",
        "Dense and sparse networks on handwritten digits, from data to report",
        "sparsewire's own",
    ),
    "lightning.rebuild": Entry(
        "sparsewire.experiments.lightning.rebuild",
        "A child network rebuilt from its parent's sparse graph",
        f"{LIGHTNING}, Tables 1 and 2",
    ),
    "lightning.path_curves": Entry(
        "sparsewire.experiments.lightning.path_curves",
        "How many edges it takes to connect inputs with outputs",
        f"{LIGHTNING}, Figure 3",
    ),
    "lightning.path_training": Entry(
        "sparsewire.experiments.lightning.path_training",
        "Training moves the strongest edges onto complete paths",
        f"{LIGHTNING}, Figure 4",
    ),
    "lightning.initializations": Entry(
        "sparsewire.experiments.lightning.initializations",
        "Lightning against the usual initialisations",
        f"{LIGHTNING}, Figures 5 and 6",
    ),
    "lightning.robustness": Entry(
        "sparsewire.experiments.lightning.robustness",
        "Number and strength of lightnings, over network sizes",
        f"{LIGHTNING}, Figure 7",
    ),
    "lightning.lenet5": Entry(
        "sparsewire.experiments.lightning.lenet5",
        "Lightnings in the dense tail of LeNet-5, on CIFAR-10",
        f"{LIGHTNING}, Table 4a and Figure 8a",
    ),
    "lightning.resnet": Entry(
        "sparsewire.experiments.lightning.resnet",
        "Lightnings in the dense tail of a ResNet, on CIFAR-10",
        f"{LIGHTNING}, Table 4b and Figure 8b",
    ),
    "lightning.cifar_rebuild": Entry(
        "sparsewire.experiments.lightning.cifar_rebuild",
        "A LeNet-5 rebuilt from its parent's convolutions and sparse graph, on CIFAR-10",
        f"{LIGHTNING}, Tables 5 to 8",
    ),
    "predefined.tables": Entry(
        "sparsewire.experiments.predefined.tables",
        "Densities and savings of sparse connected layers, counted from the networks",
        f"{PREDEFINED}, Tables 1 and 2",
    ),
    "predefined.cifar10": Entry(
        "sparsewire.experiments.predefined.cifar10",
        "CIFAR-10 with some in a thousand of the connections behind the convolutions",
        f"{PREDEFINED}, Figure 1 (a)–(c)",
    ),
    "predefined.cifar100": Entry(
        "sparsewire.experiments.predefined.cifar100",
        "CIFAR-100 with some in a thousand of the connections behind the convolutions",
        f"{PREDEFINED}, Figure 1 (d)–(f)",
    ),
    "predefined.mnist_conv": Entry(
        "sparsewire.experiments.predefined.mnist_conv",
        "A small convolutional network on MNIST with sparse connected layers",
        f"{PREDEFINED}, Figure 2 (a, b)",
    ),
    "predefined.mnist": Entry(
        "sparsewire.experiments.predefined.mnist_dense",
        "Half of the connections, and large sparse networks against small dense ones",
        f"{PREDEFINED}, Figure 2 (c)",
    ),
    "predefined.morse": Entry(
        "sparsewire.experiments.predefined.morse_density",
        "Morse code: how many connections it takes",
        f"{PREDEFINED}, Figure 3 (a)",
    ),
    "predefined.morse_split": Entry(
        "sparsewire.experiments.predefined.morse_split",
        "Morse code: which junction wants the connections more",
        f"{PREDEFINED}, Figure 3 (b, c) and Appendix 5.1",
    ),
    "predefined.scatter": Entry(
        "sparsewire.experiments.predefined.scatter_accuracy",
        "Does scatter tell which pattern learns better?",
        f"{PREDEFINED}, after section 3, design our own",
    ),
    "hidden_structures.relative": Entry(
        "sparsewire.experiments.hidden_structures.relative",
        "Pruned step by step: five methods, and the same network trained on without pruning",
        f"{HIDDEN}, Figure 2a",
    ),
    "hidden_structures.retraining": Entry(
        "sparsewire.experiments.hidden_structures.retraining",
        "Two epochs of retraining after each pruning, or as many as it takes",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.fixed_size": Entry(
        "sparsewire.experiments.hidden_structures.fixed_size",
        "Pruned in steps of equal size",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.one_shot": Entry(
        "sparsewire.experiments.hidden_structures.one_shot",
        "Pruned at once, with layer-wise Optimal Brain Surgeon among the methods",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.lenet": Entry(
        "sparsewire.experiments.hidden_structures.lenet",
        "LeNet-300-100 pruned step by step",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.baselines": Entry(
        "sparsewire.experiments.hidden_structures.baselines",
        "A pruned network beside weight decay and dropout",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.recurrent": Entry(
        "sparsewire.experiments.hidden_structures.recurrent",
        "How much of a recurrent network can be removed, and what comes back",
        f"{HIDDEN}, section 4.2, Figures 2b, 5a and 5b",
    ),
    "hidden_structures.priors": Entry(
        "sparsewire.experiments.hidden_structures.priors",
        "Random graphs as recurrent networks, and accuracy foretold from their structure",
        f"{HIDDEN}, section 4.3, Table 1 and Figure 7",
    ),
    "hidden_structures.search": Entry(
        "sparsewire.experiments.hidden_structures.search",
        "A genetic search for architectures that foretells half of its trainings from structure",
        f"{HIDDEN}, section 4.4 and Figure 8",
    ),
    "supermasks.lenet": Entry(
        "sparsewire.experiments.supermasks.lenet",
        "Smaller networks inside an untrained LeNet-300-100, by four methods",
        f"{SUPERMASKS}, Figures 1 and 2",
    ),
    "supermasks.wide": Entry(
        "sparsewire.experiments.supermasks.wide",
        "A smaller network inside an untrained one ten times as wide",
        f"{SUPERMASKS}, Figure 3",
    ),
    "initial_pruning.starts": Entry(
        "sparsewire.experiments.initial_pruning.starts_table",
        "K random masks compete: a single layer after 10 to 10,000 iterations",
        f"{INITIAL}, Table 1",
    ),
    "initial_pruning.methods": Entry(
        "sparsewire.experiments.initial_pruning.methods",
        "Four ways to prune before and early in training, over nine sparsities",
        f"{INITIAL}, Figure 2",
    ),
    "initial_pruning.subsets": Entry(
        "sparsewire.experiments.initial_pruning.subsets",
        "A single layer that sees only some images, dense and at several sparsities",
        f"{INITIAL}, Figure 3 (a, b)",
    ),
    "initial_pruning.ranking": Entry(
        "sparsewire.experiments.initial_pruning.ranking",
        "All ways to choose connections before and early in training, on one budget",
        "sparsewire's own study",
    ),
}
