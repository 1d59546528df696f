"""Slow, obvious float64 programs: the oracles of the tests. Nothing here is clever.

A network is a list of layers, a layer a tuple (V, W, b): h_t = φ(V x_t + W h_{t-1} + b), one run.
"""

import typing

import torch

PHI = {
    "tanh": torch.tanh,
    "sigmoid": lambda u: 1 / (1 + torch.exp(-u)),
    "relu": lambda u: torch.where(u > 0, u, 0.0),  # slope 0 at 0, as torch.relu has it
    "identity": lambda u: u,
}


def layers_of(parameters, num_layers):
    """Return [(V, W, b)] in float64 from torch's parameter names (of one run)."""
    p = {name: value.double() for name, value in parameters.items()}
    return [
        (p[f"weight_ih_l{n}"], p[f"weight_hh_l{n}"], p[f"bias_ih_l{n}"] + p[f"bias_hh_l{n}"])
        for n in range(num_layers)
    ]


def states(layers, x, phi, nudges=None):
    """Return h[layer][t], unrolled one step at a time; nudges[layer][t] is added to h."""
    all_states = []
    inputs = list(x)
    for number, (V, W, b) in enumerate(layers):
        h = torch.zeros(x.shape[1], len(W), dtype=torch.float64)
        own = []
        for t, x_t in enumerate(inputs):
            h = PHI[phi](x_t @ V.T + h @ W.T + b)
            if nudges is not None:
                h = h + nudges[number][t]
            own.append(h)
        all_states.append(own)
        inputs = own
    return all_states


def total_gradients(layers, x, phi, loss_of_states):
    """Return ∂L/∂h[layer][t] by autograd through the unrolled network."""
    for tensors in layers:
        for tensor in tensors:
            tensor.requires_grad_()
    h = states(layers, x, phi)
    flat = [state for own in h for state in own]
    gradients = torch.autograd.grad(loss_of_states(h), flat, allow_unused=True)
    filled = [torch.zeros_like(s) if g is None else g for s, g in zip(flat, gradients, strict=True)]
    T = len(x)
    return torch.stack([torch.stack(filled[n * T : (n + 1) * T]) for n in range(len(layers))])


def total_gradients_by_differences(layers, x, phi, loss_of_states, eps=1e-6):
    """Return ∂L/∂h[layer][t] by moving every number of every state up and down."""
    shape = (len(layers), len(x), x.shape[1], len(layers[0][1]))
    result = torch.zeros(shape, dtype=torch.float64)
    for index in torch.cartesian_prod(*(torch.arange(size) for size in shape)).tolist():
        values = []
        for sign in (1, -1):
            nudges = torch.zeros(shape, dtype=torch.float64)
            nudges[tuple(index)] = sign * eps
            values.append(loss_of_states(states(layers, x, phi, nudges)))
        result[tuple(index)] = (values[0] - values[1]) / (2 * eps)
    return result


def log10_norm(tensor):
    """Return log10 of the Frobenius norm, exactly, whatever the size of the numbers."""
    total = sum(fractions_of(tensor))
    return float(_log10_fraction(total)) / 2


def fractions_of(tensor):
    from fractions import Fraction

    return [Fraction(v) ** 2 for v in tensor.flatten().tolist()]


def _log10_fraction(value):
    import decimal

    with decimal.localcontext() as context:
        context.prec = 50
        return (decimal.Decimal(value.numerator) / decimal.Decimal(value.denominator)).log10()


def torch_module(*sizes, **more):
    """Return a torch.nn.RNN without moving torch's global generator."""
    with torch.random.fork_rng():
        return torch.nn.RNN(*sizes, **more)


def module(kind, *sizes, **more):
    """Return a torch.nn.RNN, GRU or LSTM without moving torch's global generator."""
    with torch.random.fork_rng():
        return getattr(torch.nn, kind)(*sizes, **more)


class Unrolled(typing.NamedTuple):
    """One run, an entry a time step: h, c (LSTM), W_hh h_{t-1} + b_hh, and φ' of all gates."""

    h: list
    c: list
    hidden: list
    slopes: list


def slope(phi, u):
    """Return φ'(u), by autograd."""
    u = u.detach().requires_grad_()
    return torch.autograd.grad(PHI[phi](u).sum(), u)[0]


def gru(x, h, V, W, b, b_hidden):
    """Cho et al. 2014, as torch has it: the rows of V and W are those of r, z, n."""
    found, H = Unrolled([], [], [], []), h.shape[1]
    for x_t in x:
        drive, hidden = x_t @ V.T + b, h @ W.T + b_hidden
        u_r = drive[:, :H] + hidden[:, :H]
        u_z = drive[:, H : 2 * H] + hidden[:, H : 2 * H]
        r, z = torch.sigmoid(u_r), torch.sigmoid(u_z)
        u_n = drive[:, 2 * H :] + r * hidden[:, 2 * H :]
        h = (1 - z) * torch.tanh(u_n) + z * h
        slopes = [slope("sigmoid", u_r), slope("sigmoid", u_z), slope("tanh", u_n)]
        found.h.append(h)
        found.hidden.append(hidden)
        found.slopes.append(torch.cat(slopes, dim=1))
    return found


def lstm(x, h, V, W, b, b_hidden, c=None):
    """Hochreiter & Schmidhuber 1997 with a forget gate: the rows are those of i, f, g, o."""
    found, H = Unrolled([], [], [], []), h.shape[1]
    c = torch.zeros_like(h) if c is None else c
    for x_t in x:
        hidden = h @ W.T + b_hidden
        u_i, u_f, u_g, u_o = (x_t @ V.T + b + hidden).split(H, dim=1)
        i, f, o = torch.sigmoid(u_i), torch.sigmoid(u_f), torch.sigmoid(u_o)
        c = f * c + i * torch.tanh(u_g)
        h = o * torch.tanh(c)
        slopes = [slope("sigmoid", u_i), slope("sigmoid", u_f), slope("tanh", u_g),
                  slope("sigmoid", u_o)]  # fmt: skip
        found.h.append(h)
        found.c.append(c)
        found.hidden.append(hidden)
        found.slopes.append(torch.cat(slopes, dim=1))
    return found


def skip(x, h, V, W, b, b_hidden, phi, keep, add):
    """h_t = keep h_{t-1} + add φ(V x_t + W h_{t-1} + b)."""
    found = Unrolled([], [], [], [])
    for x_t in x:
        hidden = h @ W.T + b_hidden
        u = x_t @ V.T + b + hidden
        h = keep * h + add * PHI[phi](u)
        found.h.append(h)
        found.hidden.append(hidden)
        found.slopes.append(slope(phi, u))
    return found


def normed(x, h, V, W, b, b_hidden, phi):
    """h_t = φ(norm(V x_t + W h_{t-1}) + b): here ``hidden`` is without a bias."""
    found = Unrolled([], [], [], [])
    for x_t in x:
        hidden = h @ W.T
        a = x_t @ V.T + hidden
        mean = a.mean(dim=1, keepdim=True)
        variance = ((a - mean) ** 2).mean(dim=1, keepdim=True)
        u = (a - mean) / torch.sqrt(variance + 1e-5) + b + b_hidden
        h = PHI[phi](u)
        found.h.append(h)
        found.hidden.append(hidden)
        found.slopes.append(slope(phi, u))
    return found
