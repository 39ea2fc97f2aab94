"""Batches out of whatever holds the data: a pair of tensors, a Dataset, a DataLoader, any iterable of batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole

Batch: TypeAlias = tuple[Any, Any]
# (the inputs of a batch, a generator to draw from) → the inputs that are trained on.
Augment: TypeAlias = Callable[[Any, torch.Generator], Any]
Data: TypeAlias = tuple[Tensor, Tensor] | Dataset[Any] | Iterable[Any]


class Index(NamedTuple):
    """Samples that lie in tensors, and which of them make the batches.

    Args:
        inputs: of all samples.
        labels: of all samples.
        draw: order → one pass as (rows, ends), int64: the samples in the order in which they are used, and where among
            them each batch begins and the last one ends. The same batches as in `Feed.passes`, and the same draws.
    """

    inputs: Tensor
    labels: Tensor
    draw: Callable[[torch.Generator | None], tuple[Tensor, Tensor]]


class Passes(Protocol):
    """What makes the passes over the data."""

    def __call__(self, order: torch.Generator | None, reuse: bool, skip: int = 0) -> Iterator[Batch]:
        """The batches of one pass, see `Feed`."""


class Feed(NamedTuple):
    """Data that can be gone through, batch by batch, as often as wanted.

    Args:
        passes: order (a generator to shuffle with, or None: as it comes), reuse (whether a batch may be overwritten by
            the next one), skip (how many batches to leave out at the beginning; 0 where the data cannot skip) → the
            batches of one pass, as (inputs, labels).
        steps: how many batches a pass has, or None where nobody knows before.
        samples: the same as indices, where tensors hold the samples, or None.
        can_skip: whether the order is that of the generator alone, so that a pass can be taken up in its middle.
    """

    passes: "Passes"
    steps: int | None
    samples: Index | None = None
    can_skip: bool = False


def feed(data: Data, batch_size: int) -> Feed:
    """The data as batches of (inputs, labels).

    Tensors, and a TensorDataset, are gathered by index, without a DataLoader. A DataLoader over a TensorDataset that
    does nothing of its own (no workers, default collation) is asked for its indices only: the same batches, and the
    same draws from its generator, at a fraction of the time. The last batch may be smaller.

    Args:
        data: (inputs, labels) tensors such as `Samples`; a map-style Dataset; or an iterable of (inputs, labels)
            batches such as a DataLoader, which keeps its own order and batch size.
        batch_size: samples in a batch, at least 1.

    Raises:
        RequestError: the data is none of these, or is empty, or inputs and labels differ in number.

    Example:
        >>> pairs = feed((torch.arange(5.0)[:, None], torch.arange(5)), batch_size=2)
        >>> pairs.steps, [labels.tolist() for _, labels in pairs.passes(None, False)]
        (3, [[0, 1], [2, 3], [4]])
    """
    size = whole("batch_size", batch_size, least=1)
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return _of_tensors(data[0], data[1], size)
    if isinstance(data, DataLoader):
        return _of_loader(data)
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return _of_tensors(data.tensors[0], data.tensors[1], size)
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        return _of_dataset(data, size)
    if isinstance(data, Iterable) and not isinstance(data, IterableDataset | Tensor | str | dict):
        return Feed(lambda order, reuse, skip=0: map(_checked, data), _length(data))
    raise RequestError(
        f"data: found {type(data).__name__}, expected a pair of tensors (inputs, labels), a Dataset with a length, or "
        "an iterable of (inputs, labels) batches; of a DataSet give its .train or .test, an IterableDataset as "
        "DataLoader(dataset, batch_size=…)"
    )


def augmented(source: Feed, augment: Augment) -> Feed:
    """The same batches with changed inputs, drawn anew in every pass.

    Each batch has a generator of its own, made from one number that a pass draws before its order and from the batch's
    place: so the pass can be taken up in its middle, and what one batch draws moves no other.

    Args:
        source: where the batches come from.
        augment: (inputs, generator) → inputs; it must not change what it gets.

    Example:
        >>> some = feed((torch.zeros(4, 1), torch.arange(4)), batch_size=2)
        >>> noisy = augmented(some, lambda inputs, generator: inputs + torch.rand(2, 1, generator=generator))
        >>> first, second = (inputs for inputs, _ in noisy.passes(torch.Generator().manual_seed(0), False))
        >>> first.shape, bool((first == second).any())
        (torch.Size([2, 1]), False)
    """

    def passes(order: torch.Generator | None, reuse: bool, skip: int = 0) -> Iterator[Batch]:
        drawer = torch.Generator().manual_seed(0) if order is None else order
        first = int(torch.randint(2**62, (), generator=drawer, device=drawer.device))
        for number, (inputs, labels) in enumerate(source.passes(order, reuse, skip), start=skip):
            yield augment(inputs, torch.Generator().manual_seed(first + number)), labels

    return Feed(passes, source.steps, can_skip=source.can_skip)


def _of_tensors(inputs: Tensor, labels: Tensor, size: int) -> Feed:
    count = len(labels) if labels.dim() else 0
    if not count or not inputs.dim() or len(inputs) != count:
        raise RequestError(
            f"data: found inputs of shape {tuple(inputs.shape)} and labels of shape {tuple(labels.shape)}, "
            "expected as many of the ones as of the others, and at least one"
        )

    def passes(order: torch.Generator | None, reuse: bool, skip: int = 0) -> Iterator[Batch]:
        if order is None:
            yield from zip(torch.split(inputs, size)[skip:], torch.split(labels, size)[skip:], strict=True)
        else:
            drawn = torch.randperm(count, generator=order, device=order.device).to(inputs.device)
            yield from _gathered(inputs, labels, torch.split(drawn, size)[skip:], reuse)

    def draw(order: torch.Generator | None) -> tuple[Tensor, Tensor]:
        rows = torch.arange(count) if order is None else torch.randperm(count, generator=order, device=order.device)
        return rows.cpu(), torch.arange(0, count + size, size).clamp_(max=count)

    return Feed(passes, -(-count // size), Index(inputs.detach(), labels.detach(), draw), can_skip=True)


def _gathered(inputs: Tensor, labels: Tensor, parts: Iterable[Tensor], reuse: bool) -> Iterator[Batch]:
    """One batch per part, a tensor of indices; with `reuse` into a buffer, since new memory is slow to touch."""
    inputs, labels = inputs.detach(), labels.detach()
    buffers: dict[int, Batch] = {}
    for part in parts:
        where = part.to(labels.device)
        if not reuse:
            yield inputs.index_select(0, part), labels.index_select(0, where)
            continue
        count = len(part)
        if count not in buffers:
            buffers[count] = inputs.new_empty(count, *inputs.shape[1:]), labels.new_empty(count, *labels.shape[1:])
        some, theirs = buffers[count]
        yield torch.index_select(inputs, 0, part, out=some), torch.index_select(labels, 0, where, out=theirs)


def _of_dataset(data: Dataset[Any], size: int) -> Feed:
    count = _length(data)
    if not count:
        raise RequestError(f"data: found a {type(data).__name__} of length {count}, expected a length of at least 1")

    def passes(order: torch.Generator | None, reuse: bool, skip: int = 0) -> Iterator[Batch]:
        indices = torch.arange(count) if order is None else torch.randperm(count, generator=order, device=order.device)
        several = getattr(data, "__getitems__", None)
        for part in torch.split(indices, size)[skip:]:
            chosen = part.tolist()
            yield _checked(default_collate(several(chosen) if several else [data[index] for index in chosen]))

    return Feed(passes, -(-count // size), can_skip=True)


def _of_loader(loader: DataLoader[Any]) -> Feed:
    data, sampler = loader.dataset, loader.batch_sampler
    own = loader.num_workers or loader.pin_memory or loader.collate_fn is not default_collate
    plain = type(loader) is DataLoader and type(data) is TensorDataset and type(sampler) is BatchSampler
    if own or not plain or not isinstance(data, TensorDataset) or len(data.tensors) != 2:
        return Feed(lambda order, reuse, skip=0: map(_checked, loader), _length(loader))
    inputs, labels = data.tensors

    def parts() -> Iterator[list[int]]:
        # What iter(loader) draws for the seeds of its workers, though it has none: the generator shall end where it
        # would.
        torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
        return iter(sampler)  # type: ignore[arg-type]

    def passes(order: torch.Generator | None, reuse: bool, skip: int = 0) -> Iterator[Batch]:
        return _gathered(inputs, labels, (torch.tensor(part, device=inputs.device) for part in parts()), reuse)

    def draw(order: torch.Generator | None) -> tuple[Tensor, Tensor]:
        chosen = list(parts())
        ends = torch.tensor([0, *map(len, chosen)]).cumsum(0)
        return torch.tensor([row for part in chosen for row in part], dtype=torch.int64), ends

    return Feed(passes, _length(loader), Index(inputs.detach(), labels.detach(), draw))


def _checked(batch: Any) -> Batch:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        found = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise RequestError(
            f"data: found a batch of {found}, expected (inputs, labels); make arrays tensors by torch.from_numpy"
        )
    return batch[0], batch[1]


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None
