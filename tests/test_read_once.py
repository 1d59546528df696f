"""YAML that is read once: the same values each time, never the same object, the same refusals."""

import pytest
import yaml
from omegaconf import OmegaConf

from tests.read_once import once


def test_a_text_is_read_once_and_each_reader_has_a_copy(tmp_path):
    path, calls = tmp_path / "a.yaml", []
    path.write_text("a: {b: [1], c: '${a.b}'}")

    def load(file_):
        calls.append(file_)
        return OmegaConf.create(path.read_text())

    read = once(load)
    with path.open() as one, path.open() as two:
        found = [read(one), read(two), read(path)]

    assert found == 3 * [{"a": {"b": [1], "c": [1]}}]
    found[0].a.b.append(2)
    assert found[0].a.c == [1, 2]
    assert found[1] == found[2] == read(path) == {"a": {"b": [1], "c": [1]}}
    assert len(calls) == 1


def test_a_changed_file_is_read_anew_and_a_broken_one_refused_each_time(tmp_path):
    path = tmp_path / "a.yaml"
    for text, value in (("a: 1", 1), ("a: 2", 2)):
        path.write_text(text)
        assert OmegaConf.load(path).a == value
    path.write_text("a: b: c")
    for _ in range(2):
        with pytest.raises(yaml.YAMLError, match=r"a.yaml\", line 1, column 5"):
            OmegaConf.load(path)
