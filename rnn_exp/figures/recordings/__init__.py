"""The figures of a recording of somebody's network (`rnn_exp.record_gradients`), a module each."""
