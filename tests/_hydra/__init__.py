"""The tests of rnn_exp._hydra."""
