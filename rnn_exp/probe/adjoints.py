r"""Exact ∂L/∂h_t and ∂L/∂c_t of one layer of a torch module, from the states that torch computed.

Given h_0…h_T the gates of all time steps are one product, and what is left is the linear recursion

    ∂L/∂h_t = d_t + (∂h_{t+1}/∂h_t)ᵀ ∂L/∂h_{t+1},     d_t: the direct part

nn.RNN   h = φ(a + W h'),                  δ = φ'(h) ∂h
nn.GRU   h = (1 − z) n + z h',             n = tanh(a_n + r (W_n h' + b_n))
nn.LSTM  c = f c' + i g,  h = P (o tanh c), with a projection P if the module has one

(h' and c' are of the step before, a what the input adds, δ = ∂L/∂(W h' + b).) As h' is what torch
computed, no rounding is passed on from one step to the next, also where a network is chaotic.
Hochreiter & Schmidhuber (1997), Cho et al. (2014), Sak, Senior & Beaufays (2014: projections).
"""

import abc
from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnn_exp.shapes import Float

__all__ = ["ADJOINTS", "Adjoint", "Given", "Received"]


class Given(NamedTuple):
    """What a layer had in the forward pass, in its own direction.

    Args:
        inputs: x_1…x_T.
        states: h_1…h_T, as torch computed them.
        h_0: the state before the first step.
        c_0: likewise, of an LSTM.
        weights: by torch's names without the number of the layer, such as weight_hh.
    """

    inputs: Float[Tensor, "time batch input"]
    states: Float[Tensor, "time batch hidden"]
    h_0: Float[Tensor, "batch hidden"]
    c_0: Float[Tensor, "batch memory"] | None
    weights: Mapping[str, Tensor]

    def to(self, dtype: torch.dtype) -> "Given":
        """Return the same numbers in another precision."""
        c_0 = None if self.c_0 is None else self.c_0.to(dtype)
        weights = {name: weight.to(dtype) for name, weight in self.weights.items()}
        wide = (part.to(dtype) for part in (self.inputs, self.states, self.h_0))
        return Given(*wide, c_0, weights)

    @property
    def previous(self) -> Float[Tensor, "time batch hidden"]:
        """h_0…h_{T−1}."""
        return torch.cat([self.h_0.unsqueeze(0), self.states[:-1]])

    def of_inputs(self) -> Float[Tensor, "time batch gates"]:
        """What the inputs add to every gate, with their bias."""
        return linear(self.inputs, self.weights["weight_ih"], self.weights.get("bias_ih"))

    def of_states(self) -> Float[Tensor, "time batch gates"]:
        """What the states add to every gate, with their bias."""
        return linear(self.previous, self.weights["weight_hh"], self.weights.get("bias_hh"))


class Received(NamedTuple):
    """Gradients while they go back: of h_t, and of the memory c_t of an LSTM."""

    total: Float[Tensor, "batch hidden"]
    memory: Float[Tensor, "batch memory"] | None


class Adjoint(abc.ABC):
    """The linear recursion of one layer, whose factors are known for all time steps.

    Args:
        given: what the layer had in the forward pass.
    """

    has_memory = False

    def __init__(self, given: Given) -> None:
        self.given = given
        self.W, self.V = given.weights["weight_hh"], given.weights["weight_ih"]

    @property
    @abc.abstractmethod
    def slopes(self) -> Float[Tensor, "time batch gates"]:
        """φ' of every unit (of every gate), for the column saturation."""

    @abc.abstractmethod
    def delta(self, t: int, own: Received) -> Float[Tensor, "batch gates"]:
        """Return ∂L/∂(W h_{t−1} + b) from the total gradients of step ``t`` (counted from 0)."""

    def memory(self, t: int, own: Received) -> Float[Tensor, "batch memory"]:
        """Return ∂L/∂c_t from ∂L/∂h_t and what step t + 1 and the loss hand back to c_t."""
        raise NotImplementedError

    def before(self, t: int, own: Received, delta: Tensor, direct: Received) -> Received:
        """Return the gradients of the step before: what step ``t`` hands back, and the direct part.

        Of c_{t−1} it is what `memory` reads.
        """
        del t, own
        return Received(torch.addmm(direct.total, delta, self.W), None)

    def onto_inputs(
        self, deltas: Float[Tensor, "time batch gates"], total: Float[Tensor, "time batch hidden"]
    ) -> Float[Tensor, "time batch input"]:
        """Return ∂L/∂x of every step."""
        del total
        return deltas @ self.V


class _Elman(Adjoint):
    """nn.RNN; φ' is a function of the state itself."""

    _slopes: Tensor

    @property
    def slopes(self) -> Tensor:
        return self._slopes

    def delta(self, t: int, own: Received) -> Tensor:
        return own.total * self._slopes[t]


class _Tanh(_Elman):
    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._slopes = 1 - given.states * given.states


class _Relu(_Elman):
    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._slopes = (given.states > 0).to(given.states)


class _Gru(Adjoint):
    """nn.GRU; gates in torch's order r, z, n."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        of_x, of_h = given.of_inputs(), given.of_states()
        H = given.states.shape[-1]
        r, self._z = (of_x[..., : 2 * H] + of_h[..., : 2 * H]).sigmoid().chunk(2, dim=-1)
        by_h = of_h[..., 2 * H :]
        n = torch.addcmul(of_x[..., 2 * H :], r, by_h).tanh()
        of_r, of_z, of_n = r - r * r, self._z - self._z * self._z, 1 - n * n
        self._slopes = torch.cat([of_r, of_z, of_n], dim=-1)
        self._onto_n = (1 - self._z) * of_n
        factors = self._onto_n * by_h * of_r, (given.previous - n) * of_z, self._onto_n * r
        self._factors = torch.stack(factors, dim=-2)

    @property
    def slopes(self) -> Tensor:
        return self._slopes

    def delta(self, t: int, own: Received) -> Tensor:
        return (self._factors[t] * own.total.unsqueeze(-2)).flatten(-2)

    def before(self, t: int, own: Received, delta: Tensor, direct: Received) -> Received:
        kept = torch.addcmul(direct.total, own.total, self._z[t])
        return Received(torch.addmm(kept, delta, self.W), None)

    def onto_inputs(self, deltas: Tensor, total: Tensor) -> Tensor:
        H = total.shape[-1]  # r multiplies what the states add to n, not what the inputs add
        return torch.cat([deltas[..., : 2 * H], total * self._onto_n], dim=-1) @ self.V


class _Lstm(Adjoint):
    """nn.LSTM, also with a projection; gates in torch's order i, f, g, o."""

    has_memory = True

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        if given.c_0 is None:
            raise ValueError("an LSTM begins with c_0")
        self._P = given.weights.get("weight_hr")
        of_i, of_f, of_g, of_o = (given.of_inputs() + given.of_states()).chunk(4, dim=-1)
        i, self._f, g, o = of_i.sigmoid(), of_f.sigmoid(), of_g.tanh(), of_o.sigmoid()
        c, memories = given.c_0, [given.c_0]
        for f_t, added in zip(self._f.unbind(), (i * g).unbind(), strict=True):
            c = torch.addcmul(added, f_t, c)
            memories.append(c)
        cells = torch.stack(memories)
        squashed = cells[1:].tanh()
        slopes = i - i * i, self._f - self._f * self._f, 1 - g * g, o - o * o
        self._slopes = torch.cat(slopes, dim=-1)
        self._onto_c = o * (1 - squashed * squashed)
        self._of_c = torch.stack([g * slopes[0], cells[:-1] * slopes[1], i * slopes[2]], dim=-2)
        self._of_h = squashed * slopes[3]

    @property
    def slopes(self) -> Tensor:
        return self._slopes

    def _unprojected(self, total: Tensor) -> Tensor:
        return total if self._P is None else total @ self._P

    def memory(self, t: int, own: Received) -> Tensor:
        later = own.memory if own.memory is not None else 0.0
        return later + self._unprojected(own.total) * self._onto_c[t]

    def delta(self, t: int, own: Received) -> Tensor:
        of_c = self._of_c[t] * own.memory.unsqueeze(-2)
        return torch.cat([of_c.flatten(-2), self._of_h[t] * self._unprojected(own.total)], dim=-1)

    def before(self, t: int, own: Received, delta: Tensor, direct: Received) -> Received:
        memory = own.memory * self._f[t]
        if direct.memory is not None:
            memory += direct.memory
        return Received(torch.addmm(direct.total, delta, self.W), memory)


ADJOINTS: Final[Mapping[str, type[Adjoint]]] = {
    "RNN_TANH": _Tanh,
    "RNN_RELU": _Relu,
    "GRU": _Gru,
    "LSTM": _Lstm,
}
"""What computes the gradients of a module, by its ``mode``."""
