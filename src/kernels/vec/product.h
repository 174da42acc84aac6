/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of outer products: the products of training. Body for one instruction set; see vec/base.h.
 *
 * Both operands come packed as they are read: A in panels of LANES rows, B in panels of
 * OUTER_COLS columns, the last of fewer vectors, neighbours side by side for each i; filled up with
 * zeros. A tile of OUTER_ROWS rows and one panel's columns of outputs then stays in registers while
 * i goes by. An output's sum is one chain, which waits in the output between two calls.
 */
#define OUTER_ROWS (LANES / 2)
#define OUTER_VECTORS ((size_t)3)
#define OUTER_COLS (OUTER_VECTORS * LANES)

/* That n numbers fill, the last one perhaps in part. */
VEC size_t vectors_of(size_t n)
{
    return (n + LANES - 1) / LANES;
}

VEC vf operand_of(vf v, const int bf16)
{
    return bf16 ? v_to_bf16(v) : v;
}

/* The first n of LANES neighbours for each i: copied. */
VEC void pack_across(float *to, size_t to_step, const float *from, size_t from_step, size_t n,
                     size_t depth, const int bf16)
{
    for (size_t i = 0; i < depth; i++, to += to_step, from += from_step)
        v_store(to, operand_of(n == LANES ? v_load(from) : v_load_part(from, n), bf16));
}

/* The same where neighbours are `ld` apart, and what follows one another in i side by side: squares
 * are turned. */
VEC void pack_along(float *to, size_t to_step, const float *from, size_t ld, size_t n, size_t depth,
                    const int bf16)
{
    vf rows[LANES];
    size_t i = 0;
    for (; n == LANES && i + LANES <= depth; i += LANES) {
        EACH (r, LANES)
            rows[r] = operand_of(v_load(from + r * ld + i), bf16);
        v_transpose(rows);
        EACH (r, LANES)
            v_store(to + (i + r) * to_step, rows[r]);
    }
    for (; i < depth; i++) {
        float column[LANES] = {0};
        for (size_t r = 0; r < n; r++)
            column[r] = from[r * ld + i];
        v_store(to + i * to_step, operand_of(v_load(column), bf16));
    }
}

/* An operand in panels of `vectors`, the last of as many as it needs. */
VEC void pack_operand(float *to, const float *from, const struct rw_product_operand *o,
                      const size_t vectors, const int bf16)
{
    for (size_t r = 0, width; r < o->n; r += width, to += width * o->depth) {
        width = o->n - r < vectors * LANES ? vectors_of(o->n - r) * LANES : vectors * LANES;
        for (size_t v = 0; v < width; v += LANES) {
            size_t left = o->n - r - v, count = left < LANES ? left : LANES;
            const float *p = from + (r + v) * o->row;
            if (o->row == 1)
                pack_across(to + v, width, p, o->step, count, o->depth, bf16);
            else
                pack_along(to + v, width, p, o->row, count, o->depth, bf16);
        }
    }
}

static RW_PRODUCT_PACK_FN(VEC_NAME(product_pack))
{
    if (operand->cols && operand->bf16)
        pack_operand(to, from, operand, OUTER_VECTORS, 1);
    else if (operand->cols)
        pack_operand(to, from, operand, OUTER_VECTORS, 0);
    else if (operand->bf16)
        pack_operand(to, from, operand, 1, 1);
    else
        pack_operand(to, from, operand, 1, 0);
}

/* OUTER_ROWS × `vectors` vectors of outputs. */
VEC void outer_sums(float *out, size_t ld, const float *a, const float *b, size_t depth, bool first,
                    const size_t vectors)
{
    vf acc[OUTER_ROWS][OUTER_VECTORS];
    EACH (r, OUTER_ROWS)
        EACH (v, vectors)
            acc[r][v] = first ? v_zero() : v_load(out + r * ld + v * LANES);
    for (size_t i = 0; i < depth; i++, a += LANES, b += vectors * LANES) {
        vf bv[OUTER_VECTORS];
        EACH (v, vectors)
            bv[v] = v_load(b + v * LANES);
        EACH (r, OUTER_ROWS) {
            vf ar = v_set(a[r]);
            EACH (v, vectors)
                acc[r][v] = v_fma(ar, bv[v], acc[r][v]);
        }
    }
    EACH (r, OUTER_ROWS)
        EACH (v, vectors)
            v_store(out + r * ld + v * LANES, acc[r][v]);
}

static void outer_tile(float *out, size_t ld, const float *a, const float *b, size_t depth,
                       bool first, size_t vectors)
{
    if (vectors == OUTER_VECTORS)
        outer_sums(out, ld, a, b, depth, first, OUTER_VECTORS);
    else if (vectors == 2)
        outer_sums(out, ld, a, b, depth, first, 2);
    else
        outer_sums(out, ld, a, b, depth, first, 1);
}

/* `rows` × `cols` of them: by way of a whole tile. */
static void outer_part(float *out, size_t ld, const float *a, const float *b, size_t depth,
                       bool first, size_t rows, size_t cols)
{
    float whole[OUTER_ROWS * OUTER_COLS] = {0};
    for (size_t r = 0; r < rows && !first; r++)
        memcpy(whole + r * OUTER_COLS, out + r * ld, cols * sizeof *out);
    outer_tile(whole, OUTER_COLS, a, b, depth, first, vectors_of(cols));
    for (size_t r = 0; r < rows; r++)
        memcpy(out + r * ld, whole + r * OUTER_COLS, cols * sizeof *out);
}

/* A tile of outputs that is wanted next comes from far away. */
VEC void fetch_outputs(const float *out, size_t ld)
{
    EACH (r, OUTER_ROWS)
        EACH (v, OUTER_VECTORS)
            __builtin_prefetch(out + r * ld + v * LANES, 1, 3);
}

static RW_PRODUCT_FN(VEC_NAME(product))
{
    const struct rw_product *p = product;
    for (size_t c = 0; c < p->cols; c += OUTER_COLS, b += OUTER_COLS * p->depth) {
        size_t cols = p->cols - c < OUTER_COLS ? p->cols - c : OUTER_COLS;
        for (size_t r = 0; r < p->rows; r += OUTER_ROWS) {
            const float *panel = a + r / LANES * LANES * p->depth + r % LANES;
            size_t left = p->rows - r, rows = left < OUTER_ROWS ? left : OUTER_ROWS;
            float *to = out + r * p->ld + c;
            if (left >= 2 * OUTER_ROWS && cols == OUTER_COLS)
                fetch_outputs(to + OUTER_ROWS * p->ld, p->ld);
            if (rows == OUTER_ROWS && cols % LANES == 0)
                outer_tile(to, p->ld, panel, b, p->depth, p->first, cols / LANES);
            else
                outer_part(to, p->ld, panel, b, p->depth, p->first, rows, cols);
        }
    }
}

static void put_product(struct rw_kernels *kernels)
{
    kernels->product_pack = VEC_NAME(product_pack);
    kernels->product = VEC_NAME(product);
}
