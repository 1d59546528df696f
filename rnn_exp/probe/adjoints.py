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
from collections.abc import Callable, Mapping
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
        x, states, h_0 = (part.to(dtype) for part in (self.inputs, self.states, self.h_0))
        return Given(x, states, h_0, c_0, weights)

    def of_inputs(self) -> Float[Tensor, "time batch gates"]:
        """Return what the inputs add to every gate, with their bias."""
        return linear(self.inputs, self.weights["weight_ih"], self.weights.get("bias_ih"))


class Received(NamedTuple):
    """Gradients while they go back: of h_t, and of the memory c_t of an LSTM."""

    total: Float[Tensor, "batch hidden"]
    memory: Float[Tensor, "batch memory"] | None


class Adjoint(abc.ABC):
    """The linear recursion of one layer, whose factors are known for all time steps; for one pass.

    The pass turns the factors into ``deltas``, ∂L/∂(W h_{t−1} + b), in place: what is left of a
    time step is then two to four operations, each of which writes where its result stays.

    Args:
        given: what the layer had in the forward pass.
    """

    has_memory = False
    deltas: Float[Tensor, "time batch gates"]
    slopes: tuple[Float[Tensor, "time batch hidden"], ...]
    """φ' of every unit (of every gate), for the column saturation."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.W, self.V = given.weights["weight_hh"], given.weights["weight_ih"]
        self.previous: Float[Tensor, "time batch hidden"]
        """h_0…h_{T−1}."""
        self.previous = torch.cat([given.h_0.unsqueeze(0), given.states[:-1]])

    def of_states(self) -> Float[Tensor, "time batch gates"]:
        """Return what the states add to every gate, with their bias."""
        return linear(self.previous, self.W, self.given.weights.get("bias_hh"))

    @abc.abstractmethod
    def back(self, t: int, own: Received, into: Tensor, onto: Tensor | None) -> Received:
        """Return the gradients of the step before ``t`` (counted from 0).

        Args:
            t: the step; ``deltas[t]`` is known afterwards.
            own: ∂L/∂h_t; and ∂L/∂c_t, of an LSTM.
            into: the direct part of h of the step before, which becomes its total gradient.
            onto: the direct part of c of the step before; None: it has none.
        """

    def memory(self, t: int, total: Tensor, onto: Tensor | None) -> Float[Tensor, "batch memory"]:
        """Return ∂L/∂c_t of a step that nothing comes after, from its own direct parts."""
        raise NotImplementedError

    def memories(self, last: Float[Tensor, "batch memory"]) -> Float[Tensor, "time batch memory"]:
        """Return ∂L/∂c_t of every step, after the pass, from that of the last one."""
        raise NotImplementedError

    def onto_inputs(
        self, total: Float[Tensor, "time batch hidden"]
    ) -> Float[Tensor, "time batch input"]:
        """Return ∂L/∂x of every step, after the pass."""
        del total
        return self.deltas @ self.V


class _Elman(Adjoint):
    """nn.RNN; φ' is a function of the state itself."""

    def __init__(self, given: Given, slopes: Tensor) -> None:
        super().__init__(given)
        self.slopes, self.deltas = (slopes,), slopes.clone()
        self._by_step = self.deltas.unbind()

    def back(self, t: int, own: Received, into: Tensor, onto: Tensor | None) -> Received:
        del onto
        return Received(into.addmm_(self._by_step[t].mul_(own.total), self.W), None)


def _tanh(given: Given) -> Adjoint:
    return _Elman(given, 1 - given.states * given.states)


def _relu(given: Given) -> Adjoint:
    return _Elman(given, (given.states > 0).to(given.states))


class _Gru(Adjoint):
    """nn.GRU; gates in torch's order r, z, n."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        of_x, of_h = given.of_inputs(), self.of_states()
        H = given.states.shape[-1]
        r, z = (of_x[..., : 2 * H] + of_h[..., : 2 * H]).sigmoid_().chunk(2, dim=-1)
        by_h = of_h[..., 2 * H :]
        n = torch.addcmul(of_x[..., 2 * H :], r, by_h).tanh_()
        of_r, of_z, of_n = r - r * r, z - z * z, 1 - n * n
        self.slopes = of_r, of_z, of_n
        self._onto_n = (1 - z) * of_n
        factors = self._onto_n * by_h * of_r, (self.previous - n) * of_z, self._onto_n * r
        together = torch.stack(factors, dim=-2)
        self.deltas = together.flatten(-2)
        self._by_step, self._z = self.deltas.unbind(), z.unbind()
        # Gates first: ∂L/∂h_t is then multiplied into all three as it is.
        self._wide = together.movedim(-2, 1).unbind()

    def back(self, t: int, own: Received, into: Tensor, onto: Tensor | None) -> Received:
        del onto
        self._wide[t].mul_(own.total)
        into.addcmul_(own.total, self._z[t]).addmm_(self._by_step[t], self.W)
        return Received(into, None)

    def onto_inputs(self, total: Tensor) -> Tensor:
        H = total.shape[-1]  # r multiplies what the states add to n, not what the inputs add
        return torch.cat([self.deltas[..., : 2 * H], total * self._onto_n], dim=-1) @ self.V


class _Lstm(Adjoint):
    """nn.LSTM, also with a projection; gates in torch's order i, f, g, o.

    f lies beside the factors of i, f and g: ∂L/∂c_t multiplies all four.
    """

    has_memory = True

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        if given.c_0 is None:
            raise ValueError("an LSTM begins with c_0")
        self._P = given.weights.get("weight_hr")
        of_i, of_f, of_g, of_o = given.of_inputs().add_(self.of_states()).chunk(4, dim=-1)
        i, f, g, o = of_i.sigmoid(), of_f.sigmoid(), of_g.tanh(), of_o.sigmoid()
        T, B, H = i.shape
        cells = i.new_empty(T + 1, B, H)
        cells[0] = given.c_0
        torch.mul(i, g, out=cells[1:])
        steps = cells.unbind()
        for before, after, f_t in zip(steps, steps[1:], f.unbind(), strict=False):
            after.addcmul_(f_t, before)
        squashed = cells[1:].tanh()
        of_i, of_f, of_o = map(_slope_of_sigmoid, (i, f, o))
        of_g = _slope_of_tanh(g)
        self.slopes = of_i, of_f, of_g, of_o
        self._onto_c = _slope_of_tanh(squashed).mul_(o).unbind()
        together = i.new_empty(T, B, 5, H)
        together[..., 0, :] = f
        torch.mul(g, of_i, out=together[..., 1, :])
        torch.mul(cells[:-1], of_f, out=together[..., 2, :])
        torch.mul(i, of_g, out=together[..., 3, :])
        torch.mul(squashed, of_o, out=together[..., 4, :])
        self.deltas = together.flatten(-2)[..., H:]
        # Gates first: ∂L/∂c_t is then multiplied into all four as it is.
        self._by_c = together[..., :4, :].movedim(-2, 1).unbind()
        self._by_h = together[..., 4, :].unbind()
        # f_t, then what c_{t−1} receives from c_t, and with what h_{t−1} adds to it, ∂L/∂c_{t−1}.
        self._before = together[..., 0, :]
        self._by_step, self._passed = self.deltas.unbind(), self._before.unbind()

    def _unprojected(self, total: Tensor) -> Tensor:
        return total if self._P is None else total @ self._P

    def memory(self, t: int, total: Tensor, onto: Tensor | None) -> Tensor:
        own = self._unprojected(total) * self._onto_c[t]
        return own if onto is None else own + onto

    def memories(self, last: Tensor) -> Tensor:
        return torch.cat([self._before[1:], last.unsqueeze(0)])

    def back(self, t: int, own: Received, into: Tensor, onto: Tensor | None) -> Received:
        if own.memory is None:
            raise ValueError("the gradient of an LSTM has ∂L/∂c_t as well")
        self._by_c[t].mul_(own.memory)
        self._by_h[t].mul_(self._unprojected(own.total))
        into.addmm_(self._by_step[t], self.W)
        before = self._passed[t]
        if onto is not None:
            before.add_(onto)
        if t:
            before.addcmul_(self._unprojected(into), self._onto_c[t - 1])
        return Received(into, before)


def _slope_of_sigmoid(values: Tensor) -> Tensor:
    """Return φ' where φ is the sigmoid's; no memory is used but the result's own."""
    squares = values * values
    return torch.sub(values, squares, out=squares)


def _slope_of_tanh(values: Tensor) -> Tensor:
    return (values * values).neg_().add_(1)


ADJOINTS: Final[Mapping[str, Callable[[Given], Adjoint]]] = {
    "RNN_TANH": _tanh,
    "RNN_RELU": _relu,
    "GRU": _Gru,
    "LSTM": _Lstm,
}
"""What computes the gradients of a module, by its ``mode``."""
