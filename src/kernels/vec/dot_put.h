/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of vec/dot.h and vec/dot_matmul.h by type. Body for one instruction set. */
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

#define BLOCK_KERNELS(name, TYPE)                                                          \
    static __attribute__((noinline)) RW_PACK_FN(VEC_NAME(pack_##name))                     \
    {                                                                                      \
        pack(RWKV_DTYPE_##TYPE, to, w, rows, cols, stride);                                \
    }                                                                                      \
    static __attribute__((noinline)) DOT_IMAGE_FN(VEC_NAME(dot_image_##name))              \
    {                                                                                      \
        dot_image(RWKV_DTYPE_##TYPE, acc, image, x, cols, ahead);                          \
    }                                                                                      \
    static __attribute__((noinline)) PANEL_IMAGE_FN(VEC_NAME(panel_image_##name))          \
    {                                                                                      \
        panel_image(RWKV_DTYPE_##TYPE, to, image, k, cols, ahead);                         \
    }                                                                                      \
    static const struct dot_kernels VEC_NAME(dot_##name) = {                               \
        VEC_NAME(pack_##name), VEC_NAME(dot_image_##name), VEC_NAME(panel_image_##name)};  \
    static RW_MATVEC_DOT_FN(VEC_NAME(matvec_dot_##name))                                   \
    {                                                                                      \
        matvec_dot(RWKV_DTYPE_##TYPE, &VEC_NAME(dot_##name), y, x, w, rows, cols, stride); \
    }                                                                                      \
    static RW_PANEL_FN(VEC_NAME(panel_##name))                                             \
    {                                                                                      \
        panel(RWKV_DTYPE_##TYPE, &VEC_NAME(dot_##name), to, w, rows, cols, stride);        \
    }
BLOCK_TYPES(BLOCK_KERNELS)

static void put_dot(struct rw_kernels *kernels)
{
#define PUT(name, TYPE)                                                   \
    kernels->pack[RWKV_DTYPE_##TYPE] = VEC_NAME(pack_##name);             \
    kernels->matvec_dot[RWKV_DTYPE_##TYPE] = VEC_NAME(matvec_dot_##name); \
    kernels->panel[RWKV_DTYPE_##TYPE] = VEC_NAME(panel_##name);           \
    kernels->matvec[RWKV_DTYPE_##TYPE] = NULL; /* the reference's would sum differently */
    BLOCK_TYPES(PUT)
#undef PUT
    kernels->quantize = VEC_NAME(quantize);
    kernels->matmul_dot = VEC_NAME(matmul_dot);
}
