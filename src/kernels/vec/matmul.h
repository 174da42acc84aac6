/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times matrix in f32. Body for one instruction set; see vec/base.h.
 *
 * A tile of TILE_TOKENS × TILE_ROWS outputs keeps one vector of sums each in registers and walks
 * along K over row-major operands where they lie: nothing is packed, and each output is summed
 * exactly as in the matrix–vector product. A tile's inputs stay in the first cache while all rows
 * of the weight pass by, which the second cache holds. Between pieces of K the vectors of sums wait
 * in memory, which does not change their order.
 */
/* Strides in floats, and one piece of K. */
struct matmul {
    size_t ldy, ldx, ldw;
    size_t cols;
    int first, last;
};

/* One tile of one piece. `sums` [tokens, rows, LANES]: its sums between pieces. `ahead` [cols / 2]
 * is wanted in the second cache before long: half a line a step, as there is room for only so many
 * lines on their way. */
VEC void tile(const struct matmul *m, float *y, const float *x, const float *w, const float *ahead,
              float *sums, const size_t tokens, const size_t rows)
{
    const size_t ldx = m->ldx, ldw = m->ldw;
    vf acc[TILE_TOKENS][TILE_ROWS], xk[TILE_TOKENS];
    EACH (t, tokens)
        EACH (r, rows)
            acc[t][r] = m->first ? v_zero() : v_load(sums + (t * rows + r) * LANES);
    size_t left = m->cols;
    for (; left >= LANES; left -= LANES, x += LANES, w += LANES, ahead += LANES / 2) {
        FORGET(x); /* or each row gets a pointer of its own, more than there are registers */
        FORGET(w);
        prefetch(ahead, 0);
        EACH (t, tokens)
            xk[t] = v_load(x + t * ldx);
        EACH (r, rows) {
            vf wk = v_load(w + r * ldw);
            EACH (t, tokens)
                acc[t][r] = v_fma(wk, xk[t], acc[t][r]);
        }
    }
    if (left) {
        EACH (t, tokens)
            xk[t] = v_load_part(x + t * ldx, left);
        EACH (r, rows) {
            vf wk = v_load_part(w + r * ldw, left);
            EACH (t, tokens)
                acc[t][r] = v_fma(wk, xk[t], acc[t][r]);
        }
    }
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

/* One tile's tokens against all rows. Meanwhile the inputs of the next tile, of which `next` exist,
 * are fetched: each row of tiles brings half of one. */
VEC void tile_rows(const struct matmul *m, float *y, const float *x, const float *w, float *sums,
                   size_t rows, size_t next, const size_t tokens)
{
    size_t r = 0, half = 0;
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS, half++) {
        const float *ahead = x;
        if (half / 2 < next)
            ahead += (tokens + half / 2) * m->ldx + half % 2 * (m->cols / 2);
        tile(m, y + r, x, w + r * m->ldw, ahead, sums + r * tokens * LANES, tokens, TILE_ROWS);
    }
    for (; r < rows; r++)
        tile(m, y + r, x, w + r * m->ldw, x, sums + r * tokens * LANES, tokens, 1);
}

/* The last tokens, fewer than a tile. */
static void tile_rest(const struct matmul *m, float *y, const float *x, const float *w, float *sums,
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

static RW_MATMUL_FN(VEC_NAME(matmul))
{
    const struct matmul m = {ldy, ldx, ldw, cols, first, last};
    for (; tokens >= TILE_TOKENS; tokens -= TILE_TOKENS) {
        size_t left = tokens - TILE_TOKENS;
        tile_rows(&m, y, x, w, sums, rows, left < TILE_TOKENS ? left : TILE_TOKENS, TILE_TOKENS);
        x += TILE_TOKENS * ldx;
        y += TILE_TOKENS * ldy;
        sums += TILE_TOKENS * rows * LANES;
    }
    tile_rest(&m, y, x, w, sums, rows, tokens);
}

static void put_matmul(struct rw_kernels *kernels)
{
    kernels->matmul = VEC_NAME(matmul);
}
