"""The whole state of a training, as data: what goes on at another time, or elsewhere, to the same bits."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from sparsewire.errors import CheckpointError


class State(NamedTuple):
    """Everything that a training needs to go on: tensors by name, and facts that JSON can say.

    Example:
        >>> State({"model/0.weight": Tensor([1.0])}, {"epoch": 3}).facts["epoch"]
        3
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


class Checkpoints(Protocol):
    """Where a training is kept, and found again: what `fit` asks of it; `lab.checkpoint_folder` has one.

    An implementation may raise anything out of `save`, after it has kept the state: that ends the training.
    """

    def load(self) -> State | None:
        """The last state that was kept, or None where there is none."""

    def is_due(self) -> bool:
        """Whether it is time to keep the state; asked between steps, so it must be cheap."""

    def save(self, state: State) -> None:
        """Keeps the state; the tensors belong to the training, which goes on with them afterwards."""


def taken_apart(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON can say it, its tensors moved into `tensors` under names that begin with `name`.

    Dictionaries keep keys that are numbers, and a Counter stays one; tuples become lists; NumPy's float64 becomes a
    float, the same number; JSON writes floats exactly.

    Args:
        tree: dictionaries, lists, tuples, tensors, numbers, texts, truth values and None, nested.
        name: what the tensors' names begin with.
        tensors: filled.

    Raises:
        CheckpointError: something else is in it.

    Example:
        >>> tensors = {}
        >>> tree = taken_apart({"state": {0: Tensor([2.0])}, "betas": (0.9, 0.99)}, "adam", tensors)
        >>> tree, tensors
        ({'map': [['state', {'map': [[0, {'tensor': 'adam/state/0'}]]}], ['betas', [0.9, 0.99]]]},
        {'adam/state/0': tensor([2.])})
        >>> put_together(tree, tensors)
        {'state': {0: tensor([2.])}, 'betas': [0.9, 0.99]}
    """
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach()
        return {"tensor": name}
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    if isinstance(tree, float):  # NumPy's float64 is one, such as a learning rate out of np.logspace
        return float(tree)
    if isinstance(tree, list | tuple):
        return [taken_apart(item, f"{name}/{index}", tensors) for index, item in enumerate(tree)]
    if isinstance(tree, Mapping) and all(type(key) in (int, str) for key in tree):
        entries = [[key, taken_apart(item, f"{name}/{key}", tensors)] for key, item in tree.items()]
        return {"map": entries} | ({"kind": "Counter"} if isinstance(tree, Counter) else {})
    raise CheckpointError(
        f"checkpoint: {name} holds {type(tree).__name__}, expected tensors, numbers, texts, lists and dictionaries; "
        "give the rule or the optimizer a state_dict of these"
    )


def put_together(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `taken_apart` took apart; tuples are lists now.

    Raises:
        CheckpointError: it is not what `taken_apart` gives, or a tensor is missing.
    """
    if isinstance(tree, list):
        return [put_together(item, tensors) for item in tree]
    if not isinstance(tree, Mapping):
        return tree
    match dict(tree):
        case {"tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"map": list(entries)} if all(isinstance(entry, list) and len(entry) == 2 for entry in entries):
            found = {key: put_together(item, tensors) for key, item in entries}
            return Counter(found) if tree.get("kind") == "Counter" else found
    raise CheckpointError(f"checkpoint: found {str(tree)[:60]} where a tensor or a dictionary should stand")
