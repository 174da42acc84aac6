/* SPDX-License-Identifier: Apache-2.0 */
/* Token shift. Body for one instruction set; see vec/base.h. */
static RW_MIX_FN(VEC_NAME(mix))
{
    size_t c = 0;
    for (; c + LANES <= n; c += LANES) {
        vf now = v_load(x + c), step = v_sub(v_load(prev + c), now);
        for (size_t i = 0; i < n_mix; i++)
            v_store(out[i] + c, v_fma(step, v_load(mu[i] + c), now));
    }
    if (c < n) {
        vf now = v_load_part(x + c, n - c), step = v_sub(v_load_part(prev + c, n - c), now);
        for (size_t i = 0; i < n_mix; i++)
            v_store_part(out[i] + c, v_fma(step, v_load_part(mu[i] + c, n - c), now), n - c);
    }
}

static void put_mix(struct rw_kernels *kernels)
{
    kernels->mix = VEC_NAME(mix);
}
