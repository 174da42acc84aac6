/* SPDX-License-Identifier: Apache-2.0 */
/* A training run before it begins: its options, data and model looked at, its memory planned and
 * then taken. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/status.h"
#include "train/init.h"
#include "train/memory.h"
#include "train/trainer_int.h"

#define MOST_TOKENS ((size_t)1 << 24) /* of a micro-batch */

/* --- options ---------------------------------------------------------------------------------- */

void rw_train_defaults(rwkv_train_options *options)
{
    *options = (rwkv_train_options){
        .seed = 42,
        .context = 512,
        .batch = 8,
        .accumulate = 1,
        .learning_rate = 6e-4,
        .learning_rate_final = 6e-5,
        .warmup = 10,
        .beta1 = 0.9,
        .beta2 = 0.99,
        .eps = 1e-18,
        .weight_decay = 0.1,
        .clip = 1,
        .l2wrap = 1e-4,
        .checkpoint_every = 500,
        .keep = 3,
        .validate_every = 500,
        .prompt = "",
        .sample_tokens = 64,
        .export_dtype = RWKV_DTYPE_F32,
    };
}

static const size_t strings[] = {
    offsetof(rwkv_train_options, folder),     offsetof(rwkv_train_options, settings),
    offsetof(rwkv_train_options, model),      offsetof(rwkv_train_options, vocab),
    offsetof(rwkv_train_options, data),       offsetof(rwkv_train_options, cpu),
    offsetof(rwkv_train_options, prompt),     offsetof(rwkv_train_options, exports),
    offsetof(rwkv_train_options, validation),
};

static const char **string_of(rwkv_train_options *options, size_t i)
{
    return (const char **)((uint8_t *)options + strings[i]);
}

static rwkv_status copy_options(struct rwkv_trainer *t, const rwkv_train_options *options,
                                rwkv_error *err)
{
    struct rw_str checkpoints = {0};
    bool good = true;
    t->options = *options;
    for (size_t i = 0; i < RW_COUNT(strings); i++) {
        const char **s = string_of(&t->options, i);
        *s = *s ? rw_strdup(*s) : NULL;
    }
    for (size_t i = 0; i < RW_COUNT(strings); i++)
        good = good && !*string_of(&t->options, i) == !*string_of((rwkv_train_options *)options, i);
    rw_str_printf(&checkpoints, "%s/checkpoints", options->folder);
    t->checkpoints = rw_str_take(&checkpoints);
    return good && t->checkpoints ? RWKV_OK
                                  : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a run");
}

/* A number within its bounds, which NaN never is. */
static rwkv_status check_number(const char *name, double x, double min, double max, rwkv_error *err)
{
    return x >= min && x <= max ? RWKV_OK
                                : rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted %g to %g, found %g",
                                          name, min, max, x);
}

static rwkv_status check_exports(const rwkv_train_options *o, rwkv_error *err)
{
    for (const char *name = o->exports; name && *name;) {
        size_t n = strcspn(name, ",");
        char one[256];
        snprintf(one, sizeof one, "%.*s", (int)RW_MIN(n, sizeof one), name);
        bool gguf = rw_has_suffix(one, ".gguf");
        if (n >= sizeof one || strchr(one, '/') || one[0] == '.' || !rw_format_by_suffix(one))
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "export: wanted names of files in the run's folder that end "
                           "in " RW_FORMAT_SUFFIXES ", found '%s'",
                           one);
        if (gguf && !o->vocab)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "export: '%s' needs a vocabulary", one);
        name += n + (name[n] == ',');
    }
    return RWKV_OK;
}

static rwkv_status check_options(const rwkv_train_options *o, rwkv_error *err)
{
    size_t tokens;
    int lengths = (o->steps > 0) + (o->tokens > 0) + (o->epochs > 0);
    if (o->context == 0 || o->batch == 0 || !rw_mul(o->context, o->batch, &tokens) ||
        tokens > MOST_TOKENS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a context and a batch of at least 1 and at most %zu tokens "
                       "together, found %zu and %zu",
                       MOST_TOKENS, o->context, o->batch);
    if (o->accumulate == 0 || o->accumulate > UINT32_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "accumulate: wanted 1 to %u, found %zu",
                       UINT32_MAX, o->accumulate);
    if (lengths != 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted the length of the run as one of steps, tokens and epochs, found %s",
                       lengths ? "several" : "none");
    if (!o->model && (o->n_layer == 0 || o->n_embd == 0))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a model to begin with, or the layers and the width of a new one");
    if (o->model && (o->n_layer || o->n_embd || o->n_vocab || o->n_ffn || o->head_size))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s has its sizes: others cannot be given with it",
                       o->model);
    if (o->validation && o->held_out > 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted other data for validation or a share held out, found both");
    if (o->sample_every && !o->vocab)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "samples of text need a vocabulary");
    if (o->export_dtype != RWKV_DTYPE_F32 && o->export_dtype != RWKV_DTYPE_BF16 &&
        o->export_dtype != RWKV_DTYPE_F16)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "export: wanted type F32, BF16 or F16, found %s",
                       rwkv_dtype_name(o->export_dtype));
    RW_TRY(check_number("epochs", o->epochs, 0, 1e9, err));
    RW_TRY(check_number("held out", o->held_out, 0, 0.999, err));
    RW_TRY(check_number("beta1", o->beta1, 0, 0.999999, err));
    RW_TRY(check_number("beta2", o->beta2, 0, 0.999999, err));
    RW_TRY(check_number("eps", o->eps, 1e-37, 1, err));
    RW_TRY(check_number("weight decay", o->weight_decay, 0, 1e6, err));
    RW_TRY(check_number("clip", o->clip, 0, 1e30, err));
    RW_TRY(check_number("l2wrap", o->l2wrap, 0, 1, err));
    RW_TRY(check_number("threads", o->threads, 0, RW_MAX_THREADS, err));
    return check_exports(o, err);
}

/* --- what there is ---------------------------------------------------------------------------- */

static rwkv_status open_backend(struct rwkv_trainer *t, rwkv_error *err)
{
    int ok;
    unsigned cpu = rw_cpu_from_name(t->options.cpu, &ok);
    if (!ok)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "cpu: wanted " RW_CPU_NAMES ", as far as this machine has it "
                       "(best: %s), found '%s'",
                       rw_cpu_name(rw_cpu_detect()), t->options.cpu);
    return rw_backend_cpu_new(&t->backend, rw_trainer_threads(t), cpu, err);
}

static void fingerprint_vocab(struct rwkv_trainer *t)
{
    struct rw_sha256 h;
    rw_sha256_init(&h);
    for (size_t id = 0; id < rw_vocab_size(t->vocab); id++) {
        size_t size;
        const char *bytes = rw_vocab_token(t->vocab, (int32_t)id, &size);
        uint8_t head[4] = {(uint8_t)size, (uint8_t)(size >> 8)};
        rw_sha256_add(&h, head, sizeof head);
        rw_sha256_add(&h, bytes, size);
    }
    rw_sha256_hex(&h, t->vocab_fingerprint);
}

static rwkv_status open_vocab(struct rwkv_trainer *t, rwkv_error *err)
{
    if (!t->options.vocab)
        return RWKV_OK;
    RW_TRY(rw_vocab_open(t->options.vocab, &t->vocab, err));
    fingerprint_vocab(t);
    return RWKV_OK;
}

static rwkv_status make_params(struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    struct rw_sizes z = {.n_layer = o->n_layer,
                         .n_embd = o->n_embd,
                         .n_vocab = o->n_vocab,
                         .n_ffn = o->n_ffn,
                         .head_size = o->head_size};
    rw_init_complete(&z, t->vocab ? rw_vocab_size(t->vocab) : 0);
    RW_TRY(rw_init_check(&z, err));
    struct rw_ranks ranks = rw_init_ranks(z.n_embd);
    return rw_params_make(&t->params, &z, &ranks, RWKV_DTYPE_F32, err);
}

static void note_checkpoint(void *user, const char *message)
{
    struct rwkv_trainer *t = user;
    rw_str_printf(&t->notes, "%s: passed over", message);
    rw_str_addc(&t->notes, 0);
}

static rwkv_status fail_changed(const struct rwkv_trainer *t, const char *what, uint64_t wanted,
                                uint64_t found, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "%s: the run cannot go on with another %s: wanted %llu, found %llu",
                   t->checkpoint->path, what, (unsigned long long)wanted,
                   (unsigned long long)found);
}

rwkv_status rw_trainer_lock(struct rwkv_trainer *t, rwkv_error *err)
{
    if (t->lock || t->comm->rank != 0)
        return RWKV_OK;
    int fd = open(t->options.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RWKV_OK
                               : rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s",
                                         t->options.folder, strerror(errno));
    t->lock = fd + 1;
    /* Some network file systems have no locks; there the user has to see to it. */
    t->locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!t->locked && errno == EWOULDBLOCK)
        return rw_fail(err, RWKV_ERROR_IO, "%s: another process is training in this folder",
                       t->options.folder);
    return RWKV_OK;
}

/* The first checkpoint is older than the first line of the log. A run that has lines but no
 * checkpoint has lost them, and to begin anew would cost it the log too. */
static rwkv_status check_lost(const struct rwkv_trainer *t, rwkv_error *err)
{
    struct rw_str path = {0};
    struct stat st;
    rw_str_printf(&path, "%s/log.jsonl", t->options.folder);
    bool lost = !path.failed && stat(path.data, &st) == 0 && st.st_size > 0;
    rw_str_fini(&path);
    return lost ? rw_fail(err, RWKV_ERROR_IO,
                          "%s: holds the log of a run but none of its checkpoints: wanted those in "
                          "%s, or a new folder",
                          t->options.folder, t->checkpoints)
                : RWKV_OK;
}

/* A model of other sizes than those asked for cannot be gone on with. */
static rwkv_status check_sizes(const struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    const struct rw_sizes *z = &t->checkpoint->params.sizes;
    const struct {
        const char *what;
        size_t wanted, found;
    } sizes[] = {{"number of layers", z->n_layer, o->n_layer},
                 {"width", z->n_embd, o->n_embd},
                 {"width of the channel mix", z->n_ffn, o->n_ffn},
                 {"size of a head", z->head_size, o->head_size}};
    for (size_t i = 0; i < RW_COUNT(sizes); i++)
        if (sizes[i].found && sizes[i].found != sizes[i].wanted)
            return fail_changed(t, sizes[i].what, sizes[i].wanted, sizes[i].found, err);
    return RWKV_OK;
}

/* The checkpoint, the model, or the sizes to begin with. */
static rwkv_status open_weights(struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    RW_TRY(rw_trainer_lock(t, err));
    RW_TRY(rw_checkpoint_latest(&t->checkpoint, t->checkpoints, note_checkpoint, t, err));
    if (t->checkpoint && !o->resume)
        return rw_fail(
            err, RWKV_ERROR_IO,
            "%s: holds a run already, at step %llu: wanted a new folder, or to resume it",
            o->folder, (unsigned long long)t->checkpoint->state.step);
    if (!t->checkpoint)
        RW_TRY(check_lost(t, err));
    if (o->resume && !t->checkpoint) { /* it was killed before the first: nothing is lost */
        rw_str_printf(&t->notes, "%s: no checkpoint; the run begins", t->checkpoints);
        rw_str_addc(&t->notes, 0);
    }
    if (t->checkpoint) {
        RW_TRY(check_sizes(t, err));
        return rw_parameters_init(&t->parameters, &t->checkpoint->params, err);
    }
    if (o->model) {
        RW_TRY(rw_file_open(&t->file, o->model, err));
        RW_TRY(rw_params_open(&t->params, t->file, err));
    } else {
        RW_TRY(make_params(t, err));
    }
    return rw_parameters_init(&t->parameters, &t->params, err);
}

/* Refuse what could not be saved, and a vocabulary that the model has no rows for. */
static rwkv_status check_model(const struct rwkv_trainer *t, rwkv_error *err)
{
    const struct rw_parameters *p = &t->parameters;
    const char *name = t->options.model ? t->options.model : t->options.folder;
    if (p->no_ln0 || p->norm_eps != RW_NORM_EPS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: wanted a model with a norm after the embedding and an epsilon of %g, "
                       "which checkpoints can hold",
                       name, (double)RW_NORM_EPS);
    size_t ids = t->vocab ? rw_vocab_size(t->vocab) : 0;
    return rw_init_check_vocab(t->options.vocab, ids, p->sizes.n_vocab, err);
}

static rwkv_status open_data(struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    const struct rw_dataset_options options = {
        .ctx = o->context,
        .batch = o->batch * o->accumulate,
        .n_vocab = t->parameters.sizes.n_vocab,
        .held_out = o->held_out,
        .answers = o->answers_only != 0,
        .order = o->order == RWKV_TRAIN_OFFICIAL ? RW_ORDER_OFFICIAL : RW_ORDER_SHUFFLED,
        .seed = o->seed,
    };
    const struct rw_dataset_options others = {.ctx = o->context,
                                              .batch = 1,
                                              .n_vocab = options.n_vocab,
                                              .answers = options.answers,
                                              .all_held_out = true};
    RW_TRY(rw_dataset_open(&t->data, o->data, &options, err));
    return o->validation ? rw_dataset_open(&t->validation, o->validation, &others, err) : RWKV_OK;
}

/* --- the state it begins in ------------------------------------------------------------------- */

static struct rw_training_state first_state(const struct rwkv_trainer *t)
{
    const rwkv_train_options *o = &t->options;
    const struct rw_dataset_info *info = rw_dataset_info(t->data);
    struct rw_training_state s = {.context = o->context,
                                  .batch = o->batch * o->accumulate,
                                  .windows = info->windows,
                                  .order = o->order,
                                  .seed = o->seed};
    memcpy(s.data, info->fingerprint, sizeof s.data);
    memcpy(s.vocab, t->vocab_fingerprint, sizeof s.vocab);
    return s;
}

/* What decides which samples a step takes, and so the weights, must be as it was. */
static rwkv_status check_same(const struct rwkv_trainer *t, const struct rw_training_state *now,
                              rwkv_error *err)
{
    const struct rw_training_state *was = &t->checkpoint->state;
    if (strcmp(was->data, now->data) != 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: the data have changed since the run began: wanted fingerprint %.16s…, "
                       "found %.16s…",
                       t->options.data, was->data, now->data);
    if (strcmp(was->vocab, now->vocab) != 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: the vocabulary has changed since the run began: wanted fingerprint "
                       "%.16s…, found %.16s…",
                       t->options.vocab ? t->options.vocab : "no vocabulary",
                       was->vocab[0] ? was->vocab : "none", now->vocab[0] ? now->vocab : "none");
    if (was->context != now->context)
        return fail_changed(t, "context", was->context, now->context, err);
    if (was->batch != now->batch)
        return fail_changed(t, "number of sequences a step", was->batch, now->batch, err);
    if (was->order != now->order)
        return fail_changed(t, "order of samples", was->order, now->order, err);
    if (was->seed != now->seed)
        return fail_changed(t, "seed", was->seed, now->seed, err);
    if (was->windows != now->windows)
        return fail_changed(t, "share held out", was->windows, now->windows, err);
    return RWKV_OK;
}

static rwkv_status find_state(struct rwkv_trainer *t, rwkv_error *err)
{
    t->state = first_state(t);
    if (!t->checkpoint)
        return RWKV_OK;
    RW_TRY(check_same(t, &t->state, err));
    t->state = t->checkpoint->state;
    return RWKV_OK;
}

/* --- the plan --------------------------------------------------------------------------------- */

/* Steps, and all their tokens, which can be counted in 64 bits (up to 2^63 where reals are). */
static rwkv_status count_steps(const struct rwkv_trainer *t, size_t *steps, size_t *tokens,
                               rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    size_t batch = o->batch * o->accumulate, per_step = batch * o->context;
    double passes = ceil(o->epochs * (double)rw_dataset_info(t->data)->windows / (double)batch);
    *steps = (size_t)(o->steps ? o->steps : o->tokens / per_step + (o->tokens % per_step != 0));
    if (passes > 0)
        *steps = passes < 0x1p63 ? (size_t)passes : SIZE_MAX;
    return rw_mul(*steps, per_step, tokens)
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_ARGUMENT,
                         "wanted a run of fewer than 2^64 tokens, found %zu steps of %zu", *steps,
                         per_step);
}

static void plan_memory(struct rwkv_trainer *t)
{
    struct rw_gradient_plan plan;
    rwkv_train_plan *p = &t->plan;
    uint64_t array = (uint64_t)t->parameters.floats * sizeof(float);
    rw_gradient_plan(&plan, &t->parameters, t->backend, &t->gradient_options);
    p->parameters = p->gradients = array;
    p->moments = rw_trainer_moment_bytes(t);
    p->activations = plan.saved;
    p->work = plan.work + plan.scratch;
    p->work += rw_shards_bytes(&t->parameters, t->comm, 0);
    p->work += t->gradient_options.sequences *
               ((2 * t->options.context + 1) * sizeof *t->tokens + sizeof *t->sequences);
    if (t->options.sample_every)
        p->work += rw_sampling_bytes(&t->parameters);
    p->memory = p->parameters + p->gradients + p->moments + p->activations + p->work;
    p->memory_available = rw_env_memory_available() / rw_env_processes_here();
}

static rwkv_status make_plan(struct rwkv_trainer *t, rwkv_error *err)
{
    size_t steps, tokens;
    const rwkv_train_options *o = &t->options;
    const struct rw_dataset_info *info = rw_dataset_info(t->data);
    const struct rw_sizes *z = &t->parameters.sizes;
    rwkv_train_plan *p = &t->plan;
    RW_TRY(count_steps(t, &steps, &tokens, err));
    *p = (rwkv_train_plan){
        .n_parameters = t->parameters.count,
        .n_layer = z->n_layer,
        .n_embd = z->n_embd,
        .n_vocab = z->n_vocab,
        .n_ffn = z->n_ffn,
        .head_size = z->head_size,
        .step = t->state.step,
        .steps = steps,
        .tokens_per_step = (uint64_t)o->context * o->batch * o->accumulate,
        .tokens = tokens,
        .data_tokens = info->n_tokens,
        .held_out_tokens = rw_dataset_info(rw_trainer_held_out(t))->held_out * o->context,
        .data_share = info->share,
        .ops_per_token = rw_gradient_ops(&t->parameters),
        .processes = t->comm->size,
        .rank = t->comm->rank,
        .threads = t->backend->threads,
        .isa = t->backend->isa,
    };
    p->epochs = (double)p->steps * (double)(o->batch * o->accumulate) / (double)info->windows;
    plan_memory(t);
    return RWKV_OK;
}

static rwkv_status check_memory(const struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_plan *p = &t->plan;
    const struct rw_memory_part parts[] = {{"weights", p->parameters},
                                           {"gradients", p->gradients},
                                           {"moments", p->moments},
                                           {"activations", p->activations},
                                           {"work", p->work}};
    const char *hint = t->options.checkpoint
                           ? "a smaller batch needs less"
                           : "a smaller batch or gradient checkpointing needs less";
    return rw_memory_check(parts, RW_COUNT(parts), t->options.memory_limit, p->memory_available,
                           hint, err);
}

static rwkv_status plan(struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    size_t all = o->batch * o->accumulate, most = (all + t->comm->size - 1) / t->comm->size;
    size_t batch = RW_MIN(o->batch, most);
    if (all < t->comm->size)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%zu processes cannot share a step of %zu sequences", t->comm->size, all);
    t->gradient_options = (struct rw_gradient_options){
        .sequences = batch,
        .tokens = batch * o->context,
        .checkpoint = o->checkpoint != 0,
        .precision = o->precision == RWKV_PRECISION_BF16 ? RW_PRECISION_BF16 : RW_PRECISION_F32,
        .l2wrap = (float)o->l2wrap,
    };
    RW_TRY(make_plan(t, err));
    static const enum rw_schedule_kind kinds[] = {[RWKV_SCHEDULE_COSINE] = RW_SCHEDULE_COSINE,
                                                  [RWKV_SCHEDULE_LINEAR] = RW_SCHEDULE_LINEAR,
                                                  [RWKV_SCHEDULE_CONSTANT] = RW_SCHEDULE_CONSTANT,
                                                  [RWKV_SCHEDULE_WSD] = RW_SCHEDULE_WSD};
    t->schedule = (struct rw_schedule){
        .kind = kinds[o->schedule],
        .peak = o->learning_rate,
        .last = o->learning_rate_final,
        .steps = t->plan.steps,
        .warmup = o->warmup,
        .decay = o->decay_steps ? o->decay_steps : RW_MAX(t->plan.steps / 10, (uint64_t)1),
    };
    if (!o->decay_steps && o->warmup < t->plan.steps)
        t->schedule.decay = RW_MIN(t->schedule.decay, t->plan.steps - o->warmup);
    RW_TRY(rw_schedule_check(&t->schedule, err));
    return check_memory(t, err);
}

static void note_data(struct rwkv_trainer *t)
{
    if (t->plan.data_share >= 0.9)
        return;
    rw_str_printf(&t->notes,
                  "%s: the official order takes in only %.0f %% of so few data; the shuffled order "
                  "takes in all",
                  t->options.data, 100 * t->plan.data_share);
    rw_str_addc(&t->notes, 0);
}

static rwkv_status prepare(struct rwkv_trainer *t, rwkv_error *err)
{
    RW_TRY(open_backend(t, err));
    RW_TRY(open_vocab(t, err));
    RW_TRY(open_weights(t, err));
    RW_TRY(check_model(t, err));
    RW_TRY(open_data(t, err));
    RW_TRY(find_state(t, err));
    RW_TRY(plan(t, err));
    note_data(t);
    return RWKV_OK;
}

rwkv_status rw_trainer_open(struct rwkv_trainer **out, const rwkv_train_options *options,
                            const struct rw_trainer_hooks *hooks, rwkv_error *err)
{
    rwkv_status status;
    struct rwkv_trainer *t = rw_calloc(1, sizeof *t);
    if (!t)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a run");
    t->hooks = *hooks;
    RW_GO(copy_options(t, options, err));
    RW_GO(check_options(&t->options, err));
    RW_GO(rw_comm_open(&t->comm, err));
    RW_GO(rw_comm_agree(t->comm, prepare(t, err), err));
    RW_GO(rw_trainer_check_group(t, err));
    *out = t;
    t = NULL;
done:
    rw_trainer_close(t);
    return status;
}

/* --- memory ----------------------------------------------------------------------------------- */

static rwkv_status take_array(struct rwkv_trainer *t, float **array, rwkv_error *err)
{
    *array = t->backend->ops->alloc(t->backend, t->parameters.floats);
    return *array ? RWKV_OK
                  : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu parameters",
                            t->parameters.floats);
}

static rwkv_status take_batch(struct rwkv_trainer *t, rwkv_error *err)
{
    size_t sequences = t->gradient_options.sequences;
    t->tokens = rw_alloc(sequences * (t->options.context + 1), sizeof *t->tokens);
    t->targets = rw_alloc(sequences * t->options.context, sizeof *t->targets);
    t->sequences = rw_calloc(sequences, sizeof *t->sequences);
    return t->tokens && t->targets && t->sequences
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a batch of %zu", sequences);
}

static rwkv_status first_weights(struct rwkv_trainer *t, rwkv_error *err)
{
    float *values = t->step.values;
    if (t->checkpoint)
        return rw_checkpoint_weights(t->checkpoint, &t->parameters, values, err);
    return t->file
               ? rw_parameters_load(&t->parameters, &t->params, values, err)
               : rw_init_values(values, &t->parameters, t->options.seed, t->backend->threads, err);
}

/* The weights come before the rest is taken: what it takes to make or read them is given back by
 * then. */
static rwkv_status take_arrays(struct rwkv_trainer *t, rwkv_error *err)
{
    struct rw_step *s = &t->step;
    RW_TRY(take_array(t, &s->values, err));
    RW_TRY(first_weights(t, err));
    RW_TRY(take_array(t, &s->gradients, err));
    RW_TRY(rw_trainer_take_shares(t, err));
    if (t->checkpoint)
        rw_trainer_load_moments(t);
    return RWKV_OK;
}

static void close_sources(struct rwkv_trainer *t)
{
    rw_checkpoint_close(t->checkpoint);
    rw_params_close(&t->params);
    rw_file_close(t->file);
    t->checkpoint = NULL;
    t->file = NULL;
}

rwkv_status rw_trainer_start(struct rwkv_trainer *t, rwkv_error *err)
{
    const rwkv_train_options *o = &t->options;
    RW_TRY(take_arrays(t, err));
    close_sources(t);
    RW_TRY(take_batch(t, err));
    RW_TRY(
        rw_gradient_new(&t->step.gradient, &t->parameters, t->backend, &t->gradient_options, err));
    if (o->sample_every)
        RW_TRY(rw_sampling_new(&t->sampling, &t->parameters, t->backend, err));
    t->step.backend = t->backend;
    t->step.parameters = &t->parameters;
    t->step.optimizer =
        (struct rw_optimizer_options){o->beta1, o->beta2, o->eps, o->weight_decay, o->clip};
    return RWKV_OK;
}

void rw_trainer_close(struct rwkv_trainer *t)
{
    if (!t)
        return;
    float *arrays[] = {t->step.values, t->step.gradients};
    for (size_t i = 0; i < RW_COUNT(arrays); i++)
        if (arrays[i])
            t->backend->ops->release(t->backend, arrays[i]);
    rw_trainer_free_shares(t);
    rw_log_close(t->log, false, NULL);
    if (t->lock)
        close(t->lock - 1);
    rw_sampling_free(t->sampling);
    rw_gradient_free(t->step.gradient);
    rw_free(t->tokens);
    rw_free(t->targets);
    rw_free(t->sequences);
    close_sources(t);
    rw_parameters_fini(&t->parameters);
    rw_dataset_close(t->data);
    rw_dataset_close(t->validation);
    rw_vocab_release(t->vocab);
    if (t->backend)
        t->backend->ops->free(t->backend);
    for (size_t i = 0; i < RW_COUNT(strings); i++)
        rw_free((char *)(uintptr_t)*string_of(&t->options, i));
    rw_free(t->checkpoints);
    rw_str_fini(&t->notes);
    rw_comm_close(t->comm);
    rw_free(t);
}

void rw_trainer_plan(const struct rwkv_trainer *t, rwkv_train_plan *out)
{
    *out = t->plan;
}
