"""What the methods of a study are called, by the share of the new that is foretold and by what foretells it."""

from typing import Final

from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Method

NAMES: Final = {
    "bayesian_ridge": "Bayesian ridge",
    "random_forest": "random forest",
    "adaboost": "AdaBoost",
    "gradient_boosting": "gradient boosting",
    "gaussian_process": "Gaussian process",
}
_LABELS: Final[dict[Method, str]] = {
    "all_trained": "genetic, all trained",
    "random": "random",
    "regularised": "regularised evolution",
    "nsga2": "NSGA-II",
}


def label(first: CandidateSpec, method: Method) -> str:
    """What a method is called in charts and tables; a random forest foretells where nothing else is said.

    Example:
        >>> label(CandidateSpec(), "genetic"), label(CandidateSpec(), "random")
        ('genetic, half foretold', 'random')
        >>> label(CandidateSpec(estimated=0.25, regressor="adaboost"), "genetic")
        'genetic, 25 % foretold by AdaBoost'
    """
    if method != "genetic":
        return _LABELS[method]
    if not first.estimated:
        return "genetic, none foretold"
    by = "" if first.regressor == "random_forest" else f" by {NAMES[first.regressor]}"
    return f"genetic, {share(first)} foretold{by}"


def share(first: CandidateSpec) -> str:
    """How much of what is new the genetic search foretells, in words.

    Example:
        >>> share(CandidateSpec()), share(CandidateSpec(estimated=0.75)), share(CandidateSpec(estimated=0))
        ('half', '75 %', 'none')
    """
    if first.estimated in (0.0, 0.5):
        return "half" if first.estimated else "none"
    return f"{100 * first.estimated:.3g} %"


def foretelling(first: CandidateSpec) -> str:
    """Who foretells how much, in a sentence; that nobody does, where that is so.

    Example:
        >>> foretelling(CandidateSpec(estimated=0.75)).split(" foretells")[0]
        'Of what is new in the genetic search 75 % is not trained: a random forest'
        >>> foretelling(CandidateSpec(methods=("random",)))
        'Every new genome is trained.'
    """
    if "genetic" not in first.methods or not first.estimated:
        return "Every new genome is trained."
    return (
        f"Of what is new in the genetic search {share(first)} is not trained: {foreteller(first)} foretells its "
        "accuracy from 56 features of the graph."
    )


def foreteller(first: CandidateSpec) -> str:
    """What foretells, as part of a sentence.

    Example:
        >>> foreteller(CandidateSpec()), foreteller(CandidateSpec(regressor="bayesian_ridge"))
        ('a random forest', 'Bayesian ridge')
    """
    name = NAMES[first.regressor]
    return f"a {name}" if first.regressor in ("random_forest", "gaussian_process") else name
