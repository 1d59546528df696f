"""Results: what others published or proved, made again and put beside what they wrote.

`claims` says what a claim is, `goals` what meets it; one file a group of claims holds the numbers
to hit and the runs that make ours; `reproduction` makes them, `table` shows them.
"""

from rnn_exp.reproduction.claims import Claim
from rnn_exp.reproduction.random_networks import CLAIMS as WIDE
from rnn_exp.reproduction.single_unit import CLAIMS as ONE_UNIT
from rnn_exp.reproduction.trained_networks import LINEAR as LINEAR
from rnn_exp.reproduction.trained_networks import RECALLING as RECALLING
from rnn_exp.reproduction.trained_networks import TEMPORAL_ORDER as TEMPORAL_ORDER

__all__ = ["CLAIMS", "Claim"]

CLAIMS: tuple[Claim, ...] = (*WIDE, *ONE_UNIT, *TEMPORAL_ORDER, *RECALLING, *LINEAR)
