"""The tests of rnn_exp.storage."""
