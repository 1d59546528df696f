"""The recorder of other people's networks, on this machine: against the module, step by step."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from rnn_exp.probe import Recorder, Watching
from rnn_exp.registry import Registry
from rnn_exp.verification.finding import Finding, truth

__all__ = ["RECORDED", "RecordedModule", "check_recorder"]

_T, _B = 6, 3


@dataclasses.dataclass(frozen=True)
class RecordedModule:
    """A module of torch's that computes all time steps in one call.

    Args:
        name: for messages.
        kind: nn.RNN, nn.GRU or nn.LSTM.
        options: what it is made with.
    """

    name: str
    kind: type[nn.RNN | nn.GRU | nn.LSTM]
    options: tuple[tuple[str, Any], ...] = ()

    def make(self, dtype: torch.dtype, device: str) -> nn.RNN | nn.GRU | nn.LSTM:
        """Return such a module with weights of its own."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.kind(4, 5, dtype=dtype, device=device, **dict(self.options))


RECORDED: Registry[RecordedModule] = Registry("recorded module")
"""The modules with which the recorder is checked."""
for _module in (
    RecordedModule("rnn", nn.RNN),
    RecordedModule("rnn_relu", nn.RNN, (("nonlinearity", "relu"),)),
    RecordedModule("gru", nn.GRU),
    RecordedModule("lstm", nn.LSTM),
):
    RECORDED.register(_module)


def check_recorder(part: str, module: RecordedModule) -> Iterator[Finding]:
    """Compare recorded gradients with those of the module called one step at a time.

    On the CPU, and on a GPU if there is one; float64 within 1e-10, float32 within 1e-4 (of log10).

    Args:
        part: what is checked, for messages.
        module: what is recorded.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        for dtype, allowed in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
            where = f"on {device} in {str(dtype).removeprefix('torch.')}"
            own = module.make(dtype, device)
            off = _apart(_recorded(own), _by_step(own))
            yield Finding(part, f"∂L/∂h_t {where}", off, allowed)
        same = torch.equal(_trained(module, device, False), _trained(module, device, True))
        yield truth(part, f"recording changes no bit of the weights trained on {device}", same)


def _sequences(module: nn.RNN | nn.GRU | nn.LSTM) -> tuple[Tensor, Tensor]:
    """Return inputs, and what each output is multiplied by in the loss."""
    like, size = next(module.parameters()), module.proj_size or module.hidden_size
    numbers = torch.Generator().manual_seed(1)
    drawn = torch.randn(_T, _B, 4 + size, generator=numbers, dtype=torch.float64).to(like)
    return drawn[..., :4], drawn[..., 4:]


def _recorded(module: nn.RNN | nn.GRU | nn.LSTM) -> list[float]:
    """Return what the recorder says of ∂L/∂h_t, log10 by time."""
    inputs, onto = _sequences(module)
    recorder = Recorder(module, Watching())
    recorder.open()
    try:
        torch.autograd.backward(_loss(module, inputs, onto))
    finally:
        recorder.close()
    found: list[float] = recorder.rows.to_frame()["log10_total"].tolist()
    return found


def _loss(module: nn.RNN | nn.GRU | nn.LSTM, inputs: Tensor, onto: Tensor) -> Tensor:
    loss: Tensor = (module(inputs)[0] * onto).sum((0, 2)).mean()
    return loss


def _by_step(module: nn.RNN | nn.GRU | nn.LSTM) -> list[float]:
    """Return the same of the module called one step at a time, with states that keep gradients."""
    inputs, onto = _sequences(module)
    state: Any = None
    states: list[Tensor] = []
    loss = onto.new_zeros(_B)
    for x, weight in zip(inputs, onto, strict=True):
        state = module(x.unsqueeze(0), state)[1]
        states.append(state[0] if isinstance(state, tuple) else state)
        states[-1].retain_grad()
        loss = loss + (states[-1][0] * weight).sum(-1)
    torch.autograd.backward(loss.mean())
    return [_log10(each.grad) for each in states]


def _log10(gradient: Tensor | None) -> float:
    """Return log10 of the root mean square over the batch of each sequence's own norm."""
    if gradient is None:
        return -math.inf
    each = torch.linalg.vector_norm(gradient[0].double(), dim=-1) * _B
    return float(each.square().mean().sqrt().log10())


def _apart(found: list[float], expected: list[float]) -> float:
    if len(found) != len(expected):
        return math.inf
    return max(abs(a - b) for a, b in zip(found, expected, strict=True))


def _trained(module: RecordedModule, device: str, is_recorded: bool) -> Tensor:
    """Return the weights after three updates."""
    own = module.make(torch.float32, device)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    inputs, onto = _sequences(own)
    recorder = Recorder(own, Watching())
    if is_recorded:
        recorder.open()
    try:
        for _ in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(_loss(own, inputs, onto))
            optimizer.step()
    finally:
        recorder.close()
    return torch.cat([each.detach().flatten() for each in own.parameters()])
