"""The tests of rnn_exp.networks."""
