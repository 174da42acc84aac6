/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through RWKV-7's time mix for one head. Body for one instruction set; see vec/base.h.
 *
 * Rows of S and G do not depend on one another. Forward, a row is read once a token, as in wkv7.h.
 * Back, a row of G already holds what this token's output gives it when the row is read: it takes
 * part in the token's sums over rows, becomes the derivative by the state before, gets what the
 * token before gives, and is multiplied by that token's k and b. Sums over rows are kept in memory
 * from one group of rows to the next, HEAD_ROWS rows to a load and a store.
 */

/* --- after the recurrence ----------------------------------------------------------------------
 */

/* dz = dout∘g, τ = dz∘weight and ŷ of n ≤ LANES channels. */
struct normed {
    vf dz, tau, hat;
};

VEC struct normed normed_some(const struct rw_wkv7_output_backward *h, size_t i, size_t n, vf mean,
                              vf scale)
{
    struct normed o;
    o.dz = v_mul(load_some(h->dout + i, n), load_some(h->g + i, n));
    o.tau = v_mul(o.dz, load_some(h->weight + i, n));
    o.hat = v_mul(v_sub(load_some(h->y + i, n), mean), scale);
    return o;
}

static RW_WKV7_OUTPUT_BACKWARD_FN(VEC_NAME(wkv7_output_backward))
{
    const struct rw_wkv7_output_backward *h = head;
    float center = mean_of(h->y, n);
    vf mean = v_set(center), scale = v_set(inverse_deviation(h->y, center, eps, n));
    vf bonus = v_zero(), dbonus = v_zero(), tau = v_zero(), along = v_zero();
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        struct normed o = normed_some(h, i, m, mean, scale);
        vf rk = v_mul(load_some(h->r + i, m), load_some(h->k + i, m));
        bonus = v_fma(rk, load_some(h->r_k + i, m), bonus);
        dbonus = v_fma(o.dz, load_some(h->v + i, m), dbonus);
        tau = v_add(tau, o.tau);
        /* lanes past the end hold −mean, which may be infinite */
        along = v_fma(o.tau, m < LANES ? v_keep(o.hat, m) : o.hat, along);
    }
    vf s = v_set(v_sum(bonus)), ds = v_set(v_sum(dbonus));
    vf tau_mean = v_set(v_sum(tau) / (float)n), along_mean = v_set(v_sum(along) / (float)n);
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        struct normed o = normed_some(h, i, m, mean, scale);
        vf r = load_some(h->r + i, m), k = load_some(h->k + i, m), r_k = load_some(h->r_k + i, m);
        vf z = v_fma(o.hat, load_some(h->weight + i, m), load_some(h->bias + i, m));
        z = v_fma(s, load_some(h->v + i, m), z);
        vf dy = v_fma(v_negate(o.hat), along_mean, v_sub(o.tau, tau_mean));
        store_some(h->dg + i, v_mul(load_some(h->dout + i, m), z), m);
        store_some(h->dy + i, v_mul(scale, dy), m);
        store_some(h->dr + i, v_mul(v_mul(ds, k), r_k), m);
        store_some(h->dk + i, v_mul(v_mul(ds, r), r_k), m);
        store_some(h->dv + i, v_mul(s, o.dz), m);
        store_some(h->dr_k + i, v_mul(v_mul(ds, r), k), m);
        store_some(h->dweight + i, v_mul(o.dz, o.hat), m);
        store_some(h->dbias + i, o.dz, m);
    }
}

/* --- the recurrence: states again
 * ---------------------------------------------------------------- */

/* `rows` rows of the state after a token, from those before, and the next token's u. */
VEC void again_rows(float *to, const float *S, float *u_next, const float *u, const float *v,
                    const struct step *in, size_t n, const size_t rows)
{
    vf ui[HEAD_ROWS], v_i[HEAD_ROWS], next[HEAD_ROWS];
    EACH (i, rows) {
        ui[i] = v_set(u[i]);
        v_i[i] = v_set(v[i]);
        next[i] = v_zero();
    }
    for (size_t j = 0; j < n; j += LANES) {
        size_t m = n - j < LANES ? n - j : LANES;
        vf w = load_some(in->w + j, m), k = load_some(in->k + j, m), b = load_some(in->b + j, m);
        vf a = load_some(in->next + j, m);
        EACH (i, rows) {
            vf s = load_some(S + i * n + j, m);
            s = v_fma(s, w, v_fma(ui[i], b, v_mul(v_i[i], k)));
            if (m < LANES)
                s = v_keep(s, m);
            store_some(to + i * n + j, s, m);
            next[i] = v_fma(s, a, next[i]);
        }
    }
    if (rows == HEAD_ROWS)
        v_sum4(u_next, next[0], next[1], next[2], next[3]);
    else
        *u_next = v_sum(next[0]);
}

/* States [tokens, N, N] before each token, and u [tokens, N]. */
static void again(const struct rw_wkv7_chunk *c, float *states, float *u, const float *S, size_t n)
{
    memcpy(states, S, n * n * sizeof *S);
    VEC_NAME(matvec_f32)(u, c->a, S, n, n, n * sizeof *S);
    for (size_t t = 0; t + 1 < c->tokens; t++, states += n * n, u += n) {
        size_t at = t * c->ld, i = 0;
        const float *v = c->v + at;
        const struct step in = {
            .w = c->w + at, .k = c->k + at, .b = c->b + at, .next = c->a + at + c->ld};
        float *to = states + n * n;
        for (; i + HEAD_ROWS <= n; i += HEAD_ROWS)
            again_rows(to + i * n, states + i * n, u + n + i, u + i, v + i, &in, n, HEAD_ROWS);
        for (; i < n; i++)
            again_rows(to + i * n, states + i * n, u + n + i, u + i, v + i, &in, n, 1);
    }
}

/* --- the recurrence: back
 * ------------------------------------------------------------------------ */

/* One token's vectors over the key index, its sums over rows, and what the token before has. */
struct back {
    const float *w, *k, *b, *a;
    float *dr, *dw, *dk, *da, *db;
    const float *r_before, *k_before, *b_before;
};

/* Numbers of `rows` rows: of this token, and dy of the one before. */
struct back_rows {
    vf dy[HEAD_ROWS], v[HEAD_ROWS], u[HEAD_ROWS], du[HEAD_ROWS], dy_before[HEAD_ROWS];
};

/* Columns j … j + m. `more`: there is a token before. */
VEC void back_some(const struct back *in, float *G, const float *S, const struct back_rows *x,
                   vf *dv, vf *du, size_t j, size_t m, size_t n, const size_t rows, const int more)
{
    vf w = load_some(in->w + j, m), k = load_some(in->k + j, m), b = load_some(in->b + j, m);
    vf a = load_some(in->a + j, m);
    vf dr = load_some(in->dr + j, m), dw = load_some(in->dw + j, m), dk = load_some(in->dk + j, m);
    vf da = load_some(in->da + j, m), db = load_some(in->db + j, m);
    vf r_before = v_zero(), k_before = v_zero(), b_before = v_zero();
    if (more) {
        r_before = load_some(in->r_before + j, m);
        k_before = load_some(in->k_before + j, m);
        b_before = load_some(in->b_before + j, m);
    }
    EACH (i, rows) {
        vf s = load_some(S + i * n + j, m), g = load_some(G + i * n + j, m);
        vf after = v_fma(s, w, v_fma(x->u[i], b, v_mul(x->v[i], k)));
        dr = v_fma(after, x->dy[i], dr);
        dk = v_fma(g, x->v[i], dk);
        db = v_fma(g, x->u[i], db);
        da = v_fma(s, x->du[i], da);
        dw = v_fma(g, s, dw);
        g = v_fma(g, w, v_mul(x->du[i], a));
        if (more) {
            g = v_fma(x->dy_before[i], r_before, g);
            if (m < LANES) /* zero times an infinite dy would go on into the sums */
                g = v_keep(g, m);
            dv[i] = v_fma(g, k_before, dv[i]);
            du[i] = v_fma(g, b_before, du[i]);
        }
        store_some(G + i * n + j, g, m);
    }
    store_some(in->dr + j, dr, m);
    store_some(in->dw + j, dw, m);
    store_some(in->dk + j, dk, m);
    store_some(in->da + j, da, m);
    store_some(in->db + j, db, m);
}

/* One token's numbers by row. du: in, this token's; out, that of the one before, whose dv is added
 * to. */
struct back_numbers {
    const float *dy, *v, *u, *dy_before;
    float *du, *dv_before;
};

VEC void back_rows(const struct back *in, float *G, const float *S, const struct back_numbers *x,
                   size_t i, size_t n, const size_t rows, const int more)
{
    struct back_rows row;
    vf dv[HEAD_ROWS], du[HEAD_ROWS];
    EACH (r, rows) {
        row.dy[r] = v_set(x->dy[i + r]);
        row.v[r] = v_set(x->v[i + r]);
        row.u[r] = v_set(x->u[i + r]);
        row.du[r] = v_set(x->du[i + r]);
        row.dy_before[r] = v_set(more ? x->dy_before[i + r] : 0);
        dv[r] = du[r] = v_zero();
    }
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        back_some(in, G + i * n, S + i * n, &row, dv, du, j, LANES, n, rows, more);
    if (j < n)
        back_some(in, G + i * n, S + i * n, &row, dv, du, j, n - j, n, rows, more);
    float sum[HEAD_ROWS];
    if (more && rows == HEAD_ROWS) {
        v_sum4(x->du + i, du[0], du[1], du[2], du[3]);
        v_sum4(sum, dv[0], dv[1], dv[2], dv[3]);
    } else if (more) {
        x->du[i] = v_sum(du[0]);
        sum[0] = v_sum(dv[0]);
    }
    for (size_t r = 0; more && r < rows; r++)
        x->dv_before[i + r] += sum[r];
}

VEC void back_all(const struct back *in, float *G, const float *S, const struct back_numbers *x,
                  size_t n, const int more)
{
    size_t i = 0;
    for (; i + HEAD_ROWS <= n; i += HEAD_ROWS)
        back_rows(in, G, S, x, i, n, HEAD_ROWS, more);
    for (; i < n; i++)
        back_rows(in, G, S, x, i, n, 1, more);
}

/* What the last token's output gives to G; then its dv and du. */
VEC void begin_back(const struct rw_wkv7_chunk *c, float *G, float *du, size_t n)
{
    size_t last = c->tokens - 1, at = last * c->ld;
    const float *dy = c->dy + last * n;
    for (size_t i = 0; i < n; i++) {
        vf d = v_set(dy[i]), dv = v_zero(), by_u = v_zero();
        for (size_t j = 0; j < n; j += LANES) {
            size_t m = n - j < LANES ? n - j : LANES;
            vf g = v_fma(d, load_some(c->r + at + j, m), load_some(G + i * n + j, m));
            if (m < LANES)
                g = v_keep(g, m);
            store_some(G + i * n + j, g, m);
            dv = v_fma(g, load_some(c->k + at + j, m), dv);
            by_u = v_fma(g, load_some(c->b + at + j, m), by_u);
        }
        c->dv[last * n + i] += v_sum(dv);
        du[i] = v_sum(by_u);
    }
}

static RW_WKV7_BACKWARD_FN(VEC_NAME(wkv7_backward))
{
    const struct rw_wkv7_chunk *c = chunk;
    float *states = work, *u = work + RW_WKV7_CHUNK * n * n, *du = u + RW_WKV7_CHUNK * n;
    float *const written[] = {c->dw, c->da, c->db};
    for (size_t i = 0; i < 3; i++)
        memset(written[i], 0, c->tokens * n * sizeof *written[i]);
    again(c, states, u, S, n);
    begin_back(c, G, du, n);
    for (size_t t = c->tokens; t-- > 0;) {
        size_t at = t * c->ld, row = t * n;
        struct back in = {.w = c->w + at,
                          .k = c->k + at,
                          .b = c->b + at,
                          .a = c->a + at,
                          .dr = c->dr + row,
                          .dw = c->dw + row,
                          .dk = c->dk + row,
                          .da = c->da + row,
                          .db = c->db + row};
        struct back_numbers x = {.dy = c->dy + row, .v = c->v + at, .u = u + row, .du = du};
        if (t == 0) {
            back_all(&in, G, states, &x, n, 0);
            return;
        }
        in.r_before = c->r + at - c->ld;
        in.k_before = c->k + at - c->ld;
        in.b_before = c->b + at - c->ld;
        x.dy_before = x.dy - n;
        x.dv_before = c->dv + row - n;
        back_all(&in, G, states + t * n * n, &x, n, 1);
    }
}

/* --- before the recurrence ---------------------------------------------------------------------
 */

/* n ≤ LANES channels; scale = 1 / max(‖k∘k_k‖, floor), part = kk·δkk. */
VEC void key_back(const struct rw_wkv7_inputs_backward *h, size_t i, size_t n, vf scale, vf part)
{
    const vf one = v_set(1);
    vf k = load_some(h->k + i, n), k_k = load_some(h->k_k + i, n), k_a = load_some(h->k_a + i, n);
    vf eta = v_sigmoid(v_add(load_some(h->a0 + i, n), load_some(h->a + i, n)));
    vf db = load_some(h->db + i, n), dk = load_some(h->dk + i, n);
    vf kk = v_mul(v_mul(k, k_k), scale), less = v_sub(eta, one);
    vf dkk = v_fma(db, eta, v_negate(load_some(h->da + i, n)));
    vf dxi = v_mul(v_fma(v_negate(kk), part, dkk), scale);
    vf deta = v_fma(v_mul(dk, k), k_a, v_mul(db, kk));
    store_some(h->dk_k + i, v_mul(dxi, k), n);
    store_some(h->dk_a + i, v_mul(v_mul(dk, k), less), n);
    store_some(h->dk + i, v_fma(dxi, k_k, v_mul(dk, v_fma(less, k_a, one))), n);
    store_some(h->da + i, v_mul(deta, v_mul(eta, v_sub(one, eta))), n);
}

VEC void decay_and_value_back(const struct rw_wkv7_inputs_backward *h, size_t i, size_t n)
{
    const vf one = v_set(1);
    vf sigma = v_sigmoid(v_add(load_some(h->w0 + i, n), load_some(h->w + i, n)));
    vf slope = v_mul(v_mul(sigma, v_set(-DECAY_SCALE)), v_sub(one, sigma));
    vf decay = v_exp(v_mul(sigma, v_set(-DECAY_SCALE)));
    store_some(h->dw + i, v_mul(load_some(h->dw + i, n), v_mul(decay, slope)), n);
    if (!h->v_first)
        return;
    vf part = v_sigmoid(v_add(load_some(h->v0 + i, n), load_some(h->gate + i, n)));
    vf dv = load_some(h->dv + i, n), rest = v_sub(one, part);
    vf step = v_sub(load_some(h->v_first + i, n), load_some(h->v + i, n));
    store_some(h->dv_first + i, v_fma(dv, part, load_some(h->dv_first + i, n)), n);
    store_some(h->dgate + i, v_mul(v_mul(dv, step), v_mul(part, rest)), n);
    store_some(h->dv + i, v_mul(dv, rest), n);
}

/* δξ = (δkk − kk (kk·δkk)) / ‖ξ‖, or δkk / floor where ‖ξ‖ is not above it. */
static RW_WKV7_INPUTS_BACKWARD_FN(VEC_NAME(wkv7_inputs_backward))
{
    const struct rw_wkv7_inputs_backward *h = head;
    vf square = v_zero(), along = v_zero();
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf xi = v_mul(load_some(h->k + i, m), load_some(h->k_k + i, m));
        vf eta = v_sigmoid(v_add(load_some(h->a0 + i, m), load_some(h->a + i, m)));
        vf dkk = v_fma(load_some(h->db + i, m), eta, v_negate(load_some(h->da + i, m)));
        square = v_fma(xi, xi, square);
        along = v_fma(xi, dkk, along);
    }
    float norm = sqrtf(v_sum(square)), inverse = 1.0f / fmaxf(norm, NORM_FLOOR);
    vf scale = v_set(inverse), part = v_set(norm > NORM_FLOOR ? v_sum(along) * inverse : 0);
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        if (m == LANES) {
            key_back(h, i, LANES, scale, part);
            decay_and_value_back(h, i, LANES);
        } else {
            key_back(h, i, m, scale, part);
            decay_and_value_back(h, i, m);
        }
    }
}

static void put_wkv7_backward(struct rw_kernels *kernels)
{
    kernels->wkv7_output_backward = VEC_NAME(wkv7_output_backward);
    kernels->wkv7_backward = VEC_NAME(wkv7_backward);
    kernels->wkv7_inputs_backward = VEC_NAME(wkv7_inputs_backward);
}
