/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times vector for block types of weight. Body for one instruction set; see vec/base.h.
 *
 * Rows are taken apart in chunks of 256 elements (vec/chunk.h); group after group of 32 elements
 * becomes vectors of exact f32 weights, which are summed at once, four rows side by side.
 */

/* Scales and minima of the first `groups` groups of 32 elements at p. Types of 256 elements a block
 * always have GROUPS. `type` is a constant where this is called. */
VEC void chunk_scales(rwkv_dtype type, struct chunk *c, const uint8_t *p, size_t groups)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
    case RWKV_DTYPE_IQ4_NL:
        scales_small(c->scale, p, 18, groups);
        break;
    case RWKV_DTYPE_Q4_1:
        scales_small(c->scale, p, 20, groups);
        scales_small(c->min, p + 2, 20, groups);
        break;
    case RWKV_DTYPE_Q5_0:
        scales_small(c->scale, p, 22, groups);
        break;
    case RWKV_DTYPE_Q5_1:
        scales_small(c->scale, p, 24, groups);
        scales_small(c->min, p + 2, 24, groups);
        break;
    case RWKV_DTYPE_Q8_0:
        scales_small(c->scale, p, 34, groups);
        break;
    case RWKV_DTYPE_Q2_K:
        scales_q2_k(c, p);
        break;
    case RWKV_DTYPE_Q3_K:
        scales_q3_k(c, p);
        break;
    case RWKV_DTYPE_Q4_K:
    case RWKV_DTYPE_Q5_K:
        scales_q45_k(c, p);
        break;
    case RWKV_DTYPE_Q6_K:
        scales_q6_k(c, p);
        break;
    case RWKV_DTYPE_IQ4_XS:
        scales_iq4_xs(c, p);
        break;
    default:
        break;
    }
}

/* Their codes; those of Q8_0 stay where they are. */
VEC void chunk_codes(rwkv_dtype type, struct chunk *c, const uint8_t *p, size_t groups)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
        codes_q4(c, p + 2, 18, groups, 8);
        break;
    case RWKV_DTYPE_Q4_1:
        codes_q4(c, p + 4, 20, groups, 0);
        break;
    case RWKV_DTYPE_Q5_0:
        codes_q5(c, p + 6, 22, groups, 16);
        break;
    case RWKV_DTYPE_Q5_1:
        codes_q5(c, p + 8, 24, groups, 0);
        break;
    case RWKV_DTYPE_Q2_K:
        codes_q2_k(c, p + 16);
        break;
    case RWKV_DTYPE_Q3_K:
        codes_q3_k(c, p);
        break;
    case RWKV_DTYPE_Q4_K:
        codes_q4_k(c, p + 16);
        break;
    case RWKV_DTYPE_Q5_K:
        codes_q5_k(c, p);
        break;
    case RWKV_DTYPE_Q6_K:
        codes_q6_k(c, p);
        break;
    case RWKV_DTYPE_IQ4_NL:
        codes_iq4(c, p + 2, 18, groups);
        break;
    case RWKV_DTYPE_IQ4_XS:
        codes_iq4(c, p + 8, 16, groups);
        break;
    default:
        break;
    }
}

/* The weights of group g of a chunk. */
VEC void chunk_group(rwkv_dtype type, vf w[32 / LANES], const struct chunk *c, const uint8_t *p,
                     size_t g)
{
#ifdef CHUNK_LOOKUP
    if (chunk_lookup(type)) {
        chunk_group_lookup(type, w, c, p, g);
        return;
    }
#endif
    const uint8_t *code =
        type == RWKV_DTYPE_Q8_0 ? p + 34 * g + 2 : (const uint8_t *)c->code + 32 * g;
    EACH (i, 32 / LANES) {
        size_t s = (32 * g + i * LANES) / chunk_scale_step(type);
        vf q = v_load_codes(code + i * LANES), scale = v_set(c->scale[s]);
        w[i] = chunk_has_min(type) ? v_fma(q, scale, v_set(c->min[s])) : v_mul(q, scale);
    }
}

VEC void chunk_open(rwkv_dtype type, struct chunk *c, const uint8_t *p, size_t groups)
{
    chunk_scales(type, c, p, groups);
#ifdef CHUNK_LOOKUP
    if (!chunk_lookup(type))
        chunk_codes(type, c, p, groups);
#else
    chunk_codes(type, c, p, groups);
#endif
    IN_MEMORY(*c); /* a scale is then one load that fills a vector; from registers it is shuffles */
}

/* Add group g of n rows to their sums. */
VEC void dot_group(rwkv_dtype type, vf *acc, const struct chunk *c, const uint8_t *w, size_t stride,
                   const float *x, size_t g, const size_t n)
{
    vf xk[32 / LANES];
    EACH (i, 32 / LANES)
        xk[i] = v_load(x + 32 * g + i * LANES);
    EACH (r, n) {
        vf wk[32 / LANES];
        chunk_group(type, wk, &c[r], w + r * stride, g);
        EACH (i, 32 / LANES)
            acc[r] = v_fma(wk[i], xk[i], acc[r]);
    }
}

/* Sums of n (1 or 4) rows. Meanwhile the next four are fetched, which may be the next call's. */
VEC void matvec_block_rows(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t cols,
                           size_t stride, const size_t n)
{
    struct chunk c[4];
    vf acc[4];
    EACH (r, n)
        acc[r] = v_zero();
    for (; cols >= CHUNK; cols -= CHUNK, x += CHUNK, w += chunk_size(type)) {
        EACH (r, n) {
            for (size_t i = 0; i < chunk_size(type); i += 64)
                prefetch(w + r * stride + i, 4 * stride);
            chunk_open(type, &c[r], w + r * stride, GROUPS);
        }
        EACH (g, GROUPS)
            dot_group(type, acc, c, w, stride, x, g, n);
    }
    if (cols) {
        for (size_t r = 0; r < n; r++)
            chunk_open(type, &c[r], w + r * stride, cols / 32);
        for (size_t g = 0; g < cols / 32; g++)
            dot_group(type, acc, c, w, stride, x, g, n);
    }
    if (n == 4)
        v_sum4(y, acc[0], acc[1], acc[2], acc[3]);
    else
        *y = v_sum(acc[0]);
}

VEC void matvec_block(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t rows,
                      size_t cols, size_t stride)
{
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        matvec_block_rows(type, y + r, x, w + r * stride, cols, stride, 4);
    for (; r < rows; r++)
        matvec_block_rows(type, y + r, x, w + r * stride, cols, stride, 1);
}

VEC void unpack_group(rwkv_dtype type, float *restrict to, const struct chunk *c, const uint8_t *p,
                      size_t g)
{
    vf w[32 / LANES];
    chunk_group(type, w, c, p, g);
    EACH (i, 32 / LANES)
        v_store(to + 32 * g + i * LANES, w[i]);
}

VEC void unpack_block(rwkv_dtype type, float *to, const uint8_t *p, size_t n)
{
    struct chunk c;
    for (; n >= CHUNK; n -= CHUNK, to += CHUNK, p += chunk_size(type)) {
        chunk_open(type, &c, p, GROUPS);
        EACH (g, GROUPS)
            unpack_group(type, to, &c, p, g);
    }
    if (n) {
        chunk_open(type, &c, p, n / 32);
        for (size_t g = 0; g < n / 32; g++)
            unpack_group(type, to, &c, p, g);
    }
}

/* Every block type: name of its kernels, name in the enumeration. */
#define BLOCK_TYPES(X) \
    X(q4_0, Q4_0)      \
    X(q4_1, Q4_1)      \
    X(q5_0, Q5_0)      \
    X(q5_1, Q5_1)      \
    X(q8_0, Q8_0)      \
    X(q2_k, Q2_K)      \
    X(q3_k, Q3_K)      \
    X(q4_k, Q4_K)      \
    X(q5_k, Q5_K)      \
    X(q6_k, Q6_K)      \
    X(iq4_nl, IQ4_NL)  \
    X(iq4_xs, IQ4_XS)

#define BLOCK_KERNELS(name, TYPE)                                     \
    static RW_MATVEC_FN(VEC_NAME(matvec_##name))                      \
    {                                                                 \
        matvec_block(RWKV_DTYPE_##TYPE, y, x, w, rows, cols, stride); \
    }                                                                 \
    static RW_UNPACK_FN(VEC_NAME(unpack_##name))                      \
    {                                                                 \
        unpack_block(RWKV_DTYPE_##TYPE, to, from, n);                 \
    }
BLOCK_TYPES(BLOCK_KERNELS)

static void put_blocks(struct rw_kernels *kernels)
{
#define PUT(name, TYPE)                                           \
    kernels->matvec[RWKV_DTYPE_##TYPE] = VEC_NAME(matvec_##name); \
    kernels->unpack[RWKV_DTYPE_##TYPE] = VEC_NAME(unpack_##name);
    BLOCK_TYPES(PUT)
#undef PUT
}
