"""Runs: linear layers with activations between them, which sparse are one call of the kernels.

Beside its neighbours a layer costs less than on its own, since the call is shared: at small batches, where a call is
most of the time, a run may pay as a whole although none of its layers does, and the other way round.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from sparsewire.execution.sequences import ACTIVATIONS
from sparsewire.execution.subjects import MaskedLayer, Subject


@dataclass(frozen=True)
class RunSubject:
    """A run some of whose layers are sparse: what its time depends on.

    Args:
        layers: the linear ones in order, those without a mask with density 1.
        activations: after each of them, or "identity".
        sparse: which of the layers are.

    Example:
        >>> first, last = (Subject("Linear", (4, 8), True, density, "float32", "cpu") for density in (0.25, 0.75))
        >>> run = RunSubject((first, last), ("relu", "identity"), (True, False))
        >>> run.density, run.key[:59]
        (0.5, 'Run sparse Linear 4×8 bias float32 density 0.25 cpu relu, L')
    """

    layers: tuple[Subject, ...]
    activations: tuple[str, ...]
    sparse: tuple[bool, ...]

    @property
    def key(self) -> str:
        """One line that tells it from every other."""
        parts = zip(self.layers, self.activations, self.sparse, strict=True)
        return "Run " + ", ".join(f"{'sparse ' * chosen}{layer.key} {act}" for layer, act, chosen in parts)

    @property
    def density(self) -> float:
        """Live weights / weights of the whole run."""
        weights = [layer.sizes[0] * layer.sizes[1] for layer in self.layers]
        return sum(w * layer.density for w, layer in zip(weights, self.layers, strict=True)) / sum(weights)


@dataclass(frozen=True)
class MaskedRun:
    """A run within a model, with a mask on one of its layers at least.

    Args:
        names: of each layer the name of its weight.
        layers: of each what its time depends on.
        activations: after each of them.
        free: which of them a plan decides.
    """

    names: tuple[str, ...]
    layers: tuple[Subject, ...]
    activations: tuple[str, ...]
    free: tuple[bool, ...]

    def subject(self, sparse: Sequence[bool]) -> RunSubject:
        """The run with these of its layers sparse."""
        return RunSubject(self.layers, self.activations, tuple(sparse))


def masked_runs(model: nn.Module, layers: Sequence[MaskedLayer]) -> list[MaskedRun]:
    """The runs of two or more linear layers in the model's `nn.Sequential`s that masks are about.

    Args:
        model: the dense model.
        layers: `masked_layers(model, masks)`.

    Example:
        >>> import torch
        >>> from sparsewire.execution.subjects import masked_layers
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1), nn.Linear(2, 2))
        >>> [run.names for run in masked_runs(model, masked_layers(model, {"0.weight": torch.eye(3, 4).bool()}))]
        [('0.weight', '2.weight')]
    """
    known = {layer.name: layer for layer in layers}
    found = (
        _run(home, part, known)
        for home, module in model.named_modules()
        if type(module) is nn.Sequential
        for part in _parts(module)
    )
    return [run for run in found if any(run.free)]


def _parts(sequence: nn.Sequential) -> Iterator[list[tuple[str, nn.Linear, str]]]:
    """Of each run the layers' names in the sequence, the layers, and the activations after them."""
    part: list[tuple[str, nn.Linear, str]] = []
    follows = False  # whether the child before was a layer, whose activation this one may be
    for name, child in [*sequence.named_children(), ("", nn.Identity())]:
        if type(child) is nn.Linear and (not part or part[-1][1].out_features == child.in_features):
            part.append((name, child, "identity"))
            follows = True
        elif follows and type(child) in ACTIVATIONS:
            part[-1] = (*part[-1][:2], ACTIVATIONS[type(child)])
            follows = False
        else:
            if len(part) > 1:
                yield part
            part, follows = [(name, child, "identity")] if type(child) is nn.Linear else [], type(child) is nn.Linear


def _run(home: str, part: list[tuple[str, nn.Linear, str]], known: Mapping[str, MaskedLayer]) -> MaskedRun:
    names = tuple(f"{home}.{name}.weight".removeprefix(".") for name, _, _ in part)
    layers = []
    for name, (_, linear, _) in zip(names, part, strict=True):
        subject = known[name].subject if name in known else None
        layers.append(subject or _whole(linear))
    free = tuple(name in known and known[name].subject is not None for name in names)
    return MaskedRun(names, tuple(layers), tuple(activation for _, _, activation in part), free)


def _whole(linear: nn.Linear) -> Subject:
    weight = linear.weight
    dtype = str(weight.dtype).removeprefix("torch.")
    return Subject("Linear", tuple(weight.shape), linear.bias is not None, 1.0, dtype, weight.device.type)
