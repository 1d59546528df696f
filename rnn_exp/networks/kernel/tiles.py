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
    first_half,
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
    "halves_of",
    "has_wide_registers",
    "looped",
    "move",
    "pack",
    "pack_transposed",
    "product",
    "product_of",
]


def has_wide_registers():
    """Say whether LLVM compiles for registers of 64 bytes, of which there are 32."""
    asked = config.CPU_FEATURES
    features = binding.get_host_cpu_features().flatten() if asked is None else asked
    return "+avx512f" in features.split(",")


@intrinsic
def _tile(typing, rows, halves, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
    """Emit C = P + A B for some rows and half vectors of C.

    Matrices are given by an array, the place of their first number, and the numbers from one row
    to the next; of A also those from one column to the next.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    vector, place = lanes_of(C), types.intp
    shape = rows.literal_value, halves.literal_value

    def emit(context, builder, signature, given):
        Tile(context, builder, vector, *shape).emit(given, C, P, A, B)
        return context.get_dummy_value()

    matrices = C, place, place, P, place, place, A, place, place, place, B, place, place
    return types.void(rows, halves, *matrices, place), emit


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
    """The instructions of a tile: load the sums, loop over k, store the sums.

    A row of it is so many half vectors: whole ones, and a half one where their number is odd.
    """

    def __init__(self, context, builder, vector, rows, halves):
        self.context, self.builder, self.rows = context, builder, rows
        self.vector, self.align = llvm_of(vector), vector.dtype.bitwidth // 8
        half = ir.VectorType(self.vector.element, vector.lanes // 2)
        kinds = [self.vector] * (halves // 2) + [half] * (halves % 2)
        self.columns = [(j * vector.lanes, kind) for j, kind in enumerate(kinds)]

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
        ws = [self._load(one) for one in self._vectors(row)]
        new, count = [], len(ws)
        for i, one in enumerate(of_row):
            number = self.builder.load(self.builder.gep(one, [of_a]), align=self.align)
            x = splat(self.builder, number, self.vector)
            own = sums[i * count : (i + 1) * count]
            new += [
                called(self.builder, "fma", first_half(self.builder, x, w), w, s)
                for w, s in zip(ws, own, strict=True)
            ]
        return new

    def at(self, type_, array, index):
        """Emit the place of a number of an array."""
        data = self.context.make_array(type_)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def _places(self, start, ld):
        i64 = ir.IntType(64)
        rows = [self.builder.gep(start, [self.builder.mul(i64(i), ld)]) for i in range(self.rows)]
        return [place for row in rows for place in self._vectors(row)]

    def _vectors(self, row):
        """Emit the places of a row's vectors."""
        places = [(self.builder.gep(row, [ir.IntType(64)(j)]), kind) for j, kind in self.columns]
        return [self.builder.bitcast(place, kind.as_pointer()) for place, kind in places]

    def _load(self, place):
        return self.builder.load(place, align=self.align)


def _band(rows, widths):
    """Return the function that computes so many rows of tiles that are so many half vectors wide.

    Args:
        rows: how many.
        widths: the widest one; one less, for the end of a row that is no whole vectors; two more.
    """
    most, odd, last, two = widths

    @compiled
    def band(left, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        if left >= most:
            _tile(rows, most, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        elif left == odd:
            _tile(rows, odd, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        elif left >= last:
            _tile(rows, last, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        else:
            _tile(rows, two, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)

    return band


def product_of(rows, most):
    """Return what computes products by tiles of so many rows and half vectors."""
    most, odd, last, two = widths = most, most - 1, min(4, most), 2
    many, pair, single = _band(rows, widths), _band(2, widths), _band(1, widths)

    @compiled
    def product(C, P, A, B, shape):
        """Compute C = P + A B.

        Args:
            C: an array, the place of the first number in it, and numbers from one row to the next,
                whole vectors.
            P: the same; 0 numbers from one row to the next: one row for all.
            A: the same, and numbers from one column to the next; they may be any.
            B: as C.
            shape: rows of C, columns of A, columns of C; the last are whole half vectors, and the
                other half of the last vector may be filled with anything.
        """
        (C, c, ldc), (P, p, ldp), (A, a, lda, ka), (B, b, ldb), (M, K, N) = C, P, A, B, shape
        lanes = BYTES // C.itemsize // 2
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
            wide = most if left >= most else odd if left == odd else last if left >= last else two
            j += lanes * wide

    return product


# As many sums as there are registers for.
product = product_of(4, 8) if has_wide_registers() else product_of(6, 2)


@compiled
def halves_of(size, itemsize):
    """Return the numbers of as few half vectors as hold so many numbers."""
    half = BYTES // itemsize // 2
    return (size + half - 1) // half * half


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
