"""Settings: what is refused, in which words; what is let through, as what."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_exp.fields import SettingError, as_typed, check, choice, choice_error, number, whole


@dataclasses.dataclass(frozen=True)
class Example:
    count: int = whole(3, least=2)
    rate: float = number(0.5, above=0)
    scale: float = number(1.0, least=0)
    limit: float | None = number(None, above=0)
    word: str = choice("tanh", ["tanh", "sigmoid", "relu"])
    free: object = None

    def __post_init__(self):
        check(self)


WRONG = st.one_of(st.text(), st.booleans(), st.lists(st.integers()), st.just({}))


@given(value=st.one_of(WRONG, st.none(), st.floats(), st.integers(max_value=1)))
def test_anything_but_a_whole_number_of_at_least_the_least_is_refused(value):
    with pytest.raises(SettingError) as refused:
        Example(count=value)

    assert str(refused.value) == (
        f"count={as_typed(value)} is not possible: allowed is a whole number of at least 2"
    )


@given(value=st.integers(min_value=2, max_value=2**31 - 1))
def test_whole_numbers_are_kept_as_they_are(value):
    assert Example(count=value).count is value


@pytest.mark.parametrize("key", ["count", "rate", "scale", "limit"])
@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_not_a_number(key, value):
    typed = as_typed(value)
    with pytest.raises(SettingError, match=rf"^{key}={typed} is not possible: allowed is a .*num"):
        Example(**{key: value})


@pytest.mark.parametrize("key", ["rate", "scale", "limit"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400), "1", [1.0]])
def test_a_number_that_is_not_finite_or_no_number_is_refused(key, value):
    allowed = {"rate": "above 0", "scale": "of at least 0", "limit": "above 0 or null"}[key]

    with pytest.raises(SettingError) as refused:
        Example(**{key: value})

    assert str(refused.value).endswith(f" is not possible: allowed is a number {allowed}")
    shown = repr(value) if isinstance(value, str) else str(value)
    assert str(refused.value).startswith(f"{key}={shown[:40]}")


@given(value=st.floats(max_value=0) | st.integers(max_value=0))
def test_above_excludes_the_bound(value):
    for key in ("rate", "limit"):
        with pytest.raises(SettingError, match=f"^{key}=.*: allowed is a number above 0"):
            Example(**{key: value})


@given(value=st.floats(max_value=0, exclude_max=True) | st.integers(max_value=-1))
def test_at_least_excludes_what_is_below(value):
    with pytest.raises(SettingError, match=r"^scale=.*: allowed is a number of at least 0$"):
        Example(scale=value)


def test_at_least_includes_the_bound():
    assert Example(scale=0).scale == 0


@given(value=st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_finite_numbers_in_the_range_keep_every_digit(value):
    example = Example(rate=value, limit=value)

    assert (example.rate, example.limit) == (value, value)


@given(value=st.integers(min_value=1, max_value=10**300))
def test_a_whole_number_where_a_number_is_wanted_becomes_a_float(value):
    assert repr(Example(rate=value).rate) == repr(float(value))
    assert repr(Example(limit=value).limit) == repr(float(value))


def test_zero_has_no_sign():
    assert math.copysign(1, Example(scale=-0.0).scale) == 1


def test_null_is_allowed_only_where_the_default_is_null():
    assert Example(limit=None).limit is None
    for key in ("count", "rate", "scale", "word"):
        with pytest.raises(SettingError, match=f"^{key}=null is not possible"):
            Example(**{key: None})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("tanhh", " (did you mean tanh?)"),
        ("Relu", " (did you mean relu?)"),
        ("softplus", ""),
        (3, ""),
        (None, ""),
        (["tanh"], " (did you mean tanh?)"),
    ],
)
def test_an_unknown_word_is_refused_with_all_words_and_the_nearest(value, hint):
    with pytest.raises(SettingError) as refused:
        Example(word=value)

    assert str(refused.value) == (
        f"word={as_typed(value)} is not possible: allowed is one of tanh, sigmoid, relu{hint}"
    )


@pytest.mark.parametrize("word", ["tanh", "sigmoid", "relu"])
def test_every_word_of_a_choice_is_allowed(word):
    assert Example(word=word).word == word


def test_a_field_without_a_rule_takes_anything():
    assert Example(free=math.nan).free is math.nan


def test_the_first_wrong_field_is_named():
    with pytest.raises(SettingError, match=r"^count=0 "):
        Example(count=0, rate=-1)


def test_a_refusal_keeps_its_parts_and_takes_its_group():
    error = SettingError("length", 0, "a whole number").under("task")

    assert (error.key, error.value, error.allowed) == ("task.length", 0, "a whole number")
    assert str(error) == "task.length=0 is not possible: allowed is a whole number"
    assert isinstance(error, ValueError)


def test_the_word_that_was_meant_to_be_an_option_is_compared_with_the_options():
    options = ["training.learning_rate", "training.updates"]

    refused = choice_error("training.lerning_rate", 1, options, typed="training.lerning_rate")

    assert str(refused) == (
        "training.lerning_rate=1 is not possible: allowed is one of training.learning_rate, "
        "training.updates (did you mean training.learning_rate?)"
    )
    assert "did you mean" not in str(choice_error("training.lerning_rate", 1, options))


@pytest.mark.parametrize(("key", "value"), [("count", "12"), ("rate", "0.5"), ("count", "007")])
def test_a_number_that_came_as_a_text_is_shown_as_one(key, value):
    with pytest.raises(SettingError, match=rf"^{key}='{value}' is not possible: "):
        Example(**{key: value})
