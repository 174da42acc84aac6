/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with inputs that are mostly zero; what they are is said in kernels.h. Body for one
 * instruction set; see vec/base.h and vec/dot.h.
 *
 * A tile of RW_TILE_ROWS rows, block types: first what gives the scales and minima of each 16 rows,
 * as in an image (vec/dot_types.h): [K / block][rows / 16][head]; then the codes, channel by
 * channel: [K][rows], in bytes, or two to a byte where four bits hold them.
 *
 * The integer sums of LANES rows take 4 channels at a time. Their codes lie in 4 vectors and are
 * wanted 4 to a dword: vi_zip does that in registers, and rows lie in the order that makes its
 * vectors consecutive rows. As integers are exact it does not matter which channels meet.
 */
#define TILE_PANELS (RW_TILE_ROWS / RW_PANEL_ROWS)

/* Codes to a byte. */
VEC size_t tile_packed(rwkv_dtype type)
{
    switch (type) {
    case RWKV_DTYPE_Q8_0:
    case RWKV_DTYPE_Q5_0:
    case RWKV_DTYPE_Q5_1:
    case RWKV_DTYPE_Q5_K:
    case RWKV_DTYPE_Q6_K:
        return 1;
    default:
        return 2;
    }
}

/* Bytes of the scales and minima of 16 rows of a block. */
VEC size_t tile_head(rwkv_dtype type)
{
    return dot_scale_dwords(type) * IMAGE_DWORD + dot_layout(type).halves * IMAGE_HALF;
}

/* Bytes of the heads of all blocks, where the codes begin. */
VEC size_t tile_heads(rwkv_dtype type, size_t cols)
{
    return cols / dot_layout(type).elements * TILE_PANELS * tile_head(type);
}

static RW_TILE_BYTES_FN(VEC_NAME(tile_bytes))
{
    if (dtype == RWKV_DTYPE_F32 || dtype == RWKV_DTYPE_F16 || dtype == RWKV_DTYPE_BF16)
        return cols * RW_TILE_ROWS * (dtype == RWKV_DTYPE_F32 ? 4 : 2);
    return tile_heads(dtype, cols) + cols * RW_TILE_ROWS / tile_packed(dtype);
}

/* --- making tiles ----------------------------------------------------------------------------- */

/* Where row r of a tile has its code in a channel's run: rows are taken 4 · LANES at a time, which
 * are 4 to a dword in 4 vectors after vi_zip; of packed codes the next as many are in the high
 * halves of the bytes. */
VEC size_t tile_place(rwkv_dtype type, size_t r)
{
    const size_t zip = 4 * LANES, in = r % zip;
    return r / (zip * tile_packed(type)) * zip + in % LANES / 4 * 16 + in / LANES * 4 + r % 4;
}

/* Scales and minima, to be multiplied with zero. */
VEC vf tile_finite(rwkv_dtype type, vf finite, const uint8_t *image)
{
    for (size_t row = 0; row < RW_PANEL_ROWS; row += LANES) {
        struct dot_head head = dot_head(type, image, row);
        EACH (g, dot_layout(type).elements / dot_group(type)) {
            finite = v_fma(dot_scale(type, &head, image + 4 * row, g), v_zero(), finite);
            if (dot_has_min(type))
                finite = v_fma(dot_min(type, &head, image + 4 * row, g), v_zero(), finite);
        }
    }
    return finite;
}

/* Codes [elements / 4][16][4] of 16 rows to the runs of their channels; `first` as below. */
static void tile_scatter(rwkv_dtype type, uint8_t *runs, const uint8_t *codes, size_t first)
{
    const size_t run = RW_TILE_ROWS / tile_packed(type), elements = dot_layout(type).elements;
    const int high = first / (4 * LANES) % tile_packed(type) ? 4 : 0;
    uint8_t *place[RW_PANEL_ROWS];
    for (size_t r = 0; r < RW_PANEL_ROWS; r++)
        place[r] = runs + tile_place(type, first + r);
    for (size_t k = 0; k < elements; k++)
        for (size_t r = 0; r < RW_PANEL_ROWS; r++) {
            uint8_t *p = place[r] + k * run;
            uint8_t code = codes[k / 4 * IMAGE_DWORD + 4 * r + k % 4];
            *p = high ? (uint8_t)(*p | code << high) : code;
        }
}

/* One block of 16 rows, the first of which is row `first` of the tile. */
VEC void tile_block(rwkv_dtype type, uint8_t *runs, uint8_t *head, const uint8_t *image,
                    size_t first)
{
    const size_t scales = dot_scale_dwords(type);
    const int raw = type == RWKV_DTYPE_IQ4_NL || type == RWKV_DTYPE_IQ4_XS;
    uint8_t codes[64 * IMAGE_DWORD];
    memcpy(head, image_scales(type, image), scales * IMAGE_DWORD);
    memcpy(head + scales * IMAGE_DWORD, image_halves(type, image),
           dot_layout(type).halves * IMAGE_HALF);
    for (size_t row = 0; row < RW_PANEL_ROWS; row += LANES)
        EACH (j, dot_layout(type).elements / 4)
            vi_store(codes + j * IMAGE_DWORD + 4 * row,
                     raw ? image_nibbles(image + 4 * row, j) : dot_codes(type, image + 4 * row, j));
    tile_scatter(type, runs, codes, first);
}

VEC bool tile_fill(rwkv_dtype type, RW_PACK_FN((*fill)), uint8_t *tile, const uint8_t *w,
                   size_t rows, size_t cols, size_t stride)
{
    const struct dot_layout at = dot_layout(type);
    const size_t run = RW_TILE_ROWS / tile_packed(type), head = tile_head(type);
    uint8_t *codes = tile + tile_heads(type, cols);
    uint8_t image[IMAGE_MAX] __attribute__((aligned(64)));
    vf finite = v_zero();
    for (size_t k = 0; k < cols; k += PIECE) {
        size_t count = cols - k < PIECE ? cols - k : PIECE;
        for (size_t r = 0; r < RW_TILE_ROWS; r += RW_PANEL_ROWS) {
            fill(image, w + (r < rows ? r : rows) * stride + row_bytes(type, k),
                 rows > r ? rows - r : 0, count, stride);
            for (size_t b = 0; b < count / at.elements; b++) {
                const uint8_t *block = image + b * dot_image_bytes(type);
                size_t panel = (k / at.elements + b) * TILE_PANELS + r / RW_PANEL_ROWS;
                tile_block(type, codes + (k + b * at.elements) * run, tile + panel * head, block,
                           r);
                finite = tile_finite(type, finite, block);
            }
        }
    }
    return v_sum(finite) == 0;
}

/* --- using them ------------------------------------------------------------------------------- */

/* A cache line of a run is 64 bytes. */
VEC void live_fetch(const uint8_t *codes, size_t channel, const size_t run)
{
    EACH (i, run / 64)
        prefetch(codes + channel * run, 64 * i);
}

/* The integer sums of 4 · LANES rows times tile_packed(type). */
VEC void live_sums(rwkv_dtype type, vi *sum, const uint8_t *codes, const uint32_t *channel,
                   const int8_t *x, size_t n)
{
    const size_t run = RW_TILE_ROWS / tile_packed(type);
    for (size_t i = 0; i < n; i += 4) {
        vi w[4];
        EACH (c, 4)
            w[c] = vi_load(codes + channel[i + c] * run);
        vi_zip(w);
        EACH (v, 4) {
            if (tile_packed(type) == 1) {
                sum[v] = vi_dot(sum[v], w[v], vi_broadcast(x + i), dot_wide(type));
                continue;
            }
            vi low = vi_and(w[v], vi_bytes(15)),
               high = vi_and(vi_shift_right(w[v], 4), vi_bytes(15));
            if (dot_wide(type)) {
                low = vi_iq4(low);
                high = vi_iq4(high);
            }
            sum[v] = vi_dot(sum[v], low, vi_broadcast(x + i), dot_wide(type));
            sum[4 + v] = vi_dot(sum[4 + v], high, vi_broadcast(x + i), dot_wide(type));
        }
    }
}

/* A block of one token's inputs: its live channels and codes, and by group how many those are and
 * what group_sums says. */
struct live_block {
    const uint32_t *channel;
    const int8_t *code;
    const uint8_t *count;
    const float *scale;
    const int32_t *init;
    const float *xsum;
};

/* Add the groups of a block to the sums of rows [first, first + 4 · LANES · tile_packed). */
VEC void live_block(rwkv_dtype type, float *acc, const uint8_t *codes, const uint8_t *heads,
                    struct live_block x, size_t first)
{
    const size_t group = dot_group(type), vectors = 4 * tile_packed(type);
    vf total[8];
    EACH (v, vectors)
        total[v] = v_load(acc + first + v * LANES);
    for (size_t g = 0; g < dot_layout(type).elements / group; g++) {
        size_t n = x.count[g];
        if (n == 0)
            continue;
        vi sum[8];
        EACH (v, vectors)
            sum[v] = vi_set(x.init[g]);
        for (size_t i = 0; first == 0 && i < n; i++)
            live_fetch(codes, x.channel[i + RW_LIVE_AHEAD], RW_TILE_ROWS / tile_packed(type));
        live_sums(type, sum, codes + first / tile_packed(type), x.channel, x.code, n);
        x.channel += n;
        x.code += n;
        EACH (v, vectors) {
            size_t row = first + v * LANES, lane = row % RW_PANEL_ROWS;
            const uint8_t *scales = heads + row / RW_PANEL_ROWS * tile_head(type);
            struct dot_head head =
                head_open(type, scales + dot_scale_dwords(type) * IMAGE_DWORD, lane);
            scales += 4 * lane;
            vf both = v_mul(head_scale(type, &head, scales, g), v_set(x.scale[g * group / 32]));
            total[v] = v_fma(v_from_vi(sum[v]), both, total[v]);
            if (dot_has_min(type))
                total[v] = v_fma(head_min(type, &head, scales, g), v_set(x.xsum[g]), total[v]);
        }
    }
    EACH (v, vectors)
        v_store(acc + first + v * LANES, total[v]);
}

VEC void matvec_live(rwkv_dtype type, float *y, const struct rw_live *x, const uint8_t *tile,
                     size_t cols)
{
    const size_t elements = dot_layout(type).elements, group = dot_group(type);
    const size_t groups = elements / group;
    const uint8_t *codes = tile + tile_heads(type, cols), *heads = tile;
    const uint32_t *channel = x->channel;
    const int8_t *code = x->code;
    memset(y, 0, RW_TILE_ROWS * sizeof *y);
    for (size_t k = 0; k < cols; k += elements, heads += TILE_PANELS * tile_head(type)) {
        int32_t init[16];
        float xsum[16];
        struct live_block block = {channel, code, x->count + k / group, x->dense.scale + k / 32,
                                   init,    xsum};
        size_t n = 0;
        for (size_t g = 0; g < groups; g++)
            n += block.count[g];
        if (n == 0)
            continue;
        group_sums(type, dot_offset(type), init, xsum, block.scale, x->dense.sum + k / 16,
                   elements);
        for (size_t r = 0; r < RW_TILE_ROWS; r += 4 * LANES * tile_packed(type))
            live_block(type, y, codes, heads, block, r);
        channel += n;
        code += n;
    }
}

#define BLOCK_LIVE(name, TYPE)                                                                   \
    static RW_TILE_FN(VEC_NAME(tile_##name))                                                     \
    {                                                                                            \
        return tile_fill(RWKV_DTYPE_##TYPE, VEC_NAME(pack_##name), tile, w, rows, cols, stride); \
    }                                                                                            \
    static RW_MATVEC_LIVE_FN(VEC_NAME(matvec_live_##name))                                       \
    {                                                                                            \
        matvec_live(RWKV_DTYPE_##TYPE, y, x, tile, cols);                                        \
    }
#define PUT_LIVE(name, TYPE)                                  \
    kernels->tile[RWKV_DTYPE_##TYPE] = VEC_NAME(tile_##name); \
    kernels->matvec_live[RWKV_DTYPE_##TYPE] = VEC_NAME(matvec_live_##name);

BLOCK_TYPES(BLOCK_LIVE)

static void put_live(struct rw_kernels *kernels)
{
    kernels->tile_bytes = VEC_NAME(tile_bytes);
    BLOCK_TYPES(PUT_LIVE)
}
