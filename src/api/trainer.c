/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_trainer.h. */
#include "rwkv_trainer.h"

#include <unistd.h>

#include "api/api_int.h"
#include "base/pool.h"
#include "base/str.h"
#include "engine/engine.h"
#include "formats/format.h"
#include "text/vocab.h"
#include "train/init.h"
#include "train/trainer.h"

/* --- new models ------------------------------------------------------------------------------- */

static rwkv_status find_sizes(const rwkv_init_options *o, struct rw_sizes *z, rwkv_error *err)
{
    *z = (struct rw_sizes){.n_layer = o->n_layer,
                           .n_embd = o->n_embd,
                           .n_vocab = o->n_vocab,
                           .n_ffn = o->n_ffn,
                           .head_size = o->head_size};
    size_t ids = 0;
    if (o->vocab) {
        struct rwkv_vocab *vocab;
        RW_TRY(rw_vocab_open(o->vocab, &vocab, err));
        ids = rw_vocab_size(vocab);
        rw_vocab_release(vocab);
    }
    rw_init_complete(z, ids);
    return rw_init_check_vocab(o->vocab, ids, z->n_vocab, err);
}

static rwkv_status convert(const struct rw_file *model, const char *out, const char *vocab,
                           rwkv_dtype dtype, rwkv_error *err)
{
    const rwkv_convert_options options = {
        .dtype = dtype, .has_dtype = 1, .vocab = vocab, .overwrite = 1};
    return rw_convert_file(model, out, &options, err);
}

rwkv_status rwkv_init(const char *path, const rwkv_init_options *options, rwkv_error *err)
{
    REQUIRE(path && options);
    REQUIRE(options->threads >= 0 && options->threads <= RW_MAX_THREADS);
    struct rw_sizes sizes;
    size_t threads = options->threads ? (size_t)options->threads : rw_pool_default_threads();
    if (!rw_format_by_suffix(path))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a name that ends in " RW_FORMAT_SUFFIXES, path);
    if (!options->overwrite && access(path, F_OK) == 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: exists already", path);
    if (rw_has_suffix(path, ".gguf") && !options->vocab)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: a GGUF needs a vocabulary", path);
    RW_TRY(find_sizes(options, &sizes, err));
    return rw_init_write(path, &sizes, options, threads, convert, err);
}

/* --- runs ------------------------------------------------------------------------------------- */

void rwkv_train_defaults(rwkv_train_options *options)
{
    rw_train_defaults(options);
}

rwkv_status rwkv_trainer_open(const rwkv_train_options *options, rwkv_trainer **out,
                              rwkv_error *err)
{
    static const struct rw_trainer_hooks hooks = {.convert = convert};
    REQUIRE(options && out);
    REQUIRE(options->folder && options->data && options->prompt);
    REQUIRE((unsigned)options->schedule <= RWKV_SCHEDULE_WSD);
    REQUIRE((unsigned)options->order <= RWKV_TRAIN_SHUFFLED);
    REQUIRE((unsigned)options->precision <= RWKV_PRECISION_BF16);
    return rw_trainer_open(out, options, &hooks, err);
}

void rwkv_trainer_close(rwkv_trainer *trainer)
{
    rw_trainer_close(trainer);
}

void rwkv_trainer_get_plan(const rwkv_trainer *trainer, rwkv_train_plan *out)
{
    rw_trainer_plan(trainer, out);
}

rwkv_status rwkv_trainer_agree(rwkv_trainer *trainer, rwkv_status status, rwkv_error *err)
{
    REQUIRE(trainer);
    return rw_trainer_agree(trainer, status, err);
}

static void ignore(void *user, const rwkv_train_event *event)
{
}

rwkv_status rwkv_trainer_run(rwkv_trainer *trainer, rwkv_train_event_fn event, void *user,
                             rwkv_error *err)
{
    REQUIRE(trainer);
    return rw_trainer_run(trainer, event ? event : ignore, user, err);
}

int rwkv_trainer_finished(const rwkv_trainer *trainer)
{
    return rw_trainer_finished(trainer);
}
