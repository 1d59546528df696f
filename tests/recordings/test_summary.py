"""What is said of a recording: of which call and update, and in which words."""

import math

import numpy as np
import pandas as pd
import pytest

from rnn_exp.recordings.line import parts_of
from rnn_exp.recordings.sentences import answers_of, html_of, sentences_of, text_of
from rnn_exp.recordings.summary import (
    carrier_of,
    case_names,
    clipping,
    longest_calls,
    summary,
)
from tests.recordings.frames import NOTHING, rows, together


def test_a_rate_that_is_known_is_found_at_the_first_and_the_last_update():
    frame = together(*(rows(rate, update=n) for n, rate in ((0, 0.5), (3, 0.9), (6, 1.5))))

    said = summary(frame)

    assert said["update"].tolist() == [0, 6]
    np.testing.assert_allclose(said["rate"], [0.5, 1.5])
    assert said["verdict"].tolist() == ["vanishing", "exploding"]


def test_a_module_that_ended_earlier_has_its_own_last_update():
    frame = together(rows(update=0), rows(update=4), rows(0.9, update=2, module="other"))

    said = summary(frame)

    assert said[["update", "module"]].to_numpy().tolist() == [
        [0, "core"],
        [2, "other"],
        [4, "core"],
    ]


def test_of_a_layer_with_a_memory_the_memory_shows_how_far_back_the_gradient_reaches():
    [said] = summary(rows(0.5, has_memory=True)).to_dict("records")

    assert carrier_of(rows(has_memory=True)) == "log10_memory"
    assert said["gradient"] == "∂L/∂c_t"
    assert said["rate"] == pytest.approx(0.5)


def test_steps_with_a_loss_are_counted_in_the_top_layer_alone():
    frame = together(rows(layer=1, losses=3), rows(layer=0, losses=20), rows(module="other"))

    said = summary(frame)

    counts = dict(zip(case_names(said), said["steps_with_loss"], strict=True))
    assert counts["core, layer 1"] == 3
    assert counts["other"] == 1
    assert pd.isna(counts["core, layer 0"])


def test_the_longest_call_counts_and_of_equals_the_last():
    frame = together(rows(0.5, 8, call=0), rows(0.6, 9, call=1), rows(0.7, 9, call=2))

    assert set(longest_calls(frame)["call"]) == {2}


def test_a_longer_call_that_no_gradient_has_reached_does_not_count():
    never = rows(steps=30, lost=dict.fromkeys(range(30), (-math.inf, "cut_off")))
    frame = together(never, rows(0.5, 9, call=1))

    assert set(longest_calls(frame)["call"]) == {1}
    assert set(longest_calls(never)["call"]) == {0}


def test_a_name_says_layer_and_direction_where_there_are_several():
    frame = together(
        rows(module=""),
        rows(module="deep", layer=1),
        rows(module="deep", layer=0),
        rows(module="both", direction="forward"),
        rows(module="both", direction="backward"),
    )

    assert list(dict.fromkeys(case_names(frame))) == [
        "the model",
        "deep, layer 1",
        "deep, layer 0",
        "both, forward",
        "both, backward",
    ]


def test_an_answer_has_verdict_rate_and_interval_of_both_updates():
    frame = together(rows(0.5, update=0), rows(1.5, update=6))
    wiggled = frame.assign(log10_total=frame["log10_total"] + 0.01 * np.sin(7.0 * frame["lag"]))

    [answer] = answers_of(summary(wiggled))

    assert answer.startswith("core: ∂L/∂h_t over 20 steps: at update 0 vanishing, keeps 49.9")
    assert "at update 6 exploding, grows" in answer
    assert answer.count("(rate ") == answer.count(", 95 % ") == 2
    assert len(sentences_of(summary(frame))) == 2


def test_what_is_undetermined_says_why():
    [answer] = answers_of(summary(rows(lost={3: (math.nan, "nan")})))

    assert "undetermined (not a number from lag 3 on)" in answer


def test_words_give_no_rate_where_no_one_rate_describes_the_profile():
    bent = rows(steps=50, lost={lag: (abs(lag / 49 - 0.6) - 0.6, "ok") for lag in range(50)})
    said = summary(bent)
    assert np.isfinite(said["rate"]).all()  # columns keep it

    [sentence] = sentences_of(said)
    [text] = text_of(said).to_dict("records")

    assert sentence.endswith("undetermined (bent: no one rate describes the profile)")
    assert (text["rate (95 %)"], text["half-life or doubling time"]) == ("-", "-")
    assert parts_of(bent)[2] == "bent: no one rate describes the profile"


@pytest.mark.parametrize(
    ("norm", "status", "words"),
    [
        (-math.inf, "zero", "exactly zero from lag 11 on"),
        (-math.inf, "cut_off", "cut off at lag 11 by truncated backpropagation"),
        (math.nan, "nan", "not a number from lag 11 on"),
        (math.inf, "inf", "not finite from lag 11 on"),
        (None, "underflow", "underflow from lag 11 on"),  # its true norm is known
    ],
)
def test_a_sentence_says_where_the_gradient_is_lost_beside_the_rate(norm, status, words):
    true = [lag * math.log10(0.5) if norm is None else norm for lag in range(11, 20)]
    said = summary(rows(lost={lag: (each, status) for lag, each in enumerate(true, 11)}))

    [sentence], [answer] = sentences_of(said), answers_of(said)

    for each in (sentence, answer):
        assert each.count(f"({words})") == 1
        assert "of its size per step" in each
    assert text_of(said)["lost"].tolist() == [words]
    assert words in html_of(said)


@pytest.mark.parametrize("words", [answers_of, sentences_of, text_of, html_of])
def test_of_nothing_there_is_nothing_to_say(words):
    said = words(summary(NOTHING))

    assert len(said) == 0 or said == "<p>Nothing was recorded.</p>"


def test_the_table_of_a_notebook_escapes_names():
    html = html_of(summary(rows(module="<script>")))

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "vanishing" in html


def updates(*norms: float, clipped: bool = True) -> pd.DataFrame:
    return pd.DataFrame({"update": range(len(norms)), "grad_norm": norms, "clipped": clipped})


def test_norms_that_are_not_finite_are_counted_apart_from_those_that_were_clipped():
    said = clipping(updates(1.0, math.inf, 3.0, math.nan))

    assert (said["updates"], said["not_finite"], said["clipped"]) == (4, 2, 1.0)
    assert said["P50"] == 2.0


def test_whether_clipping_binds_at_the_start_is_not_known_where_the_norm_is_not():
    assert clipping(updates(2.0, 1.0))["binds_at_start"] is True
    assert clipping(updates(math.nan, 1.0))["binds_at_start"] is None
    assert clipping(updates(2.0).assign(clipped=math.nan))["binds_at_start"] is None
    assert clipping(NOTHING) == {"updates": 0}
