"""Products of matrices: by tiles whose sums stay in registers, each in the order of its index.

C = P + A B, where P may be C itself, one row for all (a bias), or zeros. A tile's shape depends on
how many registers a processor has; it changes the order of no sum, and so no bit.
"""

from llvmlite import binding, ir
from numba import config
from numba.core import types
from numba.extending import intrinsic

from rnn_exp.networks.kernel.compiling import compiled
from rnn_exp.networks.kernel.vectors import (
    BYTES,
    called,
    lanes_of,
    llvm_of,
    load,
    splat,
    store,
)

__all__ = [
    "Tile",
    "add_rows",
    "add_to",
    "clear",
    "has_wide_registers",
    "looped",
    "move",
    "pack",
    "pack_transposed",
    "product",
    "product_of",
    "sum_gates",
    "through_gates",
]


def has_wide_registers():
    """Say whether LLVM compiles for registers of 64 bytes, of which there are 32."""
    asked = config.CPU_FEATURES
    features = binding.get_host_cpu_features().flatten() if asked is None else asked
    return "+avx512f" in features.split(",")


@intrinsic
def _tile(typing, rows, columns, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
    """Emit C = P + A B for some rows and vectors of C.

    Matrices are given by an array, the place of their first number, and the numbers from one row
    to the next; of A also those from one column to the next.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    vector, place = lanes_of(C), types.intp
    shape = rows.literal_value, columns.literal_value

    def emit(context, builder, signature, given):
        Tile(context, builder, vector, *shape).emit(given, C, P, A, B)
        return context.get_dummy_value()

    matrices = C, place, place, P, place, place, A, place, place, place, B, place, place
    return types.void(rows, columns, *matrices, place), emit


def looped(builder, first, count, step, body):
    """Emit sums that ``body(k, sums)`` adds to for k = 0, step, 2 step, … below a count."""
    i64 = ir.IntType(64)
    head, inside = builder.block, builder.append_basic_block("k")
    end = builder.append_basic_block("end")
    builder.cbranch(builder.icmp_signed(">", count, i64(0)), inside, end)
    builder.position_at_end(inside)
    k, sums = builder.phi(i64), [builder.phi(one.type) for one in first]
    new = body(k, sums)
    following = builder.add(k, i64(step))
    for phi, start, then in zip([k, *sums], [i64(0), *first], [following, *new], strict=True):
        phi.add_incoming(start, head)
        phi.add_incoming(then, inside)
    builder.cbranch(builder.icmp_signed("<", following, count), inside, end)
    builder.position_at_end(end)
    last = []
    for start, then in zip(first, new, strict=True):
        found = builder.phi(then.type)
        found.add_incoming(start, head)
        found.add_incoming(then, inside)
        last.append(found)
    return last


class Tile:
    """The instructions of a tile: load the sums, loop over k, store the sums."""

    def __init__(self, context, builder, vector, rows, columns):
        self.context, self.builder = context, builder
        self.vector, self.lanes = llvm_of(vector), vector.lanes
        self.align, self.rows, self.columns = vector.dtype.bitwidth // 8, rows, columns

    def emit(self, given, C, P, A, B):
        """Emit all of it."""
        _, _, C_, c, ldc, P_, p, ldp, A_, a, lda, ka, B_, b, ldb, K = given
        outs = self._places(self.at(C, C_, c), ldc)
        first = [self._load(one) for one in self._places(self.at(P, P_, p), ldp)]
        last = self.sums(first, (self.at(A, A_, a), lda, ka), (self.at(B, B_, b), ldb), K)
        for place, value in zip(outs, last, strict=True):
            self.builder.store(value, place, align=self.align)

    def sums(self, first, A, B, K):
        """Emit first + A B: numbers of A from one row and one column, of B from one row on."""
        (of_a, lda, ka), (of_b, ldb), builder = A, B, self.builder
        i64 = ir.IntType(64)
        of_row = [builder.gep(of_a, [builder.mul(i64(i), lda)]) for i in range(self.rows)]

        def step(k, sums):
            return self._step(sums, of_row, builder.mul(k, ka), of_b, builder.mul(k, ldb))

        return looped(builder, first, K, 1, step)

    def _step(self, sums, of_row, of_a, of_b, b):
        """Emit sums + A[:, k] B[k]."""
        row = self.builder.gep(of_b, [b])
        ws = [self._load(self._vector(row, j * self.lanes)) for j in range(self.columns)]
        new = []
        for i, one in enumerate(of_row):
            number = self.builder.load(self.builder.gep(one, [of_a]), align=self.align)
            x = splat(self.builder, number, self.vector)
            own = sums[i * self.columns : (i + 1) * self.columns]
            new += [called(self.builder, "fma", x, w, s) for w, s in zip(ws, own, strict=True)]
        return new

    def at(self, type_, array, index):
        """Emit the place of a number of an array."""
        data = self.context.make_array(type_)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def _places(self, start, ld):
        i64 = ir.IntType(64)
        rows = [self.builder.gep(start, [self.builder.mul(i64(i), ld)]) for i in range(self.rows)]
        return [self._vector(row, j * self.lanes) for row in rows for j in range(self.columns)]

    def _vector(self, start, offset):
        place = self.builder.gep(start, [ir.IntType(64)(offset)])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def _load(self, place):
        return self.builder.load(place, align=self.align)


def _band(rows, columns):
    """Return the function that computes so many rows of tiles of up to so many vectors."""
    two = min(2, columns)

    @compiled
    def of_one(left, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        _tile(rows, 1, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)

    @compiled
    def of_several(left, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        if left >= columns:
            _tile(rows, columns, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        elif left >= two:
            _tile(rows, two, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        else:
            _tile(rows, 1, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)

    return of_one if columns == 1 else of_several


def product_of(rows, columns):
    """Return what computes products by tiles of so many rows and vectors."""
    two = min(2, columns)
    many, pair, single = _band(rows, columns), _band(2, columns), _band(1, columns)

    @compiled
    def product(C, P, A, B, shape):
        """Compute C = P + A B.

        Args:
            C: an array, the place of the first number in it, and numbers from one row to the next.
            P: the same; 0 numbers from one row to the next: one row for all.
            A: the same, and numbers from one column to the next.
            B: as C.
            shape: rows of C, columns of A, columns of C; the last are whole vectors.
        """
        (C, c, ldc), (P, p, ldp), (A, a, lda, ka), (B, b, ldb), (M, K, N) = C, P, A, B, shape
        lanes = BYTES // C.itemsize
        j = 0
        while j < N:
            left = (N - j) // lanes
            i = 0
            while i < M:
                c0, p0, a0, b0 = c + i * ldc + j, p + i * ldp + j, a + i * lda, b + j
                if M - i >= rows:
                    many(left, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += rows
                elif M - i >= 2:
                    pair(left, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += 2
                else:
                    single(left, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += 1
            j += lanes * (columns if left >= columns else two if left >= two else 1)

    return product


# As many sums as there are registers for.
product = product_of(4, 4) if has_wide_registers() else product_of(6, 1)


@compiled
def move(into, i, source, s, count):
    """Copy so many numbers, whole vectors."""
    for k in range(0, count, BYTES // into.itemsize):
        store(into, i + k, load(source, s + k))


@compiled
def clear(values, start, rows, size, row):
    """Put 0 behind the first numbers of each row."""
    for b in range(rows):
        for j in range(start + b * row + size, start + (b + 1) * row):
            values[j] = 0.0


@compiled
def pack(place, matrix, m, rows, columns):
    """Copy a matrix whose rows lie side by side; rows are filled up with zeros."""
    into, i, row = place
    for k in range(rows):
        for j in range(columns):
            into[i + k * row + j] = matrix[m + k * columns + j]
    clear(into, i, rows, columns, row)


@compiled
def pack_transposed(into, i, row, matrix, m, rows, columns):
    """Copy the transpose of a matrix whose rows lie side by side, as `pack` does."""
    for k in range(columns):
        for j in range(rows):
            into[i + k * row + j] = matrix[m + j * columns + k]
    clear(into, i, columns, rows, row)


@compiled
def through_gates(C, P, deltas, matrices, count, shape):
    """Compute C = P + Σ δ M over gates: what they hand back.

    Args:
        C: as in `product`.
        P: as in `product`.
        deltas: δ, the place of the first gate's, numbers from one gate and one row to the next.
        matrices: M, the place of the first gate's, numbers from one gate and one row to the next.
        count: how many gates, at least one.
        shape: rows of C, numbers of δ in a row of a gate, columns of C.
    """
    (D, d, by_gate, wide), (M, m, size, row) = deltas, matrices
    for gate in range(count):
        own, start = (D, d + gate * by_gate, wide, 1), C if gate else P
        product(C, start, own, (M, m + gate * size, row), shape)


@compiled
def sum_gates(r, found, D, part, nothing, h, of_x, shape, gates, is_first):
    """Add what a stretch of time gives to the gradients of the weights of a run.

    Args:
        r: the run.
        found: dW (run, gate, unit, row), dV (run, input, gate, row), db (run, 4 row).
        D: δ, rows of four gates.
        part: room for a product.
        nothing: a row of zeros, as P of `product`.
        h: states before the steps, and the place of the first one.
        of_x: inputs, the place of the first one, numbers from one row to the next.
        shape: units, inputs, rows of the stretch, row.
        gates: how many read inputs, the first ones, and as many states; the first of these.
        is_first: whether the stretch is the first to be added.
    """
    (dW, dV, db), (units, inputs, rows, row), (x, at, x_row) = found, shape, of_x
    (count, first), wide, matrix = gates, 4 * row, units * row
    columns = count * row
    for gate in range(count):
        delta = D, (first + gate) * row, 1, wide
        product((part, 0, row), nothing, delta, (*h, row), (units, rows, row))
        add_to(dW, (count * r + gate) * matrix, part, 0, matrix, is_first)
    product((part, 0, columns), nothing, (x, at, 1, x_row), (D, 0, wide), (inputs, rows, columns))
    add_to(dV, r * inputs * columns, part, 0, inputs * columns, is_first)
    add_rows(db, r * wide, D, rows, wide, is_first)


@compiled
def add_to(sums, i, part, p, count, first):
    """Add so many numbers to sums, or, the first time, put them there."""
    for k in range(0, count, BYTES // sums.itemsize):
        own = load(part, p + k)
        store(sums, i + k, own if first else load(sums, i + k) + own)


@compiled
def add_rows(sums, i, D, rows, row, first):
    """Add the sum of rows to a row of sums, or, the first time, put it there."""
    for k in range(0, row, BYTES // sums.itemsize):
        own = load(D, k)
        for b in range(1, rows):
            own = own + load(D, b * row + k)
        store(sums, i + k, own if first else load(sums, i + k) + own)
