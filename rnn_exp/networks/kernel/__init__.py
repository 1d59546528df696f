"""The scans as compiled loops: the forward pass and the adjoint of a layer, a run after the other.

Torch needs a few calls a time step, and its products of small matrices are slow; here a layer's
whole pass is one call. A run's numbers are computed by the same instructions in the same order
whatever runs are beside it, and on every processor that has fused multiply-add: vectors are 64
bytes whatever the registers are, sums go in the order of their index, and nothing may be reordered.
So a run has the same bits alone, in company and resumed, by construction.

``vectors`` (a vector and what can be done with it), ``rows`` of numbers, ``tiles`` (products of
matrices), ``functions`` (φ and φ'), ``elman``, ``gru`` and ``lstm`` (the passes), ``products`` (and
inverses), ``losses`` of what is read, ``measures`` (what is recorded of the passes) with
``outer`` (norms of contributions), and ``descent`` (steps of optimisers) are compiled by numba
(``compiling``) and kept (``keeping``). ``memory`` says where numbers lie,
``blocks`` keeps large blocks of it between updates, ``passes`` (of cells with gates: ``gated``) and
``recording`` put tensors in and take them out, ``cells`` are the cells that do so, ``reader`` is
the read-out, ``matrices`` computes penalties and rotations, and ``steps`` makes steps. numba is
imported when something is to be trained.
"""
