"""Slow, obvious float64 programs: the oracles of the tests. Nothing here is clever.

A network is a list of layers, a layer a tuple (V, W, b): h_t = φ(V x_t + W h_{t-1} + b), one run.
"""

import math
import typing

import torch

PHI = {
    "tanh": torch.tanh,
    "sigmoid": lambda u: 1 / (1 + torch.exp(-u)),
    "relu": lambda u: torch.where(u > 0, u, 0.0),  # slope 0 at 0, as torch.relu has it
    "identity": lambda u: u,
    "softsign": lambda u: u / (1 + torch.where(u > 0, u, -u)),
    "hard_tanh": lambda u: torch.where(u >= 1, 1.0, torch.where(u <= -1, -1.0, u)),
    "leaky_relu": lambda u: torch.where(u > 0, u, 0.01 * u),
    "elu": lambda u: torch.where(u > 0, u, torch.expm1(torch.where(u > 0, 0.0, u))),
    "gelu": lambda u: u * (1 + torch.erf(u / math.sqrt(2))) / 2,
}


def layers_of(parameters, num_layers):
    """Return [(V, W, b)] in float64 from torch's parameter names (of one run)."""
    p = {name: value.double() for name, value in parameters.items()}
    return [
        (p[f"weight_ih_l{n}"], p[f"weight_hh_l{n}"], p[f"bias_ih_l{n}"] + p[f"bias_hh_l{n}"])
        for n in range(num_layers)
    ]


def states(layers, x, phi, nudges=None, start=None):
    """Return h[layer][t], unrolled one step at a time; nudges[layer][t] is added to h.

    start[layer] is h_0, which is 0 if it is not given.
    """
    all_states = []
    inputs = list(x)
    for number, (V, W, b) in enumerate(layers):
        h = torch.zeros(x.shape[1], len(W), dtype=torch.float64)
        h = h if start is None else h + start[number]
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


def of_product(left, right):
    """Return log10 ‖Σ_b left_b right_bᵀ‖ and κ = Σ_b ‖left_b‖‖right_b‖ over that norm, exactly."""
    from fractions import Fraction

    rows, columns = (
        [[Fraction(v) for v in row] for row in side.tolist()] for side in (left, right)
    )
    total = sum(
        sum(row[i] * column[j] for row, column in zip(rows, columns, strict=True)) ** 2
        for i in range(left.shape[1])
        for j in range(right.shape[1])
    )
    if not total:
        return -math.inf, math.nan
    log10 = float(_log10_fraction(total)) / 2
    most = sum(
        10 ** (log10_norm(row) + log10_norm(column) - log10)
        for row, column in zip(left, right, strict=True)
        if row.any() and column.any()
    )
    return log10, most


def _log10_fraction(value):
    import decimal

    with decimal.localcontext() as context:
        context.prec = 50
        return (decimal.Decimal(value.numerator) / decimal.Decimal(value.denominator)).log10()


def torch_module(*sizes, **more):
    """Return a torch.nn.RNN without moving torch's global generator."""
    with torch.random.fork_rng():
        return torch.nn.RNN(*sizes, **more)


def gradients(parameters, x, num_layers, phi, loss_of, times, start=None):
    """Return the loss of the outputs at these time steps (from 1), and its gradients by autograd.

    A time step that is a tensor has an entry a sequence.

    They are those of the parameters, by name, and ∂L/∂h[layer][t]; loss_of takes (answer, batch,
    output).
    """
    leaves = {name: value.double().clone().requires_grad_() for name, value in parameters.items()}
    h = states(layers_of(leaves, num_layers), x, phi, start=start)
    loss = loss_of(torch.stack([read(leaves, state_at(h[-1], t)) for t in times]))
    flat = [state for own in h for state in own]
    found = torch.autograd.grad(loss, [*leaves.values(), *flat], allow_unused=True)
    filled = [
        torch.zeros_like(of) if g is None else g
        for of, g in zip([*leaves.values(), *flat], found, strict=True)
    ]
    by_name = dict(zip(leaves, filled, strict=False))
    total = torch.stack(filled[len(leaves) :]).view(num_layers, len(x), *flat[0].shape)
    return loss.detach(), by_name, total


def state_at(states, t):
    """Return the states of all sequences at time step t, one of all or one of each."""
    if isinstance(t, int):
        return states[t - 1]
    return torch.stack([states[step - 1][b] for b, step in enumerate(t.tolist())])


def read(parameters, h):
    """Return C h + c."""
    return h @ parameters["readout.weight"].double().T + parameters["readout.bias"].double()


def truncated_gradients(parameters, x, num_layers, phi, loss_at, every, back):
    """Return the gradients by name, summed over windows; nothing is differentiated before them.

    After every k1 steps the losses of these steps, loss_at(t, output), t from 1, go back k2 steps.
    """
    T, own = len(x), {name: value.double() for name, value in parameters.items()}
    result = {name: torch.zeros_like(value) for name, value in own.items()}
    past = states(layers_of(own, num_layers), x, phi)
    for done in range(0, T, every):
        end = min(done + every, T)
        first = max(0, end - back)
        leaves = {name: value.clone().requires_grad_() for name, value in own.items()}
        start = [layer[first - 1].detach() if first else 0.0 for layer in past]
        h = states(layers_of(leaves, num_layers), x[first:end], phi, start=start)
        loss = sum(loss_at(t + 1, read(leaves, h[-1][t - first])) for t in range(done, end))
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for name, value in zip(leaves, found, strict=True):
            result[name] += 0 if value is None else value
    return result


def omega(total, deltas, W, form):
    """Return Ω of one run, as a function of W alone: total and deltas are constants."""
    terms = []
    for t in range(1, len(total)):
        for b in range(total.shape[1]):
            before = (total[t, b] ** 2).sum()
            if before >= 1e-20:
                ratio = ((deltas[t, b] @ W) ** 2).sum() / before
                terms.append((ratio - 1) ** 2 if form == "squared" else (ratio.sqrt() - 1) ** 2)
    return sum(terms) / len(terms) if terms else 0 * W.sum()


def cayley(A):
    """Return (1 + S)⁻¹ (1 − S) with S = A − Aᵀ."""
    one, S = torch.eye(len(A), dtype=A.dtype), A - A.T
    return torch.linalg.inv(one + S) @ (one - S)


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
        slopes = [
            slope("sigmoid", u_i),
            slope("sigmoid", u_f),
            slope("tanh", u_g),
            slope("sigmoid", u_o),
        ]
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


def without_floor(program, x, h, weights, last, memory=False, ends=None):
    """Return log10 norms of ∂L/∂h_t, C_t and ∂L/∂c_t (0 for none), of one run, whatever their size.

    L depends on h_T alone, by ∂L/∂h_T = last. With ends, each sequence is answered at its own, and
    a time step has what is as many steps before the end of each sequence, where there is such a
    step; the longest one has T. Autograd goes through one step of one sequence at a
    time, and after each the gradient is divided by its largest number, whose logarithm is kept.
    """
    T, B = len(x), x.shape[1]
    whole = program(x, h, *weights)
    before = {"h": [h, *whole.h[:-1]], "c": [torch.zeros_like(h), *whole.c[:-1]]}
    found = [[[] for _ in range(T)] for _ in range(3)]
    for b in range(B):
        g, through_c, log = last[b : b + 1], torch.zeros_like(last[b : b + 1]), 0.0
        end = T if ends is None else ends[b]
        for t in reversed(range(end)):
            h_b = before["h"][t][b : b + 1].detach().requires_grad_()
            W = weights[1].detach().clone().requires_grad_()
            given = weights[0], W, *weights[2:]
            if memory:
                c_b = before["c"][t][b : b + 1].detach().requires_grad_()
                step = program(x[t : t + 1, b : b + 1], h_b, *given, c=c_b)
                after, by = [step.h[0], step.c[0]], [g, through_c]
                of_h, of_W, of_c, of_c_before = torch.autograd.grad(
                    after, [h_b, W, step.c[0], c_b], by
                )
            else:
                step = program(x[t : t + 1, b : b + 1], h_b, *given)
                of_h, of_W = torch.autograd.grad(step.h[0], [h_b, W], g)
                of_c = of_c_before = torch.zeros_like(of_h)
            for kind, value in enumerate((g, of_W, of_c)):
                found[kind][T - end + t].append((value.detach(), log))
            largest = float(torch.maximum(of_h.abs().max(), of_c_before.abs().max())) or 1.0
            g, through_c = of_h.detach() / largest, of_c_before.detach() / largest
            log += math.log10(largest)
    total, contribution, of_memory = found
    return (
        [_joined(torch.cat, parts) + math.log10(B / math.sqrt(len(parts))) for parts in total],
        [_joined(sum, parts) for parts in contribution],
        [_joined(torch.cat, parts) + math.log10(B / math.sqrt(len(parts))) for parts in of_memory],
    )


def _joined(how, parts):
    """Return log10 of the norm of what sequences give, each a value and log10 of its factor."""
    most = max(log for _, log in parts)
    size = float(how([value * 10 ** (log - most) for value, log in parts]).norm())
    return math.log10(size) + most if size else -math.inf


def two_time(keep, coupling):
    """Return ln(‖δ_k‖ / ‖δ_0‖) for k = 0…L by the recursion of `theory.two_time`, term by term."""
    import math

    C = {(0, 0): 1.0}
    for k, a in enumerate(keep):
        C[k + 1, 0] = C[0, k + 1] = a * C[k, 0]
    for k, a_k in enumerate(keep):
        for l, a_l in enumerate(keep):  # noqa: E741
            through_W = coupling[k][l] * C[k, l]
            C[k + 1, l + 1] = (
                a_k * C[k, l + 1] + a_l * C[k + 1, l] - a_k * a_l * C[k, l] + through_W
            )
    return [0.5 * math.log(C[k, k]) for k in range(len(keep) + 1)]


def sizes_by_draws(keep, factors, gain, draws, seed=0):
    """Return ln of the root mean square of ‖δ_k‖ / ‖δ_0‖ over draws of W, W_ij ~ N(0, g²/n).

    δ_{k+1} = keep[k] δ_k + Wᵀ (factors[k] ⊙ δ_k), with one W in every draw.
    """
    draw, (L, n) = torch.Generator().manual_seed(seed), factors.shape
    squares = torch.zeros(L + 1, dtype=torch.float64)
    for _ in range(draws):
        W = torch.randn(n, n, dtype=torch.float64, generator=draw) * gain / n**0.5
        delta = torch.randn(n, dtype=torch.float64, generator=draw)
        size = (delta @ delta).item()
        squares[0] += 1
        for k in range(L):
            delta = keep[k] * delta + W.T @ (factors[k] * delta)
            squares[k + 1] += (delta @ delta).item() / size
    return (squares / draws).log() / 2
