"""How far a loop of pruning and retraining is, as data: what goes on after a kill to the same bits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import CheckpointError
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation
from sparsewire.training.iterations import Iteration, Iterations
from sparsewire.training.rewinding import Kept
from sparsewire.training.state import Checkpoints, State, put_together, taken_apart

_FORM = 1  # of the facts
_ALIVE = torch.iinfo(torch.int16).max  # the step at which a weight went that did not


class Trained(NamedTuple):
    """What one training within a loop came to."""

    judged: Evaluation
    epochs: int
    steps: int
    seconds: float
    accuracies: tuple[float, ...]


class Pending(NamedTuple):
    """A step that is under way.

    Args:
        step: its number.
        asked: the density asked for.
        masks: after its pruning.
        pruned: how good the network was then.
        seconds: that the pruning took.
        seed: of the order of the samples, the network's and the control's.
        plan: which layers run sparse, as JSON; "": none does.
        trained: the network's retraining, once that is done.
    """

    step: int
    asked: float
    masks: Masks
    pruned: Evaluation
    seconds: float
    seed: int
    plan: str = ""
    trained: Trained | None = None


@dataclass
class Standing:
    """Where a loop stands; what changes as it goes on.

    Args:
        seed: of the first training's order.
        base: how good the network was before the first pruning; None: the first training is under way.
        done: the steps that are done.
        pending: the one under way.
        kept: the weights to rewind to, once they are known.
    """

    seed: int = 0
    base: Evaluation | None = None
    done: tuple[Iteration, ...] = ()
    pending: Pending | None = None
    kept: Kept | None = None

    @property
    def so_far(self) -> Iterations:
        """The steps that are done."""
        assert self.base is not None
        return Iterations(self.base, self.done)

    def told(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """The facts, and the tensors moved into `tensors`."""
        pending = self.pending
        every = [one.masks for one in self.done] + ([] if pending is None else [pending.masks])
        tensors.update({f"gone/{name}": gone for name, gone in _gone_at(every).items()})
        tree = {
            "seed": self.seed,
            "base": None if self.base is None else _numbers(self.base),
            "done": [_told_iteration(one) for one in self.done],
            "pending": None if pending is None else _told_pending(pending),
            "kept": None if self.kept is None else {"weights": dict(self.kept.weights), "epoch": self.kept.epoch},
        }
        return {"form": _FORM, "tree": taken_apart(tree, "standing", tensors)}

    @classmethod
    def found(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Standing":
        """What `told` told.

        Raises:
            CheckpointError: it is of another form.
        """
        if facts.get("form") != _FORM:
            raise CheckpointError(f"checkpoints: found a loop of form {facts.get('form')}, expected {_FORM}")
        tree = put_together(facts["tree"], tensors)
        gone = {name.removeprefix("gone/"): gone for name, gone in tensors.items() if name.startswith("gone/")}
        count = len(tree["done"]) + (tree["pending"] is not None)
        every = [Masks({name: at > place for name, at in gone.items()}) for place in range(count)]
        return cls(
            tree["seed"],
            None if tree["base"] is None else _evaluation(tree["base"]),
            tuple(_iteration(told, masks) for told, masks in zip(tree["done"], every, strict=False)),
            None if tree["pending"] is None else _pending(tree["pending"], every[-1]),
            None if tree["kept"] is None else Kept(tree["kept"]["weights"], tree["kept"]["epoch"]),
        )


class LoopCheckpoints:
    """What `fit` keeps its part of a loop's state in; the whole goes to the loop's own checkpoints.

    Args:
        whole: where the loop is kept.
        told: the loop's part, as it is now.
        training: of a training that was begun before, its last state.
    """

    def __init__(self, whole: Checkpoints, told: Callable[[], State], training: State | None) -> None:
        self._whole, self._told, self._training = whole, told, training

    def load(self) -> State | None:
        """The training's part, if it was begun before."""
        return self._training

    def is_due(self) -> bool:
        """Whether it is time to keep the state."""
        return self._whole.is_due()

    def save(self, state: State) -> None:
        """Keeps the training's state with the loop's."""
        parts = {"loop": self._told(), "training": state}
        self._whole.save(
            State(
                {f"{part}/{name}": tensor for part, one in parts.items() for name, tensor in one.tensors.items()},
                {part: one.facts for part, one in parts.items()},
            )
        )


def parts_of(state: State) -> tuple[State, State]:
    """The loop's part and the training's.

    Raises:
        CheckpointError: it is not the state of a loop.

    Example:
        >>> parts_of(State({}, {"epoch": 3}))
        Traceback (most recent call last):
            ...
        sparsewire.errors.CheckpointError: checkpoints: what is kept there is not a loop's; name another folder
    """
    if not {"loop", "training"} <= state.facts.keys():
        raise CheckpointError("checkpoints: what is kept there is not a loop's; name another folder")
    loop, training = (
        State(
            {name.removeprefix(part): tensor for name, tensor in state.tensors.items() if name.startswith(part)},
            state.facts[part.rstrip("/")],
        )
        for part in ("loop/", "training/")
    )
    return loop, training


def _gone_at(every: Sequence[Masks]) -> dict[str, Tensor]:
    """Of each weight the step at which it went: all masks of the loop in one tensor, since they only shrink."""
    gone = (
        {name: torch.full(mask.shape, _ALIVE, dtype=torch.int16) for name, mask in every[-1].items()} if every else {}
    )
    for place in reversed(range(len(every))):
        for name, mask in every[place].items():
            gone[name].masked_fill_(~mask.cpu(), place)
    return gone


def _numbers(judged: Evaluation) -> Tensor:
    """As a tensor, since a loss may be NaN, of which JSON knows nothing."""
    return torch.tensor([judged.loss, judged.accuracy, judged.count], dtype=torch.float64)


def _evaluation(numbers: Tensor) -> Evaluation:
    loss, accuracy, count = numbers.tolist()
    return Evaluation(loss, accuracy, int(count))


def _accuracies(accuracies: Sequence[float]) -> Tensor:
    return torch.tensor(accuracies, dtype=torch.float64)


def _told_iteration(one: Iteration) -> dict[str, Any]:
    judged = {name: _numbers(getattr(one, name)) for name in ("before", "pruned", "retrained")}
    plain = ("step", "asked", "epochs", "steps", "control_steps", "seconds", "control_seconds")
    return {
        **{name: getattr(one, name) for name in plain},
        **judged,
        "control": None if one.control is None else _numbers(one.control),
        "accuracies": _accuracies(one.accuracies),
    }


def _iteration(told: dict[str, Any], masks: Masks) -> Iteration:
    judged = {name: _evaluation(told[name]) for name in ("before", "pruned", "retrained")}
    control = None if told["control"] is None else _evaluation(told["control"])
    accuracies = tuple(told["accuracies"].tolist())
    return Iteration(**(told | judged | {"control": control, "accuracies": accuracies}), masks=masks)


def _told_pending(pending: Pending) -> dict[str, Any]:
    trained = pending.trained
    told = pending._asdict() | {"pruned": _numbers(pending.pruned)}
    del told["masks"]
    if trained is not None:
        judged, accuracies = _numbers(trained.judged), _accuracies(trained.accuracies)
        told["trained"] = trained._asdict() | {"judged": judged, "accuracies": accuracies}
    return told


def _pending(told: dict[str, Any], masks: Masks) -> Pending:
    trained = told["trained"]
    if trained is not None:
        judged, accuracies = _evaluation(trained["judged"]), tuple(trained["accuracies"].tolist())
        trained = Trained(**(trained | {"judged": judged, "accuracies": accuracies}))
    return Pending(**(told | {"pruned": _evaluation(told["pruned"]), "trained": trained}), masks=masks)
