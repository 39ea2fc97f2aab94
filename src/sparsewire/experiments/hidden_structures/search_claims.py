"""What the search for architectures is asked: is it better than chance, what is foretold, what goes with accuracy?"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from sparsewire.analysis.prediction.permutations import Importance
from sparsewire.experiments.hidden_structures.priors_correlations import Correlated
from sparsewire.experiments.hidden_structures.search_courses import Course, Tried
from sparsewire.experiments.hidden_structures.search_labels import NAMES, label
from sparsewire.experiments.hidden_structures.search_prediction import Score
from sparsewire.experiments.hidden_structures.search_published import (
    BEST,
    CANDIDATES,
    CENTRALITY,
    SIGNS,
    SPREADS,
    TOP,
    TOP_SPREADS,
)
from sparsewire.experiments.hidden_structures.search_readings import (
    Study,
    best_so_far,
    chosen,
    metric,
)
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Method
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Kind

NEAR: Final = 2.0  # features among the ten; our own bound on how many may be others
SIZE: Final = 1.0  # points; our own bound on the best accuracy, where the paper's own setup was run

ABOUT_METHODS: Final = (
    "Differences of searches of one seed, which begin with the same genomes where their depths agree, after as many "
    "trainings each, judged by the 95 % interval of their mean. Validation accuracy is what is searched for; the test "
    "accuracy is that of the genome that a search would hand out. The paper makes no such comparison."
)
ABOUT_SIGNS: Final = (
    "Figure 8b has no numbers. The text says that six of the ten most important features are standard deviations of "
    "path lengths to convolutions or pooling vertices, all of positive correlation, not which; that mean centrality is "
    "negative. Ours is inconclusive where its 95 % interval, of a bootstrap over genomes, holds 0."
)
ABOUT_UNSEEN: Final = (
    "Whether anything is known of genomes that were not learnt from: R² and rank correlation above 0, judged by their "
    "95 % interval. Genomes of one search descend from one another, so that only other searches are "
    "wholly new; what surrogates said in the midst of a search is of new genomes, too, by what was known then."
)


def method_claims(study: Study, suffix: str) -> ClaimTable:
    """Each method against random search, and foretelling against training all, at as many trainings."""
    against: list[tuple[Method, Method]] = [(method, "random") for method in study.first.methods if method != "random"]
    against.append(("genetic", "all_trained"))
    claims = []
    for one, other in against:
        names = f"{label(study.first, one)} − {label(study.first, other)}"
        pairs = pairs_of(study, one, other)
        parts = [(first.tried[: study.equal], second.tried[: study.equal]) for first, second in pairs]
        best = tuple(best_so_far(first)[-1] - best_so_far(second)[-1] for first, second in parts if first)
        test = [accuracy_in_test(study, first) - accuracy_in_test(study, second) for first, second in parts]
        found = tuple(value for value in test if not math.isnan(value))
        claims += [ahead(f"{names}, validation", best), ahead(f"{names}, test", found)]
    title = f"Is one search better, after {study.equal} trainings each?{suffix}"
    return ClaimTable(title, tuple(claim for claim in claims if claim.ours), ABOUT_METHODS)


def sign_claims(correlations: Mapping[str, Correlated], suffix: str) -> ClaimTable:
    """Whether the features that the paper names correlate as it says."""
    claims = []
    for name, sign in SIGNS.items():
        ours = correlations[name]
        if not math.isnan(ours.value):
            kind: Kind = "at_least" if sign > 0 else "at_most"
            label = f"{name}: {'more is better' if sign > 0 else 'less is better'}"
            claims.append(Claim(label, 0.0, (ours.value,), 0.0, "", 2, kind, by_interval=ours.is_open))
    return ClaimTable(f"Figure 8b: signs of correlations with accuracy{suffix}", tuple(claims), ABOUT_SIGNS)


def top_claims(important: Mapping[str, Importance], suffix: str) -> ClaimTable:
    """How many of the most important features are those of which the paper speaks."""
    spreads, central = sum(name in SPREADS for name in important), float(CENTRALITY in important)
    is_open = any(one.low <= 0 for one in important.values())
    spread = "standard deviations of path lengths to blocks"
    claims = (
        Claim(spread, TOP_SPREADS, (float(spreads),), NEAR, "", 0, "at_least", by_interval=is_open),
        Claim("mean closeness among them (1: yes)", 1.0, (central,), 0.0, "", 0, by_interval=is_open),
    )
    note = (
        f"Nine of the 56 features are of the first kind; by chance {TOP * 9 / 56:.1f} of {TOP} would be. Features that "
        f"say nearly the same stand in for one another. Tolerance: {NEAR:g}, our own. Inconclusive where the interval "
        "of one of them holds 0: which features are among them is then chance."
    )
    return ClaimTable(f"The {TOP} most important features{suffix}", claims, note)


def unseen_claims(scores: Mapping[str, Mapping[str, Score]], regressor: str, suffix: str) -> ClaimTable:
    """Whether the surrogate knows anything of genomes that it has not learnt from.

    Args:
        scores: way to hold back → regressor → how good it is.
        regressor: that of the search; where it was not tried in a way, a random forest stands for it.
        suffix: of the title.
    """
    claims, of = [], set()
    for way, found in scores.items():
        name = regressor if regressor in found else "random_forest"
        score = found[name]
        of.add(NAMES[name])
        if score.tested and not math.isnan(score.r2.mean):
            is_open = not (score.r2.low > 0 or score.r2.high < 0)
            claims.append(_above(f"R², {way}", score.r2.mean, is_open))
        if score.tested and not math.isnan(score.rank):
            is_open = score.interval is None or score.interval[0] <= 0 <= score.interval[1]
            claims.append(_above(f"rank correlation, {way}", score.rank, is_open))
    return ClaimTable(
        f"Does structure foretell accuracy?{suffix}", tuple(claims), f"Of {' and '.join(sorted(of))}. {ABOUT_UNSEEN}"
    )


def best_claims(study: Study, suffix: str) -> ClaimTable:
    """The best genome beside the paper's, where its data were used whole; and beside the hand-drawn chain."""
    first, best = study.first, study.best
    if best is None:
        return ClaimTable("", ())
    reached, drawn = metric(study, best, "test accuracy"), metric(study, first, "test accuracy")
    published = BEST if is_whole(first) else None
    claims = [Claim("best genome, test accuracy", published, (reached,), SIZE, "%", 1, "at_least")]
    if not math.isnan(drawn):
        claims.append(Claim("best genome − hand-drawn chain, test", None, (reached - drawn,), None, "points", 1))
    return ClaimTable(f"The best genome’s accuracy{suffix}", tuple(claims), budget(first))


def is_whole(spec: CandidateSpec) -> bool:
    """Whether a spec takes the paper's data as they are, so that its best accuracy can be compared.

    Example:
        >>> is_whole(CandidateSpec()), is_whole(CandidateSpec(side=16))
        (True, False)
    """
    return spec.data == "cifar10" and not (spec.images or spec.side or spec.test_images)


def budget(first: CandidateSpec) -> str:
    """What a training had, in a sentence, beside what is known of the paper's."""
    images = f"{first.images:,} images" if first.images else f"all images but {first.validation:,}"
    sides = f" averaged to {first.side} × {first.side} pixels" if first.side else ""
    cap = (
        f"at most {first.most_multiply_adds / 1e6:g} million multiply-adds an image"
        if first.most_multiply_adds
        else "no bound on multiply-adds"
    )
    return (
        f"A training here: {images} of {first.data}{sides}, {first.epochs} epochs, batches of {first.batch}, Adam "
        f"{first.rate:g}; {cap}, channels of {', '.join(map(str, first.channels))}; up to {first.trainings:,} "
        f"trainings a search. The paper has {BEST} % on CIFAR-10, by about {CANDIDATES // 2:,} trainings whose budget "
        "it does not tell."
    )


def accuracy_in_test(study: Study, tried: Sequence[Tried]) -> float:
    """The test accuracy of the candidate that these trainings would choose, percent; NaN where there is none."""
    best = chosen(tried)
    return float("nan") if best is None else metric(study, best.spec, "test accuracy")


def pairs_of(study: Study, one: Method, other: Method) -> list[tuple[Course, Course]]:
    """The searches of two methods that share a seed."""
    return [pair for pair in zip(study.of(one), study.of(other), strict=False) if all(part.tried for part in pair)]


def ahead(label: str, differences: tuple[float, ...]) -> Claim:
    """That one is ahead; searches that all end alike decide nothing, as one alone does not."""
    differences = differences if any(differences) else differences[:1]
    return Claim(label, 0.0, differences, 0.0, "points", 2, "at_least", by_interval=True)


def _above(label: str, value: float, is_open: bool) -> Claim:
    # One value has no interval of its own: by_interval then says that it is not known, which it is not.
    return Claim(label, 0.0, (value,), 0.0, "", 2, "at_least", by_interval=is_open)
