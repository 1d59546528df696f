"""Reproduction: what others published or proved, made again and put beside what they wrote.

`claims` says what a claim is, and `goals` what meets it. `random_networks`, `theory_of_cells`,
`theory_of_sequences`, `single_unit`, `temporal_order` and `trained_networks` hold the claims: the
numbers to hit, and the runs that make ours. `measuring` makes them and shows them as a table;
`command` is the command line.
"""

from rnn_exp.reproduction import (
    random_networks,
    single_unit,
    temporal_order,
    theory_of_cells,
    theory_of_sequences,
    trained_networks,
)
from rnn_exp.reproduction.claims import Claim

__all__ = ["CLAIMS", "Claim"]

CLAIMS: tuple[Claim, ...] = (
    *random_networks.CLAIMS,
    *theory_of_sequences.CLAIMS,
    *theory_of_cells.CLAIMS,
    *single_unit.CLAIMS,
    *temporal_order.CLAIMS,
    *trained_networks.CLAIMS,
)
