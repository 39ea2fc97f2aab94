"""IDX files: arrays of numbers with a small header, plain or compressed; the format of MNIST.

    2 zero bytes · type code (1 byte) · number of dimensions (1 byte) · each size (4 bytes) · the values, row by row

All numbers have the highest byte first. The format has no checksum: a plain file in which a value was changed cannot be
told from a right one. A `.gz` has one (CRC-32), and there every change of a value is noticed.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsewire.errors import DataError, RequestError
from sparsewire.files import write_aside

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8
LARGEST = 1 << 28
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str], *, at_most: int = LARGEST) -> npt.NDArray[Any]:
    """The array that an IDX file holds, in this machine's byte order; gzip is recognised by its content.

    The file is data from others: nothing is allocated on the word of its header alone, and a compressed one is
    unpacked to at most one byte more than it announces.

    Args:
        path: the file.
        at_most: the largest number of bytes that the values may take; 256 MiB unless told.

    Raises:
        DataError: there is no such file, or it is no IDX file, or it is truncated, corrupt, too long or too large.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "two-idx1-ubyte.gz"
        >>> write_idx(file, np.array([7, 8], dtype=np.uint8))
        >>> read_idx(file)
        array([7, 8], dtype=uint8)

    Reference:
        Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "The IDX file format".
    """
    raw = _read(Path(path), at_most)
    dtype, shape = _parse(_unpack(raw, 4 + 4 * MOST_DIMENSIONS, path), path)
    # A size of 0 must not excuse the others: numpy refuses (0, 2**32 − 1, 2**32 − 1, …) with an error of its own.
    if math.prod(max(1, size) for size in shape) * dtype.itemsize > at_most:
        raise DataError(f"{path}: found an announced shape {shape} of {dtype.name}, expected at most {at_most:,} bytes")
    start = 4 + 4 * len(shape)
    size = math.prod(shape) * dtype.itemsize
    content = _unpack(raw, start + size + 1, path)
    if len(content) != start + size:
        found = "more" if len(content) > start + size else f"{len(content) - start:,}"
        raise DataError(
            f"{path}: found {found} bytes of values, expected {size:,} for the shape {shape} of {dtype.name}; "
            "the file is cut or is not whole; get it again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: npt.NDArray[Any]) -> None:
    """Writes an array as an IDX file, compressed if the name ends in `.gz`; a whole file or none.

    The same array gives the same bytes: no time and no name are stored.

    Args:
        path: where the file shall be.
        array: of 1 to 8 dimensions, and of a type that IDX has: uint8, int8, int16, int32, float32, float64.

    Raises:
        RequestError: IDX has no such type or not so many dimensions.
        DataError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "one-idx1-ubyte"
        >>> write_idx(file, np.array([7], dtype=np.uint8))
        >>> file.read_bytes().hex(" ")
        '00 00 08 01 00 00 00 01 07'
    """
    codes = {np.dtype(text).newbyteorder("="): code for code, text in TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        raise RequestError(f"array: found dtype {array.dtype}, expected one of {', '.join(map(str, codes))}")
    if not 1 <= array.ndim <= MOST_DIMENSIONS or max(array.shape) >= 1 << 32:
        raise RequestError(f"array: found shape {array.shape}, expected 1 to {MOST_DIMENSIONS} dimensions below 2**32")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = header + array.astype(TYPES[code]).tobytes()
    if Path(path).suffix == ".gz":
        content = gzip.compress(content, compresslevel=9, mtime=0)

    def write(aside: Path) -> None:
        aside.write_bytes(content)

    write_aside(path, write, DataError)


def _read(path: Path, at_most: int) -> bytes:
    most = at_most + at_most // 1000 + 4096  # what cannot be compressed grows by less than a thousandth
    try:
        # Not every readable thing ends: a pipe would block, /dev/zero never stops.
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: found a folder or a device, expected an IDX file")
        with path.open("rb") as file:
            # Python sets aside as much as is asked for, so not more than there is.
            raw = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the name
        raise DataError(f"cannot read {path}: {getattr(cause, 'strerror', None) or cause}") from cause
    if len(raw) > most:
        raise DataError(f"{path}: found a file of more than {most:,} bytes, expected values of at most {at_most:,}")
    return raw


def _unpack(raw: bytes, most: int, path: str | os.PathLike[str]) -> bytes:
    """Up to `most` bytes of the content; fewer only if the content ends there, and then its checksum is right."""
    if not raw.startswith(_GZIP):
        return raw[:most]
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = stream.decompress(raw, most)
    except zlib.error as cause:
        raise DataError(f"{path}: the compressed data is corrupt ({cause}); get the file again") from cause
    if len(content) == most:
        return content
    if not stream.eof:
        raise DataError(f"{path}: the compressed data is cut after {len(raw):,} bytes; get the file again")
    if stream.unused_data:
        raise DataError(f"{path}: found {len(stream.unused_data):,} bytes after the end of the compressed data")
    return content


def _parse(header: bytes, path: str | os.PathLike[str]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if len(header) < 4:
        raise DataError(f"{path}: found {len(header)} bytes of content, expected an IDX header of at least 8")
    zeros, code, dimensions = struct.unpack(">HBB", header[:4])
    if zeros or code not in TYPES:
        known = ", ".join(f"{known:02x}" for known in TYPES)
        raise DataError(
            f"{path}: found the first bytes {header[:4].hex(' ')}, expected 00 00, a type code ({known}) and the "
            "number of dimensions; this is no IDX file"
        )
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise DataError(f"{path}: found {dimensions} dimensions, expected 1 to {MOST_DIMENSIONS}")
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path}: found {len(header)} bytes of content, expected a header of {4 + 4 * dimensions}")
    return np.dtype(TYPES[code]), struct.unpack_from(f">{dimensions}I", header, 4)
