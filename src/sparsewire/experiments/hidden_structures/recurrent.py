"""The paper on hidden structures, section 4.2: how much of a recurrent network can be pruned, and how it comes back.

A network with tanh, ReLU, LSTM or GRU cells learns to tell the strings of Reber's grammar. Then the smallest of its
input-to-hidden weights, of its hidden-to-hidden weights, or of both are removed, 10 to 100 %, each time from the same
base; it is tested at once, and trained again.
"""

from collections.abc import Sequence
from typing import Final

from sparsewire.data.reber_codes import decoded
from sparsewire.data.reber_samples import reber_set
from sparsewire.data.reber_shortcuts import ngram_accuracy
from sparsewire.data.samples import Samples
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.hidden_structures.recurrent_findings import findings
from sparsewire.experiments.hidden_structures.recurrent_published import Cell, Scope
from sparsewire.experiments.hidden_structures.recurrent_setup import (
    NAME,
    RecurrentSpec,
    Strings,
    accuracy,
    masks_at,
    network,
    pruned,
    train,
)
from sparsewire.lab.experiment import Experiment, Scale, Trial
from sparsewire.models.sequence_classifier import SequenceClassifier

# The cells whose trials are longest come first, so that none is left alone at the end.
ORDER: Final[tuple[Cell, ...]] = ("lstm", "gru", "relu", "tanh")


def specs(scale: Scale) -> Sequence[RecurrentSpec]:
    """All four cells; full and desk: the paper's own setup, 50 epochs, and 10 for each of 3 scopes and 10 shares.

    On one thread an epoch takes 1.2 s for tanh and ReLU, 3.7 s for the GRU and 4.9 s for the LSTM, a test 0.3 to 1 s,
    and less the more is removed. So a trial takes 7, 7, 20 and 25 minutes, and three seeds of all 88 minutes on two
    cores: nothing need be shortened (benchmarks/recurrent_study.py).
    """
    if scale == "smoke":
        small = RecurrentSpec(
            strings=300,
            test_strings=100,
            embedding=6,
            hidden=6,
            layers=2,
            epochs=2,
            retraining=2,
            removed=(50, 90, 100),
        )
        return [small.model_copy(update={"cell": cell}) for cell in ORDER]
    return [RecurrentSpec(cell=cell) for cell in ORDER]


def run(spec: RecurrentSpec, trial: Trial) -> None:
    """Trains a base network, then prunes, tests and trains a copy of it for each scope and share."""
    data = reber_set(spec.strings, spec.test_strings, false=spec.false_strings, generator=trial.generator("strings"))
    trial.record("bigram accuracy", bigram_accuracy(data.test))
    strings = Strings(data.train, data.test, spec.batch)
    base = network(spec, trial.generator("weights"))
    whole = spec.epochs + spec.retraining * len(spec.removed) * len(spec.scopes)
    trial.report(0.0, f"{spec.cell}: base")
    train(base, strings, spec.epochs, spec, trial, "base", None)
    done = spec.epochs
    for scope in spec.scopes:
        for removed in spec.removed:
            trial.report(done / whole, f"{spec.cell}: {scope}, {removed} % removed")
            prune_and_train(base, strings, scope, removed, spec, trial)
            done += spec.retraining


def bigram_accuracy(samples: Samples) -> float:
    """How often a string is true just if all its pairs of neighbours are legal, percent: what tanh learns."""
    return 100 * ngram_accuracy(decoded(samples.inputs), samples.labels.bool(), 2)


def prune_and_train(
    base: SequenceClassifier, strings: Strings, scope: Scope, removed: int, spec: RecurrentSpec, trial: Trial
) -> None:
    """One copy: how many weights are left, its accuracy at once (epoch 0) and after every epoch of retraining."""
    masks, name = masks_at(base, scope, removed, spec), f"{scope} {removed} %"
    trial.record(f"{name} weights left", masks.count)
    model = pruned(base, masks, spec)
    trial.record(f"{name} accuracy", accuracy(model, strings), step=0)
    train(model, strings, spec.retraining, spec, trial, name, masks if spec.execution == "masked" else None)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RecurrentSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 5},
    trial=run,
    findings=findings,
)
