"""What every figure has: the contract of a module, columns that say what they hold, old results."""

import copy
import dataclasses
import functools
import inspect
import io
import pkgutil
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import rnn_exp.figures.parts
from rnn_exp import figures
from rnn_exp.fields import SettingError
from rnn_exp.figures.parts import marks, seeds
from rnn_exp.figures.parts.axes import order_activations
from rnn_exp.figures.parts.drawing import whole_caption
from rnn_exp.figures.parts.style import in_style
from rnn_exp.schema import GRADIENT_STATUSES
from tests.figures import (
    test_study_cells,
    test_study_copy_memory,
    test_study_course,
    test_study_edge_of_chaos,
    test_study_harm,
    test_study_lyapunov,
    test_study_masking,
    test_study_pascanu2013_cliff,
    test_study_pascanu2013_fig7,
    test_study_phase,
    test_study_remedies,
    test_study_thresholds,
)
from tests.tables import Study, study

LATER: tuple[str, ...] = ("largest_slope", "recurrent_weights")
"""Columns that results of format 1 lack."""
GENERAL = dict.fromkeys(figures.names(), study)
EXAMPLES: dict[str, Callable[[], Study]] = {
    **GENERAL,
    "adding": test_study_copy_memory.copying,
    "cells": test_study_cells.compared,
    "copy_memory": test_study_copy_memory.copying,
    "course": lambda: test_study_course.study(*test_study_course.SIX),
    "edge_of_chaos": test_study_edge_of_chaos.driven,
    "harm": test_study_harm.three,
    "lyapunov": test_study_lyapunov.known,
    "masking": test_study_masking.both,
    "pascanu2013_cliff": test_study_pascanu2013_cliff.unit,
    "pascanu2013_fig7": test_study_pascanu2013_fig7.solving,
    "phase": test_study_phase.known,
    "remedies": lambda: test_study_remedies.mended(*test_study_remedies.ALL),
    "thresholds": test_study_thresholds.known,
}
BELOW_ZERO: dict[str, tuple[str, ...]] = {
    "course": ("weight", "bias"),
    "lyapunov": ("median", "low", "high", "predicted"),
    "pascanu2013_cliff": ("bias",),
}
"""Columns that hold negative numbers and are no logarithms of norms: weights, exponents."""
EVERY = [*figures.names(), *figures.study_names()]


@functools.cache
def made(make: Callable[[], Study]) -> Study:
    """Make a study once, for every test of every figure that has it."""
    return make()


def example(name: str) -> Study:
    """Return the example of a figure, as an object of its own."""
    return copy.deepcopy(made(EXAMPLES[name]))


def test_every_figure_has_an_example_here():
    assert sorted(EXAMPLES) == sorted(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_is_what_the_contract_says(name):
    module = figures.figure(name)

    assert isinstance(module, figures.FigureModule)
    assert module.QUESTION.endswith("?")
    for function in ("table", "draw", "caption"):
        wanted = inspect.signature(getattr(figures.FigureModule, function))
        found = inspect.signature(getattr(module, function))
        assert list(found.parameters) == list(wanted.parameters)[1:]
    plotted = module.table(example(name))
    assert isinstance(plotted, figures.Plotted)
    assert plotted.table.attrs == {}
    assert all(isinstance(note, str) and note.endswith(".") for note in plotted.notes)


def test_a_page_has_the_figures_that_its_study_declares_or_all_general_ones():
    assert figures.of_page(("harm", "decay", "harm")) == ["harm", "decay"]
    assert figures.of_page(None) == figures.names()


def test_a_declared_figure_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match=r"page\.figures.*decay"):
        figures.of_page(("decoy",))


def modules() -> Iterable[str]:
    """The names of all modules of the figures."""
    found = pkgutil.walk_packages(figures.__path__, figures.__name__ + ".")
    return [info.name for info in found if not info.ispkg]


@pytest.mark.parametrize("name", modules())
def test_no_module_hides_anything_in_the_attributes_of_a_frame(name):
    assert ".attrs" not in inspect.getsource(pkgutil.resolve_name(name))


def test_every_module_beside_the_parts_is_a_figure():
    parts = {info.name for info in pkgutil.iter_modules(rnn_exp.figures.parts.__path__)}
    named = {name.rsplit(".", 1)[1] for name in modules() if ".recordings." not in name}
    assert named - parts == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_a_column_of_logarithms_says_so(name):
    table = figures.figure(name).table(example(name)).table
    numbers = table.select_dtypes("number")
    below = [str(column) for column in numbers if (numbers[column] < 0).any()]

    assert [c for c in below if not c.startswith("log10_")] == [
        column for column in below if column in BELOW_ZERO.get(name, ())
    ]


def test_a_gradient_has_no_column_that_could_be_taken_for_a_norm():
    table = figures.figure("decay").table(study()).table

    assert {"log10_median", "log10_low", "log10_high", "log10_predicted"} <= set(table)
    assert not {"median", "low", "high", "predicted"} & set(table)


@pytest.mark.parametrize("name", EVERY)
def test_results_of_format_1_are_drawn(name):
    tables = example(name)
    old = tables.runs.drop(columns=[column for column in LATER if column in tables.runs])
    module = figures.figure(name)

    plotted = module.table(dataclasses.replace(tables, runs=old))

    assert module.draw(plotted).axes
    assert "nan" not in whole_caption(module, plotted).replace("NaN", "")


def rows(median: list[float], **lost: list[int]) -> pd.DataFrame:
    values = np.asarray(median)
    ends = {"median": values, "low": values - 1, "high": values + 1}
    return pd.DataFrame({"lag": range(len(median)), **ends, **lost})


def lines(axes, gid):
    return [line.get_xdata().tolist() for line in axes.lines if line.get_gid() == gid]


def test_a_band_marks_what_is_lost_at_the_lower_and_the_upper_edge():
    axes = Figure().subplots()

    marks.band(
        axes, rows([0, 1, -np.inf, 2], floor=[0, 1, 3, 0], ceiling=[0, 0, 0, 2]), "lag", "C0"
    )

    assert lines(axes, "floor") == [[1, 2]]
    assert lines(axes, "ceiling") == [[3]]
    heights = {line.get_gid(): line.get_ydata()[0] for line in axes.lines[1:]}
    assert heights["floor"] < 0.5 < heights["ceiling"]


def test_a_band_is_a_line_with_gaps_and_the_range_around_it():
    axes = Figure().subplots()

    marks.band(axes, rows([0, np.nan, -np.inf, 2]), "lag", "C0", gid="it")

    [line] = axes.lines
    assert line.get_gid() == "it"
    np.testing.assert_array_equal(line.get_ydata(), [0, np.nan, np.nan, 2])
    [band] = axes.collections
    corners = np.concatenate([path.vertices for path in band.get_paths()])
    assert set(corners[:, 0]) == {0, 3}
    assert (corners[:, 1].min(), corners[:, 1].max()) == (-1, 3)


def test_a_range_ends_at_the_median_where_a_seed_is_lost():
    axes, seed_lost = Figure().subplots(), rows([1.0, 1.0])
    seed_lost.loc[0, "low"] = -np.inf

    marks.band(axes, seed_lost, "lag", "C0")

    corners = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
    assert corners[corners[:, 0] == 0, 1].min() == 1


def test_a_band_over_names_is_points_and_bars():
    axes = Figure().subplots()
    named = rows([0, 1]).rename(columns=lambda name: name if name == "lag" else f"log10_{name}")

    marks.band(axes, named, "lag", "C0", log10=True, joined=False, marker="o")

    assert axes.lines[0].get_linestyle() == "None"
    assert [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()] == [
        [-1, 1],
        [0, 2],
    ]


def test_every_status_of_a_gradient_is_drawn_or_marked():
    assert {"ok", *seeds.FLOOR, *seeds.CEILING} == set(GRADIENT_STATUSES)
    log10 = [0.0, -np.inf, np.inf, np.nan]
    assert seeds.statuses(log10).tolist() == ["ok", "zero", "inf", "nan"]


def test_activations_are_in_the_order_of_the_textbook_and_others_by_name():
    found = order_activations(["elu", "relu", "celu", "sigmoid", "tanh"])

    assert found == ["tanh", "sigmoid", "relu", "celu", "elu"]


@pytest.mark.parametrize("name", figures.study_names())
def test_the_same_table_gives_the_same_bytes(name):
    module = figures.figure(name)
    plotted = module.table(example(name))

    def drawn() -> bytes:
        buffer = io.BytesIO()
        with in_style():
            module.draw(plotted).savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    assert drawn() == drawn()
