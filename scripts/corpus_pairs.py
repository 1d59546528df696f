"""Coverings: few combinations of values in which every two values that go together meet."""

import itertools
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Factors", "Item", "Only", "Pair", "Row", "Value", "covering", "every_pair", "pairs_of"]

Value = str | int | float | bool | None
Row = Mapping[str, Value]
Factors = Mapping[str, Sequence[Value]]
Item = tuple[str, Value]
Pair = tuple[Item, Item]


class Only(NamedTuple):
    """A rule: with ``key`` at one of ``values``, ``other`` must be at one of ``allowed``."""

    key: str
    values: Collection[Value]
    other: str
    allowed: Collection[Value]

    def forbids(self, pair: Pair) -> bool:
        """Say whether these two values cannot be in one combination."""
        return any(
            (key, other) == (self.key, self.other)
            and value in self.values
            and opposite not in self.allowed
            for (key, value), (other, opposite) in (pair, pair[::-1])
        )


def every_pair(factors: Factors) -> Iterator[Pair]:
    """Return every two values of different factors, whether they go together or not."""
    for (one, values), (two, others) in itertools.combinations(factors.items(), 2):
        for value, other in itertools.product(values, others):
            yield (one, value), (two, other)


def pairs_of(row: Row, factors: Factors) -> Iterator[Pair]:
    """Return every two values of a combination, in the order of the factors."""
    return itertools.combinations([(key, row[key]) for key in factors], 2)


def covering(factors: Factors, rules: Sequence[Only]) -> list[Row]:
    """Return combinations that keep the rules and hold every pair that a combination can hold.

    Each is made around a pair that is missing still, by values that bring most other missing pairs
    with them. The same factors and rules give the same combinations, in the same order.

    Args:
        factors: the values of each factor; those with most values come first.
        rules: which values do not go together.

    Example:
        >>> covering({"a": (1, 2), "b": (1, 2)}, [Only("a", [2], "b", [1])])
        [{'a': 1, 'b': 1}, {'a': 1, 'b': 2}, {'a': 2, 'b': 1}]
    """
    search, result = _Search(factors, rules), list[Row]()
    while search.missing:
        first = next(iter(search.missing))
        row = search.around(first)
        if row is None:
            del search.missing[first]
            continue
        for pair in pairs_of(row, factors):
            search.missing.pop(pair, None)
        result.append({key: row[key] for key in factors})
    return result


class _Search:
    """The pairs that are missing still, as an ordered set, and what goes with what."""

    def __init__(self, factors: Factors, rules: Sequence[Only]) -> None:
        self.factors, self.draw = factors, random.Random(0)
        everything = dict.fromkeys(every_pair(factors))
        self.forbidden = {pair for pair in everything if any(rule.forbids(pair) for rule in rules)}
        self.missing = {pair: None for pair in everything if pair not in self.forbidden}
        self.places = {key: place for place, key in enumerate(factors)}

    def around(self, pair: Pair) -> Row | None:
        """Return a whole combination with these two values; None if there is none."""
        one, two = pair
        left = self._narrowed(self._narrowed(self.factors, one), two)
        return self._completed(dict(pair), left)

    def _completed(self, row: Row, left: Factors) -> Row | None:
        """Give values to the factors that are left; go back where nothing fits any more."""
        if not left:
            return row
        if not all(left.values()):
            return None
        key, fitting = next(iter(left.items()))
        shuffled = self.draw.sample(fitting, len(fitting))
        for value in sorted(shuffled, key=lambda value: -self._new(row, (key, value))):
            found = self._completed({**row, key: value}, self._narrowed(left, (key, value)))
            if found is not None:
                return found
        return None

    def _narrowed(self, left: Factors, item: Item) -> Factors:
        """Return what the other factors may still be beside this value."""
        return {
            key: [value for value in values if self._pair(item, (key, value)) not in self.forbidden]
            for key, values in left.items()
            if key != item[0]
        }

    def _new(self, row: Row, item: Item) -> int:
        """Count the missing pairs that this value makes with the values of a row."""
        return sum(self._pair(item, other) in self.missing for other in row.items())

    def _pair(self, one: Item, two: Item) -> Pair:
        """Return two values in the order of their factors."""
        return (one, two) if self.places[one[0]] < self.places[two[0]] else (two, one)
