"""What was typed in a notebook: all the text that decides what a thing does, for its hash.

That is the source of its classes and functions, of the functions that these call or close over,
and the plain values that they close over or find among the names of the notebook.
"""

import functools
import inspect
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["text_of"]

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None))


def text_of(thing: object) -> str:
    """Return the text; empty: there is none that can be read.

    Args:
        thing: a class, or an object whose attributes hold functions.
    """
    parts = [*_parts(thing, set())]
    return "\n".join(text for _, text in parts) if any(is_own for is_own, _ in parts) else ""


def _parts(thing: Any, seen: set[int]) -> Iterator[tuple[bool, str]]:  # noqa: ANN401 - anything
    """Yield pieces of text, each with whether it says what a thing does."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, _PLAIN):
        yield False, repr(thing)
    elif isinstance(thing, tuple | list):
        for each in thing:
            yield from _parts(each, seen)
    elif isinstance(thing, functools.partial):
        yield from _parts((thing.func, thing.args, *thing.keywords.values()), seen)
    elif hasattr(thing, "__wrapped__"):  # by functools.cache, say
        yield from _parts(thing.__wrapped__, seen)
    elif inspect.isbuiltin(thing) or inspect.ismethoddescriptor(thing):
        yield True, f"built in: {thing.__qualname__}"
    elif inspect.isclass(thing):
        yield from _of_class(thing, seen)
    elif inspect.isfunction(thing):
        yield from _of_function(thing, seen)
    elif hasattr(thing, "__dict__") and not inspect.ismodule(thing):
        yield from _parts(type(thing), seen)
        for name, value in vars(thing).items():
            yield False, name
            yield from _parts(value, seen)


def _of_class(kind: type, seen: set[int]) -> Iterator[tuple[bool, str]]:
    if _is_library(kind.__module__):
        return
    if text := _source(kind):
        yield True, text
    for base in kind.__bases__:
        yield from _parts(base, seen)
    for value in vars(kind).values():
        if inspect.isfunction(value) or isinstance(value, property | staticmethod | classmethod):
            yield from _parts(getattr(value, "fget", getattr(value, "__func__", value)), seen)
        elif isinstance(value, _PLAIN):
            yield False, repr(value)


def _of_function(function: Any, seen: set[int]) -> Iterator[tuple[bool, str]]:  # noqa: ANN401
    is_own = not _is_library(function.__module__)
    if is_own:
        if not (text := _source(function)):
            return
        yield True, text
        for name in sorted(function.__code__.co_names):
            value = function.__globals__.get(name)
            if isinstance(value, _PLAIN) and value is not None:
                yield False, f"{name} = {value!r}"
            elif inspect.isfunction(value) or isinstance(value, functools.partial):
                yield from _parts(value, seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
    for default in (function.__defaults__ or (), tuple((function.__kwdefaults__ or {}).values())):
        yield from _parts(default, seen)


def _is_library(module: str | None) -> bool:
    """Whether a module is this package, torch or Python's own, whose versions run.json has."""
    return str(module).partition(".")[0] in ("rnn_exp", "torch", "builtins", "abc", "typing")


def _source(thing: Any) -> str:  # noqa: ANN401 - a class or a function
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""
