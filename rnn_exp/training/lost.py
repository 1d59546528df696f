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
from rnn_exp.shapes import Shaped
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
    T, device = data.inputs.shape[0], data.inputs.device
    time = torch.arange(1, T + 1, device=device).unsqueeze(-1)
    there = time <= torch.tensor(data.lengths, device=device)
    beyond = _beyond_the_cut(batch, data, time) & there
    floors = _floors(batch.network, batch.training.batch_size)
    small = {name: values < floors[name] for name, values in norms.items()}
    odd = {name: small[name] | ~(values < math.inf) for name, values in norms.items()}
    plain = _plain(odd)
    lost = {
        name: odd[name] & there & ~_zero_by_construction(name, batch, time, beyond)
        for name, values in norms.items()
    }
    true = norms | _second_pass(norms, lost, batch, data, gradients.network, lags)
    passed, result = _passed_by(small), dict(seen)
    for name, values in norms.items():
        late = name in _LATE_PASS
        cut = torch.zeros_like(beyond) if late else beyond
        if name == _DIRECT:  # what has no loss has no direct part in the top layer, cut or not
            top = torch.arange(len(values), device=device) == len(values) - 1
            cut = beyond & ~top.view(-1, 1, 1)
        spoilt = passed[_LATE if late else _TOTAL]
        if name in plain:
            result[_STATUS_OF[name]] = torch.full_like(values, _OK, dtype=torch.int8)
            continue
        status = norm_statuses(values, true[name], small[name], spoilt, cut)
        result[name] = torch.where(status == _OK, values, true[name])
        result[_STATUS_OF[name]] = status
    return result


def _plain(odd: Mapping[str, Tensor]) -> set[str]:
    """Return of which columns every norm is ok: none is odd, nor any that it has come through."""
    none = {name for name, where in odd.items() if not bool(where.any())}
    totals = {_TOTAL, _MEMORY} & odd.keys()
    lates = set(_LATE_PASS) & odd.keys()
    return {name for name in none if (lates if name in _LATE_PASS else totals) <= none}


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


def _floors(network: Network, B: int) -> dict[str, float]:
    """Return log10 of each norm when every entry is the smallest normal number of the precision.

    B sequences and H units with entries of size e make a gradient norm √B ‖G‖_F = e B √H; the
    entries of a C_t make ‖C_t‖_F = e H √gates.
    """
    H, tiny = network.hidden_size, math.log10(torch.finfo(network.torch_dtype).tiny)
    floor = tiny + math.log10(B) + 0.5 * math.log10(H)
    of_contribution = tiny + math.log10(H) + 0.5 * math.log10(network.kind.gates)
    if not network.kind.has_matrix:
        of_contribution = tiny + 0.5 * math.log10(network.kind.recurrent_size(H))
    return dict.fromkeys(_STATUS_OF, floor) | {_CONTRIBUTION: of_contribution}


def _beyond_the_cut(
    batch: RunBatch, data: SequenceBatch, time: Tensor
) -> Shaped[Tensor, "time run"]:
    """Say which time steps truncated backpropagation does not reach."""
    beyond = torch.zeros(len(time), len(data.lengths), dtype=torch.bool, device=time.device)
    for run, windows in enumerate(batch.windows(data)):
        beyond[:, run] = bool(windows)
        for window in windows:
            beyond[window.start : window.end, run] = False
    return beyond


def _zero_by_construction(
    name: str, batch: RunBatch, time: Tensor, beyond: Tensor
) -> Shaped[Tensor, "#layer time run"]:
    """Say which norms are zero whatever the weights are."""
    known = torch.zeros_like(beyond) if name in _LATE_PASS else beyond
    if name == _CONTRIBUTION and batch.network.initial_state == 0:
        known = known | (time == 1)
    layers = known.expand(batch.network.num_layers, -1, -1)
    if name == _DIRECT:
        # Of the top layer, what has no loss has no direct part; and what has one is the total's.
        layers = layers.clone()
        layers[-1] = True
    return layers


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
