/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of kernels: single-threaded loops over plain memory, one signature a kernel, filled by
 * rw_kernels_init for a set of CPU features. Reference first, then each instruction set overrides
 * what it does better.
 *
 * Rules every kernel obeys (tests/kernels checks them):
 *  - Pointers may be unaligned, sizes odd (no multiple of the vector), zero is allowed for counts.
 *  - Nothing is read or written outside the arrays; inputs and outputs do not overlap unless said.
 *  - One order of summation. Within one instruction set, an output's value depends only on its row
 * of the weight, its input row and the number of columns K: not on how many rows, tokens or
 * threads, on alignment, on the weight's type beyond its values, or on which of matvec, matvec_t
 * and matmul made it. Concretely, with B lanes (ref 16, AVX2 8, AVX-512 16): lane j adds up
 * w[k]·x[k] for k ≡ j (mod B) in increasing k (fused multiply-add in AVX2 and AVX-512; product
 * rounded, then added, in ref; lanes past the end add +0 or nothing), then lanes are halved: lane j
 * += lane j + B/2, then B/4, … Weights are first converted to f32 exactly as rw_to_f32 does.
 *  - Elementwise kernels give an element the same value wherever it stands in the array.
 *  - No allocation, no state, denormals untouched, NaN and infinity pass through as arithmetic has
 * it.
 *
 * Legend: rows = outputs R, cols = inputs K, tokens T, head size N.
 */
#ifndef RW_KERNELS_KERNELS_H
#define RW_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

/* y[r] = Σ_k w[r, k] x[k].  Rows of w are `stride` bytes apart. y [rows], x [cols]. For block types
 * cols is a multiple of the block. */
#define RW_MATVEC_FN(name) \
    void name(float *y, const float *x, const void *w, size_t rows, size_t cols, size_t stride)

/* The same for a weight stored input-major, as the low-rank matrices of .pth files are:
 * y[r] = Σ_k w[k, r] x[k]; row k of w is at w + k·stride bytes. F32, F16, BF16 only. */
#define RW_MATVEC_T_FN(name) \
    void name(float *y, const float *x, const void *w, size_t rows, size_t cols, size_t stride)

/* One piece of K of y[t, r] = Σ_k w[r, k] x[t, k]: y [tokens, ldy], x [tokens, ldx], w [rows, ldw],
 * leading dimensions in elements; x and w point at the first of the piece's `cols` columns, a
 * multiple of 32 in all pieces but the last. Between pieces the lanes' sums wait in `sums` [tokens,
 * rows, 16], in an order known to the kernel alone: not read in the first piece, not written in the
 * last, which writes y. */
struct rw_matmul_piece {
    size_t tokens, rows, cols;
    size_t ldy, ldx, ldw;
    bool first, last;
    /* Where the caller will read on, `rows` rows, so that they can be fetched meanwhile; or NULL.
     */
    const void *next;
    size_t next_stride; /* bytes */
};

/* All f32. Pieces of some 1024 columns and 64 rows are the fastest. */
#define RW_MATMUL_FN(name)                                           \
    void name(float *y, float *sums, const float *x, const float *w, \
              const struct rw_matmul_piece *piece)

/* --- products in bf16 --------------------------------------------------------------------------
 *
 * Where a set of kernels has `round_bf16`, weights of BF16 whose rows lie side by side may be
 * multiplied with activations rounded to bf16 by the processor's own instruction. Activations: to
 * the nearest, ties to even; denormals become zeros; NaN stays NaN. Sum: lane j of 16 takes the
 * pairs of columns (k, k + 1) for k ≡ 2j (mod 32) in increasing k, of each the second first:
 * acc = fma(w[k + 1], x[k + 1], acc), then acc = fma(w[k], x[k], acc), each rounded to the nearest,
 * each taking denormals for zeros before and after; columns past the end are zeros up to a multiple
 * of 32. Then lanes are halved as above.
 */
#define RW_ROUND_FN(name) void name(uint16_t *to, const float *x, size_t n)

/* As RW_MATVEC_FN and RW_MATMUL_FN. Pieces of some 2048 columns are the fastest. */
#define RW_MATVEC_BF16_FN(name) \
    void name(float *y, const uint16_t *x, const void *w, size_t rows, size_t cols, size_t stride)
#define RW_MATMUL_BF16_FN(name)                                        \
    void name(float *y, float *sums, const uint16_t *x, const void *w, \
              const struct rw_matmul_piece *piece)

/* --- products in integers ---------------------------------------------------------------------
 *
 * Where a set of kernels has `quantize`, weights of block types are multiplied in integers: the
 * activations are rounded to 8 bits in blocks of 32 first. (The reference has none of these: it
 * multiplies the exact values with `matvec`.) The result is defined to the bit, the same in every
 * instruction set:
 *
 *   Activations. Of each 32: scale d = m / 127, m = max |x|; code q = x · (127 / m) rounded to the
 * nearest, ties to even, in [−127, 127]. A block of zeros has d = 0, q = 0; so have blocks with m
 * so small (below some 2⁻¹²¹) that 127 / m overflows; one with a NaN or an infinity has d = NaN,
 * q = 0.
 *   Weights. Groups of G = 16 (Q2_K, Q3_K, Q6_K) or 32 elements, of value scale · (code − offset) +
 * min: code an unsigned byte; offset 0 for types with minima; scale and min rounded to f32 as
 * rw_to_f32 has them (Q4_K: scale = d·s, min = −dmin·m).
 *   Sum. acc = 0; for each group g in increasing order: I = Σ_k (code_k − offset) q_k, exact;
 * acc = fma((float)I, scale_g · d, acc); then, for types with minima, acc = fma(min_g, d ·
 * (float)Σ_k q_k, acc). The products scale·d and d·Σq are rounded to f32; fma is rounded once.
 */
#define RW_PANEL_ROWS 16 /* rows of a weight that are laid side by side */

/* Rounded activations of T rows of K elements, one row after the other. */
struct rw_dot_input {
    int8_t *code; /* [T, K] */
    float *scale; /* [T, K / 32] */
    int32_t *sum; /* [T, K / 16]: of each 16 codes */
};

/* Round one row of n activations (a multiple of 32) to code [n], scale [n/32], sum [n/16]. */
#define RW_QUANTIZE_FN(name) \
    void name(int8_t *code, float *scale, int32_t *sum, const float *x, size_t n)

/* Pack a weight of a block type: RW_PANEL_ROWS rows of it side by side, in an order known to these
 * kernels alone and as many bytes as they take in the file. Of `rows` fewer than that, the others
 * become zeros. */
#define RW_PACK_FN(name) \
    void name(uint8_t *to, const uint8_t *w, size_t rows, size_t cols, size_t stride)

/* y[r] = Σ_k w[r, k] x[k] for one row of rounded activations. Rows of w are `stride` bytes apart;
 * a stride of 0: they are packed, 16 after 16. */
#define RW_MATVEC_DOT_FN(name)                                                                 \
    void name(float *y, const struct rw_dot_input *x, const void *w, size_t rows, size_t cols, \
              size_t stride)

/* A panel: RW_PANEL_ROWS rows and K columns of a weight of any block type, taken apart for
 * matmul_dot. Rows of one dword interleaved: code[k / 4][r][k % 4]. */
struct rw_panel {
    uint8_t *code; /* [K / 4, 16, 4] */
    float *scale;  /* [K / G, 16] */
    float *min;    /* [K / G, 16]; of types with minima only */
};

/* Take `rows` ≤ 16 rows apart; rows beyond them become zeros. Stride as in RW_MATVEC_DOT_FN. */
#define RW_PANEL_FN(name) \
    void name(const struct rw_panel *to, const void *w, size_t rows, size_t cols, size_t stride)

/* One piece of K of y[t, r] = Σ_k w[r, k] x[t, k] for t < tokens, r < rows. `panels` [⌈rows/16⌉]
 * hold `cols` columns of a weight of type `dtype`; row t of x starts t·ldk elements after its
 * pointers (which are those of the piece; ldk counts codes). Sums continue from y unless `first`.
 * ldy in floats. */
#define RW_MATMUL_DOT_FN(name)                                                                   \
    void name(float *y, const struct rw_dot_input *x, const struct rw_panel *panels,             \
              rwkv_dtype dtype, size_t tokens, size_t rows, size_t cols, size_t ldy, size_t ldk, \
              int first)

/* --- products with few live inputs --------------------------------------------------------------
 *
 * One token whose inputs are mostly zero (relu(x)² of the channel mix) and a weight that is stored
 * by input channel, so that what a zero would multiply is never read. The same bits as matvec_dot
 * and matvec, but for the sign of a zero: where y[r] is a zero, the caller takes the other way. (A
 * product with zero adds a zero to a sum, which can only matter to a sum that is zero. Were there
 * an infinity or a NaN among the weights it would matter, but such a weight is refused.)
 */
#define RW_TILE_ROWS 128 /* rows of a weight that are stored together */
#define RW_LIVE_AHEAD 48 /* channels */

/* Inputs of one token that are not zero, in increasing order of their channels. For block types
 * group by group (of G): `count` multiples of 4, the last padded with codes of zero; groups whose d
 * is zero have none, all others at least one. */
struct rw_live {
    size_t n;
    uint32_t *channel;         /* [n], and RW_LIVE_AHEAD more: which are read soon */
    int8_t *code;              /* [n]; block types */
    uint8_t *count;            /* [K / G]; block types */
    struct rw_dot_input dense; /* block types: all of them */
    float *value;              /* [n]; other types */
};

/* Bytes of a tile of K columns. */
#define RW_TILE_BYTES_FN(name) size_t name(rwkv_dtype dtype, size_t cols)

/* Store `rows` ≤ RW_TILE_ROWS rows by channel, in an order known to these kernels alone. False: not
 * all scales, minima or values are finite, and the tile is of no use. */
#define RW_TILE_FN(name) \
    bool name(void *tile, const void *w, size_t rows, size_t cols, size_t stride)

/* y [RW_TILE_ROWS] = the rows of a tile of K columns times x. */
#define RW_MATVEC_LIVE_FN(name) \
    void name(float *y, const struct rw_live *x, const void *tile, size_t cols)

/* n elements to f32, bit-exact to rw_to_f32. n is a multiple of the block. */
#define RW_UNPACK_FN(name) void name(float *to, const void *from, size_t n)

/* Transposing: to[r · ld + k] = w[k, r] for r < rows, k < cols; row k of w at w + k·stride bytes.
 * F32, F16, BF16 only. */
#define RW_UNPACK_T_FN(name) \
    void name(float *to, const void *w, size_t rows, size_t cols, size_t ld, size_t stride)

/* y = (x − mean) / sqrt(var + eps) · weight + bias over n elements; biased variance, two passes.
 * y may be x. */
#define RW_LAYER_NORM_FN(name) \
    void name(float *y, const float *x, const float *weight, const float *bias, float eps, size_t n)

/* Token shift: out[i][c] = x[c] + (prev[c] − x[c]) · mu[i][c] for i < n_mix, c < n. */
#define RW_MIX_FN(name)                                                                     \
    void name(float *const *out, const float *x, const float *prev, const float *const *mu, \
              size_t n_mix, size_t n)

/* In place over n elements: tanh x, σ(x) = 1/(1 + e^−x), max(0, x)². */
#define RW_MAP_FN(name) void name(float *x, size_t n)

/* y += x over n elements. */
#define RW_ADD_FN(name) void name(float *y, const float *x, size_t n)

/* One head of one token, before the recurrence (docs/model.md "time mix"). In and out, [n] each:
 *   w: in w1·w2 product, out decay exp(−κ σ(w0 + w)), κ = e^−½
 *   a: in a1·a2 product, out −kk            where η = σ(a0 + a), kk = k∘k_k / max(‖k∘k_k‖, 1e-12)
 *   b: out kk∘η
 *   k: in key, out k∘(1 + (η − 1)∘k_a)
 *   v: in value, out v + (v_first − v)∘σ(v0 + gate); unchanged when v_first is NULL (block 0)
 * gate [n]: the v1·v2 product, an input. */
struct rw_wkv7_head {
    float *w, *a, *b, *k, *v;
    const float *v_first, *gate;           /* NULL in block 0 */
    const float *w0, *a0, *v0, *k_k, *k_a; /* v0 NULL in block 0 */
};
#define RW_WKV7_INPUTS_FN(name) void name(const struct rw_wkv7_head *head, size_t n)

/* The recurrence of one head over tokens t = 0 … T−1, S [N, N] (value index i, key index j) in
 * place: u_i = Σ_j S[i,j] a_t[j];  S[i,j] = S[i,j] w_t[j] + u_i b_t[j] + v_t[i] k_t[j];  y_t[i] =
 * Σ_j S[i,j] r_t[j] Row t of r, w, k, v, a, b and y is at t·ld floats. y may not overlap the
 * inputs. Sums over j in the lane order above. */
#define RW_WKV7_FN(name)                                                                          \
    void name(float *y, float *S, const float *r, const float *w, const float *k, const float *v, \
              const float *a, const float *b, size_t tokens, size_t ld, size_t n)

/* One head of one token, after it: z = ((y − mean)/sqrt(var + eps))∘weight + bias + s v with
 * s = Σ_n r k r_k;  out = z∘g. out may be y. [n] each. */
#define RW_WKV7_OUTPUT_FN(name)                                                                    \
    void name(float *out, const float *y, const float *r, const float *k, const float *v,          \
              const float *g, const float *r_k, const float *weight, const float *bias, float eps, \
              size_t n)

/* --- training -----------------------------------------------------------------------------------
 *
 * d… is the derivative of the loss by … . Sums over outputs, tokens or value indices are chains in
 * increasing order, one fused multiply-add after the other; so are all operations below that say
 * "the same bits in every set". Sums over channels or key indices are in the lane order above.
 */

/* out [rows, cols] = what it holds, or 0 if `first`, + Σ_i A(i, r) B(i, c), i = 0 … depth − 1;
 * out[r, c] = fma(A, B, out), the same bits in every set. Cut anywhere, sums have the same bits.
 * Row r of out is at r·ld. Operands are packed before, in an order known to these kernels alone:
 * from row r of A or column c of B on, multiples of RW_PRODUCT_STEP, they are r·depth or c·depth
 * floats further. */
#define RW_PRODUCT_STEP 48   /* a multiple of the tiles of every set */
#define RW_PRODUCT_DEPTH 256 /* at most; more is slower */
struct rw_product {
    size_t rows, cols, depth, ld;
    bool first;
};
#define RW_PRODUCT_FN(name) \
    void name(float *out, const float *a, const float *b, const struct rw_product *product)

/* Pack A(i, r) = from[i · step + r · row] for r < n, or B alike if `cols`; rounded to bf16, to the
 * nearest, ties to even, if `bf16`. One of `row` and `step` is 1. Writes RW_PRODUCT_PACKED floats,
 * or fewer. */
#define RW_PRODUCT_PACKED(n, depth) (((n) + 15) / 16 * 16 * (depth))
struct rw_product_operand {
    size_t row, step, n, depth; /* strides in floats */
    bool cols, bf16;
};
#define RW_PRODUCT_PACK_FN(name) \
    void name(float *to, const float *from, const struct rw_product_operand *operand)

/* dy becomes the derivative by x of y = tanh x, σ(x) or max(0, x)²: dy fma(−y, y, 1),
 * dy fma(−y, y, y), dy(2√y). The same bits in every set. */
#define RW_MAP_BACKWARD_FN(name) void name(float *dy, const float *y, size_t n)

/* Back through `mix` for one token: own[c] = Σ_i dout[i][c] (1 − mu[i][c]), what it gives to its
 * own x, and carry[c] = Σ_i dout[i][c] mu[i][c], to the token before. The same bits in every set.
 */
#define RW_MIX_BACKWARD_FN(name)                                                          \
    void name(float *own, float *carry, const float *const *dout, const float *const *mu, \
              size_t n_mix, size_t n)

/* dmu[i][c] += dout[i][c] (prev[c] − x[c]). The same bits in every set. */
#define RW_MIX_WEIGHTS_FN(name)                                                               \
    void name(float *const *dmu, const float *const *dout, const float *x, const float *prev, \
              size_t n_mix, size_t n)

/* Back through `layer_norm`: dx = ρ (τ − mean(τ) − x̂ mean(τ∘x̂)), added to what dx holds if `add`,
 * with τ = dy∘weight, x̂ = (x − mean) ρ, ρ = 1 / sqrt(var + eps). mean and ρ go to stats [2]. dx
 * may be dy. */
#define RW_LAYER_NORM_BACKWARD_FN(name)                                                      \
    void name(float *dx, float *stats, const float *dy, const float *x, const float *weight, \
              float eps, bool add, size_t n)

/* dweight += dy∘x̂, dbias += dy, with x̂ = (x − stats[0]) stats[1]. The same bits in every set. */
#define RW_NORM_WEIGHTS_FN(name)                                                                 \
    void name(float *dweight, float *dbias, const float *dy, const float *x, const float *stats, \
              size_t n)

/* One head of one token, back through wkv7_output; `out` was z∘g, z = ŷ∘weight + bias + s v. dr,
 * dk, dv are what goes past the recurrence; dweight, dbias and dr_k the token's share. [n] each. */
struct rw_wkv7_output_backward {
    float *dy, *dr, *dk, *dv, *dg, *dr_k, *dweight, *dbias;
    const float *dout, *y, *r, *k, *v, *g;
    const float *r_k, *weight, *bias;
};
#define RW_WKV7_OUTPUT_BACKWARD_FN(name) \
    void name(const struct rw_wkv7_output_backward *head, float eps, size_t n)

/* Back through wkv7 for one head and a few tokens. Row t of the inputs is at t·ld floats, that of
 * the derivatives at t·n. dr, dk and dv are added to, the others written. G [N, N]: in, by the
 * state that the tokens leave behind; out, by S, the state before them. With G = that after token
 * t, G += dy rᵀ;  dr += S_tᵀ dy;  dv += G k;  dk += Gᵀ v;  db = Gᵀ u;  du = G b; da = S_{t−1}ᵀ du;
 * dw = Σ_i G[i] S_{t−1}[i];  G = G·diag(w) + du aᵀ. States are made again as wkv7 makes them, to
 * the bit, in `work`. */
#define RW_WKV7_CHUNK 16                                        /* tokens, at most */
#define RW_WKV7_WORK(n) ((RW_WKV7_CHUNK * ((n) + 2) + 1) * (n)) /* floats */
struct rw_wkv7_chunk {
    float *dr, *dw, *dk, *dv, *da, *db;
    const float *dy, *r, *w, *k, *v, *a, *b; /* dy: at t·n */
    size_t tokens, ld;
};
#define RW_WKV7_BACKWARD_FN(name) \
    void name(const struct rw_wkv7_chunk *chunk, float *G, float *work, const float *S, size_t n)

/* One head of one token, back through wkv7_inputs. In w, a, k, v, gate as they went in there, and
 * the derivatives by what came out: dw, da, db, dk, dv. These become those by what went in;
 * dv_first is added to; dk_k and dk_a are the token's share. [n] each. */
struct rw_wkv7_inputs_backward {
    float *dw, *da, *dk, *dv, *dv_first, *dgate, *dk_k, *dk_a;
    const float *db, *w, *a, *k, *v;
    const float *v_first, *gate; /* NULL in block 0, and dv_first and dgate */
    const float *w0, *a0, *v0, *k_k, *k_a;
};
#define RW_WKV7_INPUTS_BACKWARD_FN(name) \
    void name(const struct rw_wkv7_inputs_backward *head, size_t n)

/* Loss of one token, −log softmax(x)[target], and in its place the derivative by the logits x [n]:
 * scale (softmax − onehot), and scale·l2wrap·x at the largest, the first of equals, more. */
#define RW_CROSS_ENTROPY_FN(name) \
    double name(float *x, size_t target, float scale, float l2wrap, size_t n)

/* Σ x² in double, in 16 lanes: lane j adds the squares of k ≡ j (mod 16), then lanes are halved.
 * The same bits in every set. */
#define RW_SUM_SQUARES_FN(name) double name(const float *x, size_t n)

/* One step of AdamW, the same bits in every set: q = scale g;  m = fma(β₁, m, rest₁ q);
 * v = fma(β₂, v, (rest₂ q) q);  p = fma(−lr, fma(decay, p, (m / c₁) / (√(v / c₂) + ε)), p) with
 * divisions by cᵢ as products with 1 / cᵢ rounded, and restᵢ = 1 − βᵢ rounded once. */
struct rw_adamw_step {
    float scale, lr, beta1, rest1, beta2, rest2, eps, decay;
    float inverse_c1, inverse_c2;
};
#define RW_ADAMW_FN(name)                                                                     \
    void name(float *p, float *m, float *v, const float *g, const struct rw_adamw_step *step, \
              size_t n)

/* To measure the machine: the sum of n bytes' worth of 64-bit words; and `iterations` rounds of
 * independent operations on registers, whose number (a product and a sum are two) goes to *ops.
 * Each returns something to keep it alive. */
#define RW_PROBE_READ_FN(name) uint64_t name(const void *p, size_t n)
#define RW_PROBE_OPS_FN(name) double name(size_t iterations, size_t *ops)

struct rw_kernels {
    RW_MATVEC_FN((*matvec[RWKV_DTYPE_MODEL_COUNT]));     /* every type of weight */
    RW_MATVEC_T_FN((*matvec_t[RWKV_DTYPE_MODEL_COUNT])); /* NULL for block types */
    RW_ROUND_FN((*round_bf16));                          /* NULL: no products in bf16 */
    RW_MATVEC_BF16_FN((*matvec_bf16));
    RW_MATMUL_BF16_FN((*matmul_bf16));
    RW_QUANTIZE_FN((*quantize));                 /* NULL: no products in integers, use matvec */
    RW_PACK_FN((*pack[RWKV_DTYPE_MODEL_COUNT])); /* block types only */
    RW_MATVEC_DOT_FN((*matvec_dot[RWKV_DTYPE_MODEL_COUNT])); /* block types only */
    RW_PANEL_FN((*panel[RWKV_DTYPE_MODEL_COUNT]));           /* block types only */
    RW_MATMUL_DOT_FN((*matmul_dot));
    RW_TILE_BYTES_FN((*tile_bytes));             /* NULL: no products with few live inputs */
    RW_TILE_FN((*tile[RWKV_DTYPE_MODEL_COUNT])); /* NULL: not of this type */
    RW_MATVEC_LIVE_FN((*matvec_live[RWKV_DTYPE_MODEL_COUNT])); /* the same */
    RW_UNPACK_FN((*unpack[RWKV_DTYPE_MODEL_COUNT]));
    RW_UNPACK_T_FN((*unpack_t[RWKV_DTYPE_MODEL_COUNT])); /* NULL for block types */
    RW_MATMUL_FN((*matmul));
    RW_LAYER_NORM_FN((*layer_norm));
    RW_MIX_FN((*mix));
    RW_MAP_FN((*tanh));
    RW_MAP_FN((*sigmoid));
    RW_MAP_FN((*relu2));
    RW_ADD_FN((*add));
    RW_WKV7_INPUTS_FN((*wkv7_inputs));
    RW_WKV7_FN((*wkv7));
    RW_WKV7_OUTPUT_FN((*wkv7_output));
    RW_PRODUCT_PACK_FN((*product_pack));
    RW_PRODUCT_FN((*product));
    RW_MAP_BACKWARD_FN((*tanh_backward));
    RW_MAP_BACKWARD_FN((*sigmoid_backward));
    RW_MAP_BACKWARD_FN((*relu2_backward));
    RW_MIX_BACKWARD_FN((*mix_backward));
    RW_MIX_WEIGHTS_FN((*mix_weights));
    RW_LAYER_NORM_BACKWARD_FN((*layer_norm_backward));
    RW_NORM_WEIGHTS_FN((*norm_weights));
    RW_WKV7_OUTPUT_BACKWARD_FN((*wkv7_output_backward));
    RW_WKV7_BACKWARD_FN((*wkv7_backward));
    RW_WKV7_INPUTS_BACKWARD_FN((*wkv7_inputs_backward));
    RW_CROSS_ENTROPY_FN((*cross_entropy));
    RW_SUM_SQUARES_FN((*sum_squares));
    RW_ADAMW_FN((*adamw));
    RW_PROBE_READ_FN((*probe_read));
    RW_PROBE_OPS_FN((*probe_fma));  /* f32 */
    RW_PROBE_OPS_FN((*probe_bf16)); /* dot products of bf16 with sums in f32; NULL: none */
    RW_PROBE_OPS_FN((*probe_int8)); /* dot products of bytes with sums of 32 bits; NULL: none */
};

#define RW_WKV7_MAX_HEAD 512 /* largest head size N kernels need to take */

/* `cpu`: bits of base/cpu.h; 0 is reference only. A pure function of it. */
void rw_kernels_init(struct rw_kernels *kernels, unsigned cpu);

/* One per instruction set: put in what this set does better. */
void rw_kernels_ref(struct rw_kernels *kernels);
void rw_kernels_avx2(struct rw_kernels *kernels);
void rw_kernels_avxvnni(struct rw_kernels *kernels);
void rw_kernels_avx512(struct rw_kernels *kernels);
void rw_kernels_avx512vnni(struct rw_kernels *kernels);
void rw_kernels_avx512bf16(struct rw_kernels *kernels);
void rw_kernels_neon(struct rw_kernels *kernels);
void rw_kernels_neon_dotprod(struct rw_kernels *kernels);
void rw_kernels_neon_i8mm(struct rw_kernels *kernels);

#endif
