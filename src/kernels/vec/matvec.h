/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix times vector for plain types of weight, both ways round. Body for one instruction set; see
 * vec/base.h.
 *
 * Row-major weights: four rows at a time, each with one vector of sums, so the lanes are the
 * memory's. Input-major weights: a vector holds one lane's sum of LANES neighbouring outputs, and
 * the lanes are taken a few at a time.
 */
#define STRIP 4 /* vectors of neighbouring outputs in the transposed product */

VEC size_t plain_size(rwkv_dtype type)
{
    return type == RWKV_DTYPE_F32 ? 4 : 2;
}

/* `type` is a constant wherever these are called, so nothing is left of the choice. */
VEC vf plain_load(rwkv_dtype type, const uint8_t *p)
{
    return type == RWKV_DTYPE_F32   ? v_load(p)
           : type == RWKV_DTYPE_F16 ? v_load_f16(p)
                                    : v_load_bf16(p);
}

VEC vf plain_load_part(rwkv_dtype type, const uint8_t *p, size_t n)
{
    return type == RWKV_DTYPE_F32   ? v_load_part(p, n)
           : type == RWKV_DTYPE_F16 ? v_load_f16_part(p, n)
                                    : v_load_bf16_part(p, n);
}

/* Add LANES columns of n rows, at w and x, to their sums. */
VEC void matvec_add(rwkv_dtype type, vf *acc, const float *x, const uint8_t *w, size_t stride,
                    const size_t n)
{
    vf xk = v_load(x);
    EACH (r, n)
        acc[r] = v_fma(plain_load(type, w + r * stride), xk, acc[r]);
}

/* Sums of n (1 or 4) rows. Meanwhile the next four are fetched, which may be the next call's. */
VEC void matvec_rows(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t cols,
                     size_t stride, const size_t n)
{
    const size_t size = plain_size(type), line = 64 / size;
    vf acc[4];
    EACH (r, n)
        acc[r] = v_zero();
    size_t k = 0;
    for (; k + line <= cols; k += line) {
        EACH (r, n)
            prefetch(w + r * stride + k * size, 4 * stride);
        EACH (i, line / LANES)
            matvec_add(type, acc, x + k + i * LANES, w + (k + i * LANES) * size, stride, n);
    }
    for (; k + LANES <= cols; k += LANES)
        matvec_add(type, acc, x + k, w + k * size, stride, n);
    if (k < cols) {
        vf xk = v_load_part(x + k, cols - k);
        EACH (r, n) {
            const uint8_t *p = w + r * stride + k * size;
            acc[r] = v_fma(plain_load_part(type, p, cols - k), xk, acc[r]);
        }
    }
    if (n == 4)
        v_sum4(y, acc[0], acc[1], acc[2], acc[3]);
    else
        *y = v_sum(acc[0]);
}

VEC void matvec(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t rows,
                size_t cols, size_t stride)
{
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        matvec_rows(type, y + r, x, w + r * stride, cols, stride, 4);
    for (; r < rows; r++)
        matvec_rows(type, y + r, x, w + r * stride, cols, stride, 1);
}

/* Outputs of one strip: `width` whole vectors, or one vector of n < LANES outputs if `part`. */
VEC void matvec_t_strip(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t n,
                        size_t cols, size_t stride, const size_t width, const int part)
{
    const size_t group = LANES / width; /* lanes summed at once */
    const size_t size = plain_size(type), tail = cols % LANES;
    vf lane[LANES][STRIP];
    for (size_t first = 0; first < LANES; first += group) {
        vf acc[LANES];
        EACH (i, LANES)
            acc[i] = v_zero();
        for (size_t k = first; k < cols; k += LANES) {
            EACH (g, group) {
                if (k + g >= cols)
                    break;
                const uint8_t *row = w + (k + g) * stride;
                vf xk = v_set(x[k + g]);
                EACH (i, width) {
                    vf wk = part ? plain_load_part(type, row, n)
                                 : plain_load(type, row + i * LANES * size);
                    acc[g * width + i] = v_fma(wk, xk, acc[g * width + i]);
                }
            }
        }
        EACH (i, LANES)
            lane[first + i / width][i % width] = acc[i];
    }
    /* Where a row-major row's last vector is filled up with zeros: it turns -0 into +0. */
    for (size_t j = tail; tail && j < LANES; j++)
        EACH (i, width)
            lane[j][i] = v_add(lane[j][i], v_zero());
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            EACH (i, width)
                lane[j][i] = v_add(lane[j][i], lane[j + half][i]);
    if (part)
        v_store_part(y, lane[0][0], n);
    else
        EACH (i, width)
            v_store(y + i * LANES, lane[0][i]);
}

VEC void matvec_t(rwkv_dtype type, float *y, const float *x, const uint8_t *w, size_t rows,
                  size_t cols, size_t stride)
{
    const size_t size = plain_size(type);
    size_t r = 0;
    for (; r + STRIP * LANES <= rows; r += STRIP * LANES)
        matvec_t_strip(type, y + r, x, w + r * size, 0, cols, stride, STRIP, 0);
    for (; r + LANES <= rows; r += LANES)
        matvec_t_strip(type, y + r, x, w + r * size, 0, cols, stride, 1, 0);
    if (r < rows)
        matvec_t_strip(type, y + r, x, w + r * size, rows - r, cols, stride, 1, 1);
}

#define PLAIN(suffix, type)                            \
    static RW_MATVEC_FN(VEC_NAME(matvec_##suffix))     \
    {                                                  \
        matvec(type, y, x, w, rows, cols, stride);     \
    }                                                  \
    static RW_MATVEC_T_FN(VEC_NAME(matvec_t_##suffix)) \
    {                                                  \
        matvec_t(type, y, x, w, rows, cols, stride);   \
    }

PLAIN(f32, RWKV_DTYPE_F32)
PLAIN(f16, RWKV_DTYPE_F16)
PLAIN(bf16, RWKV_DTYPE_BF16)

static void put_matvec(struct rw_kernels *kernels)
{
    kernels->matvec[RWKV_DTYPE_F32] = VEC_NAME(matvec_f32);
    kernels->matvec[RWKV_DTYPE_F16] = VEC_NAME(matvec_f16);
    kernels->matvec[RWKV_DTYPE_BF16] = VEC_NAME(matvec_bf16);
    kernels->matvec_t[RWKV_DTYPE_F32] = VEC_NAME(matvec_t_f32);
    kernels->matvec_t[RWKV_DTYPE_F16] = VEC_NAME(matvec_t_f16);
    kernels->matvec_t[RWKV_DTYPE_BF16] = VEC_NAME(matvec_t_bf16);
}
