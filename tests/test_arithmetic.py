"""What decides the bits beside the run: the processor, and how it is told to compute."""

import pytest
import torch

from rnn_exp.arithmetic import arithmetic, ask_for_strict_products, is_settled


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_what_is_in_effect_is_plain_words_in_one_order(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AUTO,STRICT")
    found = arithmetic()
    assert all(type(word) is str and word for word in found.values())
    assert list(found) == sorted(found)
    assert found == arithmetic()
    assert (found["MKL_CBWR"], found["threads"]) == ("AUTO,STRICT", "1")
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()


@pytest.mark.parametrize("empty", ["", " "])
def test_a_setting_that_is_there_but_empty_is_as_one_that_is_not_there(monkeypatch, empty):
    monkeypatch.delenv("MKL_CBWR", raising=False)
    monkeypatch.delenv("MKL_ENABLE_INSTRUCTIONS", raising=False)
    without = arithmetic()
    monkeypatch.setenv("MKL_CBWR", empty)
    monkeypatch.setenv("MKL_ENABLE_INSTRUCTIONS", empty)
    assert arithmetic() == without
    assert not is_settled()

    ask_for_strict_products()
    assert is_settled()
    assert arithmetic() == {**without, "MKL_CBWR": "AUTO,STRICT"}


def test_what_the_user_has_asked_for_stays_and_is_told(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    ask_for_strict_products()
    found = arithmetic()
    assert found["MKL_CBWR"] == "COMPATIBLE"
    assert found["ATEN_CPU_CAPABILITY"] == "default"


def test_settings_of_torch_that_change_results_are_told(monkeypatch):
    before = arithmetic()
    torch.set_num_threads(2)
    assert arithmetic() == {**before, "threads": "2"}
    torch.set_num_threads(1)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        assert arithmetic() == {**before, "mkldnn": "false"}
    if torch.set_flush_denormal(True):
        try:
            assert arithmetic() == {**before, "flush_denormal": "true"}
        finally:
            torch.set_flush_denormal(False)
