/* SPDX-License-Identifier: Apache-2.0 */
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"

#define STATE RW_TRAINING_PREFIX "state"
#define MOMENT_M RW_TRAINING_PREFIX "m"
#define MOMENT_V RW_TRAINING_PREFIX "v"
#define VERSION 1
#define FIRST_LINE "rwkv checkpoint %d %08" PRIx32 "\n"
#define FIRST_LINE_SIZE 27
#define STATE_ALIGN 64 /* bytes: what follows it in the file stays aligned */
#define NAME "step-%010" PRIu64 ".safetensors"
#define MAX_STATE (1u << 20)    /* bytes: more is no state */
#define PIECE ((size_t)1 << 18) /* elements, to compute checksums of */

/* --- the state as text ------------------------------------------------------------------------ */

struct checksums {
    uint64_t weights, m, v;
};

struct record {
    struct rw_training_state state;
    struct checksums sums;
    uint64_t layout; /* of the moments */
};

static const struct {
    const char *name;
    size_t offset;
} numbers[] =
    {
        {"step", offsetof(struct record, state.step)},
        {"updates", offsetof(struct record, state.updates)},
        {"tokens", offsetof(struct record, state.tokens)},
        {"milliseconds", offsetof(struct record, state.milliseconds)},
        {"context", offsetof(struct record, state.context)},
        {"batch", offsetof(struct record, state.batch)},
        {"windows", offsetof(struct record, state.windows)},
        {"order", offsetof(struct record, state.order)},
        {"seed", offsetof(struct record, state.seed)},
        {"layout", offsetof(struct record, layout)},
        {"crc32_weights", offsetof(struct record, sums.weights)},
        {"crc32_m", offsetof(struct record, sums.m)},
        {"crc32_v", offsetof(struct record, sums.v)},
},
  fingerprints[] = {
      {"data", offsetof(struct record, state.data)},
      {"vocabulary", offsetof(struct record, state.vocab)},
};

static void *field(struct record *record, size_t offset)
{
    return (uint8_t *)record + offset;
}

static rwkv_status render(struct rw_str *out, struct record *record, const char *settings,
                          rwkv_error *err)
{
    struct rw_str body = {0};
    for (size_t i = 0; i < RW_COUNT(numbers); i++)
        rw_str_printf(&body, "%s %" PRIu64 "\n", numbers[i].name,
                      *(uint64_t *)field(record, numbers[i].offset));
    for (size_t i = 0; i < RW_COUNT(fingerprints); i++)
        rw_str_printf(&body, "%s %s\n", fingerprints[i].name,
                      (const char *)field(record, fingerprints[i].offset));
    rw_str_printf(&body, "\n%s", settings);
    while (!body.failed && (body.size + FIRST_LINE_SIZE) % STATE_ALIGN)
        rw_str_addc(&body, '\n');
    if (!body.failed) {
        rw_str_printf(out, FIRST_LINE, VERSION, rw_crc32(0, body.data, body.size));
        rw_str_add(out, body.data, body.size);
    }
    bool failed = body.failed || out->failed;
    rw_str_fini(&body);
    if (!failed && out->size > MAX_STATE)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "settings and state of a run: wanted at most %u bytes, found %zu", MAX_STATE,
                       out->size);
    return failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a checkpoint's state") : RWKV_OK;
}

/* The value of the line "name value", up to its end; NULL: there is none. */
static const char *find_line(const char *text, const char *name, size_t *size)
{
    size_t n = strlen(name);
    for (const char *line = text; *line && *line != '\n';) {
        size_t length = strcspn(line, "\n");
        if (length > n && memcmp(line, name, n) == 0 && line[n] == ' ') {
            *size = length - n - 1;
            return line + n + 1;
        }
        line += length + (line[length] == '\n');
    }
    return NULL;
}

static rwkv_status parse_lines(const char *path, const char *text, struct record *record,
                               rwkv_error *err)
{
    size_t size;
    for (size_t i = 0; i < RW_COUNT(numbers); i++) {
        const char *value = find_line(text, numbers[i].name, &size);
        char *end = NULL;
        errno = 0;
        uint64_t number = value ? strtoull(value, &end, 10) : 0;
        if (!value || size == 0 || end != value + size || errno)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: wanted a number '%s'", path,
                           STATE, numbers[i].name);
        *(uint64_t *)field(record, numbers[i].offset) = number;
    }
    for (size_t i = 0; i < RW_COUNT(fingerprints); i++) {
        const char *value = find_line(text, fingerprints[i].name, &size);
        if (!value || (size != 0 && size != 64))
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: wanted a fingerprint '%s'", path,
                           STATE, fingerprints[i].name);
        memcpy(field(record, fingerprints[i].offset), value, size);
    }
    return RWKV_OK;
}

/* `text` is terminated. */
static rwkv_status parse(const char *path, const char *text, size_t size, struct record *record,
                         rwkv_error *err)
{
    int version;
    uint32_t crc;
    if (size < FIRST_LINE_SIZE || sscanf(text, FIRST_LINE, &version, &crc) != 2)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor %s: wanted a checkpoint's state, found something else", path,
                       STATE);
    if (version != VERSION)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: wanted a checkpoint of version %d, found version %d", path, VERSION,
                       version);
    if (rw_crc32(0, text + FIRST_LINE_SIZE, size - FIRST_LINE_SIZE) != crc)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: the checksum is wrong", path, STATE);
    return parse_lines(path, text + FIRST_LINE_SIZE, record, err);
}

/* --- checksums -------------------------------------------------------------------------------- */

static uint32_t crc_tensor(uint32_t crc, const struct rw_tensor *t, float *piece)
{
    size_t n = rw_tensor_elements(t);
    for (size_t at = 0; at < n; at += PIECE) {
        size_t count = RW_MIN(PIECE, n - at);
        rw_tensor_copy(t, at, count, piece);
        crc = rw_crc32(crc, piece, count * sizeof *piece);
    }
    return crc;
}

static struct rw_tensor flat(const float *array, size_t floats)
{
    struct rw_tensor t;
    rw_tensor_init(&t, RWKV_DTYPE_F32, 1, &floats, array);
    return t;
}

static float *new_piece(rwkv_error *err)
{
    float *piece = rw_alloc(PIECE, sizeof *piece);
    if (!piece)
        rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a checkpoint's checksums");
    return piece;
}

/* What tells one order of tensors in an array from another. */
static uint64_t layout_of(const struct rw_parameters *p)
{
    struct rw_str s = {0};
    for (size_t i = 0; i < p->n; i++)
        rw_str_printf(&s, "%s %zu %zu\n", p->list[i].name, p->list[i].offset, p->list[i].count);
    uint64_t hash = rw_hash(s.data, s.size);
    rw_str_fini(&s);
    return hash;
}

static void sum_arrays(const struct rw_parameters *p, const struct rw_checkpoint_arrays *arrays,
                       float *piece, struct checksums *sums)
{
    struct rw_tensor m = flat(arrays->m, p->floats), v = flat(arrays->v, p->floats);
    uint32_t crc = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct rw_tensor view = rw_parameters_view(p, &p->list[i], arrays->values);
        crc = crc_tensor(crc, &view, piece);
    }
    *sums = (struct checksums){crc, crc_tensor(0, &m, piece), crc_tensor(0, &v, piece)};
}

/* --- writing ---------------------------------------------------------------------------------- */

rwkv_status rw_checkpoint_write(const char *path, const struct rw_parameters *p,
                                const struct rw_checkpoint_arrays *arrays,
                                const struct rw_training_state *state, const char *settings,
                                rwkv_error *err)
{
    struct record record = {.state = *state, .layout = layout_of(p)};
    struct rw_str text = {0};
    rwkv_status status;
    float *piece = new_piece(err);
    if (!piece)
        return RWKV_ERROR_MEMORY;
    sum_arrays(p, arrays, piece, &record.sums);
    RW_GO(render(&text, &record, settings, err));
    struct rw_named_tensor extra[] = {
        {STATE, {0}},
        {MOMENT_M, flat(arrays->m, p->floats)},
        {MOMENT_V, flat(arrays->v, p->floats)},
    };
    rw_tensor_init(&extra[0].tensor, RWKV_DTYPE_U8, 1, &text.size, text.data);
    status = rw_parameters_save_with(p, arrays->values, path, RWKV_DTYPE_F32, extra,
                                     RW_COUNT(extra), err);
done:
    rw_str_fini(&text);
    rw_free(piece);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------- */

static rwkv_status read_state(const struct rw_checkpoint *c, struct record *record, rwkv_error *err)
{
    const struct rw_tensor *t = rw_file_find(c->file, STATE);
    if (!t || t->dtype != RWKV_DTYPE_U8)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: wanted a checkpoint, found a file without a tensor %s", c->path, STATE);
    if (rw_tensor_elements(t) > MAX_STATE)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: wanted at most %u bytes, found %zu",
                       c->path, STATE, MAX_STATE, rw_tensor_elements(t));
    size_t size = rw_tensor_elements(t);
    char *text = rw_alloc(size + 1, 1);
    if (!text)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", c->path);
    rw_tensor_copy(t, 0, size, text);
    text[size] = 0;
    rwkv_status status = parse(c->path, text, size, record, err);
    rw_free(text);
    return status;
}

static rwkv_status find_moment(const struct rw_checkpoint *c, const char *name, size_t floats,
                               const struct rw_tensor **out, rwkv_error *err)
{
    const struct rw_tensor *t = rw_file_find(c->file, name);
    if (!t || t->dtype != RWKV_DTYPE_F32 || rw_tensor_elements(t) != floats)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: wanted %zu numbers of type F32",
                       c->path, name, floats);
    *out = t;
    return RWKV_OK;
}

static rwkv_status check_sum(const struct rw_checkpoint *c, const char *what, uint64_t wanted,
                             uint32_t found, rwkv_error *err)
{
    return wanted == found
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: the checksum is wrong", c->path, what);
}

static rwkv_status check_sums(const struct rw_checkpoint *c, const struct rw_parameters *p,
                              const struct checksums *sums, rwkv_error *err)
{
    uint32_t crc = 0;
    float *piece = new_piece(err);
    if (!piece)
        return RWKV_ERROR_MEMORY;
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < p->n; i++) {
        const struct rw_tensor *t = rw_file_find(c->file, p->list[i].name);
        if (!t || t->dtype != RWKV_DTYPE_F32)
            RW_GO(rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor %s: wanted type F32", c->path,
                          p->list[i].name));
        crc = crc_tensor(crc, t, piece);
    }
    RW_GO(check_sum(c, "the weights", sums->weights, crc, err));
    RW_GO(check_sum(c, "tensor " MOMENT_M, sums->m, crc_tensor(0, c->m, piece), err));
    RW_GO(check_sum(c, "tensor " MOMENT_V, sums->v, crc_tensor(0, c->v, piece), err));
done:
    rw_free(piece);
    return status;
}

/* Pages of the file that were read count as memory of this process until they are let go. */
static void forget(const struct rw_checkpoint *c)
{
    for (size_t i = 0; i < c->file->n_maps; i++)
        rw_map_forget(&c->file->maps[i], c->file->maps[i].data, c->file->maps[i].size);
}

static rwkv_status check_all(struct rw_checkpoint *c, rwkv_error *err)
{
    struct record record = {0};
    struct rw_parameters p = {0};
    rwkv_status status;
    RW_GO(read_state(c, &record, err));
    RW_GO(rw_params_open(&c->params, c->file, err));
    RW_GO(rw_parameters_init(&p, &c->params, err));
    if (record.layout != layout_of(&p))
        RW_GO(rw_fail(err, RWKV_ERROR_FORMAT,
                      "%s: the moments are not laid out as those of its weights", c->path));
    RW_GO(find_moment(c, MOMENT_M, p.floats, &c->m, err));
    RW_GO(find_moment(c, MOMENT_V, p.floats, &c->v, err));
    RW_GO(check_sums(c, &p, &record.sums, err));
    c->state = record.state;
    forget(c);
done:
    rw_parameters_fini(&p);
    return status;
}

rwkv_status rw_checkpoint_open(struct rw_checkpoint **out, const char *path, rwkv_error *err)
{
    rwkv_status status;
    struct rw_checkpoint *c = rw_calloc(1, sizeof *c);
    if (!c || !(c->path = rw_strdup(path)))
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path));
    RW_GO(rw_file_open(&c->file, path, err));
    RW_GO(check_all(c, err));
    *out = c;
    c = NULL;
done:
    rw_checkpoint_close(c);
    return status;
}

void rw_checkpoint_moment(const struct rw_checkpoint *c, const struct rw_tensor *moment, float *to)
{
    size_t n = rw_tensor_elements(moment);
    for (size_t at = 0; at < n; at += PIECE) {
        rw_tensor_copy(moment, at, RW_MIN(PIECE, n - at), to + at);
        forget(c);
    }
}

rwkv_status rw_checkpoint_weights(const struct rw_checkpoint *c, const struct rw_parameters *p,
                                  float *to, rwkv_error *err)
{
    rwkv_status status = rw_parameters_load(p, &c->params, to, err);
    forget(c);
    return status;
}

void rw_checkpoint_close(struct rw_checkpoint *c)
{
    if (!c)
        return;
    rw_params_close(&c->params);
    rw_file_close(c->file);
    rw_free(c->path);
    rw_free(c);
}

/* --- the newest ones of a run ----------------------------------------------------------------- */

struct names {
    uint64_t *steps; /* newest first */
    size_t count, capacity;
};

static char *path_of(const char *folder, uint64_t step, rwkv_error *err)
{
    struct rw_str s = {0};
    rw_str_printf(&s, "%s/" NAME, folder, step);
    char *path = rw_str_take(&s);
    if (!path)
        rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a path", folder);
    return path;
}

/* The step in the name of a checkpoint; false for any other name, such as that of a copy. */
static bool parse_name(const char *name, uint64_t *step)
{
    char same[64];
    if (sscanf(name, "step-%" SCNu64, step) != 1)
        return false;
    snprintf(same, sizeof same, NAME, *step);
    return strcmp(name, same) == 0;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

static rwkv_status list(const char *folder, struct names *names, rwkv_error *err)
{
    DIR *d = opendir(folder);
    if (!d && errno == ENOENT)
        return RWKV_OK;
    if (!d)
        return rw_fail(err, RWKV_ERROR_IO, "%s: %s", folder, strerror(errno));
    rwkv_status status = RWKV_OK;
    for (struct dirent *e; status == RWKV_OK && (e = readdir(d));) {
        uint64_t step;
        if (!parse_name(e->d_name, &step))
            continue;
        if (!rw_grow((void **)&names->steps, names->count, &names->capacity, sizeof(uint64_t)))
            status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", folder);
        else
            names->steps[names->count++] = step;
    }
    closedir(d);
    if (names->count)
        qsort(names->steps, names->count, sizeof(uint64_t), newest_first);
    return status;
}

/* A name that base/output.c gives a file until it takes its own: rwkv-PID-N.tmp. */
static bool is_temporary(const char *name)
{
    static const char digits[] = "0123456789";
    if (strncmp(name, "rwkv-", 5) != 0)
        return false;
    size_t pid = strspn(name += 5, digits);
    if (pid == 0 || name[pid] != '-')
        return false;
    size_t number = strspn(name += pid + 1, digits);
    return number > 0 && strcmp(name + number, ".tmp") == 0;
}

void rw_checkpoint_sweep(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_temporary(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

/* Of the checkpoints up to `step` keep the newest. Later ones, which a resumed run has passed over
 * as broken, are not counted and left alone. */
static rwkv_status remove_old(const char *folder, uint64_t step, size_t keep, rwkv_error *err)
{
    struct names names = {0};
    rwkv_status status = list(folder, &names, err);
    size_t first = 0;
    while (first < names.count && names.steps[first] > step)
        first++;
    for (size_t i = first + keep; keep > 0 && i < names.count; i++) {
        char *path = path_of(folder, names.steps[i], err);
        if (!path)
            status = RWKV_ERROR_MEMORY;
        else if (unlink(path) != 0 && errno != ENOENT)
            status = rw_fail(err, RWKV_ERROR_IO, "%s: cannot remove: %s", path, strerror(errno));
        rw_free(path);
    }
    rw_free(names.steps);
    return status;
}

rwkv_status rw_checkpoint_save(const char *folder, size_t keep, const struct rw_parameters *p,
                               const struct rw_checkpoint_arrays *arrays,
                               const struct rw_training_state *state, const char *settings,
                               rw_checkpoint_note note, void *user, rwkv_error *err)
{
    rwkv_error why = {0};
    RW_TRY(rw_folder_make(folder, err));
    char *path = path_of(folder, state->step, err);
    if (!path)
        return RWKV_ERROR_MEMORY;
    rwkv_status status = rw_checkpoint_write(path, p, arrays, state, settings, err);
    rw_free(path);
    if (status == RWKV_OK && remove_old(folder, state->step, keep, &why) != RWKV_OK)
        note(user, why.message);
    return status;
}

rwkv_status rw_checkpoint_latest(struct rw_checkpoint **out, const char *folder,
                                 rw_checkpoint_note note, void *user, rwkv_error *err)
{
    struct names names = {0};
    rwkv_error why = {0};
    *out = NULL;
    rwkv_status status = list(folder, &names, err);
    for (size_t i = 0; status == RWKV_OK && !*out && i < names.count; i++) {
        char *path = path_of(folder, names.steps[i], err);
        rwkv_status opened = path ? rw_checkpoint_open(out, path, &why) : RWKV_ERROR_MEMORY;
        rw_free(path);
        if (opened == RWKV_ERROR_MEMORY)
            status = rw_fail(err, opened, "%s: no memory to read a checkpoint", folder);
        else if (opened != RWKV_OK)
            note(user, why.message);
    }
    if (status == RWKV_OK && !*out && names.count)
        status = rw_fail(err, RWKV_ERROR_FORMAT, "%s: no checkpoint is whole; the oldest: %s",
                         folder, why.message);
    rw_free(names.steps);
    return status;
}
