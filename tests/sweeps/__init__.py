"""The tests of rnn_exp.sweeps."""
