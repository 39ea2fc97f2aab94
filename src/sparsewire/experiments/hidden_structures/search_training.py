"""The training of a candidate of the search for architectures: its images, and what is recorded of it."""

import functools
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from sparsewire.data.cifar import cifar10
from sparsewire.data.embedded import digits
from sparsewire.data.images import mnist
from sparsewire.data.samples import Samples
from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.search_setup import CLASSES, CandidateSpec, Source, chain, shape_of
from sparsewire.experiments.hidden_structures.search_timing import MEASURED, forward_seconds
from sparsewire.lab.experiment import Trial, stream
from sparsewire.search.building import phenotype
from sparsewire.search.costing import genome_cost
from sparsewire.search.early_stopping import is_hopeless
from sparsewire.search.genome_files import genome_from_text
from sparsewire.search.genotype import Genome
from sparsewire.search.limits import exceeded
from sparsewire.search.measures import features
from sparsewire.training.history import History
from sparsewire.training.judging import evaluate
from sparsewire.training.loop import fit

_SETS = {"cifar10": cifar10, "mnist": mnist, "digits": digits}


class Pictures(NamedTuple):
    """Images to train with, to judge candidates by and to test with; all candidates share them.

    Args:
        train: (n, channels, height, width) and labels.
        validation: from the training set, too.
        test: the test set's.
    """

    train: Samples
    validation: Samples
    test: Samples


def genome_of(spec: CandidateSpec) -> Genome:
    """The genome that a spec trains.

    Raises:
        DataError: its text is none of a genome.

    Example:
        >>> len(genome_of(CandidateSpec())), genome_of(CandidateSpec(genome='{"vertices":[["skip"]],"edges":[]}')).depth
        (6, 1)
    """
    return genome_from_text(spec.genome) if spec.genome else chain(spec.channels[0])


def limits_of(spec: CandidateSpec, genome: Genome) -> tuple[str, ...]:
    """Which of the spec's limits a genome exceeds, one line each.

    Example:
        >>> limits_of(CandidateSpec(most_multiply_adds=1000), genome_of(CandidateSpec()))
        ('multiply_adds: found 6,340,928 for an image, expected at most 1,000',)
    """
    return exceeded(
        genome,
        shape_of(spec),
        CLASSES,
        multiply_adds=spec.most_multiply_adds or None,
        memory=spec.most_memory * 2**20,
        batch=spec.batch,
    )


def train_candidate(spec: CandidateSpec, trial: Trial) -> None:
    """Measures a genome, builds its network, trains it; its worth is the best accuracy on the validation images.

    What is recorded: the 56 features, `parameters` and `multiply_adds`; after every epoch `validation accuracy`
    (percent), `validation loss` and `training loss`; at the end `best validation accuracy`, `test accuracy`, `epochs`
    and `training seconds`; where it is asked for, `forward seconds`. A genome above the limits is not trained: it has
    `refused` instead.
    """
    genome, shape = genome_of(spec), shape_of(spec)
    cost = genome_cost(genome, shape, CLASSES)
    found = {**features(genome, input_channels=shape[0]), "parameters": cost.parameters}
    for name, value in {**found, "multiply_adds": cost.multiply_adds}.items():
        trial.record(name, value)
    if spec.genome and limits_of(spec, genome):
        trial.record("refused", 1.0)
        return
    if spec.is_timed:
        trial.record(MEASURED, forward_seconds(spec, genome))
    pictures = pictures_of(spec)
    model = phenotype(genome, shape, CLASSES, generator=trial.generator("weights"))
    history = _trained(model, pictures, spec, trial)
    trial.record("best validation accuracy", 100 * max(history.validation_accuracy))
    trial.record("test accuracy", 100 * evaluate(model, pictures.test).accuracy)
    trial.record("epochs", len(history))
    trial.record("training seconds", sum(history.seconds))


def _trained(model: nn.Module, pictures: Pictures, spec: CandidateSpec, trial: Trial) -> History:
    def told(epoch: int, _: nn.Module, history: History) -> bool:
        reached = 100 * history.validation[-1].accuracy
        trial.record("validation accuracy", reached, step=epoch)
        trial.record("validation loss", history.validation[-1].loss, step=epoch)
        trial.record("training loss", history.loss[-1], step=epoch)
        trial.report(epoch / spec.epochs, f"{reached:.1f} % after epoch {epoch}")
        return is_hopeless([100 * accuracy for accuracy in history.validation_accuracy], spec.bars)

    return fit(
        model,
        pictures.train,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=spec.rate),
        epochs=spec.epochs,
        batch_size=spec.batch,
        validation=pictures.validation,
        generator=trial.generator("order"),
        on_epoch=told,
        device=spec.device,
        checkpoints=trial.checkpoints(),
    )


def pictures_of(spec: CandidateSpec) -> Pictures:
    """The images that a spec asks for; read once a process.

    Raises:
        DataError: the data set's files are not at hand.
        RequestError: there are fewer images.

    Example:
        >>> pictures_of(CandidateSpec(data="digits", images=100, validation=50)).train.inputs.shape
        torch.Size([100, 1, 8, 8])
    """
    return _pictures(spec.data, spec.images, spec.validation, spec.test_images, spec.side)


@functools.lru_cache(maxsize=1)
def _pictures(source: Source, images: int, validation: int, test_images: int, side: int) -> Pictures:
    data = _SETS[source]()
    have = len(data.train.labels)
    if validation + max(images, 1) > have:
        raise RequestError(
            f"images: found {images:,} and {validation:,} for validation, expected {have:,} together at most, as many "
            f"as {data.name} has to train with"
        )
    order = torch.Generator().manual_seed(stream(0, "images of the search"))
    held, rest = data.train.shuffled(generator=order).split(validation)
    train, test = rest.take(images) if images else rest, data.test.take(test_images) if test_images else data.test
    return Pictures(*(_averaged(part, side) for part in (train, held, test)))


def _averaged(samples: Samples, side: int) -> Samples:
    """Copies, lest a few images keep the whole set in memory, averaged down to a side if one is asked for."""
    inputs = adaptive_avg_pool2d(samples.inputs, side) if side else samples.inputs.clone()
    return Samples(inputs, samples.labels.clone())
