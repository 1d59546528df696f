"""Where something comes from that a module registers: a package, a file, or what was typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rnn_exp.registry.packages import source_of_package
from rnn_exp.registry.source import TYPED, Source, SourceError, hash_of, loading
from rnn_exp.registry.typed import text_of

__all__ = ["source_of_caller"]

_MAIN: Final = "__main__"


def source_of_caller(thing: object, module: Mapping[str, Any]) -> Source:
    """Return the source of something that is registered.

    It is the package that the registering module is part of, if that is one of the group of entry
    points; or what is being run (`use`, `load_plugins`); or the file of the module; or the text of
    the thing. A package is asked for first: whoever imports it, and also with RNN_EXP_PLUGINS=0,
    what it registers makes the same digests.

    Args:
        thing: what is registered.
        module: the globals of the module that registers it: a script, a test, a notebook.

    Raises:
        SourceError: if its source text cannot be had.
    """
    begun, file, name = loading(), module.get("__file__"), str(module.get("__name__", _MAIN))
    is_file = name == _MAIN or "__rnn_exp_text__" in module  # which `use` has run
    package = None if is_file else source_of_package(name)
    if package is not None:
        return package
    if begun is not None:
        return begun.source
    if file is not None and Path(file).is_file():
        return Source(Path(file).name, hash_of(Path(file).read_bytes()))
    text = text_of(thing)
    if not text:
        allowed = "something whose source text can be read; write it into a file and use that"
        raise SourceError("register", getattr(thing, "name", thing), allowed)
    return Source(TYPED, hash_of(text.encode()))
