"""YAML that is read once: the same values each time, never the same object, the same refusals."""

import pytest
import yaml
from omegaconf import OmegaConf

from tests.read_once import once


def test_a_text_is_read_once_and_each_reader_has_a_copy(tmp_path):
    path, calls = tmp_path / "a.yaml", []
    path.write_text("a: {b: [1]}")

    def load(stream, Loader):
        calls.append(stream)
        return yaml.load(stream.read(), Loader)

    with path.open() as one, path.open() as two:
        read = once(load)
        first, second = read(one, yaml.SafeLoader), read(two, yaml.SafeLoader)

    assert first == second == {"a": {"b": [1]}}
    assert first["a"]["b"] is not second["a"]["b"]
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
