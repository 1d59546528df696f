"""The tests of rnn_exp.reproduction."""
