"""Reading torch's own files from strangers: what torch.load would execute is looked through before it sees the file."""

import io
import pickletools
import re
import warnings
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any

import torch

from sparsewire.lab.checkpointing.pickle_stack import DIMENSION_CAP, PickleStack, Refusal

HEADER_CAP = 16 << 20  # bytes that describe tensors; 100,000 of them need about as many
TENSOR_CAP = 100_000
_FREE_OPERATIONS = 180_000  # half a second's work; for what stands beside the tensors, such as a list of words
_OPERATIONS_A_TENSOR = 64  # torch writes about 30
_LIST_CAP = 8 << 20  # bytes; an entry takes 60 to 80
_END_OF_ARCHIVE = (1 << 16) + 200  # a comment of at most 2^16 bytes, and what stands before it
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, the keys of its storages

# What a state dict, an optimizer's state and a scheduler's are made of. torch allows more (quantised, sparse, nested
# and meta tensors, constructors that take a size); we could not use it, and each has had its holes.
_REBUILDERS = {
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
}
_ALLOWED = {"collections OrderedDict", "collections Counter", "torch Size", "torch device", "_codecs encode"}
_ALLOWED |= {"builtins set", "__builtin__ set", "torch.storage UntypedStorage"}
_ALLOWED |= {f"torch._utils {name}" for name in _REBUILDERS}
_ALLOWED |= {f"torch {name}" for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_ALLOWED |= {f"torch {kind.__name__}" for kind in torch._storage_classes if kind.__module__ == "torch"}
_NOT_DENSE = {
    "torch._utils _rebuild_qtensor": "a quantised tensor",
    "torch._utils _rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils _rebuild_meta_tensor_no_storage": "a tensor without data",
    "torch._utils _rebuild_nested_tensor": "a nested tensor",
}
_FOLDER = 0x10
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1")


def load_torch(file: IO[bytes], size: int) -> Any:
    """What a torch checkpoint holds: read with weights_only=True, and only after a look through it found no harm.

    torch.load alone can be made to crash (a tuple nested a million times as a key), to claim memory without end and to
    read files that were changed. So here, before it runs: only what state dicts are made of may be called, sizes must
    fit into the file, nothing may be compressed, nest deeply or have a wrong checksum. This happens in this process and
    not in a child with a memory limit: a child would have to import torch again, two seconds a file, and such limits do
    not exist everywhere.

    Args:
        file: the open file, at its beginning; the zip format or the one of torch < 1.6.
        size: its length in bytes.

    Raises:
        Refusal: the file is refused.
        Exception: whatever torch.load raises for what is left: many types.
    """
    if file.read(4) == b"PK\x03\x04":  # by this alone torch decides which of its formats it is
        _check_archive(file, size)
    else:
        file.seek(0)
        for _ in range(_LEGACY_PICKLES):
            start = file.tell()
            pickled = io.BytesIO(
                file.read(HEADER_CAP + 1)
            )  # where it is read is asked at each operation: slow in files
            _check_pickle(pickled, size)
            file.seek(start + pickled.tell())
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols and old storages: nothing that a user could change
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_archive(file: IO[bytes], size: int) -> None:
    try:
        _check_length_of_list(file, size)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, size)
            described = [
                entry for entry in entries if entry.filename == f"{entries[0].filename.split('/')[0]}/data.pkl"
            ]
            if len(described) != 1 or described[0].file_size > HEADER_CAP:
                raise Refusal("it is a zip archive, but not a torch checkpoint (it holds no data.pkl that fits)")
            damaged = archive.testzip()
            if damaged is not None:
                raise Refusal(f"it was changed after it was written: the checksum of {damaged!r} in it is wrong")
            pickled = io.BytesIO(archive.read(described[0]))
            _check_pickle(pickled, size)
            if pickled.read(1):
                raise Refusal("the description of its tensors goes on behind its end")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError) as cause:
        told = getattr(cause, "strerror", None) or str(cause) or "its archive ends too early"
        raise Refusal(f"it is truncated or corrupt ({told})") from cause


def _check_length_of_list(file: IO[bytes], size: int) -> None:
    """Refuses an archive whose list of entries takes long to read; its ends say how many bytes the list has."""
    file.seek(max(0, size - _END_OF_ARCHIVE))
    end = file.read()
    claims = [int.from_bytes(end[found.start() + 12 :][:4], "little") for found in re.finditer(b"PK\x05\x06", end)]
    claims += [int.from_bytes(end[found.start() + 40 :][:8], "little") for found in re.finditer(b"PK\x06\x06", end)]
    if any(_LIST_CAP < claim != 2**32 - 1 for claim in claims):
        raise Refusal(f"its archive holds a list of entries of more than {_LIST_CAP:,} bytes")


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.filename.lower() for entry in entries]  # torch's reader of archives does not tell case apart
    if any(name.endswith("/constants.pkl") for name in names):
        raise Refusal("it is a TorchScript program; save the state_dict() of the model instead")
    if len(set(names)) < len(names):
        raise Refusal("its archive holds two entries of one name")
    if len({name.split("/")[0] for name in names}) > 1:
        raise Refusal("it is a zip archive, but not a torch checkpoint (its entries are not in one folder)")
    if len(names) > TENSOR_CAP:
        raise Refusal(f"its archive has {len(names):,} entries, expected at most {TENSOR_CAP:,}")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise Refusal("its archive is compressed or encrypted, which torch's never is; save it anew with torch.save")
    if any(entry.external_attr & _FOLDER or entry.compress_size != entry.file_size for entry in entries):
        # Of an entry that is marked as a folder, torch reads nothing and shows what happened to be in memory.
        raise Refusal("its archive is corrupt (an entry is no plain file)")
    if sum(entry.file_size for entry in entries) > size:
        raise Refusal("its archive claims to hold more bytes than the file has")


def _check_pickle(file: io.BytesIO, size: int) -> None:
    """Reads one pickle up to its end without running it.

    What is checked: the names that it would call, the sizes of the storages that it would make, its length, and, by
    `PickleStack`, what can crash Python or take for ever: tuples nested deeply (hashing one has no limit of depth),
    keys made to collide, texts in codings that take quadratic time.
    """
    storages = 0
    stack = PickleStack()
    recent: deque[tuple[str, Any]] = deque(maxlen=3)
    for count, (operation, argument, place) in enumerate(_operations(file)):
        if (place or 0) > HEADER_CAP or count > _FREE_OPERATIONS + _OPERATIONS_A_TENSOR * storages:
            raise Refusal("the description of its tensors is longer than so few tensors need")
        name = operation.name
        if name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "OBJ", "NEWOBJ_EX"):
            _check_global(name, argument)
        elif name == "BINPERSID":
            storages += 1
            _check_storage(recent, size, storages)
        stack.follow(operation, argument)
        if "PUT" not in name and name != "MEMOIZE":
            recent.append((name, argument))


def _operations(file: io.BytesIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(file)
    except (ValueError, IndexError, OverflowError, EOFError) as cause:
        raise Refusal("it is no checkpoint, or truncated, or corrupt") from cause


def _check_global(operation: str, argument: object) -> None:
    if operation != "GLOBAL":
        raise Refusal(f"it uses the pickle operation {operation}, which torch.save does not write")
    name = str(argument)
    if name in _NOT_DENSE:
        raise Refusal(f"it holds {_NOT_DENSE[name]}, expected dense ones")
    if name not in _ALLOWED:
        raise Refusal(
            f"opening it would run {name.replace(' ', '.')!r}, which may do anything; "
            "a file of weights does not need that: save model.state_dict(), not the model"
        )


def _check_storage(recent: Iterable[tuple[str, Any]], size: int, storages: int) -> None:
    """A storage is named by ("storage", type, key, device, number of elements); the old format adds a None."""
    if storages > TENSOR_CAP:
        raise Refusal(f"it has more than {TENSOR_CAP:,} tensors")
    shape = [entry for entry in recent if entry[0] != "NONE"]
    if shape[-1:] != [("TUPLE", None)] or not shape[:-1] or shape[-2][0] not in _NUMBERS:
        raise Refusal("it names the data of a tensor in a way that torch.save does not")
    if not 0 <= shape[-2][1] <= size:
        raise Refusal(f"a tensor of it claims {shape[-2][1]:,} elements, more than the file of {size:,} bytes can hold")


def dense(tensors: Iterable[tuple[str, torch.Tensor]], size: int) -> dict[str, torch.Tensor]:
    """The tensors without gradients, after a check that each is plain and that all fit into what the file can hold.

    A view can claim any number of elements of one stored number; what all would take if they were copied may be at
    most eight times the file (tied weights count as often as they have names).

    Raises:
        Refusal: one is sparse, quantised, on no device, or they are larger than the file allows.
    """
    found: dict[str, torch.Tensor] = {}
    total = 0
    for name, tensor in tensors:
        if tensor.is_quantized or tensor.layout != torch.strided or tensor.is_meta or tensor.is_nested:
            kind = "quantised" if tensor.is_quantized else "without data" if tensor.is_meta else f"{tensor.layout}"
            raise Refusal(f"{name!r} is {kind}, expected a dense tensor; convert it first")
        if tensor.ndim > DIMENSION_CAP:
            raise Refusal(f"{name[:60]!r} has {tensor.ndim:,} dimensions, expected at most {DIMENSION_CAP}")
        total += tensor.numel() * tensor.element_size()
        if total > 8 * size + (1 << 20):
            raise Refusal(
                f"its tensors claim more than {total:,} bytes, the file has {size:,}: "
                "a few stored numbers stand for many; save it anew with contiguous tensors"
            )
        found[name] = tensor.detach()
    return found
