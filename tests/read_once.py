"""YAML that is read once in a process: each command reads the same thirty small files, twice.

A text that was read before gives a copy of what it gave; one that cannot be read is read again, and
refused as before. So it is with interpolations, of which each command parses the same few.
"""

import copy
import functools
from unittest import mock

import yaml
from omegaconf.grammar_parser import parse


def once(load):
    """Return the loader of YAML that remembers what it has read."""
    known = {}

    @functools.wraps(load)
    def loaded(stream, Loader):
        if not hasattr(stream, "seek"):
            return load(stream, Loader=Loader)
        key = Loader.__name__, stream.read()
        if key not in known:
            stream.seek(0)
            known[key] = load(stream, Loader=Loader)
        return copy.deepcopy(known[key])

    return loaded


def start():
    """Let OmegaConf read so, for the whole process."""
    mock.patch("omegaconf.omegaconf.yaml.load", once(yaml.load)).start()
    parsed = functools.lru_cache(maxsize=1000)(parse)  # nobody changes a tree
    for place in ("omegaconf.base.parse", "omegaconf._utils.parse"):
        mock.patch(place, parsed).start()
