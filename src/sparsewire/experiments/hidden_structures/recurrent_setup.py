"""How a recurrent network is trained, pruned once and trained again (section 4.2), as the paper's code does it.

Where text and code differ, the fields of `RecurrentSpec` offer both and the code's way is the default, as the stored
accuracies are the code's.
"""

import copy
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sparsewire.data.samples import Samples
from sparsewire.execution.convert import sparsify
from sparsewire.experiments.hidden_structures.recurrent_published import REMOVED, SCOPES, Cell, Scope
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import Spec
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.naming import is_meant
from sparsewire.structure.select import prune
from sparsewire.training.history import History
from sparsewire.training.loop import evaluate, fit
from sparsewire.training.state import Checkpoints, State

NAME: Final = "hidden_structures.recurrent"
SYMBOLS: Final = 128  # ASCII; 0 pads
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Percent = Annotated[int, Field(ge=1, le=100)]


class RecurrentSpec(Spec):
    """One cell: a base network, and for each scope and share a copy of it that is pruned once and trained again.

    Args:
        cell: of the recurrent layers.
        strings: to train with, half of them of Reber's grammar.
        test_strings: to test with.
        false_strings: "relabelled": of eight automata of the same shape, as in the paper's file; "perturbed": true
            ones after a random edit, which are harder to tell.
        embedding: numbers that stand for a letter.
        hidden: units of each recurrent layer.
        layers: recurrent layers.
        epochs: of the base network.
        retraining: epochs of each pruned copy, with a fresh Adam.
        batch: strings in a step, and at a time when the test set is judged.
        rate: Adam's.
        clip: the largest norm of the gradients of all live weights; the text does not speak of it.
        scopes: which weights are removed.
        removed: shares that are removed, percent; each from the base network anew.
        threshold: "pooled": one for all layers (and for i2h and h2h, where both are pruned), as in the code;
            "layer": one for each weight matrix, as in the text.
        leaves_one: whether at 100 % the largest weight stays, one of all or one of each matrix: the code removes what
            is strictly below the threshold.
        reads_padding: whether the state is read after the last step of a batch's longest string, as in the code, or
            after each string's own last letter.
        execution: "sparse" trains and judges pruned copies with their live weights alone; "masked" trains whole
            matrices under masks, where `clip` also counts the gradients of weights that are gone.
    """

    experiment: Literal["hidden_structures.recurrent"] = NAME
    cell: Cell = "tanh"
    strings: Count = 18_750
    test_strings: Count = 6_250
    false_strings: Literal["relabelled", "perturbed"] = "relabelled"
    embedding: Count = 50
    hidden: Count = 50
    layers: Count = 3
    epochs: Count = 50
    retraining: Count = 10
    batch: Count = 32
    rate: float = Field(default=1e-3, gt=0)
    clip: float = Field(default=5.0, gt=0)
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = tuple(SCOPES)
    removed: Annotated[tuple[Percent, ...], Field(min_length=1)] = REMOVED
    threshold: Literal["pooled", "layer"] = "pooled"
    leaves_one: bool = True
    reads_padding: bool = True
    execution: Literal["sparse", "masked"] = "sparse"


class KeptAtItsEnd:
    """A training's checkpoints, with one more when it has ended, so that a trial that goes on does none twice.

    Args:
        checkpoints: where they are kept.

    Attributes:
        ended: to be set when the last epoch is over.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.ended = False
        self._checkpoints = checkpoints

    def load(self) -> State | None:
        """The last state, if there is one."""
        return self._checkpoints.load()

    def is_due(self) -> bool:
        """Whether to keep the state: also at the end."""
        return self._checkpoints.is_due() or self.ended

    def save(self, state: State) -> None:
        """Keeps the state."""
        self._checkpoints.save(state)


def network(spec: RecurrentSpec, generator: torch.Generator) -> SequenceClassifier:
    """Letters as vectors, recurrent layers, a readout: PyTorch's usual start, drawn from the generator.

    Example:
        >>> network(RecurrentSpec(cell="gru"), torch.Generator().manual_seed(0)).recurrent
        GRU(50, 50, num_layers=3, batch_first=True)
    """
    return SequenceClassifier(
        spec.cell,
        spec.embedding,
        spec.hidden,
        layers=spec.layers,
        symbols=SYMBOLS,
        padding=0,
        reads_padding=spec.reads_padding,
        generator=generator,
    )


def masks_at(model: SequenceClassifier, scope: Scope, removed: int, spec: RecurrentSpec) -> Masks:
    """What is left of the recurrent weights, after `removed` percent of a scope's smallest ones are gone.

    Kept is |w| ≥ the percentile of the magnitudes, with as many weights as that says: exactly 100 − `removed` percent
    below 100 %, where one weight stays if the spec leaves one. Biases, letters' vectors and readout lose nothing.

    Example:
        >>> spec = RecurrentSpec(embedding=10, hidden=10, layers=1)
        >>> model = network(spec, torch.Generator().manual_seed(0))
        >>> [masks_at(model, "both", removed, spec).count for removed in (50, 90, 100)]
        [100, 20, 1]
    """
    parts = ("i2h", "h2h") if scope == "both" else (scope,)
    weights = maskable(model)
    sizes = {name: weights[name].numel() for name in weights if any(is_meant(name, part) for part in parts)}
    densities = dict.fromkeys(sizes, 1 - removed / 100)
    pooled = 1 - removed / 100
    if removed == 100 and spec.leaves_one:
        densities, pooled = {name: 1 / size for name, size in sizes.items()}, 1 / sum(sizes.values())
    masks = prune(
        model,
        score="magnitude",
        density=pooled,
        scope="blind" if spec.threshold == "pooled" else densities,
        only=list(sizes),
    )
    return Masks({name: masks[name] for name in sizes})


def pruned(model: SequenceClassifier, masks: Masks, spec: RecurrentSpec) -> nn.Module:
    """A copy without the weights outside the masks."""
    if spec.execution == "sparse":
        return sparsify(model, masks, "sparse")
    return masks.apply_(copy.deepcopy(model))


def train(
    model: nn.Module, strings: "Strings", epochs: int, spec: RecurrentSpec, trial: Trial, name: str, masks: Masks | None
) -> History:
    """Trains with a fresh Adam; records the accuracy on the test set, percent, after every epoch.

    Args:
        model: trained in place.
        strings: the data.
        epochs: passes over the training strings.
        spec: how.
        trial: its seed decides the order of the strings, the same one for every copy.
        name: what is recorded is `name` + " accuracy".
        masks: of dense weights that are pruned; None for sparse ones.
    """
    kept = KeptAtItsEnd(trial.checkpoints(name.replace(" ", "-").replace("%", "percent")))

    def record(epoch: int, _: nn.Module, history: History) -> None:
        trial.record(f"{name} accuracy", 100 * history.validation[-1].accuracy, step=epoch)
        trial.record(f"{name} loss", history.validation[-1].loss, step=epoch)
        kept.ended = epoch == epochs

    return fit(
        model,
        strings.train,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=spec.rate),
        epochs=epochs,
        batch_size=spec.batch,
        masks=masks,
        clip_norm=spec.clip,
        validation=strings.test,
        generator=trial.generator(f"order of {'the base' if name == 'base' else 'a retraining'}"),
        on_epoch=record,
        checkpoints=kept,
    )


class Strings:
    """Strings in the batches in which a network sees them.

    A network that reads the padding answers otherwise when a longer string stands beside a string in its batch: so the
    test set is judged in batches as large as those of the training, as in the reference code.

    Args:
        train: codes (strings, letters), padded with 0, and whether each is true.
        test: as many as a batch has at a time.
        batch: how many these are.
    """

    def __init__(self, train: Samples, test: Samples, batch: int) -> None:
        self.train = train
        parts = torch.split(test.inputs, batch), torch.split(test.labels, batch)
        self.test: list[tuple[Tensor, Tensor]] = list(zip(*parts, strict=True))


def accuracy(model: nn.Module, strings: Strings) -> float:
    """On the test set, percent."""
    return 100 * evaluate(model, strings.test).accuracy
