/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Panels times many rows of activations in integers. Body for one instruction set; see vec/dot.h.
 *
 * A tile of DOT_TOKENS × DOT_VECTORS · LANES outputs keeps its sums in registers over a piece of
 * the columns: the integer sums of one group, and the floats they are added to. A piece of the
 * tile's panels stays in the first cache while all of the held tokens pass by.
 */
#define MATMUL_PIECE 512             /* columns */
#define HELD_TOKENS (8 * DOT_TOKENS) /* whose group sums are held at a time */

/* What is the same for all tiles. `type` in this file stands for all types that differ from it in
 * the offset of their codes only. */
struct dot_product {
    const struct rw_dot_input *x;
    const struct rw_panel *panels;
    size_t cols, ldk;
    int offset, first;
};

/* What a piece of the held tokens' activations adds to every output (group_sums). */
struct held_sums {
    int32_t init[HELD_TOKENS][MATMUL_PIECE / 16];
    float xsum[HELD_TOKENS][MATMUL_PIECE / 16];
};

/* Rows of activations of one tile. */
struct dot_rows {
    const int8_t *code[DOT_TOKENS];
    const float *scale[DOT_TOKENS];
    const int32_t *init[DOT_TOKENS];
    const float *xsum[DOT_TOKENS];
};

VEC void held_open(rwkv_dtype type, struct held_sums *held, const struct dot_product *m, size_t t,
                   size_t k, size_t cols, size_t tokens)
{
    for (size_t i = 0; i < tokens; i++) {
        size_t at = (t + i) * m->ldk + k;
        group_sums(type, m->offset, held->init[i], held->xsum[i], m->x->scale + at / 32,
                   m->x->sum + at / 16, cols);
    }
}

/* Tokens t + i … of the product, whose sums are held from i on. */
VEC void dot_rows_open(struct dot_rows *rows, const struct held_sums *held,
                       const struct dot_product *m, size_t t, size_t i, size_t k,
                       const size_t tokens)
{
    EACH (n, tokens) {
        size_t at = (t + i + n) * m->ldk + k;
        rows->code[n] = m->x->code + at;
        rows->scale[n] = m->x->scale + at / 32;
        rows->init[n] = held->init[i + n];
        rows->xsum[n] = held->xsum[i + n];
    }
}

/* Column k of the panel that row r is in, at that row. */
VEC const uint8_t *panel_code(const struct dot_product *m, size_t r, size_t k)
{
    return m->panels[r / RW_PANEL_ROWS].code + k / 4 * IMAGE_DWORD + r % RW_PANEL_ROWS * 4;
}

VEC size_t panel_scale(size_t r, size_t g)
{
    return g * RW_PANEL_ROWS + r % RW_PANEL_ROWS;
}

/* The integer sums of group g: tokens × vectors of them. */
VEC void tile_group(rwkv_dtype type, vi sum[DOT_TOKENS][DOT_VECTORS], const struct dot_rows *rows,
                    const uint8_t *const *code, size_t g, const size_t tokens, const size_t vectors)
{
    const size_t group = dot_group(type);
#ifdef VI_DOT_TILE
    const int8_t *x[DOT_TOKENS];
    int32_t init[DOT_TOKENS];
    EACH (t, tokens) {
        x[t] = rows->code[t] + g * group;
        init[t] = rows->init[t][g];
    }
    vi_dot_tile(sum, x, init, code[0] + g * group / 4 * IMAGE_DWORD, group, tokens);
#else
    EACH (t, tokens)
        EACH (v, vectors)
            sum[t][v] = vi_set(rows->init[t][g]);
    EACH (j, group / 4) {
        vi w[DOT_VECTORS];
        EACH (v, vectors)
            w[v] = vi_load(code[v] + (g * group / 4 + j) * IMAGE_DWORD);
        EACH (t, tokens) {
            vi_same x = vi_broadcast(rows->code[t] + g * group + 4 * j);
            EACH (v, vectors)
                sum[t][v] = vi_dot(sum[t][v], w[v], x, dot_wide(type));
        }
    }
#endif
}

/* `cols` columns from k on, for outputs of rows r … r + vectors · LANES. */
VEC void dot_tile(rwkv_dtype type, vf acc[DOT_TOKENS][DOT_VECTORS], const struct dot_product *m,
                  const struct dot_rows *rows, size_t r, size_t k, size_t cols, const size_t tokens,
                  const size_t vectors)
{
    const size_t group = dot_group(type);
    const uint8_t *code[DOT_VECTORS];
    const float *scale[DOT_VECTORS], *min[DOT_VECTORS];
    EACH (v, vectors) {
        const struct rw_panel *panel = &m->panels[(r + v * LANES) / RW_PANEL_ROWS];
        code[v] = panel_code(m, r + v * LANES, k);
        scale[v] = panel->scale + panel_scale(r + v * LANES, k / group);
        min[v] = dot_has_min(type) ? panel->min + panel_scale(r + v * LANES, k / group) : NULL;
    }
    for (size_t g = 0; g < cols / group; g++) {
        vi sum[DOT_TOKENS][DOT_VECTORS];
        tile_group(type, sum, rows, code, g, tokens, vectors);
        EACH (v, vectors) {
            vf s = v_load(scale[v] + g * RW_PANEL_ROWS);
            EACH (t, tokens)
                acc[t][v] = v_fma(v_from_vi(sum[t][v]),
                                  v_mul(s, v_set(rows->scale[t][g * group / 32])), acc[t][v]);
        }
        if (!dot_has_min(type))
            continue;
        EACH (v, vectors) {
            vf low = v_load(min[v] + g * RW_PANEL_ROWS);
            EACH (t, tokens)
                acc[t][v] = v_fma(low, v_set(rows->xsum[t][g]), acc[t][v]);
        }
    }
}

/* Outputs of a tile to or from y, of which `left` rows exist. */
VEC void tile_load(vf acc[DOT_TOKENS][DOT_VECTORS], const float *y, size_t ldy, size_t left,
                   const size_t tokens, const size_t vectors)
{
    EACH (t, tokens)
        EACH (v, vectors) {
            const float *p = y + t * ldy + v * LANES;
            acc[t][v] = left >= (v + 1) * LANES ? v_load(p)
                        : left > v * LANES      ? v_load_part(p, left - v * LANES)
                                                : v_zero();
        }
}

VEC void tile_store(float *y, vf acc[DOT_TOKENS][DOT_VECTORS], size_t ldy, size_t left,
                    const size_t tokens, const size_t vectors)
{
    EACH (t, tokens)
        EACH (v, vectors) {
            float *p = y + t * ldy + v * LANES;
            if (left >= (v + 1) * LANES)
                v_store(p, acc[t][v]);
            else if (left > v * LANES)
                v_store_part(p, acc[t][v], left - v * LANES);
        }
}

/* One tile of outputs over the piece of `cols` columns from k on; y is at its tokens. */
VEC void dot_outputs(rwkv_dtype type, float *y, const struct dot_product *m,
                     const struct dot_rows *rows, size_t r, size_t left, size_t k, size_t cols,
                     size_t ldy, const size_t tokens)
{
    vf acc[DOT_TOKENS][DOT_VECTORS];
    if (m->first && k == 0)
        EACH (i, tokens)
            EACH (v, DOT_VECTORS)
                acc[i][v] = v_zero();
    else
        tile_load(acc, y + r, ldy, left, tokens, DOT_VECTORS);
    if (left > (DOT_VECTORS - 1) * LANES)
        dot_tile(type, acc, m, rows, r, k, cols, tokens, DOT_VECTORS);
    else
        dot_tile(type, acc, m, rows, r, k, cols, tokens, 1);
    tile_store(y + r, acc, ldy, left, tokens, DOT_VECTORS);
}

/* A piece of columns for all rows and tokens [t, t + tokens), whose sums are held. */
VEC void dot_piece(rwkv_dtype type, float *y, const struct dot_product *m,
                   const struct held_sums *held, size_t t, size_t tokens, size_t n_rows, size_t k,
                   size_t cols, size_t ldy)
{
    struct dot_rows rows;
    for (size_t r = 0; r < n_rows; r += DOT_VECTORS * LANES) {
        size_t i = 0, left = n_rows - r;
        for (; i + DOT_TOKENS <= tokens; i += DOT_TOKENS) {
            dot_rows_open(&rows, held, m, t, i, k, DOT_TOKENS);
            dot_outputs(type, y + (t + i) * ldy, m, &rows, r, left, k, cols, ldy, DOT_TOKENS);
        }
#define REST(n)                                                                     \
    if (tokens - i == (n) && (n) < DOT_TOKENS) {                                    \
        dot_rows_open(&rows, held, m, t, i, k, (n));                                \
        dot_outputs(type, y + (t + i) * ldy, m, &rows, r, left, k, cols, ldy, (n)); \
    }
        REST(1)
        else REST(2) else REST(3) else REST(4) else REST(5)
#undef REST
    }
}

VEC void dot_all_tokens(rwkv_dtype type, float *y, const struct dot_product *m, size_t tokens,
                        size_t rows, size_t ldy)
{
    struct held_sums held;
    for (size_t k = 0; k == 0 || k < m->cols; k += MATMUL_PIECE) { /* of no columns: zeros */
        size_t cols = m->cols - k < MATMUL_PIECE ? m->cols - k : MATMUL_PIECE;
        for (size_t t = 0; t < tokens; t += HELD_TOKENS) {
            size_t n = tokens - t < HELD_TOKENS ? tokens - t : HELD_TOKENS;
            held_open(type, &held, m, t, k, cols, n);
            dot_piece(type, y, m, &held, t, n, rows, k, cols, ldy);
        }
    }
}

static RW_MATMUL_DOT_FN(VEC_NAME(matmul_dot))
{
    const struct dot_product m = {x, panels, cols, ldk, dot_offset(dtype), first};
    if (dot_group(dtype) == 16 && dot_has_min(dtype))
        dot_all_tokens(RWKV_DTYPE_Q2_K, y, &m, tokens, rows, ldy);
    else if (dot_group(dtype) == 16)
        dot_all_tokens(RWKV_DTYPE_Q6_K, y, &m, tokens, rows, ldy);
    else if (dot_has_min(dtype))
        dot_all_tokens(RWKV_DTYPE_Q4_1, y, &m, tokens, rows, ldy);
    else if (dot_wide(dtype))
        dot_all_tokens(RWKV_DTYPE_Q8_0, y, &m, tokens, rows, ldy);
    else
        dot_all_tokens(RWKV_DTYPE_Q4_0, y, &m, tokens, rows, ldy);
}
