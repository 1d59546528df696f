"""Slow, obvious float64 programs: the oracles of the tests. Nothing here is clever.

A network is a list of layers, a layer a tuple (V, W, b): h_t = φ(V x_t + W h_{t-1} + b), one run.
"""

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
