"""The tests of rnn_exp.theory."""
