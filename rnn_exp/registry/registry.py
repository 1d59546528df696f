"""Registries: the things of one kind that a word can choose, each under its own name."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from rnn_exp.registry.caller import source_of_caller
from rnn_exp.registry.source import Source, is_ours, loading, module_of_caller

__all__ = ["Registry"]

T = TypeVar("T")
U = TypeVar("U")


class Registry(Mapping[str, T]):
    """A mapping from names to things of one kind, in the order in which they were registered.

    Args:
        kind: what the things are, in the singular; for messages.

    Example:
        >>> SHAPES: Registry[type] = Registry("shape")
        >>> @SHAPES.register
        ... class Square:
        ...     name = "square"
        >>> list(SHAPES), SHAPES["square"] is Square
        (['square'], True)
        >>> SHAPES.where(lambda shape: shape is not Square)
        []
        >>> SHAPES["circle"]
        Traceback (most recent call last):
        KeyError: "no shape is called 'circle'; there are: square"
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._sources: dict[str, Source] = {}

    def register(self, thing: U, source: Source | None = None) -> U:
        """Add a thing under its ``name``; works as a decorator of classes as well.

        Args:
            thing: anything that has a ``name``: a class that states its own, or an object.
            source: where it comes from; None: from the module that calls.

        Returns:
            The thing itself.

        Raises:
            TypeError: if it has no name that is a word.
            ValueError: if the name is taken, also by the thing itself.
        """
        name = getattr(thing, "name", None)
        if not isinstance(name, str):
            raise TypeError(f"a {self.kind} needs a name, and {thing!r} has {name!r}")
        if source is None:
            module = module_of_caller(inspect.currentframe())
            source = None if is_ours(module) else source_of_caller(thing, module)
        before = (self._things.get(name), self._sources.get(name))
        if name in self._things and _is_older(self._sources.get(name), source):
            del self._things[name]  # a notebook's cell, or a file, that was run again
        if name in self._things:
            taken = f"the {self.kind} {name!r} is {self._things[name]!r}"
            raise ValueError(f"{taken}; {thing!r} needs another name")
        self._things[name] = cast(T, thing)
        if source is not None:
            self._sources[name] = source
        # A package that a file imports stays imported, whatever becomes of the file.
        if source is not None and (running := loading()) is not None and running.source == source:
            running.undo.append(lambda: self._restore(name, *before))
            running.remove.append(lambda: self._remove(name, source))
        return thing

    def source_of(self, name: str, kind: object = None) -> Source | None:
        """Return where a thing comes from; None: it is part of this package.

        Args:
            name: of the thing.
            kind: the class of what goes by this name, which may be registered nowhere; None: it is
                what is registered.
        """
        if isinstance(kind, type) and self._things.get(name) is not kind:
            module = vars(sys.modules[kind.__module__])
            return None if is_ours(module) else source_of_caller(kind, module)
        return self._sources.get(name)

    def _restore(self, name: str, thing: T | None, source: Source | None) -> None:
        """Let a name stand for what it stood for before; None: for nothing."""
        for things, value in ((self._things, thing), (self._sources, source)):
            things.pop(name, None)
            if value is not None:
                cast("dict[str, object]", things)[name] = value

    def _remove(self, name: str, source: Source | None) -> None:
        """Take a thing off, if it still comes from there."""
        if self._sources.get(name) is source:
            self._restore(name, None, None)

    def where(self, test: Callable[[T], bool]) -> list[str]:
        """Return the names of the things for which a test is true, for messages.

        Args:
            test: asks one thing what it can do.
        """
        return [name for name, thing in self.items() if test(thing)]

    def __getitem__(self, name: str) -> T:
        try:
            return self._things[name]
        except KeyError:
            there_are = f"there are: {', '.join(self)}"
            raise KeyError(f"no {self.kind} is called {name!r}; {there_are}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"<{self.kind}: {', '.join(self) or 'none'}>"


def _is_older(known: Source | None, source: Source | None) -> bool:
    """Whether a thing is that of the same file, or notebook, which is being run again."""
    if known is None or source is None or known is source:
        return False
    return known.name == source.name and (loading() is not None or source.is_typed)
