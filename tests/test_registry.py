"""A registry: names in order, each once, and messages that name what there is."""

import dataclasses
from collections.abc import Mapping

import pytest

from rnn_exp.registry import Registry


@dataclasses.dataclass(frozen=True)
class Fruit:
    name: str
    colour: str = ""


@pytest.fixture
def fruits():
    registry = Registry("fruit")
    for name in ("pear", "apple", "fig"):
        registry.register(Fruit(name))
    return registry


def test_a_registry_is_a_mapping_in_the_order_of_registration(fruits):
    assert isinstance(fruits, Mapping)
    assert list(fruits) == ["pear", "apple", "fig"]
    assert fruits == {name: Fruit(name) for name in ("pear", "apple", "fig")}
    assert len(fruits) == 3
    assert "fig" in fruits
    assert "plum" not in fruits
    assert fruits.get("plum") is None
    assert repr(fruits) == "<fruit: pear, apple, fig>"
    assert repr(Registry("vegetable")) == "<vegetable: none>"


def test_a_plain_call_and_a_decorator_return_the_thing_itself():
    registry = Registry("fruit")

    @registry.register
    class Plum:
        name = "plum"

    pear = Fruit("pear")
    assert registry.register(pear) is pear
    assert registry["plum"] is Plum
    assert Plum().name == "plum"


def test_a_name_that_is_taken_is_refused_and_both_are_named(fruits):
    with pytest.raises(ValueError, match=r"'fig' is .*''.*; .*'blue'.* needs another"):
        fruits.register(Fruit("fig", "blue"))
    assert fruits["fig"] == Fruit("fig")


def test_an_unknown_name_is_a_key_error_that_says_which_there_are(fruits):
    with pytest.raises(KeyError, match="no fruit is called 'plum'; there are: pear, apple, fig"):
        fruits["plum"]


@pytest.mark.parametrize("nameless", [object(), Fruit(None), Fruit])
def test_what_has_no_name_of_its_own_is_refused(nameless):
    with pytest.raises(TypeError, match="a fruit needs a name"):
        Registry("fruit").register(nameless)
