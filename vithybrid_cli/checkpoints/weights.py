"""Weights files: what is in a ``.safetensors`` or ``.npz`` file, read without torch, headers apart from numbers."""

import io
import math
import mmap
import struct
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.foreign import foreign

if TYPE_CHECKING:
    import zipfile

# A zip member's own header before its name: how long it is, and where in it the lengths of name and extra field are.
_LOCAL_HEADER, _LENGTHS_AT = 30, 26
_LENGTHS = struct.Struct("<HH")
_STORED, _DEFLATED = 0, 8  # the ways in which NumPy writes members
_DEFLATE_RATIO = 1032  # no deflated byte stands for more (https://zlib.net/zlib_tech.html)
# Bytes that the compressed arrays of one file may take unpacked. ViT-G/14, larger than any network we have, takes
# 7.4e9 in float32, and Google's own files are not compressed.
_MAX_UNPACKED = 16 * 10**9
_MAX_NPY_HEADER = 10_000  # bytes; NumPy parses no longer one
_CHUNK = 1 << 20  # bytes that are unpacked at a time
# What the standard library and NumPy raise for archives that are damaged or encrypted, besides zipfile.BadZipFile.
_BAD_ARCHIVE = (OSError, EOFError, ValueError, OverflowError, RuntimeError, zlib.error, struct.error)

BFLOAT16 = np.dtype("V2")  # NumPy has no bfloat16; JAX's arrays of it are saved as two bytes of anything
# Types in which weights are stored, as safetensors spells them.
_TYPES = {np.dtype("f2"): "F16", np.dtype("f4"): "F32", np.dtype("f8"): "F64", BFLOAT16: "BF16"}
FLOATS = frozenset(_TYPES.values())


@dataclass(frozen=True, slots=True)
class TensorShape:
    """One tensor as the header of its file describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def tensor_shapes(file: Path) -> list[TensorShape]:
    """The tensors of a weights file, from its headers alone. Raises ModelError for a damaged one."""
    if is_npz(file):
        arrays = npz_outlines(file)
        return [TensorShape(name, type_name(array.dtype), array.shape) for name, array in arrays.items()]
    try:
        with safe_open(file, framework="np") as weights:
            slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (no dict)
            return [TensorShape(name, part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()]
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def metadata(file: Path) -> Mapping[str, str]:
    """The free text that the header of a safetensors file carries. Raises ModelError for a damaged one."""
    try:
        with safe_open(file, framework="np") as weights:
            return weights.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def is_npz(file: Path) -> bool:
    """Whether its name says that it is an archive of NumPy arrays."""
    return file.suffix == ".npz"


def npz_outlines(file: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a ``.npz`` file by name, from their headers alone: shape and type are right, every number is 0.

    They take no memory, however large they claim to be. Raises ModelError for a file that cannot be read.
    """
    with _opened(file) as (_, archive, members):
        return {name: _outline(archive, member) for name, member in members.items()}


def npz_arrays(file: Path, names: Container[str] | None = None) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a ``.npz`` file by name, or those of ``names``; mapped into memory where they are not compressed.

    Never as pickles. What is written to an array stays in memory. Raises ModelError for a file that cannot be read.
    """
    with _opened(file) as (stream, archive, members):
        wanted = {name: member for name, member in members.items() if names is None or name in names}
        unpacked = sum(member.file_size for member in wanted.values() if member.compress_type == _DEFLATED)
        if unpacked > _MAX_UNPACKED:
            raise ValueError(f"its arrays unpack to {unpacked / 1e9:,.1f} GB, and {_MAX_UNPACKED / 1e9:g} are allowed")
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        return {name: _array(archive, member, mapped) for name, member in wanted.items()}


def type_name(dtype: np.dtype[np.generic]) -> str:
    """The name of a type as safetensors spells it; NumPy's own for one that no weights have."""
    return _TYPES.get(dtype.newbyteorder("="), str(dtype))


def holds_weights(dtype: np.dtype[np.generic]) -> bool:
    """Whether an array of this type can be one of weights."""
    return dtype.newbyteorder("=") in _TYPES


def damaged(file: Path, error: Exception) -> ModelError:
    """The error for a file that is not what its name says: which says what it is, if that can be told."""
    return foreign(file) or ModelError(
        f"{file} cannot be read ({str(error) or type(error).__name__}).", "Fetch the checkpoint again."
    )


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], "zipfile.ZipFile", dict[str, "zipfile.ZipInfo"]]]:
    """An archive and its members by the names of their arrays. Raises ModelError for whatever is wrong in the block."""
    import zipfile  # takes a hundredth of a second, which all other checkpoints do without

    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            for member in members:
                _check(member)
            if sum(member.compress_size for member in members) > file.stat().st_size:
                raise ValueError("its members overlap")
            yield stream, archive, {member.filename.removesuffix(".npy"): member for member in members}
    except (*_BAD_ARCHIVE, zipfile.BadZipFile) as error:
        raise damaged(file, error) from error


def _check(member: "zipfile.ZipInfo") -> None:
    """Raise ValueError for what is no array, and for one that cannot have the size that it claims."""
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} in it is no array")
    if member.compress_type not in (_STORED, _DEFLATED):
        raise ValueError(f"{member.filename} in it is compressed in a way that is not supported")
    ratio = 1 if member.compress_type == _STORED else _DEFLATE_RATIO
    if member.file_size > ratio * member.compress_size:
        raise ValueError(f"{member.filename} in it claims more bytes than it has")


def _outline(archive: "zipfile.ZipFile", member: "zipfile.ZipInfo") -> npt.NDArray[np.generic]:
    with archive.open(member) as stream:
        shape, _, dtype = _header(stream, member)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _array(archive: "zipfile.ZipFile", member: "zipfile.ZipInfo", mapped: mmap.mmap) -> npt.NDArray[np.generic]:
    with archive.open(member) as stream:
        shape, order, dtype = _header(stream, member)
        count, begin = math.prod(shape), stream.tell()
        if member.compress_type == _DEFLATED:
            return np.frombuffer(_unpacked(stream, count * dtype.itemsize), dtype, count).reshape(shape, order=order)
    lengths = _LENGTHS.unpack_from(mapped, member.header_offset + _LENGTHS_AT)
    offset = member.header_offset + _LOCAL_HEADER + sum(lengths) + begin
    return np.frombuffer(mapped, dtype, count, offset).reshape(shape, order=order)


def _unpacked(stream: IO[bytes], size: int) -> bytearray:
    """The next ``size`` bytes, in memory that grows with what there is. Raises ValueError where there are fewer."""
    content = bytearray()
    while missing := size - len(content):
        if not (chunk := stream.read(min(missing, _CHUNK))):
            raise ValueError("an array in it is cut off")
        content += chunk
    return content


def _header(
    stream: IO[bytes], member: "zipfile.ZipInfo"
) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[np.generic]]:
    """Shape, order and type of an array, whose numbers follow in ``stream``. Raises ValueError where they cannot."""
    start = stream.read(npy.MAGIC_LEN)
    length = stream.read(2 if npy.read_magic(io.BytesIO(start)) == (1, 0) else 4)
    rest = stream.read(min(int.from_bytes(length, "little"), _MAX_NPY_HEADER))
    shape, column_major, dtype = _parsed(start + length + rest)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} in it is a pickle, which can run any code when it is loaded")
    if min(shape, default=1) < 0 or stream.tell() + math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} in it is cut off")
    return shape, "F" if column_major else "C", dtype


@cache  # parsing takes NumPy a quarter of a millisecond, and many arrays of a network have the same header
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """What the header of an array says, its first bytes included."""
    stream = io.BytesIO(header)
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    return read(stream)
