/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well a model predicts a text. Of a window (the whole text is one without end) the first
 * tokens only bring the state to where scoring begins; then ROWS tokens at a time are evaluated and
 * scored by the logits of the token before each. Row 0 of the logits is carried over from the
 * tokens before, so that no token is a special case.
 *
 * A row is scored by one thread in one order, and rows are added up one after the other: no result
 * depends on threads or on how the text is cut.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/pool.h"
#include "base/status.h"
#include "engine/engine.h"

#define ROWS 128 /* tokens whose logits are held at once */
#define PAIRS 4  /* sums over a row that run side by side, two in each */

/* Divergences are counted by the upper bits of the float: bins 1/128 wide, for the percentile. */
#define BIN_SHIFT 16
#define BINS ((size_t)1 << (31 - BIN_SHIFT))

/* Mean and sum of squared deviations, updated value by value (Welford 1962). */
struct moments {
    double mean, squares;
};

/* Two numbers in a register, which every machine has. */
typedef double pair __attribute__((vector_size(16)));
typedef float pair_f32 __attribute__((vector_size(8)));
typedef uint64_t pair_bits __attribute__((vector_size(16)));

/* One of the two models. */
struct side {
    struct rwkv_session *session; /* NULL: there is no such side */
    float *logits;                /* [1 + ROWS, V]: row i is from before token i */
};

struct score {
    double loss, base_loss;
    double divergence;
    bool same_top;
};

struct rwkv_evaluator {
    struct side model, base;
    const struct rwkv_vocab *vocab; /* the model's, or NULL */
    struct rw_pool *pool;
    struct score scores[ROWS];
    uint64_t window;  /* tokens; UINT64_MAX: the whole text */
    uint64_t warm_up; /* the first tokens of a window, not scored */
    uint64_t at;      /* tokens of the window so far */
    bool failed;

    uint64_t tokens, scored, scored_bytes, same_top;
    double seconds;
    struct moments loss, base_loss, difference, divergence, squared_change;
    double divergence_max;
    uint64_t *bins; /* [BINS]; NULL without a base */
};

/* --- one row ---------------------------------------------------------------------------------- */

static size_t largest(const float *x, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[top])
            top = i;
    return top;
}

/* e^x for x ≤ 0 to about 1e-15 of itself, 0 below −700, NaN for NaN. x = k ln 2 + r with
 * |r| ≤ ln 2 / 2, and e^r by its series. */
static inline pair exp_pair(pair x)
{
    static const double to_integer = 0x1.8p52; /* adding it leaves k in the last bits */
    static const double ln2_high = 0x1.62e42fefap-1, ln2_low = 0x1.cf79abc9e3b39p-40;
    pair shifted = x * 0x1.71547652b82fep0 + to_integer, k = shifted - to_integer;
    pair r = (x - k * ln2_high) - k * ln2_low;
    pair sum = r * (1.0 / 479001600) + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 0.5;
    sum = sum * r + 1;
    sum = sum * r + 1;
    pair_bits scaled = (pair_bits)sum + ((pair_bits)shifted << 52); /* times 2^k */
    return (pair)(scaled & ~(pair_bits)(x < -700.0));
}

static inline pair below(const float *x, double max)
{
    pair_f32 two;
    memcpy(&two, x, sizeof two);
    return __builtin_convertvector(two, pair) - max;
}

static double sum_pairs(const pair *p)
{
    pair sum = (p[0] + p[1]) + (p[2] + p[3]);
    return sum[0] + sum[1];
}

/* Σ exp(x − max). NaN if a logit is NaN or +∞. */
static double sum_of_exp(const float *x, double max, size_t n)
{
    pair sums[PAIRS] = {0};
    double rest = 0;
    size_t i = 0;
    for (; i + 2 * PAIRS <= n; i += 2 * PAIRS)
        for (size_t j = 0; j < PAIRS; j++)
            sums[j] += exp_pair(below(x + i + 2 * j, max));
    for (; i < n; i++)
        rest += exp(x[i] - max);
    return sum_pairs(sums) + rest;
}

/* With d = x − max: Σ exp(d_p), and Σ exp(d_p) (d_p − d_q) in `*weighted`. */
static double sum_of_differences(const float *p, const float *q, double max_p, double max_q,
                                 size_t n, double *weighted)
{
    pair sums[PAIRS] = {0}, differences[PAIRS] = {0};
    double rest = 0, rest_differences = 0;
    size_t i = 0;
    for (; i + 2 * PAIRS <= n; i += 2 * PAIRS)
        for (size_t j = 0; j < PAIRS; j++) {
            pair d = below(p + i + 2 * j, max_p), e = exp_pair(d);
            sums[j] += e;
            differences[j] += e * (d - below(q + i + 2 * j, max_q));
        }
    for (; i < n; i++) {
        double d = p[i] - max_p, e = exp(d);
        rest += e;
        rest_differences += e * (d - (q[i] - max_q));
    }
    *weighted = sum_pairs(differences) + rest_differences;
    return sum_pairs(sums) + rest;
}

/* KL(p‖q) = Σ p (ln p − ln q), where ln p = d_p − ln Σ exp(d_p): one pass over both rows. */
static struct score score_row(const float *q, const float *p, size_t target, size_t n)
{
    size_t top_q = largest(q, n);
    double max_q = q[top_q];
    double log_q = log(sum_of_exp(q, max_q, n));
    struct score s = {.loss = log_q + max_q - q[target]};
    if (p) {
        size_t top_p = largest(p, n);
        double max_p = p[top_p], weighted;
        double sum_p = sum_of_differences(p, q, max_p, max_q, n, &weighted);
        s.base_loss = log(sum_p) + max_p - p[target];
        double divergence = weighted / sum_p - log(sum_p) + log_q;
        s.divergence = divergence <= 0 ? 0 : divergence; /* rounding; NaN stays */
        s.same_top = top_p == top_q;
    }
    return s;
}

struct job {
    struct rwkv_evaluator *e;
    const int32_t *tokens;
};

static void score_piece(void *ctx, size_t i, size_t thread)
{
    const struct job *job = ctx;
    struct rwkv_evaluator *e = job->e;
    size_t v = e->model.session->model->info.n_vocab;
    e->scores[i] =
        score_row(e->model.logits + i * v, e->base.logits ? e->base.logits + i * v : NULL,
                  (size_t)job->tokens[i], v);
}

/* --- adding up -------------------------------------------------------------------------------- */

static void add(struct moments *m, double x, uint64_t n)
{
    double before = x - m->mean;
    m->mean += before / (double)n;
    m->squares += before * (x - m->mean);
}

static rwkv_estimate estimate(const struct moments *m, uint64_t n)
{
    double error = n > 1 ? sqrt(m->squares / (double)(n - 1) / (double)n) : INFINITY;
    return (rwkv_estimate){m->mean, error};
}

/* e^x: the error grows with the slope. */
static rwkv_estimate exponential(rwkv_estimate x)
{
    return (rwkv_estimate){exp(x.mean), exp(x.mean) * x.error};
}

static size_t bin_of(double divergence)
{
    float x = (float)divergence;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> BIN_SHIFT;
}

/* The middle of the bin that the token at 99 % falls in. */
static double percentile_99(const struct rwkv_evaluator *e)
{
    uint64_t below = 0, wanted = e->scored - e->scored / 100;
    size_t bin = 0;
    while ((below += e->bins[bin]) < wanted)
        bin++;
    uint32_t bits = (uint32_t)(bin << BIN_SHIFT | (size_t)1 << (BIN_SHIFT - 1));
    float middle;
    memcpy(&middle, &bits, sizeof middle);
    return fmin(middle, e->divergence_max);
}

static void add_comparison(struct rwkv_evaluator *e, const struct score *s)
{
    double change = exp(-s->loss) - exp(-s->base_loss);
    add(&e->base_loss, s->base_loss, e->scored);
    add(&e->difference, s->loss - s->base_loss, e->scored);
    add(&e->divergence, s->divergence, e->scored);
    add(&e->squared_change, change * change, e->scored);
    e->same_top += s->same_top;
    e->divergence_max = fmax(e->divergence_max, s->divergence);
    e->bins[bin_of(s->divergence)]++;
}

static rwkv_status add_score(struct rwkv_evaluator *e, const struct score *s, int32_t token,
                             uint64_t position, rwkv_error *err)
{
    bool base_at_fault = !isfinite(s->base_loss);
    if (base_at_fault || !isfinite(s->loss) || !isfinite(s->divergence)) {
        const struct side *side = base_at_fault ? &e->base : &e->model;
        e->failed = true;
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "%s: token %llu: wanted finite logits to score it by, found others",
                       side->session->model->file->path, (unsigned long long)position);
    }
    e->scored++;
    add(&e->loss, s->loss, e->scored);
    if (e->base.session)
        add_comparison(e, s);
    if (e->vocab) {
        size_t bytes;
        rw_vocab_token(e->vocab, token, &bytes);
        e->scored_bytes += bytes;
    }
    return RWKV_OK;
}

/* --- evaluation ------------------------------------------------------------------------------- */

/* Advance one model, leaving the logits of the last token in row 0 or, if `rows`, those of all
 * tokens from row 1 on. */
static rwkv_status advance(struct side *side, const int32_t *tokens, size_t n, bool rows,
                           rwkv_error *err)
{
    if (!side->session)
        return RWKV_OK;
    size_t v = side->session->model->info.n_vocab;
    const rwkv_segment segment = {
        .session = side->session,
        .tokens = tokens,
        .n_tokens = n,
        .logits = rows ? side->logits + v : NULL,
    };
    RW_TRY(rw_segments_eval(&segment, 1, err));
    if (!rows)
        memcpy(side->logits, side->session->logits, v * sizeof *side->logits);
    return RWKV_OK;
}

static void carry(struct side *side, size_t row)
{
    if (!side->session)
        return;
    size_t v = side->session->model->info.n_vocab;
    memcpy(side->logits, side->logits + row * v, v * sizeof *side->logits);
}

static void start_window(struct rwkv_evaluator *e)
{
    rw_session_reset(e->model.session);
    if (e->base.session)
        rw_session_reset(e->base.session);
    e->at = 0;
}

/* The next tokens of one window: at most ROWS, and all of them scored or none. */
static rwkv_status step(struct rwkv_evaluator *e, const int32_t *tokens, size_t n, bool score,
                        rwkv_error *err)
{
    RW_TRY(advance(&e->model, tokens, n, score, err));
    RW_TRY(advance(&e->base, tokens, n, score, err));
    e->at += n;
    e->tokens += n;
    if (!score)
        return RWKV_OK;
    struct job job = {e, tokens};
    rw_pool_each(e->pool, score_piece, &job, n);
    for (size_t i = 0; i < n; i++)
        RW_TRY(add_score(e, &e->scores[i], tokens[i], e->tokens - n + i, err));
    carry(&e->model, n);
    carry(&e->base, n);
    return RWKV_OK;
}

static rwkv_status check(const struct rwkv_evaluator *e, const int32_t *tokens, size_t n,
                         rwkv_error *err)
{
    size_t v = e->model.session->model->info.n_vocab;
    if (e->failed)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "the evaluation has failed before");
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= v)
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "%s: token %llu: wanted an id of 0 to %zu, as the model has, found %d",
                           e->model.session->model->file->path, (unsigned long long)(e->tokens + i),
                           v - 1, (int)tokens[i]);
    return RWKV_OK;
}

rwkv_status rw_evaluator_feed(struct rwkv_evaluator *e, const int32_t *tokens, size_t n,
                              rwkv_error *err)
{
    RW_TRY(check(e, tokens, n, err));
    double start = rw_env_seconds();
    rwkv_status status = RWKV_OK;
    for (size_t done = 0, count; done < n && status == RWKV_OK; done += count) {
        if (e->at == e->window)
            start_window(e);
        bool score = e->at >= e->warm_up;
        uint64_t room = (score ? e->window : e->warm_up) - e->at;
        count = (size_t)RW_MIN(RW_MIN(n - done, ROWS), room);
        status = step(e, tokens + done, count, score, err);
    }
    e->seconds += rw_env_seconds() - start;
    return status;
}

void rw_evaluator_result(const struct rwkv_evaluator *e, rwkv_evaluation *out)
{
    uint64_t n = e->scored;
    *out = (rwkv_evaluation){.tokens = e->tokens, .seconds = e->seconds};
    if (n == 0)
        return;
    out->scored = n;
    out->scored_bytes = e->scored_bytes;
    out->loss = estimate(&e->loss, n);
    out->perplexity = exponential(out->loss);
    if (e->scored_bytes)
        out->bits_per_byte = e->loss.mean * (double)n / M_LN2 / (double)e->scored_bytes;
    if (!e->base.session)
        return;
    double same = (double)e->same_top / (double)n;
    out->base_loss = estimate(&e->base_loss, n);
    out->base_perplexity = exponential(out->base_loss);
    out->perplexity_ratio = exponential(estimate(&e->difference, n));
    out->divergence = estimate(&e->divergence, n);
    out->divergence_p99 = percentile_99(e);
    out->divergence_max = e->divergence_max;
    out->same_top =
        (rwkv_estimate){same, n > 1 ? sqrt(same * (1 - same) / (double)(n - 1)) : INFINITY};
    out->probability_rms = sqrt(e->squared_change.mean);
}

/* --- life ------------------------------------------------------------------------------------- */

static rwkv_status side_init(struct side *side, struct rwkv_model *model, rwkv_error *err)
{
    size_t v = model->info.n_vocab;
    RW_TRY(rw_session_new(model, &side->session, err));
    side->logits = rw_alloc(v, (1 + ROWS) * sizeof *side->logits);
    if (!side->logits)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the logits of %d tokens", ROWS);
    return RWKV_OK;
}

static rwkv_status add_base(struct rwkv_evaluator *e, struct rwkv_model *base, rwkv_error *err)
{
    const struct rwkv_model *model = e->model.session->model;
    if (base->info.n_vocab != model->info.n_vocab)
        return rw_fail(
            err, RWKV_ERROR_MODEL, "%s: wanted a vocabulary of %zu tokens, as %s has, found %zu",
            base->file->path, model->info.n_vocab, model->file->path, base->info.n_vocab);
    RW_TRY(side_init(&e->base, base, err));
    e->bins = rw_calloc(BINS, sizeof *e->bins);
    return e->bins ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a comparison");
}

rwkv_status rw_evaluator_new(struct rwkv_model *model, const rwkv_evaluate_options *options,
                             struct rwkv_evaluator **out, rwkv_error *err)
{
    rwkv_status status;
    if (options->window && options->window < 3)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "window: wanted 0 or at least 3, found %zu",
                       options->window);
    struct rwkv_evaluator *e = rw_calloc(1, sizeof *e);
    if (!e)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an evaluation");
    e->window = options->window ? options->window : UINT64_MAX;
    e->warm_up = options->window / 2 + 1;
    RW_GO(side_init(&e->model, model, err));
    if (options->base)
        RW_GO(add_base(e, options->base, err));
    e->pool = rw_pool_new((size_t)model->info.threads);
    if (!e->pool)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no threads for an evaluation"));
    e->vocab = rw_model_vocab(model, NULL);
    *out = e;
done:
    if (status != RWKV_OK)
        rw_evaluator_free(e);
    return status;
}

void rw_evaluator_free(struct rwkv_evaluator *e)
{
    if (!e)
        return;
    rw_session_free(e->model.session);
    rw_session_free(e->base.session);
    rw_free(e->model.logits);
    rw_free(e->base.logits);
    rw_free(e->bins);
    rw_pool_free(e->pool);
    rw_free(e);
}
