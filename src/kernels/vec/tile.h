/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times matrix over operands of any type. Body for one instruction set; see vec/base.h.
 *
 * A tile of TILE_TOKENS × TILE_ROWS outputs keeps one vector of sums each in registers and walks
 * along K over row-major operands where they lie: nothing is packed, and each output is summed
 * exactly as in the matrix–vector product. A tile's inputs stay in the first cache while all rows
 * of the weight pass by, which the second cache holds. Between pieces of K the vectors of sums wait
 * in memory, which does not change their order.
 *
 * Who includes this has defined `operands`, a vector of OPERAND_STEP elements of OPERAND_SIZE
 * bytes:
 *
 *   operand_load(p), operand_load_part(p, n)   OPERAND_STEP elements, or n and zeros
 *   operand_dot(w, x, sum)                     adds the products to LANES sums
 */
/* One piece of K. Strides of x and w in bytes. */
struct matmul {
    size_t ldy, ldx, ldw;
    size_t cols;
    bool first, last;
    const uint8_t *next; /* the next row that is wanted after this piece, of `next_rows` more */
    size_t next_stride, next_rows;
};

/* Add one vector of columns to the sums of a tile: all of it, or the first n elements if `part`. */
VEC void tile_step(const struct matmul *m, vf acc[TILE_TOKENS][TILE_ROWS], const uint8_t *x,
                   const uint8_t *w, size_t n, const size_t tokens, const size_t rows,
                   const int part)
{
    operands xk[TILE_TOKENS];
    EACH (t, tokens)
        xk[t] = part ? operand_load_part(x + t * m->ldx, n) : operand_load(x + t * m->ldx);
    EACH (r, rows) {
        operands wk = part ? operand_load_part(w + r * m->ldw, n) : operand_load(w + r * m->ldw);
        EACH (t, tokens)
            acc[t][r] = operand_dot(wk, xk[t], acc[t][r]);
    }
}

/* One tile of one piece. `sums` [tokens, rows, LANES]: its sums between pieces. `ahead`, half a
 * row, is wanted in the second cache before long: half a line a step, as there is room for only so
 * many lines on their way. */
VEC void tile(const struct matmul *m, float *y, const uint8_t *x, const uint8_t *w,
              const uint8_t *ahead, float *sums, const size_t tokens, const size_t rows)
{
    const size_t bytes = OPERAND_STEP * OPERAND_SIZE;
    const struct matmul strides = *m; /* in registers */
    vf acc[TILE_TOKENS][TILE_ROWS];
    EACH (t, tokens)
        EACH (r, rows)
            acc[t][r] = m->first ? v_zero() : v_load(sums + (t * rows + r) * LANES);
    size_t left = m->cols;
    for (; left >= OPERAND_STEP; left -= OPERAND_STEP) {
        FORGET(x); /* or each row gets a pointer of its own, more than there are registers */
        FORGET(w);
        prefetch(ahead, 0);
        tile_step(&strides, acc, x, w, 0, tokens, rows, 0);
        x += bytes;
        w += bytes;
        ahead += bytes / 2;
    }
    if (left)
        tile_step(&strides, acc, x, w, left, tokens, rows, 1);
    EACH (t, tokens) {
        if (!m->last)
            EACH (r, rows)
                v_store(sums + (t * rows + r) * LANES, acc[t][r]);
        else if (rows == 4)
            v_sum4(y + t * m->ldy, acc[t][0], acc[t][1], acc[t][2], acc[t][3]);
        else
            y[t * m->ldy] = v_sum(acc[t][0]);
    }
}

/* The next row of the weight, or `otherwise`. */
VEC const uint8_t *next_row(struct matmul *m, const uint8_t *otherwise)
{
    if (m->next_rows == 0)
        return otherwise;
    const uint8_t *row = m->next;
    m->next_rows--;
    m->next = (const uint8_t *)((uintptr_t)row + m->next_stride);
    return row;
}

/* One tile's tokens against all rows. Meanwhile the inputs of the next tile, `ahead_tokens` of
 * them, are fetched, half of one by each row of tiles, and then rows of the weight. */
VEC void tile_rows(struct matmul *m, float *y, const uint8_t *x, const uint8_t *w, float *sums,
                   size_t rows, size_t ahead_tokens, const size_t tokens)
{
    size_t r = 0, half = 0;
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS, half++) {
        const uint8_t *ahead;
        if (half / 2 < ahead_tokens)
            ahead = x + (tokens + half / 2) * m->ldx + half % 2 * (m->cols * OPERAND_SIZE / 2);
        else
            ahead = next_row(m, x);
        tile(m, y + r, x, w + r * m->ldw, ahead, sums + r * tokens * LANES, tokens, TILE_ROWS);
    }
    for (; r < rows; r++)
        tile(m, y + r, x, w + r * m->ldw, x, sums + r * tokens * LANES, tokens, 1);
}

/* The last tokens, fewer than a tile. */
static void tile_rest(struct matmul *m, float *y, const uint8_t *x, const uint8_t *w, float *sums,
                      size_t rows, size_t tokens)
{
    switch (tokens) {
#if TILE_TOKENS > 3
    case 5:
        tile_rows(m, y, x, w, sums, rows, 0, 5);
        break;
    case 4:
        tile_rows(m, y, x, w, sums, rows, 0, 4);
        break;
    case 3:
        tile_rows(m, y, x, w, sums, rows, 0, 3);
        break;
#endif
    case 2:
        tile_rows(m, y, x, w, sums, rows, 0, 2);
        break;
    case 1:
        tile_rows(m, y, x, w, sums, rows, 0, 1);
        break;
    default:
        break;
    }
}

/* Few tokens stay in the second cache from one call to the next, and need not be fetched. */
#define RESIDENT_TOKENS 32

static void multiply(const struct rw_matmul_piece *p, float *y, float *sums, const void *inputs,
                     const void *weight)
{
    const uint8_t *x = inputs, *w = weight;
    struct matmul m = {
        p->ldy,  p->ldx * OPERAND_SIZE, p->ldw * OPERAND_SIZE, p->cols, p->first, p->last,
        p->next, p->next_stride,        p->next ? p->rows : 0};
    size_t tokens = p->tokens, resident = tokens <= RESIDENT_TOKENS;
    for (; tokens >= TILE_TOKENS; tokens -= TILE_TOKENS) {
        size_t left = resident ? 0 : tokens - TILE_TOKENS;
        tile_rows(&m, y, x, w, sums, p->rows, left < TILE_TOKENS ? left : TILE_TOKENS, TILE_TOKENS);
        x += TILE_TOKENS * m.ldx;
        y += TILE_TOKENS * m.ldy;
        sums += TILE_TOKENS * p->rows * LANES;
    }
    tile_rest(&m, y, x, w, sums, p->rows, tokens);
}
