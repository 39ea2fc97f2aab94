"""Compact checkpoints: a network's live weights, a few bits for each place, and nothing for the others."""

import math
import os
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.execution.compact_files import CompactFile, read_compact, write_compact
from sparsewire.execution.convert import densify
from sparsewire.execution.index_arrays import PARTS
from sparsewire.execution.kept_masks import remembered_masks
from sparsewire.execution.sparse_module import SparseModule, sparse_modules
from sparsewire.structure.masks import Masks, maskable

_FREE_NUMBERS = 2**24  # that any file may unpack to; beyond, a KB of file for a million: density 0.1 % and less
_NUMBERS_A_BYTE = 1024
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def save_compact(model: nn.Module, path: str | os.PathLike[str], masks: Mapping[str, Tensor] | None = None) -> None:
    """Writes a model's parameters and buffers as one safetensors file that leaves out what does not exist.

    Of each masked weight only the live values are stored, in row-major order, and its mask in the smallest of three
    codings: a bit a place, the gaps between live weights, or the lengths of runs. A file therefore takes
    live weights × bytes of a value + about 1 bit a place (above 25 % density) or 5 to 8 bits a live weight (10 % to
    1 %). Everything else is stored as it is. The file is the same for a model and for its sparse form.

    Args:
        model: dense, or with sparse layers, on any device; it is not changed.
        path: where to; the file is whole or not there.
        masks: parameter name → bool tensor; what lies outside is not stored and comes back as 0. None: the masks of
            the sparse layers; of a model without those, a mask of every weight that has zeros. Only 0.0 counts as
            such: -0.0 is a value and comes back as -0.0.

    Raises:
        RequestError: masks that do not fit the model; a state that holds other things than tensors.
        CheckpointError: the file cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> model = nn.Linear(1000, 100)
        >>> masks = Masks({"weight": torch.rand(100, 1000, generator=torch.Generator().manual_seed(0)) < 0.1})
        >>> save_compact(model, path, masks)
        >>> path.stat().st_size * 8 / masks.count < 32 + 6  # bits a live weight
        True
        >>> state, found = load_compact(path)
        >>> found == masks, torch.equal(state["weight"], masks.apply_(model).weight)
        (True, True)
    """
    dense, known = densify(model) if _is_converted(model) else (model, Masks({}))
    masks = Masks(masks) if masks is not None else known or _masks_of_zeros(dense)
    masks.weights_of(dense)
    state = dense.state_dict()
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise RequestError(f"state of the model: found {name!r}, which is no dense tensor with data; remove it")
    first, ties = _first_names(state)
    kept = {first.get(_identity(dense.get_parameter(name)), name): mask for name, mask in masks.items()}
    write_compact(path, {name: state[name] for name in state if name not in ties}, kept, ties)


def load_compact(path: str | os.PathLike[str], model: nn.Module | None = None) -> tuple[dict[str, Tensor], Masks]:
    """Reads what `save_compact` wrote: dense tensors by name, on the CPU, and the masks, with kept weights that are 0.

    Nothing in the file is run, and every count is checked before it is used. Without a model, a file may unpack to at
    most 2²⁴ numbers and 1024 for each of its bytes; a model says itself how large its weights are.

    Args:
        path: of the file.
        model: gets the state, in place, after everything was checked. Dense layers get dense weights; sparse ones go
            over to the masks in the file (an optimizer that was made before has to be made anew).

    Raises:
        RequestError: the model is none.
        CheckpointError: there is no such file, it is not such a file, or was changed, or does not fit the model; then
            the model was not changed.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> model, other = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> save_compact(model, path)
        >>> _ = load_compact(path, other)
        >>> torch.equal(model.weight, other.weight)
        True
    """
    if not (model is None or isinstance(model, nn.Module)):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module or None")
    file = read_compact(path)
    if model is None:
        _check_size(file)
    else:
        _check_fits(file, model)
    unpacked = {name: file.unpacked(name) for name in file.shapes}
    stored = {name: unpacked[name][0] if name in unpacked else tensor for name, tensor in file.tensors.items()}
    state = {name: stored[file.ties.get(name, name)] for name in file.names()}
    masks = Masks({name: mask for name, (_, mask) in unpacked.items()})
    if model is not None:
        known = {name: masks.get(file.ties.get(name, name)) for name in state}
        _fill_(model, state, known)
    return state, masks


def _is_converted(model: nn.Module) -> bool:
    return bool(sparse_modules(model)) or any(remembered_masks(module) for module in model.modules())


def _masks_of_zeros(model: nn.Module) -> Masks:
    """A mask of every weight that has zeros, where their bits are not all zero."""
    found = {name: _is_live(weight.detach()) for name, weight in maskable(model).items() if not weight.is_meta}
    return Masks({name: mask for name, mask in found.items() if not mask.all()})


def _is_live(weight: Tensor) -> Tensor:
    bits: Tensor = weight.contiguous().view(_BITS[weight.element_size()]) != 0
    return bits


def _first_names(state: Mapping[str, Tensor]) -> tuple[dict[tuple[object, ...], str], dict[str, str]]:
    """Of each tensor the first of its names; of every other name that first one."""
    first: dict[tuple[object, ...], str] = {}
    ties = {}
    for name, tensor in state.items():
        known = first.setdefault(_identity(tensor), name)
        if known != name:
            ties[name] = known
    return first, ties


def _identity(tensor: Tensor) -> tuple[object, ...]:
    """Equal for two tensors if they are the same numbers in the same memory."""
    if tensor.numel() == 0:
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.device)


def _check_size(file: CompactFile) -> None:
    numbers = sum(math.prod(shape) for shape in file.shapes.values())
    if numbers > _FREE_NUMBERS + _NUMBERS_A_BYTE * file.bytes:
        raise CheckpointError(
            f"cannot read {file.path}: its {file.bytes:,} bytes would unpack to {numbers:,} numbers; "
            "if you trust it, load it into a model: load_compact(path, model)"
        )


def _check_fits(file: CompactFile, model: nn.Module) -> None:
    wanted = _shapes_of(model)
    found = {name: file.shape_of(name) for name in file.names()}
    if differing := sorted(wanted.keys() ^ found.keys()):
        where = "the model only" if differing[0] in wanted else "the file only"
        raise CheckpointError(f"{file.path} does not fit the model: {differing[0]!r} is in {where}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise CheckpointError(f"{file.path} does not fit the model: {name!r} has shape {found[name]}, not {shape}")


def _shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The state's names and shapes if the model were dense."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for home, name, module in _sparse_weights(model):
        shapes[home + name] = module.shape_of(name)
        for part in PARTS:
            del shapes[f"{home}{name}_{part}"]
    return shapes


def _sparse_weights(model: nn.Module) -> Iterator[tuple[str, str, SparseModule]]:
    """Of each sparse weight the beginning of its name, its own name and its module; shared ones as often as named."""
    for home, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, SparseModule):
            yield from ((f"{home}." if home else "", name, module) for name in module.junctions)


@torch.no_grad()
def _fill_(model: nn.Module, state: Mapping[str, Tensor], masks: Mapping[str, Tensor | None]) -> None:
    rest = dict(state)
    for home, name, module in _sparse_weights(model):
        weight, mask = rest.pop(home + name), masks[home + name]
        mask = _is_live(weight) if mask is None else mask
        if not torch.equal(mask, module.mask_of(name).cpu()):
            module.restructure_(name, mask)
        parameter = module.get_parameter(name)
        parameter.copy_(module.junction(name).values_of(weight.flatten(1).to(parameter.device)))
    model.load_state_dict(rest, strict=False)  # what is missing are the sparse weights, and their indices
