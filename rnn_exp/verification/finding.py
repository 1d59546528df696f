"""What a check has found: what was compared, how far it is off, what is allowed."""

import dataclasses
import math

__all__ = ["Finding", "truth"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One comparison.

    Args:
        part: what was checked: ``task=mine``.
        claim: what should be so, and where it was looked.
        off: how far it is off, in units of the claim; NaN counts as off.
        allowed: how far it may be off.
        is_truth: whether the claim is true or false, and nothing was measured.
    """

    part: str
    claim: str
    off: float
    allowed: float
    is_truth: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return not math.isnan(self.off) and self.off <= self.allowed

    def __str__(self) -> str:
        word = "ok " if self.holds else "OFF"
        how = "" if self.is_truth else f" (off by {self.off:.2g}, allowed {self.allowed:.2g})"
        return f"{word} {self.part}: {self.claim}{how}"


def truth(part: str, claim: str, holds: bool) -> Finding:
    """Return the finding of a claim that is true or false.

    Args:
        part: what was checked.
        claim: what should be so.
        holds: whether it is.
    """
    return Finding(part, claim, 0.0 if holds else math.inf, 0.0, is_truth=True)
