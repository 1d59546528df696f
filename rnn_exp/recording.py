r"""Recording: what is measured at an update, per run, and per layer and time step.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. It is kept as log10.
"""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.activations import Activation
from rnn_exp.engines import Gradients
from rnn_exp.network import Network
from rnn_exp.norms import log10_norm, norm
from rnn_exp.settings import check, whole
from rnn_exp.shapes import Float, Shaped

__all__ = ["COLUMNS", "Recorded", "Recording", "profile", "record"]

COLUMNS = ("log10_total", "log10_direct", "saturation", "state_rms")


@dataclasses.dataclass(frozen=True)
class Recording:
    """How often to record: at every ``every``-th update, and always at the first and the last.

    Raises:
        SettingError: if ``every`` is below 1.
    """

    every: int = whole(10, least=1)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def wanted(self, update: int, updates: int) -> bool:
        """Say whether this update is recorded."""
        return update % self.every == 0 or update == updates - 1


class Recorded(NamedTuple):
    """What is measured at a recorded update, before the weights move."""

    error: Float[Tensor, " run"]
    clipped: Shaped[Tensor, " run"]
    recurrent_grad_norm: Float[Tensor, " run"]
    spectral_radius: Float[Tensor, " run"]
    largest_singular_value: Float[Tensor, " run"]
    profile: Float[Tensor, "column layer time run"]


def record(
    gradients: Gradients,
    weight_hh: Float[Tensor, "run hidden hidden"],
    error: Float[Tensor, " run"],
    clipped: Shaped[Tensor, " run"],
    network: Network,
) -> Recorded:
    """Measure an update; ``weight_hh`` is the top layer's, NaN where it is not all finite."""
    sane = weight_hh.isfinite().all(-1).all(-1)
    safe = torch.where(sane[:, None, None], weight_hh, 0.0).double()
    # Not abs(): that of complex numbers rounds the last few of a block in another way.
    radius = torch.view_as_real(torch.linalg.eigvals(safe)).square().sum(-1).amax(-1).sqrt()
    nothing = torch.full_like(sane, math.nan, dtype=torch.float64)
    return Recorded(
        error=error,
        clipped=clipped,
        recurrent_grad_norm=norm(gradients.parameters[f"weight_hh_l{network.num_layers - 1}"]),
        spectral_radius=torch.where(sane, radius, nothing),
        largest_singular_value=torch.where(sane, torch.linalg.svdvals(safe)[:, 0], nothing),
        profile=profile(gradients, network.phi),
    )


def profile(gradients: Gradients, activation: Activation) -> Float[Tensor, "column layer time run"]:
    """Return `COLUMNS` for every layer, time step and run.

    total and direct: log10 of the gradient norm. saturation: mean φ' over batch and units (the
    smaller, the more saturated). state_rms: root mean square of h over batch and units.
    """
    layers = []
    for states, direct, total in zip(
        gradients.states, gradients.direct, gradients.total, strict=True
    ):
        B, H = states.shape[-2:]
        per_sequence = 0.5 * math.log10(B)
        rms = norm(states)
        layers.append(
            torch.stack([
                log10_norm(total) + per_sequence,
                _from_the_end(log10_norm(direct) + per_sequence, len(states)),
                activation.slope(states).mean(dim=(-2, -1)).double(),
                rms / math.sqrt(B * H),
            ])
        )  # fmt: skip
    return torch.stack(layers, dim=1)


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    return torch.nn.functional.pad(norms, (0, 0, T - len(norms), 0), value=-math.inf)
