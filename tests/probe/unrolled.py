"""The oracle of recordings: a torch module one step and one sequence at a time, in float64.

Every state is kept by retain_grad, every time step has a copy of W_hh of its own. Slow and obvious.
"""

import math
import typing

import torch
from torch.nn.functional import linear


class Step(typing.NamedTuple):
    """One time step of one sequence: what it computed, all with a gradient afterwards."""

    h: torch.Tensor
    seen: torch.Tensor  # h_t as it is read from outside the layer
    c: torch.Tensor | None
    W: torch.Tensor
    slopes: torch.Tensor


class Unrolled(typing.NamedTuple):
    """One sequence: outputs (time, k), h_n and c_n (part, k), steps by layer and direction."""

    output: torch.Tensor
    h_n: torch.Tensor
    c_n: torch.Tensor | None
    steps: dict[tuple[int, int], list[Step]]  # in the order in which the layer reads


def unroll(module, x, h_0=None, c_0=None, masks=None):
    """Return one sequence x (time, input) through a module; masks[layer] multiplies its outputs."""
    steps, h_n, c_n = {}, [], []
    inputs = [each.double() for each in x]
    directions = 1 + module.bidirectional
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            w = weights_of(module, layer, direction)
            place = layer * directions + direction
            size = module.proj_size or module.hidden_size
            h = torch.zeros(size, dtype=torch.float64) if h_0 is None else h_0[place].double()
            c = torch.zeros(module.hidden_size, dtype=torch.float64)
            c = c if c_0 is None else c_0[place].double()
            own = []
            for x_t in reversed(inputs) if direction else inputs:
                W = w["weight_hh"] * 1
                h, c, slopes = step(module.mode, x_t, h, c, {**w, "weight_hh": W})
                c = c if module.mode == "LSTM" else None
                seen = h * 1
                for each in (h, seen, c, W):
                    if each is not None:
                        each.retain_grad()
                own.append(Step(h, seen, c, W, slopes))
            steps[layer, direction] = own
            h_n.append(own[-1].seen)
            c_n.append(None if own[-1].c is None else own[-1].c * 1)
            outputs.append([each.seen for each in (reversed(own) if direction else own)])
        inputs = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
        if masks is not None and layer < module.num_layers - 1:
            inputs = [each * mask for each, mask in zip(inputs, masks[layer], strict=True)]
    memory = None if c_n[0] is None else torch.stack(c_n)
    return Unrolled(torch.stack(inputs), torch.stack(h_n), memory, steps)


def weights_of(module, layer, direction):
    end = f"_l{layer}" + ("_reverse" if direction else "")
    found = {}
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"):
        if hasattr(module, name + end):
            found[name] = getattr(module, name + end).detach().double().requires_grad_()
    return found


def step(mode, x, h, c, w):
    """Return h_t, c_t and the slopes φ' of all units of all gates."""
    by_x = linear(x, w["weight_ih"], w.get("bias_ih"))
    by_h = linear(h, w["weight_hh"], w.get("bias_hh"))
    if mode == "RNN_TANH":
        h = torch.tanh(by_x + by_h)
        return h, c, of_tanh(h)
    if mode == "RNN_RELU":
        h = torch.relu(by_x + by_h)
        return h, c, (h > 0).double()
    if mode == "GRU":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = by_x.chunk(3), by_h.chunk(3)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        return (1 - z) * n + z * h, c, torch.cat([of_sigmoid(r), of_sigmoid(z), of_tanh(n)])
    i, f, g, o = (by_x + by_h).chunk(4)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    h = o * torch.tanh(c)
    if "weight_hr" in w:
        h = w["weight_hr"] @ h
    return h, c, torch.cat([of_sigmoid(i), of_sigmoid(f), of_tanh(g), of_sigmoid(o)])


def of_tanh(value):
    return (1 - value**2).detach()


def of_sigmoid(value):
    return (value * (1 - value)).detach()


def columns(sequences, is_mean):
    """Return {(layer, direction): {column: [by lag, the largest first]}} after the backward pass.

    The loss of the whole batch was differentiated: of a mean every sequence's own is B times it.
    """
    factor = len(sequences) if is_mean else 1
    return {
        key: {name: list(reversed(values)) for name, values in _by_lag(key, sequences, factor)}
        for key in sequences[0].steps
    }


def _by_lag(key, sequences, factor):
    longest = max(len(one.steps[key]) for one in sequences)
    rows = [
        [one.steps[key][-1 - lag] for one in sequences if len(one.steps[key]) > lag]
        for lag in range(longest)
    ]
    yield "log10_total", [rms_of_norms([each.h.grad for each in row], factor) for row in rows]
    yield "log10_direct", [rms_of_norms([each.seen.grad for each in row], factor) for row in rows]
    if rows[0][0].c is not None:
        yield "log10_memory", [rms_of_norms([each.c.grad for each in row], factor) for row in rows]
    yield (
        "log10_contribution",
        [log10(sum(_grad(each.W) for each in row).norm().item()) for row in rows],
    )
    yield "saturation", [torch.stack([each.slopes for each in row]).mean().item() for row in rows]
    yield (
        "state_rms",
        [torch.stack([each.h for each in row]).square().mean().sqrt().item() for row in rows],
    )


def _grad(tensor):
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def rms_of_norms(gradients, factor):
    squares = [0.0 if each is None else each.square().sum().item() for each in gradients]
    return log10(factor * math.sqrt(sum(squares) / len(squares)))


def log10(value):
    return math.log10(value) if value else -math.inf
