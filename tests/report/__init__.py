"""The tests of rnn_exp.report."""
