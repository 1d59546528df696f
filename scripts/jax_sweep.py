"""A sweep in JAX, to compare with: the runs of a gain at once, ``vmap`` over seeds.

    python scripts/jax_sweep.py 0.5,0.8,1,1.5 24

The networks, the task and the files are those of ``plain_sweep``: plain tanh, SGD on the adding
problem, nothing recorded but each run's losses. All updates of a gain are one compiled program.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

T, B, H, UPDATES, RATE = 50, 16, 32, 50, 0.01
Weights = dict[str, Any]


def start(key: Any, gain: Any) -> Weights:  # noqa: ANN401 - arrays of JAX
    """Draw the weights of a run."""
    of_V, of_W, of_b, of_C = jax.random.split(key, 4)
    bound = H**-0.5

    def uniform(own: Any, *shape: int) -> Any:  # noqa: ANN401
        return jax.random.uniform(own, shape, minval=-bound, maxval=bound)

    return {
        "V": uniform(of_V, H, 2),
        "W": jax.random.normal(of_W, (H, H)) * gain * bound,
        "b": uniform(of_b, H),
        "C": uniform(of_C, 1, H),
        "c": jnp.zeros(1),
    }


def draw(key: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Draw a batch of the adding problem."""
    of_values, *of_marks = jax.random.split(key, 3)
    values = jax.random.uniform(of_values, (T, B))
    first = jax.random.randint(of_marks[0], (B,), 0, T // 2)
    second = jax.random.randint(of_marks[1], (B,), T // 2, T)
    marks = jax.nn.one_hot(first, T).T + jax.nn.one_hot(second, T).T
    return jnp.stack([marks, values], -1), (marks * values).sum(0)


def loss(p: Weights, x: Any, y: Any) -> Any:  # noqa: ANN401
    """Return the mean square error at the last time step."""

    def step(h: Any, u: Any) -> tuple[Any, None]:  # noqa: ANN401
        return jnp.tanh(u + h @ p["W"].T), None

    h, _ = jax.lax.scan(step, jnp.zeros((B, H)), x @ p["V"].T + p["b"])
    return (((h @ p["C"].T + p["c"])[:, 0] - y) ** 2).mean()


def train(seed: Any, gain: Any) -> Any:  # noqa: ANN401
    """Return the losses of all updates of a run."""
    of_weights, of_data = jax.random.split(jax.random.key(seed))

    def update(p: Weights, key: Any) -> tuple[Weights, Any]:  # noqa: ANN401
        found, gradients = jax.value_and_grad(loss)(p, *draw(key))
        return {name: p[name] - RATE * gradients[name] for name in p}, found

    return jax.lax.scan(update, start(of_weights, gain), jax.random.split(of_data, UPDATES))[1]


def main() -> None:
    """Train the runs and write their losses."""
    gains, seeds = [float(word) for word in sys.argv[1].split(",")], int(sys.argv[2])
    together = jax.jit(jax.vmap(train, in_axes=(0, None)))
    for gain in gains:
        for seed, losses in enumerate(together(jnp.arange(seeds), gain).tolist()):
            folder = Path("jax") / f"gain-{gain}-seed-{seed}"
            folder.mkdir(parents=True)
            (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main()
