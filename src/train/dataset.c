/* SPDX-License-Identifier: Apache-2.0 */
#include "train/dataset.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "formats/binidx.h"
#include "train/order.h"

#define ANSWERS 4096 /* tokens looked at at once */

struct rw_dataset {
    struct rw_binidx files;
    struct rw_dataset_options options;
    struct rw_dataset_info info;
};

static rwkv_status check_options(const struct rw_dataset_options *o, rwkv_error *err)
{
    if (o->ctx < 1 || o->ctx > INT32_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted samples of 1 to %d tokens, found %zu",
                       INT32_MAX, o->ctx);
    if (o->batch < 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at least 1 sample a step, found 0");
    if (o->n_vocab < 1 || o->n_vocab > (size_t)INT32_MAX + 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a vocabulary of 1 to 2^31 ids, found %zu",
                       o->n_vocab);
    if (!(o->held_out >= 0 && o->held_out < 1))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a held-out share of at least 0 and less than 1, found %g",
                       o->held_out);
    return RWKV_OK;
}

static rwkv_status hold_all_out(struct rw_dataset *d, rwkv_error *err)
{
    uint64_t n = d->info.n_tokens, ctx = d->options.ctx;
    if (n < ctx + 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted at least %llu tokens, for one sample, found %llu", d->files.name,
                       (unsigned long long)(ctx + 1), (unsigned long long)n);
    d->info.held_out = (n - 1) / ctx;
    return RWKV_OK;
}

/* Set the end of the stream apart, as the header says. */
static rwkv_status hold_out(struct rw_dataset *d, rwkv_error *err)
{
    uint64_t n = d->info.n_tokens, ctx = d->options.ctx, held = 0;
    if (d->options.held_out > 0) {
        uint64_t windows = (uint64_t)((double)n * d->options.held_out / (double)ctx);
        d->info.held_out = RW_MAX(windows, (uint64_t)1);
        held = d->info.held_out * ctx + 1; /* n·x < 2⁶⁴: no overflow */
    }
    if (n <= held || n - held < ctx + 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted at least %llu tokens, %llu held out and %llu for one sample, "
                       "found %llu",
                       d->files.name, (unsigned long long)(held + ctx + 1),
                       (unsigned long long)held, (unsigned long long)(ctx + 1),
                       (unsigned long long)n);
    d->info.train_tokens = n - held;
    return RWKV_OK;
}

static rwkv_status find_order(struct rw_dataset *d, rwkv_error *err)
{
    uint64_t n = d->info.train_tokens, ctx = d->options.ctx;
    if (d->options.order == RW_ORDER_SHUFFLED) {
        d->info.windows = (n - 1) / ctx;
        d->info.share = 1;
        return RWKV_OK;
    }
    d->info.windows = rw_magic_prime(n, ctx);
    d->info.share = (double)d->info.windows / (double)(n / ctx);
    if (d->info.windows == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted at least %llu tokens (3 samples) for the official order of "
                       "samples, found %llu to train on: make samples shorter, or shuffle",
                       d->files.name, (unsigned long long)(3 * ctx), (unsigned long long)n);
    return RWKV_OK;
}

static rwkv_status check_answers(const struct rw_dataset *d, rwkv_error *err)
{
    if (!d->options.answers)
        return RWKV_OK;
    size_t n = rw_binidx_answers(&d->files, 0, (size_t)d->info.train_tokens, NULL);
    if (n > 0 && n < d->info.train_tokens)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "%s: wanted prompts and answers, to learn the answers only, found no %s: data "
                   "are built with them from JSON lines",
                   d->files.name, n ? "prompts" : "answers");
}

rwkv_status rw_dataset_open(struct rw_dataset **out, const char *path,
                            const struct rw_dataset_options *options, rwkv_error *err)
{
    rwkv_status status;
    RW_TRY(check_options(options, err));
    struct rw_dataset *d = rw_calloc(1, sizeof *d);
    if (!d)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    d->options = *options;
    RW_GO(rw_binidx_open(&d->files, path, err));
    d->info.n_tokens = d->files.n_tokens;
    d->info.n_documents = d->files.n_documents;
    if (options->all_held_out) {
        RW_GO(hold_all_out(d, err));
    } else {
        RW_GO(hold_out(d, err));
        RW_GO(find_order(d, err));
        RW_GO(check_answers(d, err));
    }
    rw_binidx_fingerprint(&d->files, d->info.fingerprint);
    *out = d;
done:
    if (status != RWKV_OK)
        rw_dataset_close(d);
    return status;
}

void rw_dataset_close(struct rw_dataset *d)
{
    if (!d)
        return;
    rw_binidx_close(&d->files);
    rw_free(d);
}

const struct rw_dataset_info *rw_dataset_info(const struct rw_dataset *d)
{
    return &d->info;
}

uint64_t rw_dataset_start(const struct rw_dataset *d, uint64_t step, uint64_t i)
{
    /* (2⁶⁴ − 1)² + 2⁶⁴ − 1 < 2¹²⁸ */
    unsigned __int128 number = (unsigned __int128)step * d->options.batch + i;
    uint64_t index = (uint64_t)(number % d->info.windows), slot;
    if (d->options.order == RW_ORDER_OFFICIAL)
        slot = rw_magic_slot(d->info.windows, index);
    else
        slot = rw_shuffled(d->info.windows, d->options.seed, (uint64_t)(number / d->info.windows),
                           index);
    return slot * d->options.ctx;
}

/* --- samples ---------------------------------------------------------------------------------- */

/* Which of the ctx tokens from `at` on are to be learned: the others become −1. */
static void drop_prompts(const struct rw_dataset *d, uint64_t at, int32_t *targets)
{
    size_t ctx = d->options.ctx;
    for (size_t i = 0; i < ctx; i += ANSWERS) {
        uint8_t answers[ANSWERS];
        size_t n = RW_MIN(ctx - i, (size_t)ANSWERS);
        rw_binidx_answers(&d->files, at + i, n, answers);
        for (size_t j = 0; j < n; j++)
            if (!answers[j])
                targets[i + j] = -1;
    }
}

static rwkv_status read_sample(const struct rw_dataset *d, uint64_t at, int32_t *tokens,
                               int32_t *targets, rwkv_error *err)
{
    size_t ctx = d->options.ctx;
    RW_TRY(rw_binidx_read(&d->files, at, ctx + 1, d->options.n_vocab, tokens, err));
    if (targets)
        memcpy(targets, tokens + 1, ctx * sizeof *targets);
    if (targets && d->options.answers)
        drop_prompts(d, at + 1, targets);
    return RWKV_OK;
}

rwkv_status rw_dataset_sample(const struct rw_dataset *d, uint64_t step, uint64_t i,
                              int32_t *tokens, int32_t *targets, rwkv_error *err)
{
    return read_sample(d, rw_dataset_start(d, step, i), tokens, targets, err);
}

uint64_t rw_dataset_step_targets(const struct rw_dataset *d, uint64_t step)
{
    size_t ctx = d->options.ctx;
    uint64_t count = 0;
    if (!d->options.answers)
        return (uint64_t)d->options.batch * ctx;
    for (size_t i = 0; i < d->options.batch; i++)
        count += rw_binidx_answers(&d->files, rw_dataset_start(d, step, i) + 1, ctx, NULL);
    return count;
}

rwkv_status rw_dataset_held_out(const struct rw_dataset *d, uint64_t w, int32_t *tokens,
                                int32_t *targets, rwkv_error *err)
{
    assert(w < d->info.held_out);
    return read_sample(d, d->info.train_tokens + w * d->options.ctx, tokens, targets, err);
}
