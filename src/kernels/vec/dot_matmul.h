/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Panels times many rows of activations in integers. Body for one instruction set; see vec/dot.h.
 *
 * A tile of DOT_TOKENS × DOT_VECTORS · LANES outputs keeps its sums in registers over the whole
 * piece: the integer sums of one group, and the floats they are added to. The panels are read from
 * the second cache once per tile of tokens.
 */
#define MATMUL_PIECE 2048 /* columns whose group sums are held at a time */

/* What is the same for all tiles. `type` in this file stands for all types that differ from it in
 * the offset of their codes only. */
struct dot_product {
    const struct rw_dot_input *x;
    const struct rw_panel *panels;
    size_t cols, ldk;
    int offset, first;
};

/* Rows of activations of one tile. */
struct dot_rows {
    const int8_t *code[DOT_TOKENS];
    const float *scale[DOT_TOKENS];
    int32_t init[DOT_TOKENS][MATMUL_PIECE / 16];
    float xsum[DOT_TOKENS][MATMUL_PIECE / 16];
};

VEC void dot_rows_open(rwkv_dtype type, struct dot_rows *rows, const struct dot_product *m,
                       size_t t, size_t k, size_t cols, const size_t tokens)
{
    for (size_t i = 0; i < tokens; i++) {
        size_t at = (t + i) * m->ldk + k;
        rows->code[i] = m->x->code + at;
        rows->scale[i] = m->x->scale + at / 32;
        group_sums(type, m->offset, rows->init[i], rows->xsum[i], rows->scale[i],
                   m->x->sum + at / 16, cols);
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

/* All rows for one tile of tokens, one piece of columns after the other. */
VEC void dot_tokens(rwkv_dtype type, float *y, const struct dot_product *m, size_t t, size_t n_rows,
                    size_t ldy, const size_t tokens)
{
    struct dot_rows rows;
    for (size_t k = 0; k == 0 || k < m->cols; k += MATMUL_PIECE) { /* of no columns: zeros */
        size_t cols = m->cols - k < MATMUL_PIECE ? m->cols - k : MATMUL_PIECE;
        dot_rows_open(type, &rows, m, t, k, cols, tokens);
        for (size_t r = 0; r < n_rows; r += DOT_VECTORS * LANES) {
            vf acc[DOT_TOKENS][DOT_VECTORS];
            size_t left = n_rows - r;
            if (m->first && k == 0)
                EACH (i, tokens)
                    EACH (v, DOT_VECTORS)
                        acc[i][v] = v_zero();
            else
                tile_load(acc, y + r, ldy, left, tokens, DOT_VECTORS);
            if (left > (DOT_VECTORS - 1) * LANES)
                dot_tile(type, acc, m, &rows, r, k, cols, tokens, DOT_VECTORS);
            else
                dot_tile(type, acc, m, &rows, r, k, cols, tokens, 1);
            tile_store(y + r, acc, ldy, left, tokens, DOT_VECTORS);
        }
    }
}

VEC void dot_all_tokens(rwkv_dtype type, float *y, const struct dot_product *m, size_t tokens,
                        size_t rows, size_t ldy)
{
    size_t t = 0;
    for (; t + DOT_TOKENS <= tokens; t += DOT_TOKENS)
        dot_tokens(type, y + t * ldy, m, t, rows, ldy, DOT_TOKENS);
#define REST(n)                                \
    if (tokens - t == (n) && (n) < DOT_TOKENS) \
        dot_tokens(type, y + t * ldy, m, t, rows, ldy, (n));
    REST(1)
    else REST(2) else REST(3) else REST(4) else REST(5)
#undef REST
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
