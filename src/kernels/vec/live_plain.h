/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with inputs that are mostly zero, plain types of weight. Body for one instruction set;
 * see vec/base.h and vec/matvec.h. A tile is [K][RW_TILE_ROWS].
 */
VEC bool plain_finite(rwkv_dtype type, const uint8_t *p)
{
    uint32_t bits = 0;
    memcpy(&bits, p, plain_size(type));
    uint32_t infinity = type == RWKV_DTYPE_F32   ? 0x7f800000
                        : type == RWKV_DTYPE_F16 ? 0x7c00
                                                 : 0x7f80;
    return (bits & infinity) != infinity;
}

/* A few columns at a time, so that what they are written to stays in the cache. */
VEC bool tile_fill_plain(rwkv_dtype type, uint8_t *tile, const uint8_t *w, size_t rows, size_t cols,
                         size_t stride)
{
    const size_t size = plain_size(type), run = RW_TILE_ROWS * size, step = 32;
    bool finite = true;
    memset(tile, 0, rows < RW_TILE_ROWS ? cols * run : 0);
    for (size_t k = 0; k < cols; k += step)
        for (size_t r = 0; r < rows; r++)
            for (size_t i = k; i < cols && i < k + step; i++) {
                const uint8_t *from = w + r * stride + i * size;
                finite &= plain_finite(type, from);
                memcpy(tile + i * run + r * size, from, size);
            }
    return finite;
}

/* Lane by lane, each the sums of all rows of the tile; kept in the first cache. */
VEC void matvec_live_plain(rwkv_dtype type, float *y, const struct rw_live *x, const uint8_t *tile)
{
    const size_t size = plain_size(type), run = RW_TILE_ROWS * size;
    float lane[LANES][RW_TILE_ROWS] = {0};
    for (size_t i = 0; i < x->n; i++) {
        const uint8_t *w = tile + x->channel[i] * run;
        float *acc = lane[x->channel[i] % LANES];
        vf xk = v_set(x->value[i]);
        live_fetch(tile, x->channel[i + RW_LIVE_AHEAD], run);
        EACH (v, RW_TILE_ROWS / LANES)
            v_store(acc + v * LANES,
                    v_fma(plain_load(type, w + v * LANES * size), xk, v_load(acc + v * LANES)));
    }
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            for (size_t r = 0; r < RW_TILE_ROWS; r += LANES)
                v_store(lane[j] + r, v_add(v_load(lane[j] + r), v_load(lane[j + half] + r)));
    memcpy(y, lane[0], RW_TILE_ROWS * sizeof *y);
}

#define PLAIN_LIVE(name, TYPE)                                                  \
    static RW_TILE_FN(VEC_NAME(tile_##name))                                    \
    {                                                                           \
        return tile_fill_plain(RWKV_DTYPE_##TYPE, tile, w, rows, cols, stride); \
    }                                                                           \
    static RW_MATVEC_LIVE_FN(VEC_NAME(matvec_live_##name))                      \
    {                                                                           \
        (void)cols;                                                             \
        matvec_live_plain(RWKV_DTYPE_##TYPE, y, x, tile);                       \
    }
PLAIN_LIVE(f32, F32)
PLAIN_LIVE(f16, F16)
PLAIN_LIVE(bf16, BF16)

static void put_live_plain(struct rw_kernels *kernels)
{
    PUT_LIVE(f32, F32)
    PUT_LIVE(f16, F16)
    PUT_LIVE(bf16, BF16)
}
