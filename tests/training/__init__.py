"""The tests of rnn_exp.training."""
