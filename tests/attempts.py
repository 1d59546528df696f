"""Counts of the crash tests: what was tried, kind by kind, and what of it held."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TRIED, HELD = "tried", "held"


class Attempts:
    """Counts the attempts of one test.

    Args:
        note: is called with a name and a value when the test ends.
    """

    def __init__(self, note: Callable[[str, object], None]) -> None:
        self._note, self._counts = note, Counter[tuple[str, str]]()

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """A context that is one attempt; it held if nothing is raised in it."""
        self._counts[TRIED, kind] += 1
        yield
        self._counts[HELD, kind] += 1

    def close(self) -> None:
        """Hand the counts on."""
        for (what, kind), count in self._counts.items():
            self._note(f"{what}: {kind}", count)


def summary(properties: list[tuple[str, object]]) -> str:
    """Return one line with the counts of all tests; empty: nothing was tried."""
    counts = Counter[str]()
    for name, count in properties:
        counts[name] += int(str(count))
    kinds = sorted(name.removeprefix(f"{TRIED}: ") for name in counts if name.startswith(TRIED))
    said = []
    for kind in kinds:
        tried, held = counts[f"{TRIED}: {kind}"], counts[f"{HELD}: {kind}"]
        said.append(f"{kind}: {tried} tried, {held} held, {tried - held} failed")
    return "; ".join(said)
