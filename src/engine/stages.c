/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stages.h"

#include <stdio.h>

#include "backend/plugin.h"
#include "base/alloc.h"
#include "base/status.h"
#include "engine/engine.h"

/* --- opening ---------------------------------------------------------------------------------- */

/* The device of a step, opened if it is its first. */
static rwkv_status open_device(struct rwkv_model *m, const struct rw_step *step,
                               struct rw_backend **out, rwkv_error *err)
{
    struct rw_stages *s = &m->stages;
    *out = m->host;
    if (step->device == RW_DEVICE_CPU)
        return RWKV_OK;
    for (size_t i = 0; i < s->n_devices; i++)
        if (s->devices[i].index == step->index) {
            *out = s->devices[i].backend;
            return RWKV_OK;
        }
    RW_TRY(rw_backend_cuda_new(out, (size_t)step->index, err));
    s->devices[s->n_devices++] = (struct rw_stage_device){step->index, *out};
    return RWKV_OK;
}

/* Neighbouring layers on one device are one stage. */
static rwkv_status make_stages(struct rwkv_model *m, rwkv_error *err)
{
    struct rw_stages *s = &m->stages;
    size_t n_layer = m->info.n_layer;
    for (size_t l = 0; l <= n_layer; l++) {
        struct rw_backend *be;
        RW_TRY(open_device(m, &s->strategy.steps[s->places[l].step], &be, err));
        if (s->n == 0 || s->stages[s->n - 1].backend != be)
            s->stages[s->n++] = (struct rw_stage){.backend = be, .first = l, .end = l};
        struct rw_stage *stage = &s->stages[s->n - 1];
        stage->end = l < n_layer ? l + 1 : stage->end;
        stage->head = l == n_layer;
    }
    return RWKV_OK;
}

/* Say in the model's info which layers go to which step. What there is no room for is left out. */
static void describe(struct rwkv_model *m)
{
    const struct rw_stages *s = &m->stages;
    char *to = m->info.placement;
    size_t n_layer = m->info.n_layer, room = sizeof m->info.placement, used = 0;
    for (size_t l = 0, next; l <= n_layer && used < room; l = next) {
        char name[32];
        bool first = l == 0;
        for (next = l; next <= n_layer && s->places[next].step == s->places[l].step;)
            next++;
        size_t blocks = RW_MIN(next, n_layer) - l;
        rw_step_name(&s->strategy.steps[s->places[l].step], name);
        used += (size_t)snprintf(to + used, room - used, "%s%s:", first ? "" : "; ", name);
        if (blocks && used < room)
            used += (size_t)snprintf(to + used, room - used, " %zu block%s", blocks,
                                     blocks == 1 ? "" : "s");
        if (next > n_layer && used < room)
            used += (size_t)snprintf(to + used, room - used, "%s the head", blocks ? " and" : "");
    }
}

rwkv_status rw_stages_open(struct rwkv_model *m, const rwkv_model_options *options, rwkv_error *err)
{
    struct rw_stages *s = &m->stages;
    size_t n = m->info.n_layer + 1;
    RW_TRY(
        rw_strategy_parse(options->strategy ? options->strategy : "cpu fp32", &s->strategy, err));
    for (size_t i = 0; i < s->strategy.n; i++)
        if (s->strategy.steps[i].device == RW_DEVICE_CPU && s->strategy.steps[i].i8)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "strategy: step %zu: the CPU reads matrices as the file has them: for "
                           "8 bits convert the file to Q8_0",
                           i + 1);
    s->places = rw_alloc(n, sizeof *s->places);
    s->stages = rw_calloc(n, sizeof *s->stages);
    if (!s->places || !s->stages)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu layers", n);
    rw_strategy_place(&s->strategy, n, s->places);
    describe(m);
    return make_stages(m, err);
}

void rw_stages_close(struct rwkv_model *m)
{
    struct rw_stages *s = &m->stages;
    for (size_t i = 0; i < s->n; i++)
        rw_arena_fini(&s->stages[i].host);
    for (size_t i = 0; i < s->n_devices; i++)
        s->devices[i].backend->ops->free(s->devices[i].backend);
    rw_free(s->places);
    rw_free(s->stages);
    rw_free(s->carried);
    *s = (struct rw_stages){0};
}

/* --- memory ----------------------------------------------------------------------------------- */

static size_t max_cols(const rwkv_model_info *info)
{
    size_t cols = RW_MAX(info->n_embd, info->n_ffn);
    cols = RW_MAX(cols, RW_MAX(info->rank_w, info->rank_a));
    return RW_MAX(cols, RW_MAX(info->rank_v, info->rank_g));
}

/* Take a stage's activations, or measure them. */
static void reserve(struct rwkv_model *m, struct rw_stage *stage, struct rw_arena *memory,
                    struct rw_arena *host)
{
    bool one = stage->backend->ops->host_memory;
    rw_rwkv7_reserve(&m->rwkv7, one ? host : memory, host, m->info.chunk);
    stage->scratch = m->rwkv7.scratch;
}

uint64_t rw_stages_scratch(struct rwkv_model *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->stages.n; i++) {
        struct rw_stage *stage = &m->stages.stages[i];
        struct rw_arena memory = {0}, host = {0};
        reserve(m, stage, &memory, &host);
        bytes += host.used;
        if (stage->backend->ops->host_memory)
            bytes += stage->backend->ops->scratch_bytes(stage->backend, m->info.chunk,
                                                        max_cols(&m->info));
    }
    return bytes;
}

static rwkv_status take_scratch(struct rwkv_model *m, struct rw_stage *stage, rwkv_error *err)
{
    struct rw_arena memory = {0}, host = {0};
    const struct rw_backend_ops *ops = stage->backend->ops;
    reserve(m, stage, &memory, &host);
    if (!rw_arena_init(&stage->host, host.used))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu bytes of scratch",
                       m->file->path, host.used);
    if (!ops->host_memory) {
        stage->memory = ops->alloc(stage->backend, memory.used / sizeof(float));
        if (!stage->memory)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory on %s for %zu bytes of scratch",
                           m->file->path, ops->name, memory.used);
        memory = (struct rw_arena){.base = (uint8_t *)stage->memory, .size = memory.used};
    }
    reserve(m, stage, &memory, &stage->host);
    rwkv_status status = ops->prepare(stage->backend, m->info.chunk, max_cols(&m->info), err);
    return status ? rw_fail_within(err, status, "%s", m->file->path) : RWKV_OK;
}

static struct rw_placing placing_of(const struct rwkv_model *m, size_t l)
{
    const struct rw_place *place = &m->stages.places[l];
    const struct rw_step *step = &m->stages.strategy.steps[place->step];
    return (struct rw_placing){step->numbers, step->i8, place->streamed};
}

static size_t block_of(const struct rwkv_model *m, size_t l)
{
    return l < m->info.n_layer ? l : RW_NO_BLOCK;
}

/* What a device's layers take of its memory. */
struct share {
    uint64_t weights, scratch, state;
    size_t layers;
};

static void add_stage(struct rwkv_model *m, struct rw_stage *stage, struct share *share)
{
    struct rw_arena memory = {0}, host = {0};
    reserve(m, stage, &memory, &host);
    share->scratch += memory.used;
    share->state += (stage->end - stage->first) * (m->info.state_bytes / m->info.n_layer);
    share->layers += stage->end - stage->first + stage->head;
    for (size_t l = stage->first; l < stage->end + stage->head; l++) {
        struct rw_placing how = placing_of(m, l);
        share->weights += rw_weights_placed_bytes(&m->params, block_of(m, l), stage->backend, &how);
    }
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static rwkv_status check_device(struct rwkv_model *m, const struct rw_stage_device *device,
                                rwkv_error *err)
{
    const struct rw_backend_ops *ops = device->backend->ops;
    struct share share = {0};
    if (!ops->has_head_size(device->backend, m->info.head_size))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: cuda:%d: heads of %zu channels are computed on the CPU only",
                       m->file->path, device->index, m->info.head_size);
    for (size_t i = 0; i < m->stages.n; i++)
        if (m->stages.stages[i].backend == device->backend)
            add_stage(m, &m->stages.stages[i], &share);
    uint64_t wanted = share.weights + share.scratch + share.state;
    uint64_t available = ops->free_bytes(device->backend);
    if (wanted > available)
        return rw_fail(err, RWKV_ERROR_MEMORY,
                       "%s: not enough memory on cuda:%d: %zu of %zu layers %.2f MiB + scratch "
                       "%.2f MiB + one state %.2f MiB = %.2f MiB, free are %.2f MiB (%s)",
                       m->file->path, device->index, share.layers, m->info.n_layer + 1,
                       mib(share.weights), mib(share.scratch), mib(share.state), mib(wanted),
                       mib(available), m->info.placement);
    return RWKV_OK;
}

rwkv_status rw_stages_check(struct rwkv_model *m, rwkv_error *err)
{
    for (size_t i = 0; i < m->stages.n_devices; i++)
        RW_TRY(check_device(m, &m->stages.devices[i], err));
    return RWKV_OK;
}

static rwkv_status place_layer(struct rwkv_model *m, struct rw_backend *be, size_t l,
                               rwkv_error *err)
{
    const struct rw_placing how = placing_of(m, l);
    rwkv_status status =
        rw_weights_place(&m->rwkv7.weights, &m->params, block_of(m, l), be, &how, err);
    return status ? rw_fail_within(err, status, "%s", m->file->path) : RWKV_OK;
}

static rwkv_status load_stage(struct rwkv_model *m, struct rw_stage *stage, rwkv_error *err)
{
    if (stage->backend->ops->place) {
        for (size_t l = stage->first; l < stage->end; l++)
            RW_TRY(place_layer(m, stage->backend, l, err));
        if (stage->head)
            RW_TRY(place_layer(m, stage->backend, m->info.n_layer, err));
    }
    return take_scratch(m, stage, err);
}

rwkv_status rw_stages_load(struct rwkv_model *m, rwkv_error *err)
{
    struct rw_stages *s = &m->stages;
    for (size_t i = 0; i < s->n; i++)
        RW_TRY(load_stage(m, &s->stages[i], err));
    if (s->n > 1 && !(s->carried = rw_alloc(m->info.chunk * m->info.n_embd, sizeof *s->carried)))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory between two devices", m->file->path);
    return RWKV_OK;
}

struct rw_backend *rw_stages_backend(const struct rwkv_model *m, size_t block)
{
    const struct rw_stages *s = &m->stages;
    for (size_t i = 0; i + 1 < s->n; i++)
        if (block < s->stages[i].end)
            return s->stages[i].backend;
    return s->stages[s->n - 1].backend;
}

bool rw_stages_on_host(const struct rwkv_model *m)
{
    return m->stages.n == 1 && m->stages.stages[0].backend->ops->host_memory;
}

/* --- evaluation ------------------------------------------------------------------------------- */

/* Bring activations [n] from one stage's memory into another's. */
static void carry(struct rw_stages *s, size_t to, float *y, const float *x, size_t n)
{
    struct rw_backend *before = s->stages[to - 1].backend, *after = s->stages[to].backend;
    before->ops->download(before, s->carried, x, n);
    after->ops->upload(after, y, s->carried, n);
}

static void run_stage(struct rwkv_model *m, size_t i, const struct rw_sequence *sequences, size_t n)
{
    struct rw_stages *s = &m->stages;
    struct rw_stage *stage = &s->stages[i];
    m->rwkv7.backend = stage->backend;
    m->rwkv7.scratch = stage->scratch;
    m->rwkv7.first = stage->first;
    struct rw_batch batch = rw_rwkv7_pack(&m->rwkv7, sequences, n);
    if (i == 0) {
        rw_rwkv7_embed(&m->rwkv7, stage->scratch.ids, batch.tokens);
    } else {
        const struct rw_rwkv7_scratch *before = &s->stages[i - 1].scratch;
        size_t floats = batch.tokens * m->info.n_embd;
        carry(s, i, stage->scratch.x, before->x, floats);
        carry(s, i, stage->scratch.v_first, before->v_first, floats);
    }
    rw_rwkv7_blocks(&m->rwkv7, &batch, stage->first, stage->end);
    if (stage->head)
        rw_rwkv7_outputs(&m->rwkv7, sequences, n);
}

rwkv_status rw_stages_forward(struct rwkv_model *m, struct rw_sequence *sequences,
                              struct rwkv_session *const *sessions, size_t n, rwkv_error *err)
{
    for (size_t i = 0; i < m->stages.n; i++) {
        for (size_t k = 0; k < n; k++)
            sequences[k].state = sessions[k]->parts[i];
        run_stage(m, i, sequences, n);
    }
    for (size_t i = 0; i < m->stages.n_devices; i++) {
        struct rw_backend *be = m->stages.devices[i].backend;
        if (be->ops->check)
            RW_TRY(be->ops->check(be, err));
    }
    return RWKV_OK;
}
