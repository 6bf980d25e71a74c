"""Weights files: what is in a ``.safetensors`` or ``.npz`` file, told without torch and without reading the tensors."""

import math
import mmap
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

from vithybrid_cli.errors import ModelError

_LOCAL_HEADER = (
    30  # bytes of a zip member's own header before its name; then two lengths say how long name and rest are
)
_LENGTHS = struct.Struct("<HH")


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
        return [TensorShape(name, str(array.dtype), array.shape) for name, array in arrays.items()]
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

    Never as pickles. What is written to an array stays in memory. Raises ModelError for a damaged file.
    """
    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            return {name: _array(archive, member, mapped) for name, member in members.items()}
    except (OSError, ValueError, zipfile.BadZipFile, struct.error) as error:
        raise damaged(file, error) from error


def damaged(file: Path, error: Exception) -> ModelError:
    """What to say of a file that is not what its name says."""
    return ModelError(f"{file} cannot be read: {error}. Fetch the checkpoint again.")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, mapped: mmap.mmap) -> npt.NDArray[np.generic]:
    if member.compress_type != zipfile.ZIP_STORED:
        with archive.open(member) as stream:
            array: npt.NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
            return array
    lengths = member.header_offset + _LOCAL_HEADER - _LENGTHS.size
    begin = member.header_offset + _LOCAL_HEADER + sum(_LENGTHS.unpack_from(mapped, lengths))
    mapped.seek(begin)
    shape, column_major, dtype = _header(mapped)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} is a pickle, which can run any code when it is loaded")
    count, offset = math.prod(shape), mapped.tell()
    if offset + count * dtype.itemsize > begin + member.file_size:
        raise ValueError(f"{member.filename} is cut off")
    flat = np.frombuffer(mapped, dtype, count, offset)
    return flat.reshape(shape, order="F" if column_major else "C")


def _header(stream: mmap.mmap) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)
