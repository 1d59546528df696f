"""Registries: the things of one kind that a word can choose, each under its own name."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

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

    def register(self, thing: U) -> U:
        """Add a thing under its ``name``; works as a decorator of classes as well.

        Args:
            thing: anything that has a ``name``: a class that states its own, or an object.

        Returns:
            The thing itself.

        Raises:
            TypeError: if it has no name that is a word.
            ValueError: if the name is taken, also by the thing itself.
        """
        name = getattr(thing, "name", None)
        if not isinstance(name, str):
            raise TypeError(f"a {self.kind} needs a name, and {thing!r} has {name!r}")
        if name in self._things:
            taken = f"the {self.kind} {name!r} is {self._things[name]!r}"
            raise ValueError(f"{taken}; {thing!r} needs another name")
        self._things[name] = cast(T, thing)
        return thing

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
