"""Files of data that tasks are made from: found once, known by their content.

A task keeps the SHA-256 of its file's bytes as a setting. So a file that was changed makes another
run, and whoever trains a run, also in another process or on another machine, refuses any file but
the one that the run was made with.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from rnn_exp.data import DataError, Label, Table, read_table
from rnn_exp.fields import Allowed, SettingError, choice_error

__all__ = [
    "FileTask",
    "TaskFiles",
    "content_hash",
    "labels_of",
    "numbers_of",
    "only_column",
    "sha256_field",
    "table_of",
    "text",
]

_LARGEST: Final = 1 << 30
_LONGEST_TEXT: Final = 500
_Values = TypeVar("_Values", np.ndarray, list[Label])


def text(words: str, *, short: str | None = None, named: bool = True, decides: bool = True) -> Any:  # noqa: ANN401
    """Declare a field that accepts a line of text or null, which is the default.

    Args:
        words: what it is, in words.
        short: what it is called in the name of a run.
        named: whether it is told in the name of a run.
        decides: whether two values that differ in it alone are two.
    """

    def test(v: object) -> bool:
        is_line = isinstance(v, str) and v.isprintable() and "${" not in v
        return v is None or (is_line and 0 < len(str(v)) <= _LONGEST_TEXT)

    metadata: dict[str, Any] = {"allowed": Allowed(test, f"{words}, or null"), "named": named}
    metadata |= {} if short is None else {"short": short}
    return dataclasses.field(default=None, compare=decides, metadata=metadata)


def sha256_field() -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    """Declare the field that has the hash of a task's file; null: of the file as it is."""
    return text("64 hex digits, the SHA-256 of the file", named=False)


class FileTask:
    """A task made from a file: what its fields ``file`` and ``sha256`` mean.

    ``file`` is a path as seen from the folder in which the task is described; ``sha256`` is filled
    in then. The whole path goes along to other processes.
    """

    file: str | None
    sha256: str | None

    def find_file(self, what: str) -> None:
        """Find the file, and those beside it, and keep their hash.

        Args:
            what: the file is to be, in words.

        Raises:
            SettingError: if there is none, or it is another than the one whose hash is given.
        """
        if self.file is None:
            raise SettingError("file", None, f"the path of {what}")
        path = Path(self.file).absolute()
        found = TaskFiles((path, *self.beside(path)), self.file).hashed(what)
        if self.sha256 not in (None, found.sha256):
            raise _changed(self.file, str(self.sha256), found.sha256)
        object.__setattr__(self, "sha256", found.sha256)
        object.__setattr__(self, "_source", found)

    @property
    def source(self) -> "TaskFiles":
        """The file, and those beside it."""
        source: TaskFiles = self.__dict__["_source"]
        return source

    def beside(self, path: Path) -> list[Path]:
        """Return the other files that belong to the one that is named: none, as a rule.

        Args:
            path: of the file that is named.
        """
        del path
        return []


class TaskFiles(NamedTuple):
    """The files that a task is made from.

    Args:
        paths: whole ones.
        shown: the path of the first one as it was typed.
        sha256: of its bytes; where there are several files, of the lines of their hashes.
    """

    paths: tuple[Path, ...]
    shown: str
    sha256: str = ""

    def hashed(self, what: str) -> "TaskFiles":
        """Return the same files with their hash.

        Args:
            what: they are to be, in words.

        Raises:
            SettingError: if one cannot be read.
        """
        hashes = [content_hash(path, self._typed(path), what) for path in self.paths]
        return self._replace(sha256=_joined(hashes))

    def contents(self) -> list[bytes]:
        """Return the bytes of every file.

        Raises:
            SettingError: if one was changed since the task was described, or is not there.
        """
        contents = []
        for path in self.paths:
            try:
                contents.append(path.read_bytes())
            except OSError as error:
                raise _unreadable(self._typed(path), error, "the file of the run") from None
        found = _joined([hashlib.sha256(content).hexdigest() for content in contents])
        if found != self.sha256:
            raise _changed(self.shown, self.sha256, found)
        return contents

    def _typed(self, path: Path) -> str:
        """Return the path of a file as it would be typed."""
        is_first = path == self.paths[0]
        return self.shown if is_first else str(Path(self.shown).with_name(path.name))


def _joined(hashes: Sequence[str]) -> str:
    """Return the hash of a file, or one of the hashes of several."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def content_hash(path: Path, shown: str, what: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex digits; of a file as it was, it is remembered.

    Args:
        path: of the file.
        shown: the path as it was typed, for messages.
        what: the file is to be, in words.

    Raises:
        SettingError: if it cannot be read, or is larger than 1 GiB.
    """
    try:
        stat = path.stat()
        if not path.is_file():
            raise SettingError("file", shown, f"the path of {what}; this is none")
        if stat.st_size > _LARGEST:
            raise SettingError("file", shown, f"{what} of at most 1 GiB")
        return _hashed(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except (OSError, ValueError) as error:
        if isinstance(error, SettingError):
            raise
        raise _unreadable(shown, error, what) from None


@functools.lru_cache(maxsize=64)
def _hashed(path: Path, *_: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unreadable(shown: str, error: Exception, what: str) -> SettingError:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    why = "there is none" if missing else f"it cannot be read ({type(error).__name__})"
    seen = "" if Path(shown).is_absolute() else ", seen from the folder of the command"
    return SettingError("file", shown, f"the path of {what}{seen}; {why}")


def _changed(shown: str, wanted: str, found: str) -> SettingError:
    allowed = f"null, or {found}: {shown} is another file than the one that the run was made with"
    return SettingError("sha256", wanted, allowed)


def table_of(source: TaskFiles) -> Table:
    """Return the table in a task's file.

    Args:
        source: the file.

    Raises:
        SettingError: if it is another one, or none that can be read.
    """
    content, file = source.contents()[0], source.shown
    try:
        return read_table(content, file)
    except DataError as error:
        raise SettingError("file", file, error.allowed) from None


def numbers_of(table: Table, columns: Sequence[tuple[str, str]]) -> np.ndarray:
    """Return columns of numbers, (row, column), in float64.

    Args:
        table: that has them.
        columns: the setting that asks for each, and its name.

    Raises:
        SettingError: if there is no such column, or a cell of it is no finite number.
    """
    found = [_column(table, key, name, table.numbers) for key, name in columns]
    return np.stack(found, axis=-1)


def labels_of(table: Table, key: str, name: str) -> list[Label]:
    """Return a column of labels: whole numbers, or words.

    Args:
        table: that has it.
        key: the setting that asks for it.
        name: of the column.

    Raises:
        SettingError: if there is no such column, or a cell of it is no label.
    """
    return _column(table, key, name, table.labels)


def only_column(table: Table, key: str, besides: str | None = None) -> str:
    """Return the name of the only column that there is.

    Args:
        table: that has it.
        key: the setting that asks for it, without a name.
        besides: a column that is there for something else.

    Raises:
        SettingError: if there are several, or what is taken for its name is a number.
    """
    names = [name for name in table.names if name != besides]
    if len(names) != 1 and besides is None:
        raise choice_error(key, None, names)
    if len(names) != 1:
        raise SettingError(key, None, f"one or more of {', '.join(names)}, as a+b")
    if names[0].isdecimal():
        allowed = f"{names[0]}, if the first line of {table.shown} is a name and no number"
        raise SettingError(key, None, allowed)
    return names[0]


def _column(table: Table, key: str, name: str, read: Callable[[str], _Values]) -> _Values:
    if name not in table.names:
        raise choice_error(key, name, table.names)
    try:
        return read(name)
    except DataError as error:
        if error.column is None:
            raise SettingError("file", table.shown, error.allowed) from None
        raise SettingError(key, name, error.allowed) from None
