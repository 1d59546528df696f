"""The tests of rnn_exp.tasks."""
