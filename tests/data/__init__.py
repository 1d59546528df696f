"""The tests of rnn_exp.data."""
