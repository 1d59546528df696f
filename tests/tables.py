"""Synthetic studies with known answers: every gradient is an exact power of the rate."""

import copy
import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnn_exp.profiles import RULE, summarize

SETTINGS = (
    "task",
    "task.length",
    "network.activation",
    "network.hidden_size",
    "network.num_layers",
    "init",
    "init.gain",
    "training.updates",
    "training.optimizer",
    "training.learning_rate",
    "training.clip_norm",
    "seed",
)
SMALLEST = -45.0
"""log10 of the smallest float32: below it training loses the synthetic gradients to underflow."""


@dataclass(frozen=True)
class Study:
    """The four tables of a study."""

    runs: pd.DataFrame
    updates: pd.DataFrame
    gradients: pd.DataFrame
    broken: pd.DataFrame

    @property
    def rules(self) -> list[str]:
        """The rule by which its verdicts were given; none where there is no verdict."""
        if "verdict" not in self.runs:
            return []
        return [RULE]

    @property
    def gradient_columns(self) -> list[str]:
        """The names of the columns of its gradients."""
        return [str(name) for name in self.gradients.columns]

    def gradient_rows(
        self,
        columns: Sequence[str],
        *,
        runs: Iterable[str] | None = None,
        updates: Collection[int] | None = None,
        layer: int | None = None,
    ) -> pd.DataFrame:
        """These columns of the rows of these runs, updates and layer (-1: the top one)."""
        rows = self.gradients
        if runs is not None:
            rows = rows[rows["run"].isin(list(runs))]
        if updates is not None:
            rows = rows[rows["update"].isin(list(updates))]
        if layer is not None:
            layers = rows.groupby("run")["layer"].transform("max") + 1 if layer < 0 else 0
            rows = rows[rows["layer"] == layers + layer]
        return rows[list(columns)].reset_index(drop=True)


def rate(activation: str, gain: float) -> float:
    """The known decay rate of a synthetic run."""
    gain = 0.577 if np.isnan(gain) else gain
    return {"tanh": gain**0.5 * 0.9, "sigmoid": gain / 4, "relu": gain / 2**0.5}.get(
        activation, 0.5
    )


def study(
    activations: tuple[str, ...] = ("tanh", "sigmoid"),
    gains: tuple[float, ...] = (0.5, 1.0, 2.0),
    lengths: tuple[int, ...] = (10, 30, 100),
    seeds: int = 3,
    updates: tuple[int, ...] = (0, 10, 20, 30, 40),
    theory: bool = True,
    **settings: object,
) -> Study:
    """A finished study over the product of these settings; extra settings are constants."""
    asked = (activations, gains, lengths, seeds, updates, theory, tuple(settings.items()))
    return copy.deepcopy(_study(*asked))


@functools.cache
def _study(
    activations: tuple[str, ...],
    gains: tuple[float, ...],
    lengths: tuple[int, ...],
    seeds: int,
    updates: tuple[int, ...],
    theory: bool,
    settings: tuple[tuple[str, object], ...],
) -> Study:
    """The same, made once: it takes seconds."""
    runs = [
        run(activation, gain, length, seed, theory=theory, settings=dict(settings))
        for activation in activations
        for gain in gains
        for length in lengths
        for seed in range(seeds)
    ]
    return measured(pd.DataFrame(runs), updates)


def measured(runs: pd.DataFrame, updates: tuple[int, ...] = (0, 10)) -> Study:
    """The study of these runs: what each would have recorded at these updates."""
    chosen = runs.to_dict("records")
    losses = [row(r, u) for r in chosen for u in updates]
    broken = pd.DataFrame({"run": ["half"], "why": ["run.json is not readable"]})
    return Study(runs, pd.DataFrame(losses), _gradients(chosen, updates), broken)


def _gradients(runs: Sequence[dict[str, object]], updates: Sequence[int]) -> pd.DataFrame:
    """The profiles of runs at these updates: one frame, not one for each, of which most is time."""
    asked = [(run, update) for run in runs for update in updates]
    profiles = [profile(run, update) for run, update in asked]
    settings = pd.DataFrame([run for run, _ in asked], columns=["run", *SETTINGS])
    repeated = settings.loc[np.repeat(np.arange(len(asked)), [len(p["lag"]) for p in profiles])]
    joined = {name: np.concatenate([p[name] for p in profiles]) for name in profiles[0]}
    return repeated.reset_index(drop=True).assign(**joined)


def run(
    activation: str,
    gain: float,
    length: int,
    seed: int,
    *,
    theory: bool = True,
    settings: dict[str, object] | None = None,
) -> dict[str, object]:
    """One row of the table of runs."""
    values = ("adding", length, activation, 64, 1, "gaussian", gain, 40, "sgd", 0.01, np.nan, seed)
    chosen = {
        "run": f"{activation}-{gain}-{length}-{seed}",
        **dict(zip(SETTINGS, values, strict=True)),
    }
    known = rate(activation, gain) if theory else np.nan
    return {
        **chosen,
        "digest": f"{activation}-{gain}"[:8],
        "status": "finished",
        **said(pd.DataFrame(profile(chosen, 0))),
        **ended(pd.DataFrame(profile(chosen, 40))),
        "theory_holds": theory,
        "theory_because": None if theory else "no synthetic theory was asked for",
        "theory_form": "mean field" if theory else None,
        "theory_lags": float(length - 1) if theory else np.nan,
        "theory_rate": known,
        "predicted_log10_change": (length - 1) * np.log10(known),
        "predicted_rate": known,
        "drive": 0.05,
        "bound": 2 * (0.577 if np.isnan(gain) else gain) * (0.25 if activation == "sigmoid" else 1),
        "diverged_update": np.nan,
        "diverged_time": np.nan,
        "diverged_direction": None,
        "failure": None,
        "command": f"rnn-exp network.activation={activation} init.gain={gain} seed={seed}",
        **(settings or {}),
    }


def said(rows: pd.DataFrame, carrier: str = "log10_total") -> dict[str, object]:
    """What a run says of this profile, by the package's own summary of it."""
    rows = rows.sort_values("time")
    found = summarize(rows[carrier].to_numpy(dtype=float), rows["status"].to_numpy())
    shortest, longest = found.half_life_interval
    numbers = {
        "decay_rate": found.rate,
        "log10_change": found.log10_change,
        "decay_rate_low": found.rate_low,
        "decay_rate_high": found.rate_high,
        "decay_rate_error": found.error,
        "r_squared": found.r_squared,
        "half_life": found.half_life,
        "half_life_low": shortest,
        "half_life_high": longest,
        "horizon": found.horizon,
        "lost_at": np.nan if found.lost_at is None else float(found.lost_at),
    }
    words = {"verdict": found.verdict, "verdict_reason": found.reason, "bent": found.is_bent}
    # JSON knows no infinity: what is not finite is missing.
    finite = {key: value if np.isfinite(value) else np.nan for key, value in numbers.items()}
    return {"carrier": carrier, **words, **finite}


def ended(rows: pd.DataFrame) -> dict[str, object]:
    """What a run says of the profile of its last update."""
    kept = ("decay_rate", "half_life", "log10_change", "verdict", "verdict_reason")
    found = said(rows)
    return {f"final_{key}": found[key] for key in kept}


def profile(run: dict[str, object], update: int) -> dict[str, np.ndarray]:
    """The profile of one run at one update: a straight line of known slope, and a small wave."""
    length, seed = int(run["task.length"]), int(run["seed"])
    lag = np.arange(length - 1, -1, -1)
    predicted = rate(str(run["network.activation"]), float(run["init.gain"]))
    slope = np.log10(predicted * 1.03 ** (seed - 1)) * (1 - 0.1 * update / 40)
    exact = -0.5 + 0.1 * seed + lag * slope + 0.1 * np.sin(lag + seed)
    theory = exact[-1] + lag * np.log10(predicted)
    drawn = (lag <= run.get("theory_lags", np.nan)) & (update == 0)
    columns = {
        "update": update,
        "layer": 0,
        "time": length - lag,
        "lag": lag,
        "log10_total": exact,
        "log10_direct": np.where(lag == 0, exact, -np.inf),
        "log10_predicted": np.where(drawn, theory, np.nan),
        "saturation": 0.8,
        "state_rms": 0.4,
        "status": np.where(exact < SMALLEST, "underflow", "ok"),
    }
    return {name: np.broadcast_to(values, lag.shape) for name, values in columns.items()}


def row(run: dict[str, object], update: int) -> dict[str, object]:
    """One row of the table of updates: the loss falls by half every ten updates, to a floor."""
    gain = float(run["init.gain"])
    reach = rate(str(run["network.activation"]), gain) ** (int(run["task.length"]) / 20)
    return {
        "run": run["run"],
        "update": update,
        "loss": 0.17 * (1 - min(reach, 0.98) * (1 - 2 ** (-update / 10))) + 0.004 * run["seed"],
        "error": 0.5,
        "grad_norm": 0.3,
        "recurrent_grad_norm": 0.05 * int(run["task.length"]) ** 0.5 * (1 + 0.1 * run["seed"]),
        "clipped": False,
        "spectral_radius": gain,
        "largest_singular_value": 2 * gain,
        **{key: run[key] for key in SETTINGS},
    }


def altered(tables: Study, rows: pd.DataFrame, carrier: str = "log10_total") -> Study:
    """The same study with these gradients; its runs say what the new profiles of update 0 say."""
    runs = tables.runs.copy()
    for name, part in rows[rows["update"] == 0].groupby("run"):
        for key, value in said(part, carrier).items():
            runs.loc[runs["run"] == name, key] = value
    return Study(runs, tables.updates, rows, tables.broken)


def concatenated(first: Study, second: Study) -> Study:
    """Both studies as one; the runs of the second get names of their own."""
    pairs = zip(frames(first), frames(second), strict=True)
    joined = [
        pd.concat([a, b.assign(run="other-" + b["run"].astype(str))], ignore_index=True)
        for a, b in pairs
    ]
    return Study(*joined, first.broken)


def frames(study: Study) -> list[pd.DataFrame]:
    """Runs, updates and gradients."""
    return [study.runs, study.updates, study.gradients]


def diverged(study: Study, name: str, update: int = 20, time: int = 4) -> Study:
    """The same study with one run that overflowed at this update and time step, backward."""
    bad = study.runs["run"] == name
    runs = study.runs.assign(
        status=study.runs["status"].mask(bad, "diverged"),
        diverged_update=study.runs["diverged_update"].mask(bad, update),
        diverged_time=study.runs["diverged_time"].mask(bad, time),
        diverged_direction=study.runs["diverged_direction"].mask(bad, "backward"),
    )
    updates, rows = (
        f[~((f["run"] == name) & (f["update"] > update))] for f in (study.updates, study.gradients)
    )
    here = (rows["run"] == name) & (rows["update"] == update)
    over, under = here & (rows["time"] == time), here & (rows["time"] < time)
    rows = rows.assign(
        log10_total=rows["log10_total"].mask(over, np.inf).mask(under, np.nan),
        status=rows["status"].mask(over, "inf").mask(under, "nan"),
    )
    last = (updates["run"] == name) & (updates["update"] == update)
    if update == 0:
        for key, value in said(rows[(rows["run"] == name) & (rows["update"] == 0)]).items():
            runs.loc[bad, key] = value
    return Study(runs, updates.assign(loss=updates["loss"].mask(last, np.nan)), rows, study.broken)
