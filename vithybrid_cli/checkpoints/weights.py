"""Weights files: what is in a ``.safetensors`` or ``.npz`` file, told without torch and without reading the tensors."""

import io
import math
import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

from vithybrid_cli.errors import ModelError

if TYPE_CHECKING:
    import zipfile

# Bytes of a zip member's own header before its name; the last two numbers in it are the lengths of name and rest.
_LOCAL_HEADER = 30
_LENGTHS = struct.Struct("<HH")
# What the standard library and NumPy raise for archives that are damaged, encrypted, or compressed in rare ways,
# besides zipfile.BadZipFile.
_BAD_ARCHIVE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, struct.error)

BFLOAT16 = np.dtype("V2")  # NumPy has no such type, and JAX's arrays of it are saved as two bytes of anything
# Types in which weights are stored, as safetensors spells them.
_TYPES = {np.dtype("f2"): "F16", np.dtype("f4"): "F32", np.dtype("f8"): "F64", BFLOAT16: "BF16"}


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
        arrays = npz_arrays(file)
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


def npz_arrays(file: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a ``.npz`` file by name, mapped into memory where they are not compressed.

    Never as pickles. What is written to an array stays in memory. Raises ModelError for a file that cannot be read.
    """
    import zipfile  # takes a hundredth of a second, which all other checkpoints do without

    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            return {name: _array(archive, member, mapped) for name, member in members.items()}
    except (*_BAD_ARCHIVE, zipfile.BadZipFile) as error:
        raise damaged(file, error) from error


def type_name(dtype: np.dtype[np.generic]) -> str:
    """The name of a type as safetensors spells it; NumPy's own for one that no weights have."""
    return _TYPES.get(dtype.newbyteorder("="), str(dtype))


def holds_weights(dtype: np.dtype[np.generic]) -> bool:
    """Whether an array of this type can be one of weights."""
    return dtype.newbyteorder("=") in _TYPES


def damaged(file: Path, error: Exception) -> ModelError:
    """What to say of a file that is not what its name says."""
    return ModelError(f"{file} cannot be read: {str(error) or type(error).__name__}. Fetch the checkpoint again.")


def _array(archive: "zipfile.ZipFile", member: "zipfile.ZipInfo", mapped: mmap.mmap) -> npt.NDArray[np.generic]:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} in it is no array")
    if member.compress_type:  # 0 is stored as it is
        with archive.open(member) as stream:
            shape, order, dtype = _header(stream, member)
            flat = np.frombuffer(bytearray(stream.read()), dtype, math.prod(shape))
            return flat.reshape(shape, order=order)
    lengths = member.header_offset + _LOCAL_HEADER - _LENGTHS.size
    mapped.seek(member.header_offset + _LOCAL_HEADER + sum(_LENGTHS.unpack_from(mapped, lengths)))
    shape, order, dtype = _header(mapped, member)
    return np.frombuffer(mapped, dtype, math.prod(shape), mapped.tell()).reshape(shape, order=order)


def _header(
    stream: IO[bytes] | mmap.mmap, member: "zipfile.ZipInfo"
) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype[np.generic]]:
    """Shape, order and type of an array, whose numbers follow in ``stream``. Raises ValueError where they cannot."""
    begin = stream.tell()
    start = stream.read(npy.MAGIC_LEN)
    length = stream.read(2 if npy.read_magic(io.BytesIO(start)) == (1, 0) else 4)
    rest = stream.read(min(int.from_bytes(length, "little"), member.file_size))
    shape, column_major, dtype = _parsed(start + length + rest)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} in it is a pickle, which can run any code when it is loaded")
    if min(shape, default=1) < 0 or stream.tell() - begin + math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} in it is cut off")
    return shape, "F" if column_major else "C", dtype


@cache  # parsing takes NumPy a quarter of a millisecond, and many arrays of a network have the same header
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """What the header of an array says, its first bytes included."""
    stream = io.BytesIO(header)
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    return read(stream)
