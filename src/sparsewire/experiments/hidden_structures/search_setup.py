"""A candidate of the search for architectures (section 4.4), and how the search goes: the fields of its specs.

The paper gives neither channels, budget of a training, optimizer nor number of generations; all of these are fields.
"""

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from sparsewire.experiments.hidden_structures.search_published import DEPTHS, RANDOM_DEPTHS
from sparsewire.lab.spec import Spec
from sparsewire.search.genotype import Genome, Vertex

NAME: Final = "hidden_structures.search"
Source = Literal["cifar10", "mnist", "digits"]
Method = Literal["genetic", "all_trained", "random", "regularised", "nsga2"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Objective = Literal["accuracy", "parameters", "multiply_adds", "seconds"]
OBJECTIVES: Final[tuple[Objective, ...]] = get_args(Objective)
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[int, Field(ge=1, le=1_000)]
CLASSES: Final = 10
_SHAPES: Final[dict[Source, tuple[int, int]]] = {"cifar10": (3, 32), "mnist": (1, 28), "digits": (1, 8)}


class CandidateSpec(Spec):
    """One genome and how it is trained; the first trial, whose genome is empty, also says how to search.

    Fields from `methods` on belong to the search. Candidates have the defaults there, so that searches share them.

    Args:
        genome: one line, as `genome_text` writes it; empty: a hand-drawn chain to compare with, see `chain`.
        data: images of 10 classes.
        images: to train with; 0: all that are left.
        validation: images that are taken from the training set to judge candidates by.
        test_images: to test with; 0: all.
        side: height and width to which images are averaged down; 0: as they are.
        epochs: of training.
        batch: images in a step.
        rate: Adam's.
        most_multiply_adds: a genome may need for an image; larger ones are drawn anew, never trained. 0: no bound.
        most_memory: MiB that a step of its training may need, by the estimate of `genome_cost`; as above.
        device: where it trains; decides the last bits, and the time, of a result.
        bars: percent of validation accuracy that a training needs after each epoch to go on; empty: it always does.
        timed: whether it is measured how long the network takes for `batch` images; candidates of a search with the
            objective "seconds" are.
        methods: that are compared: "genetic" foretells a share `estimated` of the new ones, "all_trained" none; "nsga2"
            looks at all objectives, the others at accuracy alone.
        searches: of each method, with seeds 0, 1, …
        trainings: that each search may do; the paper has 2,472 candidates, about half of them
            trained.
        generations: after the first, at most; 0: no bound but `trainings`.
        population: how many genomes live.
        mutation: the probability that one of them mutates in a generation; "regularised" and "nsga2" mutate always what
            they do not cross.
        crossover: the probability that it is crossed with another.
        worst: the share of the population that is removed and drawn anew in each generation.
        estimated: the share of new genomes whose accuracy is foretold in place of a training.
        regressor: what foretells.
        least_tried: trainings before anything is foretold.
        channels: of which a convolution draws its own; the hand-drawn chain begins with the first.
        least_depth: of the first generation's genomes, in vertices on the longest path.
        most_depth: up to here.
        random_least_depth: of the genomes of random search.
        random_most_depth: up to here, which is the bound of mutations, too, where `most_depth` is not larger.
        hopeless: the share of earlier trainings that one must outdo after each epoch but the first to go on; 0: all go
            on. Outdo in accuracy, whatever the objectives: with several, what is cheap and not very accurate is
            stopped, too.
        objectives: "accuracy", then what a genome shall have little of: "parameters", "multiply_adds", "seconds" (of a
            forward pass, measured).
    """

    experiment: Literal["hidden_structures.search"] = NAME
    genome: str = Field(default="", max_length=100_000)
    data: Source = "cifar10"
    images: int = Field(default=0, ge=0)
    validation: Count = 5_000
    test_images: int = Field(default=0, ge=0)
    side: int = Field(default=0, ge=0, le=1_000)
    epochs: Count = 5
    batch: int = Field(default=128, ge=2, le=100_000)
    rate: float = Field(default=1e-3, gt=0)
    most_multiply_adds: int = Field(default=0, ge=0)
    most_memory: Count = 8_192
    device: Literal["cpu", "cuda"] = "cpu"
    bars: tuple[float, ...] = ()
    timed: bool = False
    methods: tuple[Method, ...] = Field(default=("genetic", "random"), min_length=1)
    searches: int = Field(default=1, ge=1, le=1_000)
    trainings: Count = 1_236
    generations: int = Field(default=0, ge=0, le=1_000_000)
    population: int = Field(default=30, ge=2, le=100_000)
    mutation: Share = 0.5
    crossover: Share = 0.0
    worst: float = Field(default=0.1, ge=0, lt=1)
    estimated: float = Field(default=0.5, ge=0, lt=1)
    regressor: Literal["bayesian_ridge", "random_forest", "adaboost", "gradient_boosting", "gaussian_process"] = (
        "random_forest"
    )
    least_tried: int = Field(default=20, ge=4, le=1_000_000)
    channels: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(default=(16, 32, 64, 128), min_length=1)
    least_depth: Depth = DEPTHS[0]
    most_depth: Depth = DEPTHS[1]
    random_least_depth: Depth = RANDOM_DEPTHS[0]
    random_most_depth: Depth = RANDOM_DEPTHS[1]
    hopeless: float = Field(default=0.0, ge=0, lt=1)
    objectives: tuple[Objective, ...] = ("accuracy",)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.side > _SHAPES[self.data][1]:
            raise ValueError(f"side at most {_SHAPES[self.data][1]}, the images' own; found {self.side}")
        for least, most in (("least_depth", "most_depth"), ("random_least_depth", "random_most_depth")):
            if getattr(self, least) > getattr(self, most):
                found, bound = getattr(self, least), getattr(self, most)
                raise ValueError(f"{least} at most {most}, {bound}; found {found}")
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods each once; found {', '.join(self.methods)}")
        return self

    @model_validator(mode="after")
    def _aimed(self) -> Self:
        found = ", ".join(self.objectives) or "none"
        if self.objectives[:1] != ("accuracy",) or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives each once, accuracy first; found {found}")
        if len(self.objectives) > 1 and "nsga2" not in self.methods:
            methods = ", ".join(self.methods)
            raise ValueError(
                f"objectives accuracy alone with the methods {methods}, as only nsga2 looks at others; found {found}"
            )
        return self

    @property
    def is_timed(self) -> bool:
        """Whether the time of its network is measured."""
        return self.timed or "seconds" in self.objectives


SEARCH_FIELDS: Final = tuple(CandidateSpec.model_fields)[tuple(CandidateSpec.model_fields).index("methods") :]


def candidate(first: CandidateSpec, genome: str, bars: tuple[float, ...] = ()) -> CandidateSpec:
    """The spec of a candidate of the search that `first` describes: its training alone, without how it was found.

    Example:
        >>> spec = candidate(CandidateSpec(epochs=2, searches=5), "…")
        >>> spec.epochs, spec.searches
        (2, 1)
    """
    fields = CandidateSpec.model_fields
    plain = {name: fields[name].default for name in SEARCH_FIELDS}
    return first.model_copy(update={**plain, "genome": genome, "bars": bars, "timed": first.is_timed})


def chain(channels: int, depth: int = 6) -> Genome:
    """What a person would draw first: convolutions of 3 × 3 with a maximum taken after every two.

    Args:
        channels: of the first two; the next two have twice as many, and so on.
        depth: how many vertices.

    Example:
        >>> [vertex.operation for vertex in chain(16).vertices]
        ['conv3', 'conv3', 'max_pool', 'conv3', 'conv3', 'max_pool']
        >>> [vertex.channels for vertex in chain(16).vertices]
        [16, 16, 0, 32, 32, 0]
    """
    vertices = [
        Vertex("max_pool") if place % 3 == 2 else Vertex("conv3", channels * 2 ** (place // 3))
        for place in range(depth)
    ]
    return Genome(tuple(vertices), tuple((place, place + 1) for place in range(depth - 1)))


def shape_of(spec: CandidateSpec) -> tuple[int, int, int]:
    """Channels, height and width of an image; the data need not be at hand.

    Example:
        >>> shape_of(CandidateSpec(side=16))
        (3, 16, 16)
    """
    channels, side = _SHAPES[spec.data]
    return channels, spec.side or side, spec.side or side
