"""What every command does first, done once: a fork server that imports this has it done for all.

Hydra looks for plugins, and the parsers of its two grammars learn what comes after what: together
half of the time of a small command.
"""

import sys
from pathlib import Path

import rnn_exp
from tests import read_once
from tests.studies import composed

read_once.start()
sys.path.append(str(Path(rnn_exp.__file__).parent / "_hydra"))
composed("task=adding", "init.gain=0.5")
