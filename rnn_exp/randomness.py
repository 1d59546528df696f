"""Random generators: one for every purpose of a run, derived from its seed.

No draw in the package uses torch's global generator, so what is drawn for one purpose does not
depend on how much was drawn for another, nor on the runs trained beside it.
"""

import hashlib

import torch

__all__ = ["generator"]


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator seeded by the first 8 bytes of sha256("seed/purpose").

    Example:
        >>> a, b = generator(0, "weights"), generator(0, "data")
        >>> a.initial_seed() == generator(0, "weights").initial_seed() != b.initial_seed()
        True
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
