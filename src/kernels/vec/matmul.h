/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times matrix in f32. Body for one instruction set; see vec/base.h.
 *
 * A tile of TILE_TOKENS × TILE_ROWS outputs keeps one vector of sums each in registers and walks
 * along K over row-major operands where they lie: nothing is packed, and each output is summed
 * exactly as in the matrix–vector product. K is walked in pieces that leave the tile's inputs in
 * the first cache while a block of the weight's rows passes by; between pieces the vectors of sums
 * wait in memory, which does not change their order.
 */
#define BLOCK_ROWS 32
#define BLOCK_TOKENS (4 * TILE_TOKENS)
#define BLOCK_COLS 1024

/* Strides in floats, and one piece of K. */
struct matmul {
    size_t ldy, ldx, ldw;
    size_t cols;
    int first, last;
};

/* One tile of one piece. `saved` [TILE_TOKENS, TILE_ROWS]: its sums between pieces. `ahead` [cols]
 * is wanted in the second cache before long. */
VEC void tile(const struct matmul *m, float *y, const float *x, const float *w, const float *ahead,
              vf *saved, const size_t tokens, const size_t rows)
{
    const size_t ldx = m->ldx, ldw = m->ldw;
    vf acc[TILE_TOKENS][TILE_ROWS], xk[TILE_TOKENS];
    EACH (t, tokens)
        EACH (r, rows)
            acc[t][r] = m->first ? v_zero() : saved[t * TILE_ROWS + r];
    size_t left = m->cols;
    for (; left >= LANES; left -= LANES, x += LANES, w += LANES, ahead += LANES) {
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
                saved[t * TILE_ROWS + r] = acc[t][r];
        else if (rows == 4)
            v_sum4(y + t * m->ldy, acc[t][0], acc[t][1], acc[t][2], acc[t][3]);
        else
            y[t * m->ldy] = v_sum(acc[t][0]);
    }
}

/* One tile's tokens against a block of rows. Meanwhile the inputs of the next tile, of which `left`
 * exist, are fetched: each row of tiles brings one. */
VEC void tile_rows(const struct matmul *m, float *y, const float *x, const float *w, vf *saved,
                   size_t rows, size_t left, const size_t tokens)
{
    size_t r = 0, next = 0;
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS, saved += TILE_TOKENS * TILE_ROWS, next++) {
        const float *ahead = next < left ? x + (tokens + next) * m->ldx : x;
        tile(m, y + r, x, w + r * m->ldw, ahead, saved, tokens, TILE_ROWS);
    }
    for (; r < rows; r++)
        tile(m, y + r, x, w + r * m->ldw, x, saved + r % TILE_ROWS, tokens, 1);
}

/* The last tokens, fewer than a tile. */
static void tile_rest(const struct matmul *m, float *y, const float *x, const float *w, vf *saved,
                      size_t rows, size_t tokens)
{
    switch (tokens) {
#if TILE_TOKENS > 3
    case 5:
        tile_rows(m, y, x, w, saved, rows, 0, 5);
        break;
    case 4:
        tile_rows(m, y, x, w, saved, rows, 0, 4);
        break;
    case 3:
        tile_rows(m, y, x, w, saved, rows, 0, 3);
        break;
#endif
    case 2:
        tile_rows(m, y, x, w, saved, rows, 0, 2);
        break;
    case 1:
        tile_rows(m, y, x, w, saved, rows, 0, 1);
        break;
    default:
        break;
    }
}

/* A block of rows and tokens; `left` tokens follow it. */
static void block(const struct matmul *m, float *y, const float *x, const float *w, vf *saved,
                  size_t rows, size_t tokens, size_t left)
{
    for (; tokens >= TILE_TOKENS; tokens -= TILE_TOKENS) {
        size_t next = tokens - TILE_TOKENS + left;
        tile_rows(m, y, x, w, saved, rows, next < TILE_TOKENS ? next : TILE_TOKENS, TILE_TOKENS);
        x += TILE_TOKENS * m->ldx;
        y += TILE_TOKENS * m->ldy;
        saved += TILE_TOKENS * BLOCK_ROWS;
    }
    tile_rest(m, y, x, w, saved, rows, tokens);
}

static RW_MATMUL_FN(VEC_NAME(matmul))
{
    vf saved[BLOCK_TOKENS * BLOCK_ROWS];
    struct matmul m = {.ldy = ldy, .ldx = ldx, .ldw = ldw};
    for (size_t r = 0; r < rows; r += BLOCK_ROWS) {
        size_t n_rows = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
        for (size_t t = 0; t < tokens; t += BLOCK_TOKENS) {
            size_t n_tokens = tokens - t < BLOCK_TOKENS ? tokens - t : BLOCK_TOKENS;
            size_t k = 0;
            do {
                m.first = k == 0;
                m.last = cols - k <= BLOCK_COLS;
                m.cols = m.last ? cols - k : BLOCK_COLS;
                block(&m, y + t * ldy + r, x + t * ldx + k, w + r * ldw + k, saved, n_rows,
                      n_tokens, tokens - t - n_tokens);
                k += m.cols;
            } while (!m.last);
        }
    }
}

static void put_matmul(struct rw_kernels *kernels)
{
    kernels->matmul = VEC_NAME(matmul);
}
