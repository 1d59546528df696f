"""The checker of types and shapes that the tests turn on: an int is a float, as PEP 484 has it.

Of a list beartype looks at one item that it draws. It draws from a generator of its own here:
Python's global one belongs to hypothesis, which refuses that a strategy changes it.
"""

import random
from unittest import mock

from beartype import BeartypeConf, beartype

# Stays for the whole process; an AttributeError tells that beartype has it no longer.
mock.patch("beartype._check.code.codemain.getrandbits", random.Random(0).getrandbits).start()

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
