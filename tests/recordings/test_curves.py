"""The curves of an update: numbers with known answers, under names that stay."""

import math

import numpy as np
import pytest

from rnn_exp.recordings.curves import curves_of
from rnn_exp.schema import TABLES
from tests.recordings.frames import rows, together

MODULE_AND_CASE = ["call", "module", "direction"]


def test_the_curves_of_a_layer_are_those_of_its_profile():
    frame = rows(0.5, 21).assign(saturation=np.linspace(0, 1, 21), state_rms=0.25)

    found = curves_of(frame, {})

    assert found == pytest.approx(
        {
            "core/layer_0/decay_rate": 0.5,
            "core/layer_0/log10_change": 20 * math.log10(0.5),
            "core/layer_0/horizon": 7,  # 2⁻⁷ is the first power below 1 %
            "core/layer_0/verdict": -1,
            "core/layer_0/log10_last": 0,
            "core/layer_0/log10_first": 20 * math.log10(0.5),
            "core/layer_0/share_not_ok": 0,
            "core/layer_0/saturation": 0.5,
            "core/layer_0/state_rms": 0.25,
        }
    )


@pytest.mark.parametrize(("rate", "verdict"), [(0.5, -1), (1.0, 0), (1.5, 1)])
def test_a_verdict_is_a_number(rate, verdict):
    assert curves_of(rows(rate), {})["core/layer_0/verdict"] == verdict


def test_of_an_lstm_the_curves_are_those_of_its_memory():
    assert curves_of(rows(0.5, has_memory=True), {})["core/layer_0/decay_rate"] == pytest.approx(
        0.5
    )


def test_rows_in_any_order_give_the_same_curves():
    frame = rows(0.7).sample(frac=1, random_state=3)

    assert curves_of(frame, {}) == curves_of(rows(0.7), {})


def test_every_layer_has_a_name_and_a_direction_only_where_there_are_two():
    frame = together(
        rows(module="one", layer=0),
        rows(module="one", layer=1),
        rows(module="a.b", direction="forward"),
        rows(module="a.b", direction="backward"),
        rows(module=""),
    )

    places = {name.rpartition("/")[0] for name in curves_of(frame, {})}

    assert places == {
        "one/layer_0",
        "one/layer_1",
        "a.b/layer_0/forward",
        "a.b/layer_0/backward",
        "layer_0",
    }


def test_rows_of_a_run_have_the_curves_of_a_model_that_is_one_module():
    frame = together(rows(0.5, module=""), rows(0.9, module="", layer=1))

    assert curves_of(frame.drop(columns=MODULE_AND_CASE), {}) == curves_of(frame, {})


def test_what_is_not_known_is_left_out_and_what_is_not_finite_is_not():
    lost = dict.fromkeys(range(20), (math.nan, "nan"))
    of_update = {"loss": math.nan, "grad_norm": math.inf, "omega": math.nan, "clipped": True}

    found = curves_of(rows(lost=lost), of_update)

    assert found.pop("updates/loss") is not None
    assert found == {
        "updates/grad_norm": math.inf,
        "updates/clipped": 1.0,
        "core/layer_0/share_not_ok": 1.0,
        "core/layer_0/state_rms": 1.0,
    }


def test_the_share_of_steps_that_training_lost_is_counted():
    lost = {19: (-90.0, "underflow"), 18: (-80.0, "underflow")}

    assert curves_of(rows(lost=lost), {})["core/layer_0/share_not_ok"] == 0.1


def test_of_several_calls_the_last_of_the_longest_counts():
    frame = together(rows(0.9, 20, call=0), rows(0.5, 20, call=1), rows(0.1, 9, call=2))

    assert curves_of(frame, {})["core/layer_0/decay_rate"] == pytest.approx(0.5)


def test_the_curves_of_an_update_have_the_names_of_its_columns():
    names = [name for name in TABLES["updates"].names if name not in ("update", "length")]
    of_update = dict.fromkeys(TABLES["updates"].names, 0.5)

    found = curves_of(rows(), of_update)

    assert [name for name in found if name.startswith("updates/")] == [
        f"updates/{name}" for name in names
    ]
    assert all(type(value) is float for value in found.values())
