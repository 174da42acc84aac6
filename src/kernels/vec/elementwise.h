/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one element. Body for one instruction set; see vec/base.h. */
VEC vf v_relu2(vf x)
{
    vf positive = v_max(v_zero(), x);
    return v_mul(positive, positive);
}

#define MAP(name)                                                            \
    static RW_MAP_FN(VEC_NAME(name))                                         \
    {                                                                        \
        size_t i = 0;                                                        \
        for (; i + LANES <= n; i += LANES)                                   \
            v_store(x + i, v_##name(v_load(x + i)));                         \
        if (i < n)                                                           \
            v_store_part(x + i, v_##name(v_load_part(x + i, n - i)), n - i); \
    }
MAP(tanh)
MAP(sigmoid)
MAP(relu2)

static RW_ADD_FN(VEC_NAME(add))
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    if (i < n)
        v_store_part(y + i, v_add(v_load_part(y + i, n - i), v_load_part(x + i, n - i)), n - i);
}

static void put_elementwise(struct rw_kernels *kernels)
{
    kernels->tanh = VEC_NAME(tanh);
    kernels->sigmoid = VEC_NAME(sigmoid);
    kernels->relu2 = VEC_NAME(relu2);
    kernels->add = VEC_NAME(add);
}
