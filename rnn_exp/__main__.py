"""``python -m rnn_exp`` is ``rnn-exp``."""

from rnn_exp.app import main

main()
