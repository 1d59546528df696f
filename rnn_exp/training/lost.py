r"""Norms that training has lost to under- or overflow: what they truly are, and what it saw.

Training's own pass is left as it is: what it sees is what it learns from. Where a recorded norm is
below the floor of the precision, zero, or not finite, a second pass without a floor
(`networks.rescaled`) fills in the true value, for the runs concerned alone; a status beside each
norm says what training saw. Zeros that are so by construction ask for no second pass.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.ends import ByLag
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import norm_statuses
from rnn_exp.schema import GRADIENT_STATUSES, TABLES
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import SequenceBatch
from rnn_exp.training.batch import BatchGradients, RunBatch
from rnn_exp.training.columns import rescaled_late, rescaled_profile

__all__ = ["with_statuses"]

Columns = Mapping[str, Tensor]

_STATUS_OF = {column.of: column.name for column in TABLES["gradients"].columns if column.of}
_OK = GRADIENT_STATUSES.index("ok")
_TOTAL, _DIRECT, _MEMORY = "log10_total", "log10_direct", "log10_memory"
_CONTRIBUTION = "log10_contribution"
_LATE, _LATE_MEMORY = "log10_late", "log10_late_memory"
_LATE_PASS = (_LATE, _LATE_MEMORY)


def with_statuses(
    seen: Columns,
    batch: RunBatch,
    data: SequenceBatch,
    gradients: BatchGradients,
    lags: ByLag | None = None,
) -> dict[str, Tensor]:
    """Return the columns with lost norms filled in, and a status beside each norm.

    A norm whose status is ok is what training computed.

    Args:
        seen: what training computed, as `columns.profile` returns it.
        batch: the runs.
        data: the update's sequences.
        gradients: of the update.
        lags: as `columns.profile` takes them.
    """
    norms = {name: values for name, values in seen.items() if name in _STATUS_OF}
    names, values = list(norms), torch.stack(list(norms.values()))
    small = values < _floors(names, batch.network, batch.training.batch_size).to(values.device)
    cut = _cut_off(names, values, batch, data)
    lost = _asking(names, small | (values < math.inf).logical_not_(), cut, batch, data)
    true, spoilt = values, small
    if bool(lost.any()):
        of = dict(zip(names, lost, strict=True))
        found = norms | _second_pass(norms, of, batch, data, gradients.network, lags)
        passed = _passed_by(dict(zip(names, small, strict=True)))
        true = torch.stack([found[name] for name in names])
        spoilt = torch.stack([passed[_LATE if name in _LATE_PASS else _TOTAL] for name in names])
    statuses = norm_statuses(values, true, small, spoilt, cut)
    kept = values if true is values else torch.where(statuses == _OK, values, true)
    words = [_STATUS_OF[name] for name in names]
    own = dict(zip(names, kept.unbind(), strict=True))
    return {**seen, **own, **dict(zip(words, statuses.unbind(), strict=True))}


def _second_pass(
    norms: Columns,
    lost: Mapping[str, Tensor],
    batch: RunBatch,
    data: SequenceBatch,
    gradients: Gradients,
    lags: ByLag | None,
) -> dict[str, Tensor]:
    """Return the columns of which any norm is lost, the true norms of the runs concerned in them.

    The pass of the last answer's loss alone, and that of the whole loss: each where it is needed.
    """
    result: dict[str, Tensor] = {}
    for late in (False, True):
        names = [name for name in norms if (name in _LATE_PASS) == late]
        runs, until = _concerned([lost[name] for name in names])
        if not runs:
            continue
        pieces = batch.rescaled(data, gradients, runs, late=late)
        if late:
            found = rescaled_late(pieces, until)
        else:
            network = batch.network
            cell, name = network.make_cell(), network.kind.recurrent
            own = None if lags is None else lags.of_runs(runs)
            found = rescaled_profile(pieces, until, cell, name, own)
        for name, values in found.items():
            result[name] = norms[name].clone()
            result[name][:, :until, runs] = values
        del pieces, found  # or the second pass would have both
    return result


def _concerned(lost: Sequence[Tensor]) -> tuple[list[int], int]:
    """Return the places of the runs that have lost a norm, and the last time step of a lost one."""
    if not lost:
        return [], 0
    anywhere = torch.stack(list(lost)).any(0).any(0)
    times = anywhere.any(1).nonzero().flatten().tolist()
    return anywhere.any(0).nonzero().flatten().tolist(), max(times, default=-1) + 1


def _floors(names: Sequence[str], network: Network, B: int) -> Float[Tensor, "column 1 1 1"]:
    """Return log10 of each norm when every entry is the smallest normal number of the precision.

    B sequences and H units with entries of size e make a gradient norm √B ‖G‖_F = e B √H; the
    entries of a C_t make ‖C_t‖_F = e H √gates.
    """
    H, tiny = network.hidden_size, math.log10(torch.finfo(network.torch_dtype).tiny)
    floor = tiny + math.log10(B) + 0.5 * math.log10(H)
    of_contribution = tiny + math.log10(H) + 0.5 * math.log10(network.kind.gates)
    if not network.kind.has_matrix:
        of_contribution = tiny + 0.5 * math.log10(network.kind.recurrent_size(H))
    found = [of_contribution if name == _CONTRIBUTION else floor for name in names]
    return torch.tensor(found, dtype=torch.float64).view(-1, 1, 1, 1)


def _there(data: SequenceBatch, values: Shaped[Tensor, "*any time run"]) -> Tensor:
    """Say which time steps the longest sequence of each run has."""
    time = torch.arange(1, values.shape[-2] + 1, device=values.device).unsqueeze(-1)
    return time <= torch.tensor(data.lengths, device=values.device)


def _cut_off(
    names: Sequence[str],
    values: Float[Tensor, "column layer time run"],
    batch: RunBatch,
    data: SequenceBatch,
) -> Shaped[Tensor, "column layer time run"] | None:
    """Say which norms truncated backpropagation does not reach; None: nothing is truncated.

    What has no loss has no direct part in the top layer, cut or not.
    """
    if batch.training.truncation is None:
        return None
    cut = torch.zeros_like(values, dtype=torch.bool)
    for run, windows in enumerate(batch.windows(data)):
        cut[..., run] = True
        for window in windows:
            cut[:, :, window.start : window.end, run] = False
    cut &= _there(data, values)
    for place, name in enumerate(names):
        if name in _LATE_PASS:
            cut[place] = False
        if name == _DIRECT:
            cut[place, -1] = False
    return cut


def _asking(
    names: Sequence[str],
    odd: Shaped[Tensor, "column layer time run"],
    cut: Shaped[Tensor, "column layer time run"] | None,
    batch: RunBatch,
    data: SequenceBatch,
) -> Shaped[Tensor, "column layer time run"]:
    """Return the odd norms but those that are zero whatever the weights are, or of no time step."""
    if cut is not None:
        odd = odd & ~cut
    if min(data.lengths) < odd.shape[-2]:
        odd = odd & _there(data, odd)
    for place, name in enumerate(names):
        if name == _CONTRIBUTION and batch.network.initial_state == 0:
            odd[place, :, 0].zero_()
        if name == _DIRECT:
            # In the top layer, what has no loss has none; and what has one is the total's.
            odd[place, -1].zero_()
    return odd


def _passed_by(small: Mapping[str, Tensor]) -> dict[str, Shaped[Tensor, "layer time run"]]:
    """Say which gradients have come through one that had lost digits, by the pass they are of.

    That is later in time, or in a layer above.
    """
    of_pass = {_TOTAL: small[_TOTAL] | small.get(_MEMORY, small[_TOTAL])}
    if _LATE in small:
        of_pass[_LATE] = small[_LATE] | small.get(_LATE_MEMORY, small[_LATE])
    return {
        name: values.flip(0, 1).int().cummax(1)[0].cummax(0)[0].flip(0, 1).bool()
        for name, values in of_pass.items()
    }
