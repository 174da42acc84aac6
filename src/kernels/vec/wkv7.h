/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7's time mix for one head. Body for one instruction set; see vec/base.h.
 *
 *     u = S a;   S ← S·diag(w) + u bᵀ + v kᵀ;   y = S r          S [N, N], value index × key index
 *
 * Rows of S do not depend on one another. Four at a time are read once a token: updated, multiplied
 * by this token's r and, for the next one's u, by its a.
 */
#define DECAY_SCALE 0.60653066f /* κ = e^−½ */
#define NORM_FLOOR 1e-12f
#define HEAD_ROWS 4

/* Loads and stores of n lanes, n ≤ LANES. */
VEC vf load_some(const float *p, size_t n)
{
    return n == LANES ? v_load(p) : v_load_part(p, n);
}

VEC void store_some(float *p, vf v, size_t n)
{
    if (n == LANES)
        v_store(p, v);
    else
        v_store_part(p, v, n);
}

/* --- before
 * --------------------------------------------------------------------------------------- */

VEC void inputs_some(const struct rw_wkv7_head *h, size_t i, size_t n, vf scale)
{
    vf one = v_set(1), k = load_some(h->k + i, n);
    vf kk = v_mul(v_mul(k, load_some(h->k_k + i, n)), scale);
    vf eta = v_sigmoid(v_add(load_some(h->a0 + i, n), load_some(h->a + i, n)));
    vf decay = v_sigmoid(v_add(load_some(h->w0 + i, n), load_some(h->w + i, n)));
    store_some(h->w + i, v_exp(v_mul(decay, v_set(-DECAY_SCALE))), n);
    store_some(h->a + i, v_negate(kk), n);
    store_some(h->b + i, v_mul(kk, eta), n);
    vf gain = v_fma(v_sub(eta, one), load_some(h->k_a + i, n), one);
    store_some(h->k + i, v_mul(k, gain), n);
    if (h->v_first) {
        vf v = load_some(h->v + i, n);
        vf part = v_sigmoid(v_add(load_some(h->v0 + i, n), load_some(h->gate + i, n)));
        vf step = v_sub(load_some(h->v_first + i, n), v);
        store_some(h->v + i, v_fma(step, part, v), n);
    }
}

static RW_WKV7_INPUTS_FN(VEC_NAME(wkv7_inputs))
{
    vf acc = v_zero();
    size_t i = 0;
    for (; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf kk = v_mul(load_some(head->k + i, m), load_some(head->k_k + i, m));
        acc = v_fma(kk, kk, acc);
    }
    vf scale = v_set(1.0f / fmaxf(sqrtf(v_sum(acc)), NORM_FLOOR));
    for (i = 0; i + LANES <= n; i += LANES)
        inputs_some(head, i, LANES, scale);
    if (i < n)
        inputs_some(head, i, n - i, scale);
}

/* --- the recurrence
 * ------------------------------------------------------------------------------- */

/* One token's vectors over the key index, and the next token's a. */
struct step {
    const float *r, *w, *k, *b, *next;
};

/* Columns j … j + m of `rows` rows of S [., n]. */
VEC void step_some(float *S, const struct step *in, const vf *u, const vf *v, vf *y, vf *u_next,
                   size_t j, size_t m, size_t n, const size_t rows, const int more)
{
    vf r = load_some(in->r + j, m), w = load_some(in->w + j, m), k = load_some(in->k + j, m);
    vf b = load_some(in->b + j, m), a = more ? load_some(in->next + j, m) : r;
    EACH (i, rows) {
        float *p = S + i * n + j;
        vf s = v_fma(load_some(p, m), w, v_fma(u[i], b, v_mul(v[i], k)));
        if (m < LANES) /* zero times an infinite u would go on into the sums */
            s = v_keep(s, m);
        store_some(p, s, m);
        y[i] = v_fma(s, r, y[i]);
        if (more)
            u_next[i] = v_fma(s, a, u_next[i]);
    }
}

/* u [rows] in and, if there is `more`, out. */
VEC void step_rows(float *y, float *S, float *u, const float *v, const struct step *in, size_t n,
                   const size_t rows, const int more)
{
    vf ui[HEAD_ROWS], v_i[HEAD_ROWS], yi[HEAD_ROWS], next[HEAD_ROWS];
    EACH (i, rows) {
        ui[i] = v_set(u[i]);
        v_i[i] = v_set(v[i]);
        yi[i] = next[i] = v_zero();
    }
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        step_some(S, in, ui, v_i, yi, next, j, LANES, n, rows, more);
    if (j < n)
        step_some(S, in, ui, v_i, yi, next, j, n - j, n, rows, more);
    if (rows == HEAD_ROWS) {
        v_sum4(y, yi[0], yi[1], yi[2], yi[3]);
        if (more)
            v_sum4(u, next[0], next[1], next[2], next[3]);
    } else {
        *y = v_sum(yi[0]);
        if (more)
            *u = v_sum(next[0]);
    }
}

VEC void step_all(float *y, float *S, float *u, const float *v, const struct step *in, size_t n,
                  const int more)
{
    size_t i = 0;
    for (; i + HEAD_ROWS <= n; i += HEAD_ROWS)
        step_rows(y + i, S + i * n, u + i, v + i, in, n, HEAD_ROWS, more);
    for (; i < n; i++)
        step_rows(y + i, S + i * n, u + i, v + i, in, n, 1, more);
}

static RW_WKV7_FN(VEC_NAME(wkv7))
{
    float u[RW_WKV7_MAX_HEAD];
    if (tokens)
        VEC_NAME(matvec_f32)(u, a, S, n, n, n * sizeof *S);
    for (size_t t = 0; t < tokens; t++) {
        size_t at = t * ld;
        struct step in = {.r = r + at, .w = w + at, .k = k + at, .b = b + at};
        if (t + 1 == tokens) {
            step_all(y + at, S, u, v + at, &in, n, 0);
            return;
        }
        in.next = a + at + ld;
        step_all(y + at, S, u, v + at, &in, n, 1);
    }
}

/* --- after
 * ---------------------------------------------------------------------------------------- */

static RW_WKV7_OUTPUT_FN(VEC_NAME(wkv7_output))
{
    vf acc = v_zero();
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf rk = v_mul(load_some(r + i, m), load_some(k + i, m));
        acc = v_fma(rk, load_some(r_k + i, m), acc);
    }
    float mean = mean_of(y, n);
    vf s = v_set(v_sum(acc)), center = v_set(mean);
    vf scale = v_set(inverse_deviation(y, mean, eps, n));
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf z = v_mul(v_sub(load_some(y + i, m), center), scale);
        z = v_fma(z, load_some(weight + i, m), load_some(bias + i, m));
        z = v_fma(s, load_some(v + i, m), z);
        store_some(out + i, v_mul(z, load_some(g + i, m)), m);
    }
}

static void put_wkv7(struct rw_kernels *kernels)
{
    kernels->wkv7_inputs = VEC_NAME(wkv7_inputs);
    kernels->wkv7 = VEC_NAME(wkv7);
    kernels->wkv7_output = VEC_NAME(wkv7_output);
}
