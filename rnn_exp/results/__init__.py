"""Results: what others published or proved, made again and put beside what they wrote.

`claims` says what a claim is, `goals` what meets it; one file a group of claims holds the numbers
to hit and the runs that make ours; `reproduction` makes them, `table` shows them.
"""

from rnn_exp.results.claims import Claim
from rnn_exp.results.linear import CLAIMS as LINEAR
from rnn_exp.results.one_unit import CLAIMS as ONE_UNIT
from rnn_exp.results.recalling import CLAIMS as RECALLING
from rnn_exp.results.temporal_order import CLAIMS as TEMPORAL_ORDER
from rnn_exp.results.wide import CLAIMS as WIDE

__all__ = ["CLAIMS", "Claim"]

CLAIMS: tuple[Claim, ...] = (*WIDE, *ONE_UNIT, *TEMPORAL_ORDER, *RECALLING, *LINEAR)
