"""Reproduction: what others published or proved, made again and put beside what they wrote.

`claims` says what a claim is and what meets it. `random_networks`, `single_unit` and
`trained_networks` hold the claims: the numbers to hit, and the runs that make ours. `measuring`
makes them and shows them as a table; `command` is the command line.
"""

from rnn_exp.reproduction import random_networks, single_unit, trained_networks
from rnn_exp.reproduction.claims import Claim

__all__ = ["CLAIMS", "Claim"]

CLAIMS: tuple[Claim, ...] = (
    *random_networks.CLAIMS,
    *single_unit.CLAIMS,
    *trained_networks.CLAIMS,
)
