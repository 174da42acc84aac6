/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies around safetensors in a folder: the index of a model in several files, whose
 * "weight_map" names the file of each tensor, and config.json, whose scalars become metadata
 * "config.KEY".
 *
 * Every file of the map is read whole, and every tensor of the map must be in its file. The files
 * lie beside the index: a name that leads elsewhere is refused.
 */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/safetensors_int.h"

#define MAX_SHARDS ((size_t)1024)
#define MAX_CONFIG ((size_t)1 << 20) /* bytes; larger ones are not taken for a configuration */

struct shard {
    const char *name; /* as in the map */
    struct rw_part part;
};

struct shards {
    struct shard *items;
    size_t n, capacity;
};

/* The path of a file beside the one opened, kept with the file. */
static rwkv_status sibling(struct rw_file *file, const char *name, const char **out,
                           rwkv_error *err)
{
    struct rw_str path = {0};
    rw_str_add(&path, file->path, (size_t)(rw_basename(file->path) - file->path));
    rw_str_adds(&path, name);
    char *taken = rw_str_take(&path);
    RW_TRY(rw_file_keep(file, taken, err));
    *out = taken;
    return RWKV_OK;
}

/* --- the index --- */

static struct shard *find_shard(const struct shards *shards, const char *name)
{
    for (size_t i = 0; i < shards->n; i++)
        if (strcmp(shards->items[i].name, name) == 0)
            return &shards->items[i];
    return NULL;
}

static bool is_plain_name(const char *name)
{
    return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Map and read one more file. Only the first one's metadata is kept: the others repeat it. */
static rwkv_status add_shard(struct rw_file *file, struct shards *shards, const char *name,
                             rwkv_error *err)
{
    if (!is_plain_name(name))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: weight_map: wanted the name of a file in the same folder, found \"%s\"",
                       file->path, name);
    if (shards->n == MAX_SHARDS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: weight_map: more than %zu files",
                       file->path, MAX_SHARDS);
    void *items = shards->items;
    if (!rw_grow(&items, shards->n, &shards->capacity, sizeof *shards->items))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the list of files", file->path);
    shards->items = items;
    struct shard shard = {0};
    size_t map;
    RW_TRY(sibling(file, name, &shard.part.path, err));
    shard.name = rw_basename(shard.part.path);
    RW_TRY(rw_file_add_map(file, shard.part.path, &map, err));
    RW_TRY(rw_safetensors_read_part(file, map, &shard.part, shards->n == 0, err));
    shards->items[shards->n++] = shard;
    return RWKV_OK;
}

/* The text of the map in the index. */
static rwkv_status find_weight_map(const struct rw_file *file, struct rw_json *weight_map,
                                   rwkv_error *err)
{
    struct rw_bytes text = {(const char *)file->maps[0].data, file->maps[0].size};
    struct rw_json walk = {.path = file->path, .place = "index", .text = text};
    json_auto_t *key = NULL;
    struct rw_bytes value;
    *weight_map = (struct rw_json){.path = file->path, .place = "weight_map"};
    for (;;) {
        RW_TRY(rw_json_next(&walk, &key, &value, err));
        if (!key)
            break;
        if (strcmp(json_string_value(key), "weight_map") != 0)
            continue;
        if (weight_map->text.data)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: weight_map: occurs twice", file->path);
        weight_map->text = value;
    }
    if (!weight_map->text.data)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: index: wanted a \"weight_map\", found none",
                       file->path);
    return RWKV_OK;
}

static rwkv_status read_shards(struct rw_file *file, struct rw_json walk, struct shards *shards,
                               rwkv_error *err)
{
    json_auto_t *key = NULL, *value = NULL;
    for (;;) {
        RW_TRY(rw_json_next_string(&walk, &key, &value, err));
        if (!key)
            return RWKV_OK;
        if (!find_shard(shards, json_string_value(value)))
            RW_TRY(add_shard(file, shards, json_string_value(value), err));
    }
}

static rwkv_status check_map(const struct rw_file *file, struct rw_json walk,
                             const struct shards *shards, rwkv_error *err)
{
    json_auto_t *key = NULL, *value = NULL;
    for (;;) {
        RW_TRY(rw_json_next_string(&walk, &key, &value, err));
        if (!key)
            return RWKV_OK;
        const struct shard *shard = find_shard(shards, json_string_value(value));
        size_t i = rw_file_find_index(file, json_string_value(key));
        if (i < shard->part.first || i >= shard->part.end)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: weight_map: wanted \"%s\" in %s, found it %s", file->path,
                           json_string_value(key), shard->name,
                           i == SIZE_MAX ? "nowhere" : "in another file");
    }
}

static rwkv_status read_with(struct rw_file *file, struct shards *shards, rwkv_error *err)
{
    struct rw_json weight_map;
    RW_TRY(find_weight_map(file, &weight_map, err));
    RW_TRY(read_shards(file, weight_map, shards, err));
    RW_TRY(rw_file_build_index(file, err));
    for (size_t i = 0; i < shards->n; i++)
        RW_TRY(rw_file_check_layout(file, &shards->items[i].part, true, err));
    return check_map(file, weight_map, shards, err);
}

rwkv_status rw_safetensors_read_index(struct rw_file *file, rwkv_error *err)
{
    struct shards shards = {0};
    rwkv_status status = read_with(file, &shards, err);
    rw_free(shards.items);
    return status;
}

/* --- config.json --- */

/* One member: a scalar becomes metadata, unless the file itself has metadata of that key. */
static rwkv_status add_scalar(struct rw_file *file, const struct rw_json *walk, const json_t *key,
                              struct rw_bytes text, rwkv_error *err)
{
    json_auto_t *value = NULL;
    if (text.size > 0 && (text.data[0] == '{' || text.data[0] == '['))
        return RWKV_OK;
    RW_TRY(rw_json_decode(walk, text, &value, err));
    struct rw_meta meta = {0};
    switch (json_typeof(value)) {
    case JSON_STRING:
        RW_TRY(rw_safetensors_keep_string(file, value, &meta, err));
        break;
    case JSON_INTEGER:
        meta = (struct rw_meta){.type = RW_META_I64, .value.i = json_integer_value(value)};
        break;
    case JSON_REAL:
        meta = (struct rw_meta){.type = RW_META_F64, .value.f = json_real_value(value)};
        break;
    case JSON_NULL:
        return RWKV_OK;
    default:
        meta = (struct rw_meta){.type = RW_META_BOOL, .value.u = json_is_true(value)};
    }
    struct rw_str name = {0};
    rw_str_printf(&name, "config.%s", json_string_value(key));
    rwkv_status status = RWKV_OK;
    if (name.failed)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for metadata", walk->path);
    else if (!rw_file_meta(file, name.data))
        status = rw_file_add_meta(file, name.data, name.size, meta, err);
    rw_str_fini(&name);
    return status;
}

static rwkv_status add_scalars(struct rw_file *file, const char *path, struct rw_bytes text,
                               rwkv_error *err)
{
    struct rw_json walk = {.path = path, .place = "configuration", .text = text};
    json_auto_t *key = NULL;
    struct rw_bytes value;
    for (;;) {
        RW_TRY(rw_json_next(&walk, &key, &value, err));
        if (!key)
            return RWKV_OK;
        RW_TRY(add_scalar(file, &walk, key, value, err));
    }
}

/* A configuration that is there but cannot be read may not matter: whoever needs one finds the
 * reason under the key "config.json". */
static rwkv_status note_broken_config(struct rw_file *file, const char *why, rwkv_error *err)
{
    char *kept = rw_strdup(why);
    RW_TRY(rw_file_keep(file, kept, err));
    struct rw_meta meta = {.type = RW_META_STRING, .value.s = {kept, strlen(kept)}};
    return rw_file_add_meta(file, "config.json", strlen("config.json"), meta, err);
}

rwkv_status rw_safetensors_add_config(struct rw_file *file, rwkv_error *err)
{
    const char *path;
    char *text;
    size_t size, before = file->n_meta;
    rwkv_error inner = {0};
    RW_TRY(sibling(file, "config.json", &path, err));
    RW_TRY(rw_file_build_index(file, err));
    if (access(path, F_OK) != 0)
        return RWKV_OK; /* most files have none beside them */
    rwkv_status status = rw_read_file(path, MAX_CONFIG, &text, &size, &inner);
    if (status == RWKV_OK) {
        status = add_scalars(file, path, (struct rw_bytes){text, size}, &inner);
        rw_free(text);
    }
    if (status == RWKV_ERROR_FORMAT || status == RWKV_ERROR_IO) {
        file->n_meta = before;
        return note_broken_config(file, inner.message, err);
    }
    return status == RWKV_OK ? status : rw_fail(err, status, "%s", inner.message);
}
