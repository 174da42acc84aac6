/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products in integers with weights of block types; what they are is defined in kernels.h. Body for
 * one instruction set; see vec/base.h.
 *
 * 16 rows of the weight lie side by side, 4 columns at a time, so that one instruction multiplies
 * 4 codes of LANES rows by 4 activations that are the same for all, and each lane is one output.
 * Weights may be packed in that order (their images: vec/dot_types.h). If they are not, a piece of
 * 16 rows is put into it in the first cache right before it is used.
 *
 * Besides the operations of vec/base.h, on a vector `vi` of LANES int32 or 4·LANES bytes:
 *
 *   vi_load(p), vi_store(p, v), vi_load_u16(p)   LANES dwords; LANES 16-bit numbers
 *   vi_set(n), vi_bytes(n)                 the same in every dword, every byte
 *   vi_broadcast(p)                        4 bytes at p for every dword: a `vi_same`
 *   vi_and, vi_or, vi_sub (dwords)
 *   vi_shift_left, vi_shift_right, vi_shift_right_signed(v, n)   of dwords
 *   vi_fifth(v, j)                         16 in byte i of each dword that has bit 4j + i set
 *   vi_wide(v), vi_iq4(v)                  signed bytes, nibbles of IQ4 types, to wide codes:
 *                                          codes of 8 bits, DOT_WIDE_OFFSET above the value
 *   vi_dot(sum, codes, x, wide)            sum + the 4 products of each dword of codes, below 128
 *                                          unless wide, and signed bytes x, a `vi_same`
 *   vi_interleave(to, rows, at, r)         4 dwords at byte `at` of LANES rows from r on, so that
 *                                          those of one column lie together, IMAGE_DWORD bytes
 *                                          from one column to the next
 *   vi_zip(v[4])                           byte 16 l + 4 v + i of 4 vectors to the dword of lane
 *                                          4 l + i of vector v, in their order
 *   v_from_vi(v), v_store_codes(p, v)      dwords to floats; whole floats to signed bytes at p
 *   v_max_all(v)                           the largest lane
 *   VI_FORGET(v)                           the compiler forgets what is in v
 * and DOT_TOKENS, DOT_VECTORS: the register tile of matmul_dot. Where VI_DOT_TILE is defined, so is
 * vi_dot_tile(sum, x, init, code, columns, tokens): the integer sums of a tile by other
 * instructions.
 */
#include <math.h>
#include <string.h>

#define PIECE 512             /* columns of an image */
#define PIECE_BYTES (16 * 34) /* of the widest row of a piece: Q8_0 */
#define IMAGE_MAX (RW_PANEL_ROWS * PIECE_BYTES)
#define PACKED_AHEAD 4096 /* bytes that are fetched before they are used */

/* --- activations ------------------------------------------------------------------------------ */

/* Lanes of floats that are whole numbers, so their sum is exact. */
VEC int32_t whole_sum(const vf *v, size_t n)
{
    vf sum = v[0];
    EACH (i, n - 1)
        sum = v_add(sum, v[i + 1]);
    return (int32_t)v_sum(sum);
}

VEC void quantize_block(int8_t *code, float *scale, int32_t *sum, const float *x)
{
    vf v[32 / LANES], most = v_zero(), finite = v_zero();
    EACH (i, 32 / LANES) {
        v[i] = v_load(x + i * LANES);
        most = v_max(most, v_abs(v[i]));
        finite = v_fma(v[i], v_zero(), finite); /* NaN as soon as one is not */
    }
    float m = v_max_all(most), inverse = 127 / m;
    if (v_sum(finite) != 0 || !(inverse <= 0x1.fffffep127f)) {
        *scale = v_sum(finite) != 0 ? NAN : 0;
        memset(code, 0, 32);
        sum[0] = sum[1] = 0;
        return;
    }
    *scale = m / 127;
    EACH (i, 32 / LANES) {
        v[i] = v_round(v_mul(v[i], v_set(inverse)));
        v_store_codes(code + i * LANES, v[i]);
    }
    sum[0] = whole_sum(v, 16 / LANES);
    sum[1] = whole_sum(v + 16 / LANES, 16 / LANES);
}

static RW_QUANTIZE_FN(VEC_NAME(quantize))
{
    for (size_t i = 0; i < n; i += 32)
        quantize_block(code + i, scale + i / 32, sum + i / 16, x + i);
}

/* What a group adds whatever the weights' codes: −offset · Σq to the integer sum; and d · Σq, which
 * the group's minimum multiplies. */
VEC void group_sums(rwkv_dtype type, int offset, int32_t *init, float *xsum, const float *scale,
                    const int32_t *sum, size_t cols)
{
    const size_t group = dot_group(type);
    for (size_t g = 0; g < cols / group; g++) {
        int32_t s = group == 16 ? sum[g] : sum[2 * g] + sum[2 * g + 1];
        init[g] = -offset * s;
        if (dot_has_min(type))
            xsum[g] = scale[g * group / 32] * (float)s;
    }
}

/* --- images ----------------------------------------------------------------------------------- */

/* Memory must always be at work, and can only work on some 16 lines at a time: so what comes next
 * is fetched a few lines in every step of a block. This is step `step` of `steps`, `n` bytes in all
 * of them. */
VEC void fetch_step(const uint8_t *ahead, const size_t n, const size_t step, const size_t steps)
{
    const size_t lines = (n + 63) / 64;
    const size_t first = step * lines / steps, end = (step + 1) * lines / steps;
    EACH (i, end - first)
        prefetch(ahead, 64 * (first + i));
}

/* Left to itself the compiler gathers several of these in a vector, which takes longer. */
VEC void copy_alone(uint8_t *to, const uint8_t *from, const size_t n)
{
    memcpy(to, from, n);
    IN_MEMORY(*to);
}

VEC void image_block(rwkv_dtype type, uint8_t *image, const struct image_rows *rows)
{
    const struct dot_layout at = dot_layout(type);
    EACH (p, at.pieces)
        EACH (h, RW_PANEL_ROWS / LANES)
            vi_interleave(image + 4 * p * IMAGE_DWORD + h * LANES * 4, rows, at.pieces_at + 16 * p,
                          h * LANES);
    uint8_t *dwords = image + 4 * at.pieces * IMAGE_DWORD;
    uint8_t *halves = dwords + at.dwords * IMAGE_DWORD;
    EACH (r, RW_PANEL_ROWS) {
        const uint8_t *row = image_row(rows, r);
        EACH (i, at.dwords)
            copy_alone(dwords + i * IMAGE_DWORD + 4 * r, row + at.dwords_at + 4 * i, 4);
        EACH (i, at.halves)
            copy_alone(halves + i * IMAGE_HALF + 2 * r, row + at.halves_at + 2 * i, 2);
    }
}

/* The image of 16 rows. */
VEC void image_fill(rwkv_dtype type, uint8_t *image, const uint8_t *w, size_t cols, size_t stride)
{
    const struct dot_layout at = dot_layout(type);
    struct image_rows rows = {{w, w + stride, w + 2 * stride, w + 3 * stride}, stride, 3 * stride};
    for (size_t b = 0; b < cols / at.elements; b++) {
        image_block(type, image, &rows);
        image += dot_image_bytes(type);
        EACH (i, 4) {
            rows.first[i] += at.bytes;
            FORGET(rows.first[i]);
        }
    }
}

/* The image of rows of which fewer than 16 exist; the others are zeros. */
VEC void image_fill_part(rwkv_dtype type, uint8_t *image, const uint8_t *w, size_t rows,
                         size_t cols, size_t stride)
{
    const struct dot_layout at = dot_layout(type);
    for (size_t k = 0; k < cols; k += PIECE) {
        uint8_t copy[RW_PANEL_ROWS * PIECE_BYTES] = {0};
        size_t count = cols - k < PIECE ? cols - k : PIECE;
        for (size_t r = 0; r < rows; r++)
            memcpy(copy + r * PIECE_BYTES, w + r * stride + k / at.elements * at.bytes,
                   count / at.elements * at.bytes);
        image_fill(type, image + k / at.elements * dot_image_bytes(type), copy, count, PIECE_BYTES);
    }
}

VEC void pack(rwkv_dtype type, uint8_t *image, const uint8_t *w, size_t rows, size_t cols,
              size_t stride)
{
    if (rows >= RW_PANEL_ROWS)
        image_fill(type, image, w, cols, stride);
    else
        image_fill_part(type, image, w, rows, cols, stride);
}

/* --- what a type has kernels of --------------------------------------------------------------- */

/* One row of activations, and what it adds to every output (group_sums). */
struct dot_token {
    const int8_t *code;
    const float *scale;
    const int32_t *init;
    const float *xsum;
};

/* One function a type, which all of its kernels call. `ahead` is what to fetch meanwhile, as much
 * as the image takes. */
#define DOT_IMAGE_FN(name)                                                              \
    void name(float *acc, const uint8_t *image, const struct dot_token *x, size_t cols, \
              const uint8_t *ahead)
#define PANEL_IMAGE_FN(name)                                                          \
    void name(const struct rw_panel *to, const uint8_t *image, size_t k, size_t cols, \
              const uint8_t *ahead)

struct dot_kernels {
    RW_PACK_FN((*pack));
    DOT_IMAGE_FN((*dot_image));
    PANEL_IMAGE_FN((*panel_image));
};

/* --- one token -------------------------------------------------------------------------------- */

/* Add the block in `image` (at LANES of its rows) to their sums. */
VEC vf dot_block(rwkv_dtype type, vf acc, const uint8_t *image, const struct dot_head *head,
                 const struct dot_token *x, size_t k, const uint8_t *ahead)
{
    const size_t group = dot_group(type), groups = dot_layout(type).elements / group;
    const int8_t *code = x->code + k;
    const float *scale = x->scale + k / 32, *xsum = x->xsum + k / group;
    const int32_t *init = x->init + k / group;
    EACH (g, groups) {
        fetch_step(ahead, dot_layout(type).bytes * LANES, g, groups);
        vi sum = vi_set(init[g]);
        EACH (j, group / 4)
            sum = vi_dot(sum, dot_codes(type, image, g * group / 4 + j),
                         vi_broadcast(code + g * group + 4 * j), dot_wide(type));
        vf both = v_mul(dot_scale(type, head, image, g), v_set(scale[g * group / 32]));
        acc = v_fma(v_from_vi(sum), both, acc);
        if (dot_has_min(type))
            acc = v_fma(dot_min(type, head, image, g), v_set(xsum[g]), acc);
    }
    return acc;
}

/* Add `cols` ≤ PIECE columns to the sums of 16 rows. */
VEC void dot_image(rwkv_dtype type, float *acc, const uint8_t *image, const struct dot_token *x,
                   size_t cols, const uint8_t *ahead)
{
    for (size_t row = 0; row < RW_PANEL_ROWS; row += LANES) {
        const uint8_t *p = image, *next = ahead + row * dot_layout(type).bytes;
        vf total = v_load(acc + row);
        for (size_t k = 0; k < cols; k += dot_layout(type).elements) {
            struct dot_head head = dot_head(type, p, row);
            total = dot_block(type, total, p + 4 * row, &head, x, k, next);
            p += dot_image_bytes(type);
            next += dot_image_bytes(type);
        }
        v_store(acc + row, total);
    }
}

/* Columns whose group sums are held at a time. */
#define SPAN 8192

struct dot_span {
    int32_t init[SPAN / 16];
    float xsum[SPAN / 16];
};

VEC struct dot_token span_open(rwkv_dtype type, struct dot_span *span, const struct rw_dot_input *x,
                               size_t k, size_t cols)
{
    group_sums(type, dot_offset(type), span->init, span->xsum, x->scale + k / 32, x->sum + k / 16,
               cols);
    return (struct dot_token){x->code + k, x->scale + k / 32, span->init, span->xsum};
}

VEC struct dot_token token_at(rwkv_dtype type, const struct dot_token *x, size_t k)
{
    const size_t group = dot_group(type);
    return (struct dot_token){x->code + k, x->scale + k / 32, x->init + k / group,
                              x->xsum + k / group};
}

/* Bytes of n columns of one row. */
VEC size_t row_bytes(rwkv_dtype type, size_t n)
{
    return n / dot_layout(type).elements * dot_layout(type).bytes;
}

/* Add `cols` columns to the sums of 16 rows that are packed. */
VEC void dot_packed(rwkv_dtype type, const struct dot_kernels *t, float *acc,
                    const struct dot_token *x, const uint8_t *packed, size_t cols)
{
    for (size_t k = 0; k < cols; k += PIECE) {
        const struct dot_token piece = token_at(type, x, k);
        const uint8_t *image = packed + RW_PANEL_ROWS * row_bytes(type, k);
        t->dot_image(acc, image, &piece, cols - k < PIECE ? cols - k : PIECE,
                     (const uint8_t *)((uintptr_t)image + PACKED_AHEAD));
    }
}

/* The same of up to 16 rows that lie as in the file, a piece of which is packed right before it is
 * used. What is fetched meanwhile: the piece takes up the same share of its 16 rows as that of the
 * 16 after them. */
VEC void dot_rows(rwkv_dtype type, const struct dot_kernels *t, float *acc,
                  const struct dot_token *x, const uint8_t *w, size_t rows, size_t cols,
                  size_t stride)
{
    uint8_t image[IMAGE_MAX] __attribute__((aligned(64)));
    for (size_t k = 0; k < cols; k += PIECE) {
        const size_t count = cols - k < PIECE ? cols - k : PIECE, at = row_bytes(type, k);
        const struct dot_token piece = token_at(type, x, k);
        t->pack(image, w + at, rows, count, stride);
        t->dot_image(acc, image, &piece, count,
                     (const uint8_t *)((uintptr_t)w + RW_PANEL_ROWS * (stride + at)));
    }
}

/* y[r] = Σ_k w[r, k] x[k]; the rows at w are packed where the stride is 0. */
VEC void matvec_dot(rwkv_dtype type, const struct dot_kernels *t, float *y,
                    const struct rw_dot_input *x, const uint8_t *w, size_t rows, size_t cols,
                    size_t stride)
{
    const size_t row = stride ? stride : row_bytes(type, cols);
    struct dot_span span;
    for (size_t k = 0; k == 0 || k < cols; k += SPAN) { /* of no columns: zeros */
        const size_t count = cols - k < SPAN ? cols - k : SPAN, at = row_bytes(type, k);
        const struct dot_token token = span_open(type, &span, x, k, count);
        for (size_t r = 0; r < rows; r += RW_PANEL_ROWS) {
            const size_t n = rows - r < RW_PANEL_ROWS ? rows - r : RW_PANEL_ROWS;
            float acc[RW_PANEL_ROWS] = {0};
            if (k > 0)
                memcpy(acc, y + r, n * sizeof *acc);
            if (stride)
                dot_rows(type, t, acc, &token, w + r * row + at, n, count, stride);
            else
                dot_packed(type, t, acc, &token, w + r * row + RW_PANEL_ROWS * at, count);
            memcpy(y + r, acc, n * sizeof *acc);
        }
    }
}

/* --- panels ----------------------------------------------------------------------------------- */

/* Take the block in `image` apart (at LANES of its rows), whose first column is k of the panel. */
VEC void panel_block(rwkv_dtype type, const struct rw_panel *to, const uint8_t *image, size_t row,
                     size_t k, const uint8_t *ahead)
{
    const size_t elements = dot_layout(type).elements, group = dot_group(type);
    const struct dot_head head = dot_head(type, image, row);
    const uint8_t *p = image + 4 * row;
    EACH (j, elements / 4)
        vi_store(to->code + (k / 4 + j) * IMAGE_DWORD + 4 * row, dot_codes(type, p, j));
    EACH (g, elements / group) {
        fetch_step(ahead, dot_layout(type).bytes * LANES, g, elements / group);
        size_t at = (k / group + g) * RW_PANEL_ROWS + row;
        v_store(to->scale + at, dot_scale(type, &head, p, g));
        if (dot_has_min(type))
            v_store(to->min + at, dot_min(type, &head, p, g));
    }
}

/* Take `cols` columns apart, the first of which is k of the panel. */
VEC void panel_image(rwkv_dtype type, const struct rw_panel *to, const uint8_t *image, size_t k,
                     size_t cols, const uint8_t *ahead)
{
    for (size_t i = 0; i < cols; i += dot_layout(type).elements) {
        for (size_t row = 0; row < RW_PANEL_ROWS; row += LANES)
            panel_block(type, to, image, row, k + i, ahead + row * dot_layout(type).bytes);
        image += dot_image_bytes(type);
        ahead += dot_image_bytes(type);
    }
}

/* As matvec_dot. */
VEC void panel(rwkv_dtype type, const struct dot_kernels *t, const struct rw_panel *to,
               const uint8_t *w, size_t rows, size_t cols, size_t stride)
{
    uint8_t image[IMAGE_MAX] __attribute__((aligned(64)));
    if (stride == 0) {
        t->panel_image(to, w, 0, cols, (const uint8_t *)((uintptr_t)w + PACKED_AHEAD));
        return;
    }
    for (size_t k = 0; k < cols; k += PIECE) {
        const size_t count = cols - k < PIECE ? cols - k : PIECE, at = row_bytes(type, k);
        t->pack(image, w + at, rows, count, stride);
        t->panel_image(to, image, k, count,
                       (const uint8_t *)((uintptr_t)w + RW_PANEL_ROWS * (stride + at)));
    }
}
