"""Parts checked against slow, obvious computations: those of users, and those of this package.

`verify` says of each part what was compared, how far it is off, and whether that is allowed.
"""

from rnn_exp.verification.finding import Finding
from rnn_exp.verification.verify import verify

__all__ = ["Finding", "verify"]
