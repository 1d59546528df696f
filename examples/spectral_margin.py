"""A spectral margin: singular values of W_hh may lie within m of 1, and are drawn back from beyond.

    penalty   λ Σ_i max(0, |s_i − 1| − m)²,   s_i the singular values of W_hh

Vorontsov, Trabelsi, Kadoury & Pal (2017), "On orthogonality and learning recurrent networks with
long term dependencies", section 2.3, keep the singular values within the margin by a
parametrisation; this is the soft form of it, and the margin can be left at a cost.

    rnn-exp use=[examples/spectral_margin.py] training.spectral_margin=1 training.margin=0.1
"""

import dataclasses
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import number
from rnn_exp.training.own_penalties import OwnPenalty


@rx.register
@dataclasses.dataclass(frozen=True)
class SpectralMargin(OwnPenalty):
    """λ Σ max(0, |s_i − 1| − m)² over the singular values of W_hh.

    Args:
        spectral_margin: λ, its weight; 0: it is not used.
        margin: m.
    """

    spectral_margin: float = number(0.0, least=0)
    margin: float = number(0.1, least=0)

    name: ClassVar[str] = "spectral_margin"

    @property
    def weight(self):
        """By how much it counts."""
        return self.spectral_margin

    def value(self, weight_hh):
        """Return the value for each run; runs are taken one by one, so that none has other bits."""
        return torch.stack([self._of_run(W) for W in weight_hh])

    def _of_run(self, W):
        beyond = (torch.linalg.svdvals(W) - 1).abs() - self.margin
        return beyond.clamp(min=0).square().sum()
