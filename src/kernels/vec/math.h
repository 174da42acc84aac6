/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exp, σ and tanh of a vector. Body for one instruction set; see vec/base.h.
 *
 * exp x = 2ⁿ·eʳ with n whole and |r| ≤ ln 2 / 2. eʳ − 1 = r + r²·q(r), q of degree 5, fitted for
 * the least relative error of eʳ − 1 (2⁻³¹). σ and tanh use exp of numbers ≤ 0 only, which cannot
 * overflow, in forms without cancellation. Largest errors over all floats (tests/kernels
 * --exhaustive): tanh 1.50, σ 1.34 units in the last place.
 */
#define LOG2_E 1.44269504f
#define LN_2_HIGH 0x1.62e4p-1f /* short: its product with n is exact */
#define LN_2_LOW 0x1.7f7d1cp-20f

struct reduced {
    vf n, m; /* exp x = 2ⁿ (1 + m) */
};

/* x in [−150, 0] or NaN. */
VEC struct reduced v_reduce(vf x)
{
    static const float q[] = {0x1p-1f,        0x1.555556p-3f,  0x1.5554aep-5f,
                              0x1.111092p-7f, 0x1.6d74e6p-10f, 0x1.a19e9cp-13f};
    vf n = v_round(v_mul(x, v_set(LOG2_E)));
    vf r = v_fma(n, v_set(-LN_2_LOW), v_fma(n, v_set(-LN_2_HIGH), x));
    vf p = v_set(q[5]);
    EACH (i, 5)
        p = v_fma(p, r, v_set(q[4 - i]));
    return (struct reduced){n, v_fma(v_mul(r, r), p, r)};
}

/* exp x for x ≤ 0. */
VEC vf v_exp(vf x)
{
    struct reduced e = v_reduce(v_max(v_set(-110), x)); /* exp −110 rounds to 0 */
    return v_scale(v_add(v_set(1), e.m), e.n);
}

/* With e = exp −|x|: 1 / (1 + e), or e / (1 + e) below 0. The reciprocal is corrected by what the
 * division and the sum in it left over, and e's factor 1 + m is multiplied in with one rounding. */
VEC vf v_sigmoid(vf x)
{
    const vf one = v_set(1);
    struct reduced r = v_reduce(v_max(v_set(-110), v_negate(v_abs(x))));
    vf e = v_scale(v_add(one, r.m), r.n);
    vf sum = v_add(one, e), lost = v_sub(e, v_sub(sum, one));
    vf inverse = v_div(one, sum), minus = v_negate(inverse);
    vf rest = v_fma(minus, lost, v_fma(minus, sum, one));
    inverse = v_fma(rest, inverse, inverse);
    return v_negative(x, v_scale(v_fma(inverse, r.m, inverse), r.n), inverse);
}

/* Up to 0.55 an odd polynomial (2⁻³⁰); above, with e = exp −2|x|, 1 − 2e / (1 + e). */
VEC vf v_tanh(vf x)
{
    static const float p[] = {-0x1.55554ap-2f, 0x1.110d3p-3f, -0x1.b92996p-5f, 0x1.594388p-6f,
                              -0x1.9b47c8p-8f};
    const vf one = v_set(1);
    vf size = v_abs(x), square = v_mul(size, size), odd = v_set(p[4]);
    EACH (i, 4)
        odd = v_fma(odd, square, v_set(p[3 - i]));
    odd = v_fma(v_mul(size, square), odd, size);
    vf e = v_exp(v_mul(size, v_set(-2)));
    vf even = v_sub(one, v_div(v_add(e, e), v_add(one, e)));
    return v_copysign(v_negative(v_sub(size, v_set(0.55f)), odd, even), x);
}
