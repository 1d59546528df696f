"""Arrays out of npz and idx files, which are trusted for nothing.

Nothing is unpacked before it is known how large it will be, and no object of Python is made.
"""

import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rnn_exp.fields import SettingError

__all__ = ["arrays_of_npz", "idx_array", "is_npz"]

_LARGEST: Final = 2 << 30
_IDX_BYTES: Final = 8  # the type of unsigned bytes
_MOST_DIMENSIONS: Final = 4


def is_npz(content: bytes) -> bool:
    """Say whether a file begins as an npz file does."""
    return content.startswith(b"PK")


def arrays_of_npz(
    content: bytes, shown: str, choices: Sequence[Sequence[str]]
) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file that bear the first of some groups of names.

    Args:
        content: of the file.
        shown: its path as it was typed, for messages.
        choices: groups of names of arrays.

    Raises:
        SettingError: if it is no npz file, has none of the groups, or an array of it is no plain
            array of numbers or larger than 2 GiB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            there = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
            for names in choices:
                if set(names) <= set(there):
                    return {name: _npy(file, there[name], shown) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _refusal(shown, error) from None
    wanted = " or ".join(", ".join(names) for names in choices)
    found = ", ".join(name for name in list(there)[:9] if name.isprintable())
    raise SettingError("file", shown, f"an npz file with {wanted}; it has {found or 'nothing'}")


def _npy(file: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str) -> np.ndarray:
    """Return an array, having looked at the size that its header promises."""
    name = info.filename
    try:
        with file.open(info) as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                header = np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "uifb" or not 0 < size <= min(info.file_size, _LARGEST):
            what = f"{name} is to hold {dtype} of shape {shape}"
            allowed = f"an npz file with arrays of numbers of at most 2 GiB; {what}"
            raise SettingError("file", shown, allowed)
        with file.open(info) as member:
            array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    except SettingError:
        raise
    except (ValueError, OSError, TypeError, OverflowError, MemoryError, SyntaxError) as error:
        raise _refusal(shown, error) from None
    return array


def idx_array(content: bytes, shown: str) -> np.ndarray:
    """Return the array in an idx file of unsigned bytes, compressed by gzip or not.

    The format is that of LeCun, Cortes & Burges' MNIST: two zero bytes, the type, how many
    dimensions, each of them in four bytes, the largest first, and the numbers.

    Args:
        content: of the file.
        shown: its path as it was typed, for messages.

    Raises:
        SettingError: if it is no such file.
    """
    what = "an npz file, or an idx file of unsigned bytes (idx3-ubyte, idx1-ubyte), also as .gz"
    stream: Any = io.BytesIO(content)
    if content.startswith(b"\x1f\x8b"):
        stream = gzip.GzipFile(fileobj=stream)
    try:
        head = stream.read(4)
        if len(head) < 4 or head[:3] != bytes([0, 0, _IDX_BYTES]) or head[3] > _MOST_DIMENSIONS:
            raise SettingError("file", shown, f"{what}; it begins otherwise")
        shape = tuple(int.from_bytes(stream.read(4), "big") for _ in range(head[3]))
        size = math.prod(shape)
        if not 0 < size <= _LARGEST:
            raise SettingError("file", shown, f"{what}, of at most 2 GiB; its shape is {shape}")
        data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _refusal(shown, error) from None
    if len(data) != size:
        more = "more than" if len(data) > size else f"{len(data)} of"
        raise SettingError("file", shown, f"{what}; it has {more} the {size} bytes of its shape")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _refusal(shown: str, error: Exception) -> SettingError:
    why = " ".join(str(error).split())[:80] or type(error).__name__
    return SettingError("file", shown, f"a whole npz or idx file; {why}")
