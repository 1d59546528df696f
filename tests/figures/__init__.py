"""The tests of rnn_exp.figures."""
