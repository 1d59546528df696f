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
    splat,
)

__all__ = [
    "Tile",
    "has_wide_registers",
    "looped",
    "narrow_product",
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
        _, _, C_, c, ldc, P_, p, ldp, A_, a, lda, ka, B_, b, ldb, K = given
        at = Tile(context, builder, vector, *shape).at
        places = at(C, C_, c), ldc, at(P, P_, p), ldp, at(A, A_, a), lda, ka, at(B, B_, b), ldb, K
        builder.call(_tile_function(context, builder.module, vector, shape), places)
        return context.get_dummy_value()

    matrices = C, place, place, P, place, place, A, place, place, place, B, place, place
    return types.void(rows, halves, *matrices, place), emit


def _tile_function(context, module, vector, shape):
    """Return the function of a tile, emitted once in a module: in each place it would take long."""
    number, i64 = llvm_of(vector).element.as_pointer(), ir.IntType(64)
    given = number, i64, number, i64, number, i64, i64, number, i64, i64
    name = "_".join(["tile", vector.dtype.name, *map(str, shape)])
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), given), name)
    function.linkage = "internal"
    for attribute in ("noinline", "nounwind"):
        function.attributes.add(attribute)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    Tile(context, builder, vector, *shape).emit(function.args)
    builder.ret_void()
    return function


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

    def emit(self, given):
        """Emit all of it, from the places of matrices and the numbers between rows and columns."""
        C, ldc, P, ldp, A, lda, ka, B, ldb, K = given
        outs = self._places(C, ldc)
        first = [self._load(one) for one in self._places(P, ldp)]
        last = self.sums(first, (A, lda, ka), (B, ldb), K)
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
    """Return the function that computes so many rows of a tile of one of some widths."""
    width = widths[0]
    other = _band(rows, widths[1:]) if len(widths) > 1 else None

    @compiled
    def last(wide, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        _tile(rows, width, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)

    @compiled
    def band(wide, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        if wide == width:
            _tile(rows, width, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        else:
            other(wide, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)

    return last if other is None else band


def _tail(rows, most):
    """Return the function that computes the last rows, with tiles of two widths only.

    With few rows it is as quick, and there is less to compile. A half vector is rounded up to a
    whole one.
    """

    @compiled
    def tail(wide, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K):
        if wide > most - 2:
            _tile(rows, most, C, c, ldc, P, p, ldp, A, a, lda, ka, B, b, ldb, K)
        else:
            for j in range(0, wide * (BYTES // C.itemsize // 2), BYTES // C.itemsize):
                _tile(rows, 2, C, c + j, ldc, P, p + j, ldp, A, a, lda, ka, B, b + j, ldb, K)

    return tail


def product_of(rows, *widths):
    """Return what computes products by tiles of so many rows.

    Args:
        rows: of a tile, but for the last ones.
        widths: of tiles in half vectors, from the widest; the last one is taken where none fits.
    """
    many, pair, single = _band(rows, widths), _tail(2, widths[0]), _tail(1, widths[0])

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
        half = BYTES // C.itemsize // 2
        j = 0
        while j < N:
            wide = widths[-1]
            for width in widths[::-1]:
                wide = width if (N - j) // half >= width else wide
            i = 0
            while i < M:
                c0, p0, a0, b0 = c + i * ldc + j, p + i * ldp + j, a + i * lda, b + j
                if M - i >= rows:
                    many(wide, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += rows
                elif M - i >= 2:
                    pair(wide, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += 2
                else:
                    single(wide, C, c0, ldc, P, p0, ldp, A, a0, lda, ka, B, b0, ldb, K)
                    i += 1
            j += wide * half

    return product


# As many sums as there are registers for. Width 7 is for rows of which the last vector is half.
product = product_of(4, 8, 7, 4, 2) if has_wide_registers() else product_of(6, 2, 1)
# For a read-out, whose products are small: it is compiled in a fraction of the time.
narrow_product = product_of(4, 2)
