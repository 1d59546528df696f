"""Checks of inits and penalties: weights follow from the seed, gradients are exact."""

import itertools
from collections.abc import Iterator

import torch

from rnn_exp.fields import SettingError
from rnn_exp.networks import CELLS, Init, Network
from rnn_exp.networks.network import shapes
from rnn_exp.training.attempts import try_init
from rnn_exp.training.own_penalties import OwnPenalty
from rnn_exp.verification.finding import Finding, truth
from rnn_exp.verification.variants import others

__all__ = ["check_init", "check_penalties", "check_penalty"]

_UNITS, _LENGTH = 6, 30
_STEP = 1e-6  # of central differences in float64: truncated and rounded to about 1e-10
_DIFFERENCES = 1e-6


def check_init(part: str, init: Init) -> Iterator[Finding]:
    """Yield what is found of an init.

    Args:
        part: what it is called in findings.
        init: with its settings.
    """
    init = init.for_length(_LENGTH)
    network, outputs = _network_for(init)
    inputs = 3 if network.hidden_size > 1 else 1
    try_init(init, network, inputs, outputs)
    wanted = shapes(network, inputs, outputs)
    first, again = (init.draw(wanted, 0, network.kind) for _ in range(2))
    found = {name: tuple(tensor.shape) for name, tensor in first.items()}
    yield truth(part, "every parameter has its shape", found == wanted)
    finite = all(bool(tensor.isfinite().all()) for tensor in first.values())
    yield truth(part, "every number is finite", finite)
    same = first.keys() == again.keys() and all(torch.equal(first[k], again[k]) for k in first)
    yield truth(part, "equal seeds draw equal weights", same)


def check_penalties(part: str, penalty: OwnPenalty) -> Iterator[Finding]:
    """Yield what is found of a penalty, at its defaults and with each setting moved from there.

    Args:
        part: what it is called in findings.
        penalty: with its defaults.
    """
    yield from check_penalty(part, penalty)
    for words, moved in others(penalty):
        yield from check_penalty(f"{part} {words}", moved)


def check_penalty(part: str, penalty: OwnPenalty) -> Iterator[Finding]:
    """Yield what is found of a penalty of a user.

    Args:
        part: what it is called in findings.
        penalty: with its settings.
    """
    draw = torch.Generator().manual_seed(0)
    W = torch.randn(3, _UNITS, _UNITS, dtype=torch.float64, generator=draw) / _UNITS**0.5
    value, slope = penalty.with_gradient(W)
    yield truth(part, "the value has one number a run", tuple(value.shape) == (len(W),))
    alone = [penalty.with_gradient(W[run : run + 1]) for run in range(len(W))]
    same = all(
        torch.equal(v[0], value[run]) and torch.equal(s[0], slope[run])
        for run, (v, s) in enumerate(alone)
    )
    yield truth(part, "a run has the same bits alone and beside others", same)
    direction = torch.randn(W.shape, dtype=W.dtype, generator=draw)
    plus, minus = (penalty.value(W + sign * _STEP * direction) for sign in (1, -1))
    difference = (plus - minus) / (2 * _STEP)
    expected = (slope * direction).flatten(1).sum(-1)
    scale = float(expected.abs().max()) + 1e-12
    off = float((difference - expected).abs().max()) / scale
    yield Finding(part, "the gradient is that of central differences", off, _DIFFERENCES)


def _network_for(init: Init) -> tuple[Network, int]:
    """Return a small network, and a number of outputs, that an init makes sense for.

    Raises:
        SettingError: if it refuses all.
    """
    networks = [
        Network(hidden_size=n, cell=c) for n in (_UNITS, 1) for c in CELLS if _needs_no_setting(c)
    ]
    for network, outputs in itertools.product(networks, (2, 1)):
        if not [*init.refusals(network, outputs)]:
            return network, outputs
    raise SettingError("init", init.name, "an init that some cell and size make sense for")


def _needs_no_setting(cell: str) -> bool:
    """Whether a cell needs no setting besides its word."""
    try:
        Network(cell=cell)
    except SettingError:
        return False
    return True
