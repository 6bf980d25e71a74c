"""Archives of NumPy arrays: mapped or unpacked, never run, and refused in one line where they are damaged."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numpy.lib import format as npy
from places import GOLDENS, ROOT

from vithybrid_cli.checkpoints import weights
from vithybrid_cli.checkpoints.weights import npz_arrays, tensor_shapes
from vithybrid_cli.errors import ModelError

ARRAYS: dict[str, npt.NDArray[Any]] = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "one": np.array(1.5, np.float16),
    "none": np.empty((0, 3), np.float32),
}


def saved(save: Callable[..., None]) -> bytes:
    stream = io.BytesIO()
    save(stream, **ARRAYS)
    return stream.getvalue()


def zipped(name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def array(content: object, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(content), allow_pickle=pickled)
    return stream.getvalue()


PICKLE = array(np.array([{"run": "me"}], dtype=object), pickled=True)
LONG = array(np.zeros(1000, np.float32))
# A header that promises more numbers than there is memory for.
BOUNDLESS = array(np.zeros(10, np.float32)).replace(b"(10,), }            ", b"(10000000000000,), }")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])
def test_arrays_are_read_as_they_were_saved(save: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(saved(save))
    found = npz_arrays(file)
    assert found.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype
        assert np.array_equal(found[name], expected)
        assert found[name].flags.writeable


def test_what_is_written_to_an_array_does_not_reach_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(saved(np.savez))
    npz_arrays(file)["a/kernel"][:] = 9
    assert np.array_equal(npz_arrays(file)["a/kernel"], ARRAYS["a/kernel"])


def test_types_are_called_as_safetensors_calls_them(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    arrays = {
        "half": np.zeros(1, "f2"),
        "big": np.zeros(1, ">f4"),
        "jax": np.zeros(1, "V2"),
        "count": np.zeros(1, "i4"),
    }
    np.savez(file, **arrays)  # type: ignore[arg-type]
    types = {tensor.name: tensor.dtype for tensor in tensor_shapes(file)}
    assert types == {"half": "F16", "big": "F32", "jax": "BF16", "count": "int32"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "it is empty", id="empty"),
        pytest.param(b"no archive", "File is not a zip file", id="something else"),
        pytest.param(saved(np.savez)[:-1], "x.npz cannot be read", id="cut at the end"),
        pytest.param(saved(np.savez)[100:], "x.npz cannot be read", id="cut at the beginning"),
        pytest.param(zipped("x.npy", PICKLE), "x.npy in it is a pickle, which can run any code", id="pickle"),
        pytest.param(zipped("x.npy", PICKLE, zipfile.ZIP_DEFLATED), "is a pickle", id="compressed pickle"),
        pytest.param(zipped("data.pkl", b"x"), "data.pkl in it is no array", id="a member that is no array"),
        pytest.param(zipped("x.npy", b""), "x.npz cannot be read", id="an empty member"),
        pytest.param(zipped("x.npy", b"no array at all"), "magic string is not correct", id="no array in a member"),
        pytest.param(zipped("x.npy", LONG[:-4]), "x.npy in it is cut off", id="an array that is cut off"),
        pytest.param(zipped("x.npy", LONG[:-4], zipfile.ZIP_DEFLATED), "is cut off", id="cut off, then compressed"),
        pytest.param(zipped("x.npy", BOUNDLESS), "x.npy in it is cut off", id="a header that promises too much"),
        pytest.param(zipped("x.npy", BOUNDLESS, zipfile.ZIP_DEFLATED), "is cut off", id="the same compressed"),
        pytest.param(zipped("x.npy", array(np.zeros(2)).replace(b"(2,)", b"(-2)")), "cannot be read", id="no length"),
    ],
)
def test_a_damaged_archive_is_one_error(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        npz_arrays(file)
    message = str(raised.value)
    assert says in message
    assert message.startswith(f"{file} cannot be read (")
    assert message.endswith("). Fetch the checkpoint again.")


def test_damaged_compressed_numbers_are_an_error(tmp_path: Path) -> None:
    content = bytearray(zipped("x.npy", array(np.arange(1000.0)), zipfile.ZIP_DEFLATED))
    content[60:200] = bytes(140)
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.npz cannot be read"):
        npz_arrays(tmp_path / "x.npz")


@pytest.mark.parametrize("length", range(0, 2000, 97))
def test_a_file_that_is_cut_off_anywhere_is_one_error(length: int, tmp_path: Path) -> None:
    content = (GOLDENS / "jax-hybrid" / "R50+ViT.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(content[: len(content) * length // 2000])
    with pytest.raises(ModelError, match="Fetch the checkpoint again"):
        npz_arrays(tmp_path / "x.npz")


# Archives that claim more than they hold.

CLAIM = 200_000_000  # bytes


def header_of(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def add_zeros(file: Path, name: str, header: bytes) -> None:
    """Add a member of ``CLAIM`` zero bytes after a header, which takes a few hundred kilobytes."""
    with (
        zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        member.write(header)
        for _ in range(CLAIM // 1_000_000):
            member.write(bytes(1_000_000))


# The member of an archive that is added, the length that its header says, and what is done with the archive.
CLAIMS = {
    "the shapes": ("x.npy", CLAIM // 4, "tensor_shapes(file)"),
    "the network": ("x.npy", CLAIM // 4, "Checkpoint.read(file)"),
    "more bytes than the header says": ("x.npy", 10, "npz_arrays(file)"),
    "what the network lacks": ("head/x.npy", CLAIM // 4, "read_weights(Checkpoint.read(file))"),
    "a training state": ("opt/state/x.npy", CLAIM // 4, "read_weights(Checkpoint.read(file))"),
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, int], tuple[Path, Path]]:
    """For each member and length, an archive without it and one with it."""
    made = {}
    for name, length in sorted({(name, length) for name, length, _ in CLAIMS.values()}):
        folder = tmp_path_factory.mktemp("archives")
        small, large = folder / "small.npz", folder / "large.npz"
        with np.load(GOLDENS / "jax-hybrid" / "R50+ViT.npz") as arrays:
            np.savez(small, **{f"opt/target/{name}": array for name, array in arrays.items()})
        shutil.copy(small, large)
        add_zeros(large, name, header_of((length,)))
        assert large.stat().st_size < small.stat().st_size + CLAIM // 100
        made[name, length] = small, large
    return made


READ_WEIGHTS = "from vithybrid_cli.checkpoints.load import read_weights"  # which imports torch


def peak_memory(code: str, *files: Path) -> list[int]:
    """The most memory that a process of its own has taken after ``code`` for each file in turn, an archive."""
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from vithybrid_cli.checkpoints.checkpoint import Checkpoint\n"
        f"{READ_WEIGHTS if 'read_weights' in code else ''}\n"
        "from vithybrid_cli.checkpoints.weights import npz_arrays, tensor_shapes\n"
        "from vithybrid_cli.errors import ModelError\n"
        "for file in map(Path, sys.argv[1:]):\n"
        f"    try:\n        {code}\n    except ModelError:\n        pass\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    said = subprocess.check_output([sys.executable, "-c", script, *map(str, files)], cwd=ROOT, text=True)
    return [int(peak) for peak in said.split()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no getrusage")
@pytest.mark.parametrize("claim", CLAIMS)
def test_what_is_not_needed_of_an_archive_takes_no_memory(
    claim: str, archives: Mapping[tuple[str, int], tuple[Path, Path]]
) -> None:
    name, length, code = CLAIMS[claim]
    small, large = peak_memory(code, *archives[name, length])
    assert large < 1.3 * small


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(3), b=np.ones(3))
    assert npz_arrays(tmp_path / "x.npz", {"a"}).keys() == {"a"}


def test_compressed_arrays_unpack_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1000), b=np.zeros(1000))
    monkeypatch.setattr(weights, "_MAX_UNPACKED", 10_000)
    with pytest.raises(ModelError, match="its arrays unpack to"):
        npz_arrays(tmp_path / "x.npz")
    assert npz_arrays(tmp_path / "x.npz", {"a"}).keys() == {"a"}


def test_a_member_that_claims_more_than_it_can_hold_is_one_error(tmp_path: Path) -> None:
    content = zipped("x.npy", LONG, zipfile.ZIP_DEFLATED)
    claimed = content.replace(len(LONG).to_bytes(4, "little"), (3 * 10**9).to_bytes(4, "little"))
    (tmp_path / "x.npz").write_bytes(claimed)
    with pytest.raises(ModelError, match=r"x\.npy in it claims more bytes than it has"):
        tensor_shapes(tmp_path / "x.npz")


def test_members_that_share_their_bytes_are_one_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", LONG)
        archive.filelist.append(archive.filelist[0])
    with pytest.raises(ModelError, match="its members overlap"):
        tensor_shapes(tmp_path / "x.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_numpy_does_not_write_is_one_error(compression: int, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped("x.npy", LONG, compression))
    with pytest.raises(ModelError, match=r"x\.npy in it is compressed in a way that is not supported"):
        npz_arrays(tmp_path / "x.npz")


@pytest.mark.parametrize("shape", [(0, 2**70), (0,) * 70], ids=["a length", "a number of axes"])
def test_a_shape_that_no_array_has_is_one_error(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped("x.npy", header_of(shape)))
    for read in (npz_arrays, tensor_shapes):
        with pytest.raises(ModelError, match=r"x\.npz cannot be read"):
            read(tmp_path / "x.npz")
