"""Checkpoints of anybody: reading the weights out of a file, writing weights into one."""

import io
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.files import write_aside
from sparsewire.lab.checkpointing.pickle_stack import Refusal
from sparsewire.lab.checkpointing.torch_files import HEADER_CAP, TENSOR_CAP, dense, load_torch

SAFETENSORS = ".safetensors"
TORCH = (".pt", ".pth", ".bin", ".ckpt")
# Under which name training programs keep the state dict in what they save; Lightning uses the first.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
_FOREIGN = {
    b"\x89HDF": "HDF5 (Keras?)",
    b"GGUF": "GGUF",
    b"\x93NUM": "a NumPy array",
    b"\x1f\x8b\x08": "gzip; unpack it first",
    b"SQLi": "an SQLite database",
    b"\x08\x07\x12": "ONNX",
    b"\x08\x08\x12": "ONNX",
}
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of a checkpoint of torch < 1.6


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU, without gradients, in the order of the model.

    Safetensors keeps no order: there names are sorted, the numbers in them by value ("2.weight" before "10.weight").
    Safetensors files and torch checkpoints (both formats) are told apart by content, not by name. A state dict inside
    what a training program saved ({"state_dict": …}, {"model": …}, Lightning's checkpoints, …) is found; entries that
    are no tensors are left out. NaN and infinity are allowed. Nothing in the file is ever run, so anybody may send it.

    These formats hold no checksum of their numbers (but torch's zip format, whose are looked at): a file that was
    damaged on its way may load with other numbers. Compare a SHA-256 with its author's where that matters.

    Raises:
        CheckpointError: there is no such file, it is truncated, corrupt or foreign, it would run code, it holds tensors
            that are not dense or claim more memory than the file can fill; one line with the file and the cause.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.pt"
        >>> torch.save({"epoch": 3, "state_dict": torch.nn.Linear(2, 1).state_dict()}, path)
        >>> {name: tuple(tensor.shape) for name, tensor in read_checkpoint(path).items()}
        {'weight': (1, 2), 'bias': (1,)}
    """
    shown = os.fspath(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # before opening: that alone would wait for ever on a pipe
            raise Refusal(f"it is {'a folder' if Path(path).is_dir() else 'no regular file'}; name a checkpoint file")
        with Path(path).open("rb") as file:
            return _read(file, shown)
    except FileNotFoundError:
        raise CheckpointError(f"cannot read {shown}: there is no such file") from None
    except Refusal as cause:
        raise CheckpointError(f"cannot read {shown}: {cause}") from cause
    except OSError as cause:
        raise CheckpointError(f"cannot read {shown}: {cause.strerror or cause}") from cause
    except Exception as cause:  # torch.load has at least eleven kinds, MemoryError and RecursionError among them
        told = f"{type(cause).__name__}: {_first_line(cause)}"
        raise CheckpointError(f"cannot read {shown}: it is truncated or corrupt ({told})") from cause


def _read(file: IO[bytes], shown: str) -> dict[str, Tensor]:
    size = os.fstat(file.fileno()).st_size
    head = file.read(32)
    file.seek(0)
    if size == 0:
        raise Refusal("it is empty (0 bytes)")
    if head.startswith((b"PK\x03\x04", _LEGACY)):
        return dense(_tensors(load_torch(file, size)), size)
    if head[8:9] == b"{":
        return dense(_read_safetensors(file, shown, size), size)
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        raise Refusal("it is a pickle, and opening one may run anything; save model.state_dict() with torch.save")
    known = next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)
    what = f"looks like {known}" if known else f"begins with {head[:8]!r}"
    raise Refusal(f"it {what}, expected safetensors or a file of torch.save")


def _read_safetensors(file: IO[bytes], path: str, size: int) -> list[tuple[str, Tensor]]:
    from safetensors import safe_open

    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise Refusal(f"it is truncated: its header should have {length:,} bytes, the file has {size:,}")
    if length > HEADER_CAP:
        raise Refusal(f"its header has {length:,} bytes, expected at most {HEADER_CAP:,}")
    with safe_open(path, framework="pt") as tensors:
        names = list(tensors.keys())
        if len(names) > TENSOR_CAP:
            raise Refusal(f"it has {len(names):,} tensors, expected at most {TENSOR_CAP:,}")
        return [(name, tensors.get_tensor(name)) for name in sorted(names, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() and len(part) < 20 else (-1, part) for part in re.split(r"(\d+)", name)]


def _tensors(content: object) -> list[tuple[str, Tensor]]:
    """The named tensors of what torch.load gave, out of its wrappings."""
    if isinstance(content, Tensor):
        raise Refusal("it holds a single tensor without a name, expected a state dict")
    if not isinstance(content, Mapping):
        raise Refusal(f"it holds a {type(content).__name__}, expected a state dict")
    found = _unwrapped(content, depth=4)
    if not found and content:
        keys = ", ".join(repr(key)[:40] for key in list(content)[:6])
        raise Refusal(f"it holds no tensors by name, only {keys}; expected a state dict, or one under 'state_dict'")
    return found


def _unwrapped(content: Mapping[Any, Any], depth: int) -> list[tuple[str, Tensor]]:
    for key in _WRAPPERS if depth else ():
        inner = content.get(key)
        if isinstance(inner, Mapping) and (found := _unwrapped(inner, depth - 1)):
            return found
    return [(name, value) for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)]


def write_checkpoint(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], like: str | os.PathLike[str] | None = None
) -> None:
    """Writes named tensors as one flat state dict; a whole file or none.

    The format follows the name: `.safetensors`, or torch's for `.pt`, `.pth`, `.bin`, `.ckpt`. Safetensors cannot say
    that two names share memory, so there each gets its own copy (a model that ties them loads them all the same);
    torch's format keeps them tied. Values that belong to a larger tensor are written without the rest of it.

    Args:
        path: where to.
        tensors: name → tensor.
        like: a safetensors file whose metadata the new one gets; of other files nothing is taken.

    Raises:
        RequestError: the name ends with none of these suffixes.
        CheckpointError: the file cannot be written, or the format cannot hold a tensor; nothing was changed then.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> write_checkpoint(path, {"weight": torch.ones(1, 2)})
        >>> read_checkpoint(path)
        {'weight': tensor([[1., 1.]])}
    """
    target = Path(path)
    check_suffix(target)
    try:
        if target.suffix == SAFETENSORS:
            from safetensors.torch import save_file

            metadata = None if like is None else _metadata(like)
            own = {name: _copy(tensor) for name, tensor in tensors.items()}
            write_aside(target, lambda aside: save_file(own, aside, metadata), CheckpointError)
        else:
            write_aside(target, lambda aside: _save_torch(_compact(tensors), aside), CheckpointError)
    except CheckpointError:
        raise
    except Exception as cause:  # safetensors and torch.save have types of their own for a full disk
        raise CheckpointError(f"cannot write {target}: {_first_line(cause)}; nothing was changed") from cause


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Nothing, where the file's name says in which format it is to be written.

    Raises:
        RequestError: it does not.
    """
    suffix = Path(path).suffix
    if suffix != SAFETENSORS and suffix not in TORCH:
        found = f"the suffix {suffix!r}" if suffix else "no suffix"
        expected = ", ".join((SAFETENSORS, *TORCH))
        raise RequestError(f"{os.fspath(path)}: found {found}, expected one of {expected}, which says how to write it")


def _save_torch(tensors: Mapping[str, Tensor], aside: Path) -> None:
    whole = io.BytesIO()  # torch's own writer reports a full disk as an internal error
    torch.save(dict(tensors), whole)
    aside.write_bytes(whole.getbuffer())


def _compact(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors; those that show only a part of their storage as copies, tied ones tied as before."""
    copies: dict[tuple[object, ...], Tensor] = {}
    for tensor in tensors.values():
        copies.setdefault(identity(tensor), _alone(tensor.detach()))
    return {name: copies[identity(tensor)] for name, tensor in tensors.items()}


def _alone(tensor: Tensor) -> Tensor:
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole and tensor.is_contiguous() else _copy(tensor)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _first_line(cause: Exception) -> str:
    told = str(cause).rpartition("WeightsUnpickler error: ")[2]  # before it torch advises to allow everything
    return " ".join((told.splitlines() or [""])[0].split())[:200]


def identity(tensor: Tensor) -> tuple[object, ...]:
    """Equal for two tensors exactly if they are the same numbers in the same memory: tied weights.

    Example:
        >>> weight = torch.ones(2)
        >>> identity(weight) == identity(weight.view(2)), identity(weight) == identity(weight.clone())
        (True, False)
    """
    if tensor.numel() == 0:
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _metadata(path: str | os.PathLike[str]) -> dict[str, str] | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}) or None
    except (OSError, SafetensorError):
        return None


def not_finite(tensors: Iterable[Tensor]) -> int:
    """How many entries are NaN or infinite.

    Example:
        >>> not_finite([torch.tensor([1.0, float("nan")]), torch.tensor([1, 2])])
        1
    """
    floats = (tensor for tensor in tensors if tensor.is_floating_point())
    # of float8 torch cannot say it
    wide = (tensor.float() if tensor.element_size() == 1 else tensor for tensor in floats)
    return sum(int((~torch.isfinite(tensor)).sum()) for tensor in wide)
