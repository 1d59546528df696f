"""Numbers of any size: float64 values beside a power of two for each sequence.

Multiplying by a power of two changes no digit, so what comes out does not depend on when numbers
are brought back to the middle of the range of float64.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.shapes import Float, Shaped

__all__ = ["LOG10_OF_2", "OF_ZERO", "Scaled"]

LOG10_OF_2 = math.log10(2.0)

OF_ZERO = -(1 << 40)
"""The exponent of what is exactly zero: below that of any number."""
_LEAST, _MOST, _DIGITS = -1022, 1023, 52
# No more is taken out at a time, so that a power of two holds it.
_STRIDE = 1000


class Scaled(NamedTuple):
    """The numbers values · 2^exponents; all numbers of a sequence and time step have one exponent.

    Example:
        >>> tiny = Scaled.of(torch.full((1, 1, 4), 1e-300, dtype=torch.float64))
        >>> product = Scaled(tiny.values * 1e-300, tiny.exponents).settled()
        >>> values, exponent = product.aligned()
        >>> round(float(values.norm().log10() + exponent * LOG10_OF_2), 3)
        -599.699
    """

    values: Float[Tensor, "*any batch k"]
    exponents: Shaped[Tensor, "*any batch"]

    @classmethod
    def zeros(cls, shape: tuple[int, ...], device: torch.device) -> "Scaled":
        """Return zeros of a shape; the last axis shares an exponent."""
        values = torch.zeros(shape, dtype=torch.float64, device=device)
        return cls(values, torch.full(shape[:-1], OF_ZERO, dtype=torch.int64, device=device))

    @classmethod
    def of(cls, values: Float[Tensor, "*any batch k"]) -> "Scaled":
        """Return numbers as they are, widened."""
        exponents = torch.zeros(values.shape[:-1], dtype=torch.int64, device=values.device)
        return cls(values.double(), exponents).settled()

    def between(self, start: int, stop: int) -> "Scaled":
        """Return the numbers of time steps start + 1 … stop."""
        return Scaled(self.values[start:stop], self.exponents[start:stop])

    def settled(self) -> "Scaled":
        """Return the same numbers, the largest value of a sequence between 1/2 and 1.

        What is infinite or NaN stays so.
        """
        largest = self.values.abs().amax(-1)
        own = torch.frexp(largest)[1].long().clamp(-_STRIDE, _STRIDE)
        own = torch.where(largest.isfinite(), own, 0)
        exponents = torch.where(largest == 0, OF_ZERO, self.exponents + own)
        return Scaled(self.values * _power_of_two(-own).unsqueeze(-1), exponents)

    def plus(self, other: "Scaled") -> "Scaled":
        """Return the sum; one that has fewer numbers a sequence is added to the first of these."""
        exponents = torch.maximum(self.exponents, other.exponents)
        values = self.values * _power_of_two(self.exponents - exponents).unsqueeze(-1)
        more = other.values * _power_of_two(other.exponents - exponents).unsqueeze(-1)
        values[..., : more.shape[-1]] += more
        return Scaled(values, exponents)

    def put(self, start: int, other: "Scaled") -> None:
        """Write numbers over those of time steps from start + 1 on."""
        steps = slice(start, start + len(other.values))
        self.values[steps], self.exponents[steps] = other

    @property
    def nothing(self) -> Shaped[Tensor, "*any batch"]:
        """Which sequences are exactly zero, of numbers that are `settled`."""
        return self.exponents == OF_ZERO

    def aligned(self) -> tuple[Float[Tensor, "*any batch k"], Float[Tensor, "*any"]]:
        """Return values that share an exponent over the batch, and it: one for each run and step.

        What is too small beside the largest of the batch to be held becomes 0.
        """
        largest = self.exponents.amax(-1)
        factors = _power_of_two(self.exponents - largest.unsqueeze(-1))
        return self.values * factors.unsqueeze(-1), largest.double()


def _power_of_two(exponents: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return 2^exponents exactly, made of bits; 0 below the normal numbers, the largest above."""
    bits = (exponents.clamp(_LEAST, _MOST) + _MOST) << _DIGITS
    return torch.where(exponents < _LEAST, 0.0, bits.view(torch.float64))
