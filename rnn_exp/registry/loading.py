"""Running the files and packages of users, once in a process, and in others that train for it."""

import dataclasses
import functools
import importlib
import io
import os
import sys
import tokenize
import types
from pathlib import Path
from typing import Final

from rnn_exp.registry.packages import installed, loaded, source_of_entry
from rnn_exp.registry.source import Source, SourceError, hash_of, running

__all__ = ["NO_PLUGINS", "SourceText", "load_plugins", "use"]

NO_PLUGINS: Final = "RNN_EXP_PLUGINS"
"""The environment variable that keeps installed packages from being imported, if it is 0."""
_PREFIX: Final = "rnn_exp_use_"
_LARGEST: Final = 10_000_000  # bytes of a file that is used


@dataclasses.dataclass(frozen=True)
class SourceText:
    """A source as it is sent to another process: a file with its text, a package by its name.

    Args:
        source: what it is.
        text: of the file; None: it is a package, which has to be installed there as well.
    """

    source: Source
    text: bytes | None

    @classmethod
    def of(cls, source: Source) -> "SourceText":
        """Return a source that this process has run, to be sent.

        Raises:
            SourceError: if it was typed in a notebook, and is nowhere else.
        """
        if source.version:
            return cls(source, None)
        text = _text_run(source.name)
        if text is None or hash_of(text) != source.sha256:
            allowed = (
                "a file, unchanged since use has run it: only that can be sent to other processes"
            )
            raise SourceError("use", source.name, allowed)
        return cls(source, text)

    def load(self) -> None:
        """Run the source in this process, if it was not run yet.

        Raises:
            SourceError: if this process has another one under its name, or none.
        """
        if self.text is None:
            load_plugins()
            if self.source not in loaded():
                self._refuse_missing()
            return
        text = _text_run(self.source.name)
        if text is None:
            _run_text(self.source, self.text)
        elif text != self.text:
            other = Source(self.source.name, hash_of(text))
            allowed = f"the same file everywhere; a worker has {other}: start the workers anew"
            raise SourceError("use", str(self.source), allowed)

    def _refuse_missing(self) -> None:
        """Refuse a package that this process has not, or has otherwise."""
        same = [str(one) for one in loaded() if one.name == self.source.name]
        has = f"has {', '.join(same)}" if same else "does not have it"
        off = f" ({NO_PLUGINS}=0 is set there)" if os.environ.get(NO_PLUGINS) == "0" else ""
        allowed = f"the same package everywhere; a worker {has}{off}"
        raise SourceError("plugin", str(self.source), allowed)


def use(path: str | Path) -> Source:
    """Run a Python file that registers things; once, and again if it has changed.

    Args:
        path: of the file.

    Returns:
        Where the things come from.

    Raises:
        SourceError: if there is no such file, or it cannot be run.
    """
    file, shown = Path(path), str(path)
    if file.suffix != ".py" or not file.is_file():
        raise SourceError("use", shown, "the path of a Python file, such as mine.py")
    if file.stat().st_size > _LARGEST:
        raise SourceError("use", shown, f"a Python file of at most {_LARGEST} bytes")
    text = file.read_bytes()
    source = Source(file.name, hash_of(text), path=shown)
    known = sys.modules.get(_module_name(source.name))
    if known is not None:
        if known.__file__ != str(file.resolve()):
            used = Path(str(known.__file__))
            here = used.relative_to(Path.cwd()) if used.is_relative_to(Path.cwd()) else used
            allowed = f"a file with another name; {here} is in use under this one"
            raise SourceError("use", shown, allowed)
        if known.__dict__["__rnn_exp_text__"] == text:
            return source
    _check_encoding(text, shown)
    _run_text(source, text)
    return source


@functools.cache
def load_plugins() -> None:
    """Import what installed packages register: the modules of the entry points `GROUP`.

    They are looked for when a word is first looked up, not when this package is imported; with
    ``RNN_EXP_PLUGINS=0`` in the environment none is imported here. What a script imports itself
    registers all the same, as the package that it is part of.

    Raises:
        SourceError: if one cannot be imported.
    """
    if os.environ.get(NO_PLUGINS) == "0":
        return
    for entry in installed():
        source = source_of_entry(entry)
        with running(source, f"plugin={source.name}"):
            importlib.import_module(entry.module)
        if source not in loaded():
            loaded().append(source)


def _run_text(source: Source, text: bytes) -> None:
    """Run a file's text as a module, with what it registers as its own."""
    name = _module_name(source.name)
    module = types.ModuleType(name)
    module.__file__ = str(Path(source.path).resolve())
    module.__dict__["__rnn_exp_text__"] = text
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        with running(source, f"use={source.path}") as begun:
            exec(compile(text, source.path, "exec"), module.__dict__)
        module.__dict__["__rnn_exp_loading__"] = begun
        if before is not None:
            for remove in before.__dict__["__rnn_exp_loading__"].remove:
                remove()
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise


def _check_encoding(text: bytes, shown: str) -> None:
    """Refuse a file that is no text in its encoding, and say in which line."""
    what = "a Python file in UTF-8, or with its encoding in its first line"
    encoding, declared = "utf-8", ""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(text).readline)[0]
    except SyntaxError as error:  # of an encoding that is not known, or a byte in the first lines
        declared = f"; {error.msg}"
    try:
        text.decode(encoding)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = f"line {line} has the byte {text[error.start]:#04x}, which is not {encoding}"
        raise SourceError("use", shown, f"{what}; {byte}: save it as UTF-8") from None
    if declared or b"\0" in text:
        raise SourceError("use", shown, f"{what}{declared or '; zero bytes are no text'}")


def _text_run(name: str) -> bytes | None:
    """Return the text that this process has run of a file; None: it has run none.

    Args:
        name: of the file, without its folder.
    """
    return getattr(sys.modules.get(_module_name(name)), "__rnn_exp_text__", None)


def _module_name(name: str) -> str:
    return f"{_PREFIX}{name.removesuffix('.py')}"
