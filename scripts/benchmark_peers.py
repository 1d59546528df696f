"""Time an update with all T norms against the same by hand, in NumPy and in JAX, in one process.

    python -m pip install jax; python scripts/benchmark_peers.py

Every rival by hand computes one update of a plain tanh network on the adding task: states, the
exact ∂L/∂h_t of every time step and its norm, the gradients of all weights, their norm clipped, a
step of SGD. Ours and torch's fused module take a step of Adam, and clip nothing.
In JAX ∂L/∂h_t comes as the gradient by a perturbation of the states that is zero, or from the
adjoint written out; of many runs by ``vmap`` or one after the other by ``lax.map``. Numbers are
medians of paired rounds, as in `benchmark`; compile times are apart.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
from benchmark import Update, fused_update, own_update, paired

from rnn_exp.sweeps import process

Weights = dict[str, Any]
_STEP, _LIMIT, _UNROLL = 1e-4, 1.0, 8
_FUSED = "1 run / fused nn.RNN, nothing recorded"
_GOALS, _GOAL_OF_MANY = {_FUSED: 0.18}, 0.7


def drawn(R: int, T: int, B: int, H: int, dtype: str = "float32") -> tuple[Weights, Any, Any]:
    """Return weights, inputs and targets of R runs."""
    draws = np.random.default_rng(0)

    def normal(*shape: int, scale: float) -> Any:  # noqa: ANN401 - an array
        return (draws.standard_normal((R, *shape)) * scale).astype(dtype)

    weights = {
        "V": normal(H, 2, scale=0.1),
        "W": normal(H, H, scale=0.9 / H**0.5),
        "b": np.zeros((R, H), dtype),
        "C": normal(1, H, scale=0.1),
        "c": np.zeros((R, 1), dtype),
    }
    marks = draws.random((R, T, B)) < 2 / T
    inputs = np.stack([draws.random((R, T, B)), marks], -1).astype(dtype)
    return weights, inputs, draws.random((R, B)).astype(dtype)


def stepped(p: Weights, gradients: Weights, total: Any) -> tuple[Weights, Any]:  # noqa: ANN401
    """Return the weights after a clipped step, and log10 of the norms of ∂L/∂h_t."""
    norm = jnp.sqrt(sum((one**2).sum() for one in gradients.values()))
    share = _STEP * jnp.minimum(1.0, _LIMIT / norm)
    norms = jnp.log10(jnp.sqrt((total**2).sum((-2, -1))))
    return {name: p[name] - share * gradients[name] for name in p}, norms


def perturbed(p: Weights, x: Any, y: Any) -> tuple[Weights, Any]:  # noqa: ANN401
    """Do an update where ∂L/∂h_t is the gradient by zeros that are added to the states."""

    def loss(p: Weights, zeros: Any) -> Any:  # noqa: ANN401
        def step(h: Any, own: Any) -> Any:  # noqa: ANN401
            h = jnp.tanh(own[0] + h @ p["W"].T) + own[1]
            return h, None

        start = jnp.zeros(zeros.shape[1:], x.dtype)
        h, _ = jax.lax.scan(step, start, (x @ p["V"].T + p["b"], zeros), unroll=_UNROLL)
        return (((h @ p["C"].T + p["c"])[:, 0] - y) ** 2).mean()

    zeros = jnp.zeros((*x.shape[:2], len(p["b"])), x.dtype)
    return stepped(p, *jax.grad(loss, argnums=(0, 1))(p, zeros))


def by_hand(p: Weights, x: Any, y: Any) -> tuple[Weights, Any]:  # noqa: ANN401
    """Do an update with the adjoint written out as a scan."""

    def forward(h: Any, u: Any) -> Any:  # noqa: ANN401
        h = jnp.tanh(u + h @ p["W"].T)
        return h, h

    def back(g: Any, h: Any) -> Any:  # noqa: ANN401
        delta = (1 - h**2) * g
        return delta @ p["W"], (g, delta)

    start = jnp.zeros((x.shape[1], len(p["b"])), x.dtype)
    last, states = jax.lax.scan(forward, start, x @ p["V"].T + p["b"], unroll=_UNROLL)
    of_y = 2 * ((last @ p["C"].T + p["c"])[:, 0] - y) / len(y)
    direct = of_y[:, None] * p["C"]
    _, (total, delta) = jax.lax.scan(back, direct, states, reverse=True, unroll=_UNROLL)
    before = jnp.concatenate([start[None], states[:-1]])
    gradients = {
        "V": jnp.einsum("tbh,tbi->hi", delta, x),
        "W": jnp.einsum("tbh,tbk->hk", delta, before),
        "b": delta.sum((0, 1)),
        "C": of_y[None] @ last,
        "c": of_y.sum()[None],
    }
    return stepped(p, gradients, total)


def in_numpy(T: int, B: int, H: int) -> Update:
    """Return an update of one run in NumPy."""
    weights, x, y = (jax.tree.map(lambda one: one[0], part) for part in drawn(1, T, B, H))

    def update() -> object:
        p = weights
        states = np.empty((T + 1, B, H), "f")
        states[0] = 0
        u = x @ p["V"].T + p["b"]
        for t in range(T):
            np.tanh(u[t] + states[t] @ p["W"].T, out=states[t + 1])
        of_y = 2 * ((states[T] @ p["C"].T + p["c"])[:, 0] - y) / B
        total, delta = np.empty((T, B, H), "f"), np.empty((T, B, H), "f")
        g = of_y[:, None] * p["C"]
        for t in range(T - 1, -1, -1):
            total[t] = g
            delta[t] = (1 - states[t + 1] ** 2) * g
            g = delta[t] @ p["W"]
        flat = delta.reshape(-1, H)
        gradients = {
            "V": flat.T @ x.reshape(-1, 2),
            "W": flat.T @ states[:-1].reshape(-1, H),
            "b": flat.sum(0),
            "C": of_y[None] @ states[T],
            "c": of_y.sum()[None],
        }
        norm = np.sqrt(sum(float((one**2).sum()) for one in gradients.values()))
        share = _STEP * min(1.0, _LIMIT / norm)
        for name, one in gradients.items():
            p[name] = p[name] - share * one
        return np.log10(np.sqrt((total**2).sum((-2, -1))))

    return update


def in_jax(
    one: Callable[..., Any], how: str, R: int, T: int, B: int, H: int, dtype: str = "float32"
) -> tuple[Update, float]:
    """Return an update of R runs in JAX, and the seconds that its compilation took."""
    data = drawn(R, T, B, H, dtype)
    if R == 1:
        data = tuple(jax.tree.map(lambda part: part[0], one) for one in data)
        function = jax.jit(one)
    elif how == "vmap":
        function = jax.jit(jax.vmap(one))
    else:
        function = jax.jit(lambda *all_: jax.lax.map(lambda own: one(*own), all_))
    data = jax.device_put(data)
    start = time.process_time()
    jax.block_until_ready(function(*data))
    return lambda: jax.block_until_ready(function(*data)), time.process_time() - start


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="recorded updates against NumPy and JAX")
    options.add_argument("--seconds", type=float, default=2.0, help="time for each ratio")
    seconds = options.parse_args().seconds
    process.settle()
    process.use_one_thread()
    T, B, H = 100, 20, 50
    print(f"one update with T norms, T={T} B={B} H={H}, float32, one thread")
    head = (
        f"{'ours/ms':>8s} {'its/ms':>8s} {'ratio':>6s} {'goal':>6s}         {'compiled in/s':>13s}"
    )
    print(f"{'':44s} {head}")

    def line(name: str, R: int, theirs: Update, compiled: float | None = None) -> None:
        mine, other, ratio = paired(own_update(T, B, H, runs=R), theirs, seconds)
        goal = _GOAL_OF_MANY if R > 1 else 1.0 if compiled is not None else _GOALS.get(name, 1.0)
        after = "" if compiled is None else f"{compiled:13.1f}"
        verdict = "met" if ratio <= goal else "MISSED"
        numbers = f"{mine / R:8.2f} {other / R:8.2f} {ratio:6.2f} {goal:6.2f}  {verdict:6s}"
        print(f"{name:44s} {numbers} {after}")

    line(_FUSED, 1, fused_update(T, B, H))
    line("1 run / NumPy", 1, in_numpy(T, B, H))
    for word, one in (("zeros", perturbed), ("by hand", by_hand)):
        line(f"1 run / JAX, {word}", 1, *in_jax(one, "", 1, T, B, H))
        for how in ("vmap", "lax.map"):
            line(f"32 runs / JAX, {word}, {how}", 32, *in_jax(one, how, 32, T, B, H))


if __name__ == "__main__":
    main()
