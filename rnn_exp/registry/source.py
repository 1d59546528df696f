"""What a source is: where something comes from that is no part of this package.

The hash of its text is part of the identity of every run that needs it: a changed file makes
another run. While a source is run, what is registered is remembered as its own (`Loading`).
"""

import contextlib
import dataclasses
import hashlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final

__all__ = [
    "TYPED",
    "Loading",
    "Source",
    "SourceError",
    "hash_of",
    "is_ours",
    "loading",
    "module_of_caller",
    "running",
    "why_of",
]

_WRITTEN: Final = "<@beartype"  # of code that a checker has written, in the checked module's name
_CHECKERS: Final = ("jaxtyping", "beartype")  # stand between caller and callee in tests
TYPED: Final = "typed in Python"
"""The name of what was typed in a notebook."""
_LOADING: ContextVar["Loading | None"] = ContextVar("loading", default=None)


class SourceError(ValueError):
    """A source that cannot be used: how it was named, and what is allowed.

    Args:
        key: ``use``, ``plugin`` or ``register``.
        value: what came.
        allowed: what is allowed, in words.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key}={value} is not possible: allowed is {allowed}")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where something comes from that is no part of this package.

    Args:
        name: of the file, without its folder; or of the distribution and its module.
        sha256: of the text, in hex digits.
        version: of the distribution; empty: it is a file, or was typed.
        path: of the file, as it was typed; empty: it was not run by `use`.
    """

    name: str
    sha256: str
    version: str = ""
    path: str = dataclasses.field(default="", compare=False)

    @property
    def identity(self) -> list[str]:
        """What enters the digest of a run that needs it."""
        return [self.name, self.version, self.sha256]

    @property
    def is_typed(self) -> bool:
        """Whether it was typed in a notebook, and is no file."""
        return self.name == TYPED

    @property
    def in_full(self) -> str:
        """What run.json says of it."""
        return " ".join([self.name, *([self.version] if self.version else []), self.sha256])

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"{self.name}{version} (sha256 {self.sha256[:12]})"


@dataclasses.dataclass(frozen=True)
class Loading:
    """A source that is being run.

    Args:
        source: what it is.
        undo: what undoes each registration so far.
        remove: what takes off what each of them added, once a newer text has been run.
    """

    source: Source
    undo: list[Callable[[], None]] = dataclasses.field(default_factory=list)
    remove: list[Callable[[], None]] = dataclasses.field(default_factory=list)


def loading() -> Loading | None:
    """Return what is being run; None: no source is."""
    return _LOADING.get()


def is_ours(module: Mapping[str, Any]) -> bool:
    """Say whether a module, given by its globals, is part of this package."""
    return str(module.get("__name__", "")).startswith(f"{__name__.partition('.')[0]}.")


def module_of_caller(frame: FrameType | None) -> Mapping[str, Any]:
    """Return the globals of the module that calls a function.

    Args:
        frame: of the function.
    """
    while frame is not None and (frame := frame.f_back) is not None:
        module = str(frame.f_globals.get("__name__")).partition(".")[0]
        if module not in _CHECKERS and not frame.f_code.co_filename.startswith(_WRITTEN):
            return frame.f_globals
    return {}


@contextlib.contextmanager
def running(source: Source, word: str) -> Iterator[Loading]:
    """Let what is registered meanwhile be a source's; say in one line why it cannot be run."""
    begun = Loading(source)
    token = _LOADING.set(begun)
    key, _, value = word.partition("=")
    try:
        yield begun
    except BaseException as error:
        for undo in reversed(begun.undo):
            undo()
        if isinstance(error, SourceError) or not isinstance(error, (Exception, SystemExit)):
            raise
        what = "a package that can be imported" if key == "plugin" else "a file that runs"
        allowed = f"{what} without an error; {why_of(error, source)}"
        raise SourceError(key, value, allowed) from error
    finally:
        _LOADING.reset(token)


def why_of(error: BaseException, source: Source) -> str:
    """Say in one line what an error is, and in which line of a source.

    Args:
        error: that was raised.
        source: whose lines are looked for.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if frame.filename == source.path]
    line = own[-1] if own else getattr(error, "lineno", None)
    where = "" if line is None else f"line {line}: "
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())}"


def hash_of(text: bytes) -> str:
    """Return the SHA-256 of a text, in hex digits."""
    return hashlib.sha256(text).hexdigest()
