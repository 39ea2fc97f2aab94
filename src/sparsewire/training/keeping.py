"""A training kept in the middle of an epoch, and taken up again to the same bits."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.training.batches import Feed
from sparsewire.training.history import Epoch, Evaluation, History, Route
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.state import Checkpoints, State, put_together, taken_apart

_FORM = 2  # of the facts
_ROUTES: tuple[Route, ...] = get_args(Route)  # kept by their places


class Stateful(Protocol):
    """Anything else whose memory belongs to a training, such as a scheduler of learning rates."""

    def state_dict(self) -> dict[str, Any]:
        """Its memory: tensors, numbers, texts, lists and dictionaries."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Takes its memory back."""


class Position(NamedTuple):
    """How far a pass over the data is.

    Args:
        epoch: from 1.
        losses: of the steps that were taken.
        sizes: how many samples each of them had.
        seconds: that they took.
    """

    epoch: int = 1
    losses: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.losses)


class Keeping:
    """What a training does with its checkpoints.

    The order of the samples is a function of the generator's state when the epoch began and of the step, so that state
    is what is kept, and beside it the present one, as a rule may draw from the same generator. torch's, Python's and
    NumPy's global streams are kept too: dropout and data sets draw from them.

    Args:
        checkpoints: where to keep it; None: nowhere.
        model: what is trained.
        optimizer: over its parameters.
        order: shuffles the data.
        source: the data.
        stateful: what else has memory, by name.

    Raises:
        RequestError: the data has an order of its own, of which nobody knows the place.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        model: nn.Module,
        optimizer: Optimizer,
        order: torch.Generator,
        source: Feed,
        stateful: Mapping[str, Stateful] | None = None,
    ) -> None:
        if checkpoints is not None and not source.can_skip:
            raise RequestError(
                "checkpoints: found data that comes in an order of its own, such as a DataLoader; give the tensors or "
                "the Dataset itself, so that a training can go on in the middle of an epoch"
            )
        self._checkpoints, self._model, self._optimizer, self._order = checkpoints, model, optimizer, order
        self._source, self._stateful = source, dict(stateful or {})
        self._history = History()
        self._start = order.get_state()
        self._present: Tensor | None = None  # of `order`, once the samples of an epoch taken up again are drawn

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._checkpoints is not None

    def restored(self) -> tuple[History, Position, bool]:
        """The history, the place and whether the training has ended, after everything was put where it was.

        Raises:
            CheckpointError: what was kept is of another training.
        """
        state = None if self._checkpoints is None else self._checkpoints.load()
        if state is None:
            return History(masks=self._masks()), Position(), False
        facts, tensors = state.facts, state.tensors
        self._check(facts)
        try:
            self._model.load_state_dict(put_together(facts["model"], tensors))
            self._optimizer.load_state_dict(put_together(facts["optimizer"], tensors))
            lay_as_weights_(self._optimizer)
            for name, one in self._stateful.items():
                one.load_state_dict(put_together(facts["stateful"], tensors)[name])
            losses = tuple(tensors["losses"].tolist())
            position = Position(facts["epoch"], losses, tuple(tensors["sizes"].tolist()), facts["seconds"])
            history = History(tuple(_epochs(tensors["history"])), self._masks())
            _set_streams(facts["streams"], tensors)
            self._order.set_state(tensors["order"])  # after the streams, of which it may be one
            self._present = tensors["order now"] if position.steps else None
        except (KeyError, TypeError, ValueError, RuntimeError) as cause:
            raise CheckpointError(
                f"checkpoints: what is kept there does not fit this training: {cause}; name another folder"
            ) from cause
        return history, position, bool(facts["ended"])

    def begin(self, history: History) -> None:
        """Notes where an epoch begins, before its order is drawn."""
        self._history, self._start = history, self._order.get_state()

    def drawn(self) -> None:
        """Notes that an epoch's order is drawn: one taken up again goes on drawing where it was."""
        if self._present is not None:
            self._order.set_state(self._present)
            self._present = None

    def is_due(self) -> bool:
        """Whether it is time to keep the training."""
        return self._checkpoints is not None and self._checkpoints.is_due()

    def save(self, position: Position, ended: bool = False) -> None:
        """Keeps the training; the model and the optimizer are those after the position's last step."""
        if self._checkpoints is not None:
            self._checkpoints.save(self._state(position, ended))

    def _state(self, position: Position, ended: bool) -> State:
        tensors: dict[str, Tensor] = {
            "order": self._start,
            "order now": self._order.get_state(),
            "history": _told(self._history.epochs),
            "losses": torch.tensor(position.losses, dtype=torch.float64),
            "sizes": torch.tensor(position.sizes, dtype=torch.int64),
        }
        facts = {
            "form": _FORM,
            "steps": self._source.steps,
            "epoch": position.epoch,
            "seconds": position.seconds,
            "ended": ended,
            "model": taken_apart(dict(self._model.state_dict()), "model", tensors),
            "optimizer": taken_apart(self._optimizer.state_dict(), "optimizer", tensors),
            "stateful": taken_apart(
                {name: one.state_dict() for name, one in self._stateful.items()}, "stateful", tensors
            ),
            "streams": _streams(tensors),
        }
        return State(tensors, facts)

    def _check(self, facts: Mapping[str, Any]) -> None:
        expected = {"form": _FORM, "steps": self._source.steps}
        found = {name: facts.get(name) for name in expected}
        if found != expected:
            raise CheckpointError(
                f"checkpoints: found a training of form {found['form']} with {found['steps']} steps an epoch, expected "
                f"form {_FORM} with {expected['steps']}; name another folder"
            )
        if missing := self._stateful.keys() - {name for name, _ in facts["stateful"]["map"]}:
            raise CheckpointError(f"checkpoints: nothing was kept of {sorted(missing)}; name another folder")

    def _masks(self) -> Any:
        return self._optimizer.masks if isinstance(self._optimizer, SparseOptimizer) else None


def lay_as_weights_(optimizer: Optimizer) -> None:
    """Gives the optimizer's memory the strides of the weights; files know rows only, and fused updates no strides."""
    for weight, memory in optimizer.state.items():
        for name, tensor in memory.items():
            if isinstance(tensor, Tensor) and tensor.shape == weight.shape and tensor.stride() != weight.stride():
                memory[name] = torch.empty_like(weight, dtype=tensor.dtype).copy_(tensor)


def _streams(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The states of the global generators; CUDA's where it was used."""
    tensors["streams/torch"] = torch.get_rng_state()
    # Asking would begin to use every GPU, in seconds and with hundreds of megabytes on each.
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    tensors.update({f"streams/cuda/{index}": state for index, state in enumerate(cuda)})
    version, numbers, spare = random.getstate()
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the global stream is what others draw from
    tensors["streams/numpy"] = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    return {"python": [version, list(numbers), spare], "numpy": [kind, *rest], "cuda": len(cuda)}


def _set_streams(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["streams/torch"])
    for index in range(min(facts["cuda"], torch.cuda.device_count())):  # it may go on with fewer GPUs
        torch.cuda.set_rng_state(tensors[f"streams/cuda/{index}"], index)
    version, numbers, spare = facts["python"]
    random.setstate((version, tuple(numbers), spare))
    kind, *rest = facts["numpy"]
    keys = tensors["streams/numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, *rest))  # noqa: NPY002


def _told(epochs: Sequence[Epoch]) -> Tensor:
    """A row of numbers for each epoch: as JSON, a hundred thousand of them would be more than a manifest may hold."""
    nothing = Evaluation(math.nan, math.nan, -1)
    rows = [(*epoch[:4], *vars(epoch.validation or nothing).values(), _ROUTES.index(epoch.route)) for epoch in epochs]
    return torch.tensor(rows, dtype=torch.float64).view(len(rows), 8)


def _epochs(told: Tensor) -> Iterator[Epoch]:
    for number, steps, loss, seconds, judged, accuracy, count, route in told.tolist():
        validation = None if count < 0 else Evaluation(judged, accuracy, int(count))
        yield Epoch(int(number), int(steps), loss, seconds, validation, _ROUTES[int(route)])
