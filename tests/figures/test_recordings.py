"""Figures of a recording: exactly its norms, all that is lost marked, nothing left out unsaid."""

import inspect
import math

import numpy as np
import pytest

from rnn_exp import figures
from rnn_exp.fields import SettingError
from rnn_exp.figures.parts.style import COLUMN
from rnn_exp.figures.recordings.cases import titles
from rnn_exp.report.recordings import figure
from tests.recordings.frames import NOTHING, recorded, rows, together

DEEP = together(
    *(
        rows(rate, 20, update=update, layer=layer)
        for update, rate in ((0, 0.5), (5, 0.8), (10, 1.2))
        for layer in (1, 0)
    )
)


def drawn(name, frame):
    module = figures.of_recording(name)
    plotted = module.table(frame)
    return plotted.table, module.draw(plotted), module.caption(plotted)


def curves(axes):
    """The lines of norms, without marks."""
    return [line for line in axes.lines if line.get_gid() is None and line.get_marker() == "None"]


def test_the_figures_are_what_their_contract_says():
    assert figures.recording_names() == ["profile", "heatmap"]
    for name in figures.recording_names():
        module = figures.of_recording(name)
        assert isinstance(module, figures.RecordingFigure)
        assert module.QUESTION.endswith("?")
        assert list(inspect.signature(module.table).parameters) == ["frame"]
        plotted = module.table(DEEP)
        below = plotted.table.select_dtypes("number").lt(0).any()
        assert all(str(column).startswith("log10_") for column in below[below].index)
        assert all(note.endswith(".") for note in plotted.notes)


@pytest.mark.parametrize("has_memory", [False, True])
def test_a_profile_is_the_norm_that_shows_the_reach_at_every_lag(has_memory):
    _, figure, caption = drawn("profile", rows(0.5, 20, has_memory=has_memory))

    [line] = curves(figure.axes[0])
    np.testing.assert_array_equal(line.get_xdata(), range(20))
    np.testing.assert_allclose(line.get_ydata(), np.arange(20) * math.log10(0.5))
    assert ("∂L/∂c_t" if has_memory else "∂L/∂h_t") in caption


def test_a_panel_is_a_layer_and_a_line_an_update():
    _, figure, caption = drawn("profile", DEEP)

    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "core, layer 1",
        "core, layer 0",
    ]
    assert [len(curves(axes)) for axes in figure.axes] == [3, 3]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["update 0", "update 5", "update 10"]
    assert caption.count("at update 0 vanishing") == caption.count("at update 10 exploding") == 2


def test_of_many_updates_the_first_some_and_the_last_are_drawn():
    table, _, caption = drawn("profile", together(*(rows(update=n) for n in range(0, 40, 2))))

    shown = sorted(table["update"].unique())
    assert (len(shown), shown[0], shown[-1]) == (5, 0, 38)
    assert "Drawn are 5 of 20 recorded updates" in caption


@pytest.mark.parametrize("name", ["profile", "heatmap"])
def test_six_panels_are_drawn_and_the_others_are_named(name):
    parts = [rows(update=n, layer=layer, losses=0) for n in (0, 1) for layer in range(8)]

    _, figure, caption = drawn(name, together(*parts))

    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) == 6
    assert panels[0].get_title(loc="left") == "core, layer 7"
    assert "Left out to keep the figure readable: core, layer 1 and core, layer 0." in caption


def test_lost_norms_are_marked_and_a_true_one_is_drawn():
    lost = {
        2: (-1.0, "underflow"),
        3: (40.0, "inf"),
        5: (math.nan, "nan"),
        7: (-math.inf, "zero"),
        8: (-math.inf, "cut_off"),
    }

    table, figure, caption = drawn("profile", rows(0.9, 10, lost=lost))

    marks = {line.get_gid(): line.get_xdata().tolist() for line in figure.axes[0].lines}
    assert marks["floor"] == [7, 8]
    assert marks["ceiling"] == [5]
    assert marks["unseen"] == [2]
    [line] = curves(figure.axes[0])
    assert line.get_ydata()[3] == 40.0
    assert np.isnan(line.get_ydata()[[5, 7, 8]]).all()
    assert table["unseen"].sum() == 2
    assert "At 2 points there is no number" in caption
    assert "At 1 point the norm is not finite" in caption
    assert "At 2 points training lost the norm" in caption


@pytest.mark.parametrize("name", ["profile", "heatmap"])
def test_where_no_norm_is_finite_that_is_drawn_too(name):
    nowhere = dict.fromkeys(range(9), (math.nan, "nan"))
    frame = together(*(rows(steps=9, update=n, lost=nowhere) for n in (0, 1)))

    _, figure, caption = drawn(name, frame)

    figure.draw_without_rendering()
    assert "18 points the norm is not" in caption or "18 cells of 18: not finite" in caption


def test_of_several_calls_the_caption_says_which_is_drawn():
    _, _, caption = drawn("profile", together(rows(call=0), rows(call=1)))

    assert "the longest is drawn, of equals the last" in caption


def test_a_map_is_relative_to_lag_0_of_its_update_on_a_scale_with_1_in_its_middle():
    table, figure, caption = drawn("heatmap", DEEP)

    exact = table["lag"] * np.log10(table["update"].map({0: 0.5, 5: 0.8, 10: 1.2}))
    np.testing.assert_allclose(table["log10_relative"], exact)
    mesh = figure.axes[0].collections[0]
    assert mesh.norm.vmin == -mesh.norm.vmax == -6.0
    assert "at update 0, 19 steps back 1.9e-06 of it is left" in caption
    assert "at update 10, 19 steps back it is 31.9 times as large" in caption


def test_a_map_is_relative_to_the_first_lag_that_has_a_norm():
    frame = together(*(rows(0.5, 9, update=n, lost={0: (-math.inf, "zero")}) for n in (0, 1)))

    table, _, caption = drawn("heatmap", frame)

    value = table[table["kind"] == "value"]
    np.testing.assert_allclose(value["log10_relative"], (value["lag"] - 1) * math.log10(0.5))
    assert table.loc[table["lag"] == 0, "kind"].tolist() == ["floor", "floor"]
    assert "relative to the smallest lag that has a norm" in caption


def test_cells_of_lags_that_an_update_had_not_are_not_recorded():
    table, figure, caption = drawn("heatmap", together(rows(steps=9), rows(steps=12, update=1)))

    none = table[table["kind"] == "none"]
    assert none[["update", "lag"]].to_numpy().tolist() == [[0, 9], [0, 10], [0, 11]]
    assert "grey: not recorded" in caption
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["not recorded"]


def test_one_update_is_no_map_and_no_rows_are_no_figure():
    with pytest.raises(figures.CannotDraw, match="fewer than two updates"):
        drawn("heatmap", rows())
    for name in figures.recording_names():
        with pytest.raises(figures.CannotDraw, match="Nothing was recorded"):
            drawn(name, NOTHING)


def test_another_name_or_width_is_refused_in_one_line():
    with pytest.raises(SettingError, match=r"name=profil is .* one of profile, heatmap$"):
        figure(recorded(DEEP), "profil", None)
    with pytest.raises(SettingError, match="width=0"):
        figure(recorded(DEEP), "profile", 0)
    assert figure(recorded(DEEP), "profile", 5).get_figwidth() == 5
    assert figure(recorded(rows()), "profile", None).get_figwidth() == COLUMN


@pytest.mark.parametrize("count", [1, 2, 5])
def test_titles_do_not_overlap_however_long_the_names(count):
    names = [f"{'encoder.blocks.' * 4}recurrent{n}" for n in range(count)]
    _, figure, caption = drawn("profile", together(*(rows(module=name) for name in names)))

    figure.draw_without_rendering()

    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left")[-10:] for axes in panels] == [n[-10:] for n in names]
    for axes in panels:
        assert axes._left_title.get_window_extent().x1 <= axes.get_tightbbox().x1 + 1
        assert axes._left_title.get_window_extent().x1 <= figure.bbox.x1
    assert all(name in caption for name in names)
    below = {axes.get_position().x0: axes for axes in panels}
    assert all(axes.xaxis.get_ticklabels()[0].get_visible() for axes in below.values())


def test_a_dollar_in_a_name_is_no_formula():
    _, figure, _ = drawn("profile", rows(module="cost$x_$"))

    figure.draw_without_rendering()
    assert figure.axes[0].get_title(loc="left") == r"cost\$x_\$"


def test_a_name_that_fits_is_not_shortened():
    assert titles(["core, layer 1, backward"], 3) == ["core, layer 1, backward"]
    [short] = titles(["m" * 60 + ", layer 1"], 3)
    assert len(short) == 33
    assert short.startswith("…")
    assert short.endswith("m, layer 1")
