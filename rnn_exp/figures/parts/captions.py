"""Sentences that several captions share, each computed from the plotted table."""

import math
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.carrier import verdict_words
from rnn_exp.figures.parts.selection import KEYS
from rnn_exp.schema import VERDICTS
from rnn_exp.words import (
    case_name,
    listing,
    number,
    plural,
    rate_with_interval,
    sentences,
)

BOUND: Final = (
    "The bound holds where only the last step has a loss; below 1 it is sufficient for vanishing, "
    "above 1 only necessary for exploding."
)
"""What the singular-value bound says, and when."""
_MOST_NAMED: Final = 4
"""Cases that a sentence tells one by one; of more it tells the ends."""


def verdicts(table: pd.DataFrame) -> str:
    """Say the verdict of every case, a sentence a panel: no lengths are added up.

    Args:
        table: with `KEYS` and the columns of `cases`.
    """
    each = table.drop_duplicates(KEYS)
    return sentences(
        *(
            _capital(f"{_panel_name(part.iloc[0])}{verdicts_of(part)}.")
            for _, part in each.groupby(["activation", "length"], sort=False)
        )
    )


def _panel_name(case: pd.Series) -> str:
    length = f"T = {case['length']}" if case["length"] else ""
    name = ", ".join(filter(None, [str(case["activation"]), length]))
    return f"With {name}: " if name else ""


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def verdicts_of(part: pd.DataFrame) -> str:
    """Say which cases have which verdict; those whose seeds disagree with their counts.

    Args:
        part: a row a case, with its series and the columns of `cases`.
    """
    agreed: dict[str, list[str]] = {}
    apart: dict[str, list[str]] = {}
    for _, case in part.iterrows():
        whole = next((word for word in VERDICTS if 0 < case[word] == case["seeds"]), None)
        if whole is None:
            apart.setdefault(verdict_words(case), []).append(str(case["series"]))
        else:
            agreed.setdefault(whole, []).append(str(case["series"]))
    said = [
        f"{word} with {listing(names)}" if any(names) else word
        for word, names in sorted(agreed.items(), key=lambda item: VERDICTS.index(item[0]))
    ]
    for words, names in apart.items():
        each = "each " if len(names) > 1 else ""
        said.append(f"{each}{words} with {listing(names)}" if any(names) else words)
    return "; ".join(said)


def rates(table: pd.DataFrame) -> str:
    """Say what a step back does to the norm: in each case, or at the ends where they are many.

    Args:
        table: with `KEYS` and the columns of `cases`.
    """
    known = table.drop_duplicates(KEYS)
    known = known[np.isfinite(known["rate"]) & (known["rate"] > 0)]
    longest = known[known["length"] == known["length"].max()]
    if longest.empty:
        return "No decay rate could be measured."
    shown = longest.sort_values("rate")
    if len(shown) > _MOST_NAMED:
        shown = shown.iloc[[0, -1]]
    if len(longest) == len(table.drop_duplicates(KEYS)) == 1:
        return f"The gradient {rate_words(longest.iloc[0])}."
    first, *others = [case for _, case in shown.iterrows()]
    said = [f"With {case_name(first)} the gradient {rate_words(first)}"]
    said += [f"with {case_name(case)} it {rate_words(case)}" for case in others]
    return f"{'; '.join(said)}."


def rate_words(case: pd.Series) -> str:
    """Say a case's rate with its interval.

    Args:
        case: a row with the columns of `cases`.
    """
    middle, low, high = (float(case[key]) for key in ("rate", "rate_low", "rate_high"))
    of = "" if case["rate_seeds"] == 1 else f" over {case['rate_seeds']} seeds"
    return rate_with_interval(middle, low, high, of)


def theory_agreement(table: pd.DataFrame) -> str:
    """Say how far theory is from the measured change, in decades and beside the seeds' scatter.

    Args:
        table: with `KEYS`, the columns of `cases` and log10_measured_change, that up to the lag to
            which theory is drawn.
    """
    every = table.drop_duplicates(KEYS)
    known = every.dropna(subset=["log10_measured_change", "log10_predicted_change"])
    if known.empty and every["log10_predicted_change"].notna().any():
        return "Theory does not reach back to the first step: the changes are not compared."
    if known.empty:
        return ""
    gap = (known["log10_measured_change"] - known["log10_predicted_change"]).abs()
    worst = known.iloc[int(gap.to_numpy().argmax())]
    measured, predicted = (
        f"{worst[f'log10_{which}_change']:.2f}" for which in ("measured", "predicted")
    )
    pair = (
        f"measured {measured}, predicted {predicted} decades at lag {worst['predicted_lags']:.0f}"
    )
    scatter = float(worst["change_scatter"])
    beside = f"; seeds scatter by {number(scatter)} there" if math.isfinite(scatter) else ""
    if len(known) == 1:
        which = f" ({case_name(worst)})" if len(every) > 1 else ""
        return f"Change of the norm{which}: {pair}{beside}."
    return (
        f"Theory and measurement (mean over seeds) differ by {number(gap.max())} decades with "
        f"{case_name(worst)} ({pair}{beside}); "
        + (
            f"the median of the {len(known)} cases is {number(gap.median())}."
            if len(known) > 2
            else f"with the other case by {number(gap.min())}."
        )
    )


def without_theory(runs: pd.DataFrame, shown: pd.DataFrame) -> tuple[str, ...]:
    """Say for which of the shown runs no theory is drawn, and why.

    Args:
        runs: the table of runs.
        shown: the runs that are drawn, with `KEYS`.
    """
    said = runs.reindex(columns=["run", "theory_because"]).astype({"run": str})
    why = shown.merge(said, on="run").dropna(subset="theory_because")
    if why.empty:
        holds = runs.reindex(columns=["theory_holds"])["theory_holds"]
        return () if holds.notna().any() else ("No theory was recorded: none is drawn.",)
    # Reasons that differ in their numbers alone are one reason.
    kinds = why["theory_because"].astype(str).str.replace(r" \([^()]*\d[^()]*\)", "", regex=True)
    told = [
        f"{part.iloc[0] if len(set(part)) == 1 else kind} ({plural(len(part), 'run')})"
        for kind, part in why["theory_because"].groupby(kinds, sort=False)
    ]
    few = told[:3]
    rest = [f"{len(told) - 3} further reasons"] if len(told) > 3 else []
    return (f"No theory is drawn where its premises fail: {'; '.join([*few, *rest])}.",)


def units(runs: pd.DataFrame, shown: pd.DataFrame) -> tuple[str, ...]:
    """Say how many units the networks that are drawn have, where it is one number.

    Args:
        runs: the table of runs.
        shown: the runs that are drawn.
    """
    known = runs.reindex(columns=["run", "network.hidden_size"]).astype({"run": str})
    sizes = shown[["run"]].merge(known, on="run")["network.hidden_size"].dropna().unique()
    return (f"Networks of {plural(int(sizes[0]), 'unit')}.",) if len(sizes) == 1 else ()


def lost_points(table: pd.DataFrame) -> str:
    """Say at how many plotted points there is nothing to draw, or training lost the norm."""
    said = []
    for column, what in (
        ("floor", "there is no number for a seed: zero, cut off or lost (triangles below)"),
        ("ceiling", "a seed's value is not finite (triangles above)"),
        (
            "unseen",
            "training lost the norm of a seed; the line shows the true one (from the circle)",
        ),
    ):
        count = int((table[column] > 0).sum()) if column in table else 0
        if count:
            said.append(f"At {plural(count, 'point')} {what}.")
    return sentences(*said)


def points_and_seeds(table: pd.DataFrame) -> str:
    """Say at how many points there is nothing to draw, and how many seeds there are.

    Args:
        table: the numbers plotted.
    """
    most = int(table["seeds"].max()) if "seeds" in table and len(table) else 0
    least = int(table["seeds"].min()) if most else 0
    many = f"{least} to {most} seeds." if least != most else f"{most} seeds."
    seeds = {0: "", 1: "One seed: no band."}.get(most, many)
    return sentences(lost_points(table), seeds)


def bound_kept(table: pd.DataFrame) -> str:
    """Say whether the measured rates respect the singular-value bound."""
    known = table.dropna(subset=["rate", "bound"])
    above = int((known["rate"] > known["bound"] * (1 + 1e-6)).sum())
    if known.empty:
        return ""
    where = (
        f"{above} of {plural(len(known), 'point')} {'lies' if above == 1 else 'lie'} above"
        if above
        else "No point lies above"
    )
    return f"{where} the singular-value bound (dotted). {BOUND}"
