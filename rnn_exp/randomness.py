"""Random generators: one for every purpose of a run, derived from its seed.

No draw in the package uses torch's global generator, so what is drawn for one purpose does not
depend on how much was drawn for another, nor on the runs trained beside it.
"""

import contextlib
import hashlib
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import torch

__all__ = ["OutsideDraws", "generator"]

# Generators that a process shares; and how many changes prove that a run has drawn from one.
_PROOFS: Final = {"torch's global generator": 1, "numpy.random": 1, "random": 2}


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator seeded by the first 8 bytes of sha256("seed/purpose").

    Example:
        >>> a, b = generator(0, "weights"), generator(0, "data")
        >>> a.initial_seed() == generator(0, "weights").initial_seed() != b.initial_seed()
        True
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class OutsideDraws:
    """Finds random numbers that were not drawn from a run's own generator.

    Looked at are the generators that all of a process shares: torch's, numpy.random's, random's. Of
    the last one a single change is no proof, since threads of a cluster may draw from it as well.

    Args:
        parts: the words of a run's own parts, ``task=mine``; none: nothing is looked at.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts, self._changes = list(parts), dict.fromkeys(_PROOFS, 0)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """A context in which the own parts may draw nothing from a shared generator.

        Raises:
            ValueError: naming the parts and the generator, if something was drawn.
        """
        before = _shared_states() if self._parts else {}
        yield
        after = _shared_states() if self._parts else {}
        for name, state in before.items():
            self._changes[name] += after[name] != state
            if self._changes[name] >= _PROOFS[name]:
                raise ValueError(
                    f"{' or '.join(self._parts)} draws random numbers from {name}, so the run "
                    "could not be repeated: a task or an init draws from the generator that its "
                    "draw is given (torch.randn(…, generator=generator)); other parts draw nothing"
                )


def _shared_states() -> dict[str, bytes | tuple[object, ...]]:
    """Return the states of the generators that all of this process shares; nothing is imported."""
    torchs, numpys, pythons = _PROOFS
    found: dict[str, bytes | tuple[object, ...]] = {torchs: torch.get_rng_state().numpy().tobytes()}
    if "numpy.random" in sys.modules:
        kind, keys, *rest = sys.modules["numpy.random"].get_state()
        found[numpys] = (kind, keys.tobytes(), *rest)
    if "random" in sys.modules:
        found[pythons] = sys.modules["random"].getstate()
    return found
