/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States as bytes. All little-endian:
 *
 *     0   8   magic 89 52 57 4B 56 53 54 0A ("\x89RWKVST\n")
 *     8   4   version 1
 *     12  4   flags: bit 0: logits and hidden follow the state
 *     16  32  fingerprint of the model (SHA-256)
 *     48  8   L         56  8  C        64  8  N        72  8  V
 *     80  8   position
 *     88  …   f32: per layer att_shift [C], ffn_shift [C], S [H, N, N] (value, key)
 *             f32, with flag 0: logits [V], hidden [C]
 *     end 4   CRC-32 of everything before
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/engine.h"

static const uint8_t magic[8] = {0x89, 'R', 'W', 'K', 'V', 'S', 'T', '\n'};

#define VERSION 1
#define HEADER_BYTES 88
#define FLAG_LOGITS 1u

static size_t payload_floats(const struct rwkv_model *m, bool logits)
{
    return m->rwkv7.layout.total + (logits ? m->info.n_vocab + m->info.n_embd : 0);
}

size_t rw_state_size(const struct rwkv_session *s)
{
    return HEADER_BYTES + payload_floats(s->model, s->has_logits) * sizeof(float) + 4;
}

static uint8_t *put_floats(uint8_t *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++, to += 4) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        rw_store_u32(to, bits);
    }
    return to;
}

static const uint8_t *get_floats(float *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++, from += 4) {
        uint32_t bits = rw_load_u32(from);
        memcpy(&to[i], &bits, sizeof bits);
    }
    return from;
}

#define PART 4096 /* floats of a state that go through our hands together */

static uint8_t *put_state(uint8_t *to, const struct rwkv_session *s)
{
    float part[PART];
    size_t total = s->model->rwkv7.layout.total;
    for (size_t at = 0; at < total; at += PART) {
        size_t n = RW_MIN((size_t)PART, total - at);
        rw_session_get(s, at, n, part);
        to = put_floats(to, part, n);
    }
    return to;
}

static const uint8_t *get_state(struct rwkv_session *s, const uint8_t *from)
{
    float part[PART];
    size_t total = s->model->rwkv7.layout.total;
    for (size_t at = 0; at < total; at += PART) {
        size_t n = RW_MIN((size_t)PART, total - at);
        from = get_floats(part, from, n);
        rw_session_put(s, at, n, part);
    }
    return from;
}

void rw_state_fingerprint(const struct rwkv_model *m, uint8_t out[32])
{
    const char *digits = m->info.fingerprint;
    for (size_t i = 0; i < 64; i++) {
        unsigned digit = (unsigned)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
}

void rw_state_pack(const struct rwkv_session *s, void *to)
{
    const struct rwkv_model *m = s->model;
    uint8_t *p = to;
    memcpy(p, magic, sizeof magic);
    rw_store_u32(p + 8, VERSION);
    rw_store_u32(p + 12, s->has_logits ? FLAG_LOGITS : 0);
    rw_state_fingerprint(m, p + 16);
    rw_store_u64(p + 48, m->info.n_layer);
    rw_store_u64(p + 56, m->info.n_embd);
    rw_store_u64(p + 64, m->info.head_size);
    rw_store_u64(p + 72, m->info.n_vocab);
    rw_store_u64(p + 80, s->position);
    uint8_t *end = put_state(p + HEADER_BYTES, s);
    if (s->has_logits) {
        end = put_floats(end, s->logits, m->info.n_vocab);
        put_floats(end, s->hidden, m->info.n_embd);
    }
}

void rw_state_seal(void *state, size_t size)
{
    uint8_t *p = state;
    rw_store_u32(p + size - 4, rw_crc32(0, p, size - 4));
}

void rw_state_write(const struct rwkv_session *s, void *to)
{
    rw_state_pack(s, to);
    rw_state_seal(to, rw_state_size(s));
}

/* A field that must equal the model's. */
static rwkv_status check_size(const char *name, const char *what, uint64_t wanted, uint64_t found,
                              rwkv_error *err)
{
    if (wanted == found)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_STATE,
                   "%s: a state of another model: wanted %s %llu, found %llu", name, what,
                   (unsigned long long)wanted, (unsigned long long)found);
}

static rwkv_status check_header(const struct rwkv_model *m, const uint8_t *p, size_t size,
                                const char *name, rwkv_error *err)
{
    uint8_t fingerprint[32];
    if (size < HEADER_BYTES + 4 || memcmp(p, magic, sizeof magic) != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: not a saved state (%zu bytes%s)", name, size,
                       size < HEADER_BYTES + 4 ? ", too few for a header" : "");
    if (rw_load_u32(p + 8) != VERSION)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted state version %d, found %u", name,
                       VERSION, (unsigned)rw_load_u32(p + 8));
    if (rw_load_u32(p + 12) & ~FLAG_LOGITS)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: unknown flags %#x", name,
                       (unsigned)rw_load_u32(p + 12));
    RW_TRY(check_size(name, "layers", m->info.n_layer, rw_load_u64(p + 48), err));
    RW_TRY(check_size(name, "a width of", m->info.n_embd, rw_load_u64(p + 56), err));
    RW_TRY(check_size(name, "a head size of", m->info.head_size, rw_load_u64(p + 64), err));
    RW_TRY(check_size(name, "a vocabulary of", m->info.n_vocab, rw_load_u64(p + 72), err));
    rw_state_fingerprint(m, fingerprint);
    if (memcmp(p + 16, fingerprint, sizeof fingerprint) != 0)
        return rw_fail(err, RWKV_ERROR_STATE,
                       "%s: a state of another model: wanted fingerprint %.16s…, found "
                       "%02x%02x%02x%02x%02x%02x%02x%02x…",
                       name, m->info.fingerprint, p[16], p[17], p[18], p[19], p[20], p[21], p[22],
                       p[23]);
    return RWKV_OK;
}

/* All but the checksum. */
static rwkv_status check_state(const struct rwkv_model *m, const uint8_t *p, size_t size,
                               const char *name, rwkv_error *err)
{
    RW_TRY(check_header(m, p, size, name, err));
    bool logits = rw_load_u32(p + 12) & FLAG_LOGITS;
    size_t wanted = HEADER_BYTES + payload_floats(m, logits) * sizeof(float) + 4;
    if (size != wanted)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted %zu bytes, found %zu", name, wanted,
                       size);
    return RWKV_OK;
}

static void take_state(struct rwkv_session *s, const uint8_t *p)
{
    const struct rwkv_model *m = s->model;
    s->position = rw_load_u64(p + 80);
    s->has_logits = rw_load_u32(p + 12) & FLAG_LOGITS;
    p = get_state(s, p + HEADER_BYTES);
    if (s->has_logits) {
        p = get_floats(s->logits, p, m->info.n_vocab);
        get_floats(s->hidden, p, m->info.n_embd);
    }
}

rwkv_status rw_state_unpack(struct rwkv_session *s, const void *from, size_t size, const char *name,
                            rwkv_error *err)
{
    RW_TRY(check_state(s->model, from, size, name, err));
    take_state(s, from);
    return RWKV_OK;
}

rwkv_status rw_state_read(struct rwkv_session *s, const void *from, size_t size, const char *name,
                          rwkv_error *err)
{
    const uint8_t *p = from;
    RW_TRY(check_state(s->model, p, size, name, err));
    if (rw_crc32(0, p, size - 4) != rw_load_u32(p + size - 4))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: damaged: the checksum is wrong", name);
    take_state(s, p);
    return RWKV_OK;
}

rwkv_status rw_state_save(const struct rwkv_session *s, const char *path, rwkv_error *err)
{
    size_t size = rw_state_size(s);
    struct rw_output *output;
    void *bytes = rw_alloc(size, 1);
    if (!bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a state of %zu bytes", path,
                       size);
    rw_state_write(s, bytes);
    rwkv_status status = rw_output_open(&output, path, err);
    if (status == RWKV_OK) {
        status = rw_output_write(output, bytes, size, err);
        if (status == RWKV_OK)
            status = rw_output_commit(output, err);
        else
            rw_output_discard(output);
    }
    rw_free(bytes);
    return status;
}

/* --- tuned states ----------------------------------------------------------------------------- */

static void tuned_name(char out[64], size_t layer)
{
    snprintf(out, 64, "blocks.%zu.att.time_state", layer);
}

/* The matrices of a tuned state [H, N, N] (value, key), after a check of every layer. */
static rwkv_status load_tuned(struct rwkv_session *s, const struct rw_file *file, rwkv_error *err)
{
    const rwkv_model_info *info = &s->model->info;
    const struct rw_state_layout *layout = &s->model->rwkv7.layout;
    char name[64];
    if (file->n_tensors != info->n_layer)
        return rw_fail(err, RWKV_ERROR_STATE,
                       "%s: wanted the tuned states of %zu layers, found %zu "
                       "tensors",
                       file->path, info->n_layer, file->n_tensors);
    for (size_t l = 0; l < info->n_layer; l++) {
        tuned_name(name, l);
        const struct rw_tensor *t = rw_file_find(file, name);
        if (!t)
            return rw_fail(err, RWKV_ERROR_STATE, "%s: wanted tensor %s, found none", file->path,
                           name);
        if (t->n_dims != 3 || t->shape[0] != info->n_head || t->shape[1] != info->head_size ||
            t->shape[2] != info->head_size || !rw_dtype_is_float(t->dtype))
            return rw_fail(err, RWKV_ERROR_STATE,
                           "%s: tensor %s: wanted floats of shape [%zu, %zu, "
                           "%zu], found another shape or type",
                           file->path, name, info->n_head, info->head_size, info->head_size);
    }
    size_t n = info->n_embd * info->head_size;
    float *matrices = rw_alloc(n, sizeof *matrices);
    if (!matrices)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a layer's state", file->path);
    rw_session_reset(s);
    for (size_t l = 0; l < info->n_layer; l++) {
        tuned_name(name, l);
        rw_tensor_copy_f32(rw_file_find(file, name), 0, n, matrices);
        rw_session_put(s, l * layout->layer + layout->wkv, n, matrices);
    }
    rw_free(matrices);
    return RWKV_OK;
}

/* Whether a file begins with our magic. */
static rwkv_status is_ours(const char *path, bool *ours, rwkv_error *err)
{
    struct rw_map map;
    RW_TRY(rw_map_open(&map, path, err));
    *ours = map.size >= sizeof magic && memcmp(map.data, magic, sizeof magic) == 0;
    rw_map_close(&map);
    return RWKV_OK;
}

rwkv_status rw_state_load(struct rwkv_session *s, const char *path, rwkv_error *err)
{
    bool ours;
    struct rw_file *file;
    RW_TRY(is_ours(path, &ours, err));
    if (ours) {
        /* Read, not mapped: a file that shrinks meanwhile is an error, not a signal. */
        size_t size, most = HEADER_BYTES + payload_floats(s->model, true) * sizeof(float) + 4;
        char *bytes;
        rwkv_status status = rw_read_file(path, most, &bytes, &size, err);
        if (status == RWKV_ERROR_FORMAT)
            return rw_fail(err, RWKV_ERROR_STATE,
                           "%s: a state of another model, or damaged: wanted at most %zu bytes, "
                           "found more",
                           path, most);
        RW_TRY(status);
        status = rw_state_read(s, bytes, size, path, err);
        rw_free(bytes);
        return status;
    }
    rwkv_status status = rw_file_open(&file, path, err);
    if (status == RWKV_ERROR_UNSUPPORTED || status == RWKV_ERROR_FORMAT)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: not a saved state, nor a tuned one", path);
    RW_TRY(status);
    status = load_tuned(s, file, err);
    rw_file_close(file);
    return status;
}

rwkv_status rw_state_save_tuned(const struct rwkv_session *s, const char *path, rwkv_error *err)
{
    const rwkv_model_info *info = &s->model->info;
    const struct rw_state_layout *layout = &s->model->rwkv7.layout;
    size_t shape[3] = {info->n_head, info->head_size, info->head_size};
    size_t n = info->n_layer;
    rwkv_status status = RWKV_OK;
    struct rw_writer *writer = NULL;
    struct rw_named_tensor *tensors = rw_calloc(n, sizeof *tensors);
    char(*names)[64] = rw_calloc(n, sizeof *names);
    float *matrices = rw_alloc(info->n_embd * info->head_size, sizeof *matrices);
    if (rw_has_suffix(path, ".gguf"))
        RW_GO(rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: a GGUF cannot hold a tuned state", path));
    if (!tensors || !names || !matrices)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu names", path, n));
    for (size_t l = 0; l < n; l++) {
        tuned_name(names[l], l);
        tensors[l].name = names[l];
        rw_tensor_init(&tensors[l].tensor, RWKV_DTYPE_F32, 3, shape, NULL);
    }
    struct rw_write_plan plan = {.tensors = tensors, .n_tensors = n};
    RW_GO(rw_writer_open(&writer, path, &plan, err));
    for (size_t l = 0; l < n; l++) {
        rw_session_get(s, l * layout->layer + layout->wkv, info->n_embd * info->head_size,
                       matrices);
        RW_GO(rw_writer_data(writer, matrices, rw_tensor_bytes(&tensors[l].tensor), err));
    }
    status = rw_writer_commit(writer, err);
    writer = NULL;
done:
    rw_writer_discard(writer);
    rw_free(tensors);
    rw_free(names);
    rw_free(matrices);
    return status;
}
