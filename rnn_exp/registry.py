"""A registry: the things of one kind under their names, in the order in which they came."""

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ["Named", "Registry"]


@runtime_checkable
class Named(Protocol):
    """What can be registered: an object or a class with a name."""

    @property
    def name(self) -> str:
        """The word that chooses it."""
        ...


Thing = TypeVar("Thing")


class Registry(Mapping[str, Thing]):
    """The things of one kind by name: a mapping that only grows.

    Lists of options, refusals, help and the lists in tests are taken from here, so that a new thing
    is known everywhere once it is registered.

    Args:
        kind: what the things are, as in a message: ``activation``.

    Example:
        >>> COLOURS = Registry("colour")
        >>> @COLOURS.register
        ... class Red:
        ...     name = "red"
        >>> list(COLOURS), COLOURS["red"] is Red
        (['red'], True)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, Thing] = {}

    def register(self, thing: Thing) -> Thing:
        """Add a thing under its name and return it; a class can be decorated with this.

        Raises:
            TypeError: if it has no name.
            ValueError: if the name is taken.
        """
        name = getattr(thing, "name", None)
        if not isinstance(name, str) or not name:
            raise TypeError(f"{thing!r} has no name to be registered under as a {self.kind}")
        if name in self._things:
            raise ValueError(f"the {self.kind} {name!r} exists already: {self._things[name]!r}")
        self._things[name] = thing
        return thing

    def __getitem__(self, name: str) -> Thing:
        try:
            return self._things[name]
        except KeyError:
            raise KeyError(f"no {self.kind} {name!r}; there are {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}: {', '.join(self)})"
