"""Files made to do harm, given to every reader of ours: none may run, hang, take memory or reach outside.

    python benchmarks/hostile_files.py [--long]

The files are made here when this runs, put into an empty folder and read in a child process that reports every process,
connection, library and file for writing that Python opens. Printed: how many were refused, the slowest, the one that
took most memory, and whatever happened that should not; the exit status is 1 then. The long form reads each file five
times over and adds bombs of a hundred million bytes.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import pickle
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

MARK = "touch MARKER"
WRITE = "open('MARKER', 'w')"
HEAD = b"\x80\x02"
SECONDS, BYTES = 1.0, 256 << 20
WATCHED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.putenv", "os.remove",
    "os.rename", "os.mkdir", "os.symlink", "os.link", "shutil.", "pty.", "ctypes.dlopen", "webbrowser.", "urllib.",
    "http.", "ftplib.", "smtplib.", "tempfile.", "marshal.loads", "code.__new__",
)  # fmt: skip


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def call(name: str, *arguments: str) -> bytes:
    module, _, function = name.rpartition(" ")
    return f"c{module}\n{function}\n(".encode() + b"".join(map(text, arguments)) + b"tR"


CALLED = [
    ("os system", MARK),
    ("posix system", MARK),
    ("nt system", MARK),
    ("os popen", MARK),
    ("os execl", "/bin/sh", "sh", "-c", MARK),
    ("os remove", "VICTIM"),
    ("os rename", "VICTIM", "MARKER"),
    ("shutil rmtree", "."),
    ("shutil copy", "VICTIM", "MARKER"),
    ("subprocess Popen", MARK),
    ("subprocess run", MARK),
    ("subprocess call", MARK),
    ("subprocess getoutput", MARK),
    ("subprocess check_output", MARK),
    ("commands getoutput", MARK),
    ("pty spawn", "/bin/sh"),
    ("platform popen", MARK),
    ("builtins eval", WRITE),
    ("builtins exec", WRITE),
    ("builtins open", "MARKER", "w"),
    ("builtins getattr", "x", "y"),
    ("builtins __import__", "antigravity"),
    ("builtins compile", WRITE, "x", "eval"),
    ("builtins map", "x", "y"),
    ("builtins bytearray", "x"),
    ("builtins type", "X"),
    ("builtins globals",),
    ("builtins vars",),
    ("builtins input", "?"),
    ("__builtin__ eval", WRITE),
    ("__builtin__ execfile", "MARKER"),
    ("__builtin__ apply", "x"),
    ("__main__ Net", "x"),
    ("torch.hub load", "x/y", "z"),
    ("torch.hub load_state_dict_from_url", "http://127.0.0.1:9/x"),
    ("torch load", "VICTIM"),
    ("torch.jit load", "VICTIM"),
    ("torch.serialization load", "VICTIM"),
    ("torch.package PackageImporter", "VICTIM"),
    ("torch.utils.cpp_extension load_inline", "x", "y"),
    ("torch._C _load_for_lite_interpreter", "x"),
    ("torch Tensor", "x"),
    ("torch.ops load_library", "x.so"),
    ("torch.distributed.rpc rpc_sync", "x"),
    ("torch.nn.modules.linear Linear", "x"),
    ("torch._utils _rebuild_wrapper_subclass", "x"),
    ("torch._tensor _rebuild_from_type_v2", "x"),
    ("torch.fx Graph", "x"),
    ("torch.jit.annotations parse_type_line", "# type: (" + WRITE + ") -> int"),
    ("torch.fx.graph_module reduce_graph_module", "x"),
    ("numpy load", "VICTIM"),
    ("numpy.testing._private.utils runstring", WRITE, "{}"),
    ("numpy fromfile", "VICTIM"),
    ("numpy.core.multiarray _reconstruct", "x"),
    ("numpy dtype", "O8"),
    ("numpy.f2py.crackfortran myeval", WRITE),
    ("functools partial", "x"),
    ("functools reduce", "x"),
    ("operator methodcaller", "system"),
    ("operator attrgetter", "x"),
    ("itertools starmap", "x"),
    ("importlib import_module", "antigravity"),
    ("runpy run_path", "VICTIM"),
    ("code interact",),
    ("timeit timeit", WRITE),
    ("cProfile run", WRITE),
    ("pdb run", WRITE),
    ("bdb Bdb",),
    ("doctest debug_script", WRITE),
    ("webbrowser open", "http://127.0.0.1:9"),
    ("socket create_connection", "127.0.0.1"),
    ("urllib.request urlopen", "http://127.0.0.1:9"),
    ("http.client HTTPConnection", "127.0.0.1"),
    ("smtplib SMTP", "127.0.0.1"),
    ("asyncio run", "x"),
    ("threading Thread",),
    ("multiprocessing Process",),
    ("ctypes CDLL", "libc.so.6"),
    ("types FunctionType", "x"),
    ("types CodeType", "x"),
    ("marshal loads", "x"),
    ("pickle loads", "x"),
    ("_pickle loads", "x"),
    ("shelve open", "MARKER"),
    ("sqlite3 connect", "MARKER"),
    ("zipfile ZipFile", "MARKER", "w"),
    ("tarfile open", "MARKER", "w"),
    ("logging.config listen",),
    ("pathlib Path", "x"),
    ("pip main", "install"),
    ("site main",),
    ("tempfile mkdtemp",),
    ("signal alarm",),
    ("sys setrecursionlimit",),
    ("gc get_objects",),
    ("_codecs encode", "x" * 100, "punycode"),
    ("codecs open", "MARKER", "w"),
    ("_io open", "MARKER", "w"),
    ("io FileIO", "MARKER", "w"),
    ("collections OrderedDict.__init__.__globals__",),
    ("torch._utils _rebuild_tensor_v2.__globals__",),
    ("torch.os system", MARK),
]


def opcodes() -> dict[str, bytes]:
    """The ways of a pickle to name and call something."""
    system, run = b"cos\nsystem\n", text(MARK)
    return {
        "STACK_GLOBAL": text("os") + text("system") + b"\x93" + run + b"\x85R",
        "STACK_GLOBAL by the memo": text("system") + b"q\x01" + text("os") + b"q\x02h\x02h\x01\x93" + run + b"\x85R",
        "a GLOBAL from the memo": system + b"q\x050" + b"h\x05" + run + b"\x85R",
        "INST": b"(" + run + b"ios\nsystem\n",
        "OBJ": b"(" + system + run + b"o",
        "NEWOBJ": system + run + b"\x85\x81",
        "NEWOBJ_EX": system + run + b"\x85}\x92",
        "EXT1": b"\x82\x01",
        "EXT2": b"\x83\x01\x00",
        "EXT4": b"\x84\x01\x00\x00\x00",
        "BUILD": b"ccollections\nOrderedDict\n)R}" + text("__setstate__") + system + b"sb",
        "BUILD of a class": b"ctorch\nSize\n}" + text("__reduce__") + system + b"sb",
        "PERSID": b"Pos.system\n",
        "BINPERSID of a call": b"(" + text("storage") + system + text("0") + text("cpu") + b"K\x04tQ",
        "BINPERSID of a module": b"(" + text("module") + system + text("x.py") + run + b"tQ",
        "BINPERSID of a text": run + b"Q",
        "PROTO 255": b"\x80\xff" + system + run + b"\x85R",
        "FRAME": b"\x95" + (2**62).to_bytes(8, "little") + system + run + b"\x85R",
        "NEXT_BUFFER": b"\x97\x98",
        "BYTEARRAY8 of 2^62": b"\x96" + (2**62).to_bytes(8, "little"),
        "BINUNICODE8 of 2^62": b"\x8d" + (2**62).to_bytes(8, "little"),
        "LONG4 of -1": b"\x8b\xff\xff\xff\xff",
        "a GLOBAL with odd line ends": b"cos\r\nsystem\n" + run + b"\x85R",
        "a GLOBAL in Latin": "cösystem\nx\n".encode("latin1") + b")R",
        "a call as a key": b"}" + system + run + b"\x85RK\x01s",
        "two pickles": b"}." + HEAD + system + run + b"\x85R",
        "an item of a tensor": tensor() + b"K\x00K\x01s",
        "items of a list": b"](K\x00K\x01u",
        "items of a size": b"ctorch\nSize\n)R(K\x00K\x01u",
        "DUP": system + b"2",
    }


def tensor(numel: int = 4, size: int = 4, stride: int = 1, offset: int = 0, kind: str = "FloatStorage") -> bytes:
    named = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text("0") + text("cpu") + number(numel) + b"tQ"
    shape = number(offset) + number(size) + b"\x85" + number(stride) + b"\x85"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + named + shape + b"\x89ccollections\nOrderedDict\n)RtR"


def lies() -> dict[str, bytes]:
    """Tensors that are not what they say."""
    double = b"])q\x01a" + b"h\x01h\x01\x86q\x01a"
    return {
        "2^63 numbers": tensor(numel=2**63 - 1),
        "2^64 numbers": tensor(numel=2**64),
        "-1 numbers": tensor(numel=-1),
        "more numbers than there are": tensor(numel=8, size=8),
        "fewer": tensor(numel=2),
        "another type": tensor(kind="DoubleStorage"),
        "a size of 2^63": tensor(size=2**63 - 1),
        "a size of -4": tensor(size=-4),
        "a view of 64 GiB": tensor(size=2**34, stride=0),
        "a stride of 2^62": tensor(size=2, stride=2**62),
        "a stride of -1": tensor(stride=-1),
        "past the end": tensor(offset=2),
        "before the beginning": tensor(offset=-4),
        "an offset of 2^63": tensor(offset=2**63 - 1),
        "no such type": tensor(kind="Storage"),
        "a quantised type": tensor(kind="QInt8Storage"),
        "60,000 dimensions": tensor().replace(
            number(4) + b"\x85" + number(1) + b"\x85", (b"(" + b"K\x01" * 60_000 + b"t") * 2
        ),
        "tuples 10^5 deep": b"})" + b"\x85" * 100_000 + b"K\x01s",
        "lists 10^5 deep": b"]" * 100_000 + b"a" * 99_999,
        "dictionaries 10^5 deep": b"}" * 100_000 + b"".join(b"K\x01" for _ in range(0)) + b"0" * 99_999,
        "a tuple of 2^60 entries": double + b"h\x01h\x01\x86q\x01a" * 60 + b"}h\x01K\x01sa",
        "a set of tuples of 2^60 entries": b"cbuiltins\nset\n" + double + b"h\x01h\x01\x86q\x01a" * 60 + b"\x85R",
        "60,000 keys that collide": b"}(" + b"".join(number(k * (2**61 - 1)) + b"N" for k in range(1, 60_000)) + b"u",
        "a text in punycode": call(
            "_codecs encode", "".join(chr(0x4E00 + k % 20_000) for k in range(100_000)), "punycode"
        ),
        "a million tensors": b"(" + tensor() * 1_000_000 + b"t",
        "a million numbers": b"(" + b"K\x01" * 1_000_000 + b"t",
        "a number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n",
        "a text of 10^7": text("x" * 10_000_000),
        "a key of 10^7": b"}" + text("x" * 10_000_000) + b"K\x01s",
    }


def archive(pickled: bytes, storage: bytes = bytes(16), **options: Any) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as out:
        for name, content in {
            "data.pkl": pickled,
            "byteorder": b"little",
            "version": b"3\n",
            "data/0": storage,
        }.items():
            out.writestr(f"archive/{name}", content, **options)
    return whole.getvalue()


def legacy(pickled: bytes) -> bytes:
    head = (torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, {"little_endian": True})
    keys = pickle.dumps(["0"], 2) + (4).to_bytes(8, "little") + bytes(16)
    return b"".join(pickle.dumps(part, 2) for part in head) + pickled + keys


def state(value: bytes) -> bytes:
    return HEAD + b"}" + text("w") + value + b"s."


def tar(pickled: bytes) -> bytes:
    """The format of torch < 0.1.10, which torch.load once read without looking (CVE-2025-32434)."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as out:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(pickled)
            out.addfile(entry, io.BytesIO(pickled))
    return whole.getvalue()


def pickles() -> Iterator[tuple[str, bytes]]:
    """Pickles that call something, in each of the formats that torch has had."""
    values = {f"{name} {index}": call(name, *rest) for index, (name, *rest) in enumerate(CALLED)} | opcodes()
    for name, value in values.items():
        yield f"zip: {name}", archive(state(value))
        yield f"legacy: {name}", legacy(state(value))
    bomb = state(call("os system", MARK))
    yield "a plain pickle", bomb
    yield "a pickle of protocol 0", b"cos\nsystem\n(S'touch MARKER'\ntR."
    yield "a pickle of protocol 5", pickle.dumps(_Reduced(), 5)
    yield "tar (CVE-2025-32434)", tar(bomb)
    yield "legacy: in the system's facts", legacy(HEAD + b"}.").replace(pickle.dumps({"little_endian": True}, 2), bomb)
    yield "legacy: in the keys", legacy(HEAD + b"}.").replace(pickle.dumps(["0"], 2), bomb)
    yield (
        "legacy: a key that is a path",
        legacy(state(tensor())).replace(pickle.dumps(["0"], 2), pickle.dumps(["../0"], 2)),
    )
    good = archive(state(tensor()))
    yield "a zip before a zip", archive(bomb) + good
    yield "a zip behind a zip", good + archive(bomb)
    yield "a zip in a zip", archive(archive(bomb))
    yield "a TorchScript program", good.replace(b"archive/version", b"archive/constants.pkl"[:15])
    yield "an entry that is called otherwise at its place", good.replace(b"archive/data.pkl", b"archive/evil.pkl", 1)


class _Reduced:
    def __reduce__(self) -> Any:
        return os.system, (MARK,)


def odd_tensors() -> Iterator[tuple[str, bytes]]:
    """Tensors that torch itself saves and that we do not take; the sparse ones with indices out of bounds."""
    values, far = torch.ones(2), torch.tensor([0, 10**9])
    rows = torch.tensor([0, 1, 2])
    block = torch.ones(2, 1, 1)
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        made = {
            "COO": torch.sparse_coo_tensor(far[None], values, (2,), check_invariants=False),
            "CSR": torch.sparse_csr_tensor(rows, far, values, (2, 2), check_invariants=False),
            "CSC": torch.sparse_csc_tensor(rows, far, values, (2, 2), check_invariants=False),
            "BSR": torch.sparse_bsr_tensor(rows, far, block, (2, 2), check_invariants=False),
            "BSC": torch.sparse_bsc_tensor(rows, far, block, (2, 2), check_invariants=False),
            "expanded": torch.zeros(1).expand(2**34),
            "overlapping": torch.zeros(2**10).as_strided((2**20, 2**20), (0, 0)),
            "meta": torch.ones(2**40, device="meta"),
            "nested": torch.nested.nested_tensor([values, values[:1]]),
        }
        for (name, value), new in itertools.product(made.items(), (True, False)):
            whole = io.BytesIO()
            try:
                torch.save({"w": value}, whole, _use_new_zipfile_serialization=new)
            except (RuntimeError, NotImplementedError):
                continue
            yield f"{name}, {'zip' if new else 'legacy'}", whole.getvalue()


def archives(long: bool) -> Iterator[tuple[str, bytes]]:
    """Archives that unpack to much more than they are, and arrays of objects."""
    size = 100_000_000 if long else 20_000_000
    yield "a zip bomb", archive(state(tensor()), bytes(size), compress_type=zipfile.ZIP_DEFLATED)
    yield "a bomb of bzip2", archive(state(tensor()), bytes(size), compress_type=zipfile.ZIP_BZIP2)
    yield "a pickle as a zip bomb", archive(HEAD + b"}" + bytes(size), compress_type=zipfile.ZIP_DEFLATED)
    honest = archive(state(tensor()))
    yield "sizes that lie", honest.replace((16).to_bytes(4, "little") * 2, (2**32 - 2).to_bytes(4, "little") * 2)
    whole = io.BytesIO()
    np.savez(whole, w=np.array([_Reduced()], dtype=object))
    yield "NPZ of objects", whole.getvalue()
    whole = io.BytesIO()
    np.savez_compressed(whole, w=np.zeros(size // 8))
    yield "an NPZ bomb", whole.getvalue()
    whole = io.BytesIO()
    np.save(whole, np.array([_Reduced()], dtype=object))
    yield "NPY of objects", whole.getvalue()
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as out:
        for index in range(200_000):
            out.writestr(f"a/{index}", b"")
    yield "200,000 entries", many.getvalue()


def headers(long: bool) -> Iterator[tuple[str, bytes]]:
    """Safetensors whose header lies or is far too large."""

    def file(header: bytes, data: bytes = bytes(8), length: int | None = None) -> bytes:
        return (len(header) if length is None else length).to_bytes(8, "little") + header + data

    def entry(**changes: Any) -> bytes:
        return json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}).encode()

    yield "a header of 100 MB", file(b"{" + b" " * 100_000_000)
    yield "a header of 2^63 bytes", file(entry(), length=2**63)
    yield "a header of 2^64 - 1 bytes", file(entry(), length=2**64 - 1)
    one = '"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    yield "10^6 tensors", file(("{" + ",".join(one % index for index in range(1_000_000)) + "}").encode(), b"")
    yield "200,000 tensors", file(("{" + ",".join(one % index for index in range(200_000)) + "}").encode(), b"")
    yield "16 MB of lists", file(b'{"w":[' + b"[]," * 5_000_000 + b"[]]}")
    yield (
        "16 MB of metadata",
        file(b'{"__metadata__":{' + b",".join(b'"%d":""' % k for k in range(1_000_000)) + b"}}", b""),
    )
    yield "nested 10^5 deep", file(b'{"w":' * 100_000)
    yield "lists 10^5 deep", file(b'{"w":' + b"[" * 100_000)
    yield "a name of 10^7 bytes", file(b'{"' + b"x" * 10_000_000 + b'":3}')
    for name, changes in {
        "a shape of 2^63": {"shape": [2**63]},
        "a shape of 2^62 times 4": {"shape": [2**62, 4]},
        "a shape of -2": {"shape": [-2]},
        "a shape of 1.5": {"shape": [1.5]},
        "a hole": {"data_offsets": [4, 12]},
        "backwards": {"data_offsets": [8, 0]},
        "past the end": {"data_offsets": [0, 2**40], "shape": [2**38]},
        "an unknown type": {"dtype": "OBJECT"},
        "too wide a type": {"dtype": "F64"},
        "no shape": {"shape": None},
        "10^5 dimensions": {"shape": [1] * 100_000 + [2]},
    }.items():
        yield name, file(entry(**changes))
    twice = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}
    yield "overlapping tensors", file(json.dumps(twice).encode())


def crowd(long: bool, kinds: Sequence[str] = ()) -> dict[str, bytes]:
    """All files, or those of some kinds, by what they are called in the table; every reader gets each."""
    made: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
        "pickle": pickles,
        "tensor": odd_tensors,
        "lie": packed_lies,
        "archive": lambda: archives(long),
        "safetensors": lambda: headers(long),
        "JSON": lambda: texts(long),
    }
    return {f"{kind}: {name}": content for kind in kinds or made for name, content in made[kind]()}


def packed_lies() -> Iterator[tuple[str, bytes]]:
    for name, value in lies().items():
        yield f"{name}, zip", archive(state(value))
        yield f"{name}, legacy", legacy(state(value))


def texts(long: bool) -> Iterator[tuple[str, bytes]]:
    """JSON that is far too large or deep, with a right checksum where that makes a reader look further."""
    from sparsewire.execution.sealed_json import sealed

    size = 10_000_000 if long else 2_000_000
    start = '{"format": "sparsewire-checkpoint-1", "number": 1, "facts": {}, "parts": '
    yield "nested 10^5 deep", b'{"format":' * 100_000
    for name, content in {
        "nested 10^5 deep, sealed": '{"a":' * 100_000,
        "lists without end, sealed": '{"a":[' + "[]," * size + "[]]}",
        "a number without end, sealed": '{"a":' + "9" * size + "}",
        "a path outside": start + '{"../../VICTIM": {"size": 1}}}',
        "an absolute path": start + '{"/etc/passwd": {"size": 1, "sha256": ""}}}',
        "a list": "{}",
        "a size of 2^70": start + json.dumps({"1.safetensors": {"size": 2**70, "sha256": "0"}}) + "}",
    }.items():
        yield name, sealed(content)
    yield "names that are keys twice", b"{" + b'"format":1,' * size + b'"format":2}'


def readers() -> dict[str, Callable[[Path], object]]:
    """Everything of ours that opens a file which somebody else may have made."""
    from sparsewire.execution.compact import load_compact
    from sparsewire.execution.plans import Plan
    from sparsewire.lab.checkpoint_folder import CheckpointFolder
    from sparsewire.lab.checkpoints import read_checkpoint
    from sparsewire.structure.masks import Masks

    def folder(path: Path) -> object:
        """The file as the manifest, and as the tensors that a right manifest names."""
        import hashlib

        from sparsewire.errors import CheckpointError
        from sparsewire.lab.checkpointing.checkpoint_manifest import manifest
        from sparsewire.lab.checkpointing.tensor_files import Part

        place = path.parent / "folder"
        place.mkdir(exist_ok=True)
        (place / "1.json").unlink(missing_ok=True)
        (place / "1.safetensors").unlink(missing_ok=True)
        os.link(path, place / "1.json")
        try:
            CheckpointFolder(place).load()
        except CheckpointError:
            (place / "1.json").unlink()
        os.link(path, place / "1.safetensors")
        with path.open("rb") as file:
            part = Part(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
        (place / "1.json").write_bytes(manifest(1, part, {}))
        return CheckpointFolder(place).load()

    return {
        "checkpoint": read_checkpoint,
        "folder": folder,
        "masks": Masks.load,
        "compact": load_compact,
        "plan": Plan.load,
    }


def peak() -> int:
    return (
        int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])
        << 10
    )


def resident() -> int:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    return peak()


def child(names: list[str], repeats: int) -> None:
    """Reads the files of the folder that this process stands in; one line of JSON for each file and reader."""
    from sparsewire.errors import FileError

    seen: list[str] = []
    every = readers()
    torch.save({"w": torch.ones(2)}, "good")
    for read in every.values():  # what is imported at first use is no harm
        for name in ("good", names[0]):
            with contextlib.suppress(FileError):
                read(Path(name))
    sys.addaudithook(lambda event, args: seen.append(f"{event} {args!r:.80}") if event.startswith(WATCHED) else None)
    soft = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (4 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    for name, (kind, read) in itertools.product(names, every.items()):
        for _ in range(repeats):
            seen.clear()
            before, start, told = resident(), time.process_time(), ""
            try:
                ended = f"read: {read(Path(name))!r:.80}"
            except FileError as cause:
                ended, told = "refused", str(cause)[:200]
            except BaseException as cause:  # noqa: BLE001
                ended = f"ended in {type(cause).__name__}: {cause!s:.120}"
            spent = time.process_time() - start
            events = [
                event
                for event in seen
                if kind != "folder" or not event.startswith(("os.link", "os.remove", "os.mkdir"))
            ]
            line = {
                "file": name,
                "reader": kind,
                "ended": ended,
                "told": told,
                "seconds": spent,
                "bytes": peak() - before,
            }
            print(json.dumps({**line, "events": events}), flush=True)


def judged(long: bool, kinds: Sequence[str] = ()) -> tuple[list[dict[str, Any]], list[str]]:
    """What every reader did with every file of some kinds, and what happened that should not have."""
    content = crowd(long, kinds)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index, one in enumerate(content.values()):
            (root / f"{index:04}").write_bytes(one)
        (root / "VICTIM").write_text("whole")
        names = [f"{index:04}" for index in range(len(content))]
        command = [sys.executable, "-W", "ignore", __file__, "--child", str(5 if long else 1)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, input="\n".join(names))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = [] if done.returncode == 0 else [f"the child ended with {done.returncode}: {done.stderr[-500:]}"]
        left = {path.name for path in root.iterdir()} - {*names, "VICTIM", "good", "folder"}
        wrong += [f"left behind: {name}" for name in sorted(left)]
        if (root / "VICTIM").read_text() != "whole":
            wrong.append("the victim was changed")
    titles = dict(zip(names, content, strict=True))
    for line in found:
        line["file"] = titles[line["file"]]
        wrong += [f"{line['file']}, {line['reader']}: {event}" for event in line["events"]]
        if line["ended"] != "refused" and line["file"] not in HARMLESS:
            wrong.append(f"{line['file']}, {line['reader']}: {line['ended']}")
    return found, wrong


# What is no lie after all: the reader takes what is there.
HARMLESS = {"safetensors: 16 MB of metadata"}
# It lists 100,000 tensors before anything is wrong with it, and an honest file of so many takes as long.
LONG = {"lie: a million tensors, legacy"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(sys.stdin.read().split(), options.child)
        return 0
    found, wrong = judged(options.long)
    files = {line["file"] for line in found}
    print(
        f"{len(files)} files, {sum(name.startswith('pickle') for name in files)} of them pickles that call something;"
    )
    print(f"{len(found)} readings, {sum(line['ended'] == 'refused' for line in found)} refused")
    slowest = max((line for line in found if line["file"] not in LONG), key=lambda line: line["seconds"])
    largest = max(found, key=lambda line: line["bytes"])
    print(f"slowest: {slowest['seconds']:.2f} s of the processor ({slowest['file']}, read as {slowest['reader']})")
    for name in sorted(LONG):
        spent = max(line["seconds"] for line in found if line["file"] == name)
        print(f"but for {name}: {spent:.2f} s, as long as an honest file of 100,000 tensors")
    print(f"most memory: {largest['bytes'] / 2**20:.0f} MiB ({largest['file']}, read as {largest['reader']})")
    wrong += [
        f"{one['file']}, {one['reader']}: {one['seconds']:.2f} s"
        for one in found
        if one["seconds"] > (SECONDS if one["file"] not in LONG else 10)
    ]
    wrong += [f"{one['file']}, {one['reader']}: {one['bytes'] >> 20} MiB" for one in found if one["bytes"] > BYTES]
    print(*wrong or ["no marker, no process, no connection; nothing else slow, nothing large"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
