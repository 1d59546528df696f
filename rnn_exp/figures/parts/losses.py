"""How each recipe ended: its loss against chance, and its decay rates before and after."""

from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.carrier import mean_rate
from rnn_exp.figures.parts.recipes import Recipes, about_all, name_runs
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.schema import VERDICTS
from rnn_exp.words import plural

__all__ = ["LAST", "LEARNED", "STUCK", "final_table"]

LEARNED: Final = 0.5
"""A final loss below this part of chance counts as learned."""
STUCK: Final = 0.9
"""A loss above this part of chance is counted as chance."""
LAST: Final = 0.1
"""A run's final loss is the mean over the last tenth of its recorded updates."""
_FINAL_BY: Final = ["series", "length"]


def final_table(tables: Tables, recipes: Recipes) -> Plotted:
    """Return for each recipe and length the decay rates, the verdicts and the loss at the end.

    Args:
        tables: of a study whose runs know the loss of guessing.
        recipes: the names of its series.

    Returns:
        Columns: series, length, seeds, diverged (so many of them); `start` and `end`, the decay
        rates at update 0 and at the last one recorded (the mean over seeds of the logarithm, with
        its 95 % interval in `_low` and `_high`, NaN of one seed); a count of each verdict at
        update 0; `loss` (in parts of chance), the median over seeds with the lowest and highest in
        `_low` and `_high`. The loss of a run that diverged is infinite.

    Raises:
        CannotDraw: if the loss of guessing is not known, or no run has a loss.
    """
    frame = _final_runs(tables.runs, recipes).merge(
        _final_losses(tables.updates), on="run", how="left"
    )
    if frame["loss"].isna().all():
        raise CannotDraw("No run of the study has a loss.")
    diverged = frame["status"] == "diverged"
    ended = frame["loss"].notna() | diverged
    frame, diverged = frame[ended], diverged[ended]
    losses = (frame["loss"] / frame["chance"]).mask(diverged, np.inf)
    frame = frame.assign(loss=losses, diverged=diverged.astype(int))
    numbers = _intervals(frame)
    left = int((~ended).sum())
    left_out = (f"{plural(left, 'run')} had not ended: not shown.",) if left else ()
    return Plotted(numbers, about_all(tables.runs, recipes), left_out)


def _intervals(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby(_FINAL_BY, observed=True, sort=True)
    return pd.DataFrame(
        [dict(zip(_FINAL_BY, key, strict=True)) | _interval(part) for key, part in grouped]
    ).astype({"series": frame["series"].dtype})


def _interval(part: pd.DataFrame) -> dict[str, object]:
    """What the seeds of one recipe and length have in common."""
    found: dict[str, object] = {"seeds": len(part), "diverged": int(part["diverged"].sum())}
    for name in ("start", "end"):
        rate = mean_rate(part[name])
        found |= {name: rate.mean, f"{name}_low": rate.low, f"{name}_high": rate.high}
    found |= {word: int((part["verdict"] == word).sum()) for word in VERDICTS}
    loss = part["loss"]
    return found | {"loss": loss.median(), "loss_low": loss.min(), "loss_high": loss.max()}


def _final_runs(runs: pd.DataFrame, recipes: Recipes) -> pd.DataFrame:
    needed = ["run", "status", "decay_rate", "final_decay_rate", "task.length", "chance_loss"]
    frame = required(runs, needed, "runs")
    if not (frame["chance_loss"].astype(float) > 0).all():
        raise CannotDraw("The loss of guessing is not known for every run, or is 0.")
    return pd.DataFrame(
        {
            "run": frame["run"].astype(str),
            "status": frame["status"],
            "series": name_runs(runs, recipes),
            "length": frame["task.length"].astype(int),
            "start": frame["decay_rate"].astype(float),
            "end": frame["final_decay_rate"].astype(float),
            "verdict": runs.reindex(columns=["verdict"])["verdict"],
            "chance": frame["chance_loss"].astype(float),
        }
    )


def _final_losses(updates: pd.DataFrame) -> pd.DataFrame:
    rows = required(updates, ["run", "update", "loss"], "updates")
    rows = rows.astype({"run": str, "loss": float}).sort_values(["run", "update"])
    groups = rows.groupby("run", sort=False)["loss"]
    means = groups.agg(lambda loss: loss.tail(max(1, int(LAST * len(loss)))).mean())
    return means.reset_index()
