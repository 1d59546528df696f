"""YAML that is read once in a process: each command reads the same thirty small files, twice.

A text that was read before gives a copy of what it gave; one that cannot be read is read again, and
refused as before. So it is with interpolations, of which each command parses the same few.
"""

import functools
import pickle
from pathlib import Path
from unittest import mock

from omegaconf import OmegaConf
from omegaconf.grammar_parser import parse


def once(load):
    """Return the loader of configurations that remembers what it has read."""
    known = {}

    @functools.wraps(load)
    def loaded(file_):
        if isinstance(file_, str | Path):
            text = Path(file_).read_text("utf-8")
        elif hasattr(file_, "seek"):
            text = file_.read()
            file_.seek(0)
        else:
            return load(file_)
        if text not in known:
            known[text] = pickle.dumps(load(file_))  # copied ten times as fast as by copy.deepcopy
        return pickle.loads(known[text])

    return loaded


def start():
    """Let OmegaConf read so, for the whole process."""
    mock.patch.object(OmegaConf, "load", staticmethod(once(OmegaConf.load))).start()
    parsed = functools.lru_cache(maxsize=1000)(parse)  # nobody changes a tree
    for place in ("omegaconf.base.parse", "omegaconf._utils.parse"):
        mock.patch(place, parsed).start()
