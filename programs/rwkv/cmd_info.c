/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv info`: what a model is and needs; with --tensors, what any readable file holds. */
#include <string.h>

#include "base/cpu.h"
#include "base/env.h"
#include "base/pool.h"
#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "json_out.h"
#include "open_model.h"
#include "options.h"
#include "rwkv_file.h"
#include "say.h"

struct info {
    struct rw_model_args model_args;
    bool tensors, checksums, json;
};

/* --- a model ---------------------------------------------------------------------------------- */

/* Tensors and bytes of each type in a file. */
struct census {
    size_t tensors[RWKV_DTYPE_COUNT];
    uint64_t bytes[RWKV_DTYPE_COUNT];
};

static void count_types(const rwkv_file *file, struct census *census)
{
    for (size_t i = 0; i < rwkv_file_count(file); i++) {
        rwkv_tensor_info t;
        rwkv_file_tensor(file, i, &t);
        census->tensors[t.dtype]++;
        census->bytes[t.dtype] += t.n_bytes;
    }
}

static rwkv_status get_plan(const struct rw_model_args *args, rwkv_model_info *info,
                            rwkv_error *err)
{
    if (args->path)
        return rwkv_model_plan(args->path, &args->options, info, err);
    rwkv_model *model;
    RW_TRY(rw_open_model(args, false, NULL, &model, err));
    rwkv_model_get_info(model, info);
    rwkv_model_close(model);
    return RWKV_OK;
}

static const char *cpu_name(const rwkv_model_info *info)
{
    int ok;
    return info->cpu ? info->cpu : rw_cpu_name(rw_cpu_from_name("auto", &ok));
}

static int thread_count(const struct info *args, const rwkv_model_info *info)
{
    int asked = args->model_args.options.threads;
    return info->threads ? info->threads : asked ? asked : (int)rw_pool_default_threads();
}

static void print_types(const struct census *census)
{
    bool first = true;
    for (int t = 0; t < RWKV_DTYPE_COUNT; t++) {
        if (!census->tensors[t])
            continue;
        rw_outf("%-14s%zu tensor%s %s, %s\n", first ? "types" : "", census->tensors[t],
                census->tensors[t] == 1 ? "" : "s", rwkv_dtype_name((rwkv_dtype)t),
                rw_show_bytes(census->bytes[t]).text);
        first = false;
    }
}

static void print_memory(const rwkv_model_info *m)
{
    uint64_t own = m->private_bytes + m->state_bytes + m->scratch_bytes;
    rw_outs("\nmemory when loaded\n");
    rw_outf("  weights     %s, mapped from the file\n", rw_show_bytes(m->file_bytes).text);
    rw_outf("  vectors     %s, widened to F32\n", rw_show_bytes(m->private_bytes).text);
    rw_outf("  state       %s a session, whatever the length of the text\n",
            rw_show_bytes(m->state_bytes).text);
    rw_outf("  scratch     %s for %zu tokens at once\n", rw_show_bytes(m->scratch_bytes).text,
            m->chunk);
    if (m->packed_bytes)
        rw_outf("  packed      %s at most, in place of as much of the weights, while generating\n",
                rw_show_bytes(m->packed_bytes).text);
    if (m->zeros_bytes)
        rw_outf("  zeros       %s at most, in place of as much of the weights, to skip zeros\n",
                rw_show_bytes(m->zeros_bytes).text);
    rw_outf("  in all      %s, of which %s are this process's own\n",
            rw_show_bytes(m->file_bytes + own).text, rw_show_bytes(own).text);
    uint64_t available = rw_env_memory_available();
    if (available)
        rw_outf("  available   %s on this machine now\n", rw_show_bytes(available).text);
}

static void print_metadata(rwkv_file *file)
{
    size_t n = rwkv_file_meta_count(file);
    if (n)
        rw_outs("\nmetadata\n");
    for (size_t i = 0; i < n; i++) {
        const char *key, *value;
        rwkv_file_meta(file, i, &key, &value);
        rw_outs("  ");
        rw_out_safe(key);
        rw_outs(" = ");
        rw_out_safe(value);
        rw_outs("\n");
    }
}

static void print_gpus(void)
{
    rwkv_error err = {0};
    size_t n;
    if (rwkv_gpu_count(&n, &err) != RWKV_OK)
        rw_outf("  GPU         none: %s\n", err.message);
    for (size_t i = 0; i < n; i++) {
        rwkv_gpu gpu;
        if (rwkv_gpu_describe(i, &gpu, &err) == RWKV_OK)
            rw_outf("  cuda:%-6zu %s (%s), %s free of %s\n", i, gpu.name, gpu.capability,
                    rw_show_bytes(gpu.free_bytes).text, rw_show_bytes(gpu.memory_bytes).text);
        else
            rw_outf("  cuda:%-6zu %s\n", i, err.message);
    }
}

static void json_gpus(struct rw_json *j)
{
    rwkv_error err = {0};
    size_t n;
    if (rwkv_gpu_count(&n, &err) != RWKV_OK)
        rw_json_text(j, "no_gpus", err.message);
    rw_json_open(j, "gpus", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < n; i++) {
        rwkv_gpu gpu;
        rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        if (rwkv_gpu_describe(i, &gpu, &err) != RWKV_OK)
            rw_json_text(j, "error", err.message);
        rw_json_text(j, "name", gpu.name);
        rw_json_text(j, "capability", gpu.capability);
        rw_json_u64(j, "memory_bytes", gpu.memory_bytes);
        rw_json_u64(j, "free_bytes", gpu.free_bytes);
        rw_json_close(j);
    }
    rw_json_close(j);
}

static void print_model(const struct info *args, const rwkv_model_info *m, rwkv_file *file)
{
    rw_outf("%-14s%s\n", "file", rw_model_name(args->model_args.path));
    rw_outf("%-14sRWKV-%d, %s\n", "model", m->version, m->format);
    rw_outf("%-14s%s (%llu)\n", "parameters", rw_show_count((double)m->n_params).text,
            (unsigned long long)m->n_params);
    rw_outf("%-14s%zu\n", "layers", m->n_layer);
    rw_outf("%-14s%zu: %zu head%s of %zu\n", "channels", m->n_embd, m->n_head,
            m->n_head == 1 ? "" : "s", m->head_size);
    rw_outf("%-14s%zu\n", "channel mix", m->n_ffn);
    rw_outf("%-14sw %zu, a %zu, v %zu, g %zu\n", "ranks", m->rank_w, m->rank_a, m->rank_v,
            m->rank_g);
    rw_outf("%-14s%zu tokens, %s%s\n", "vocabulary", m->n_vocab, m->vocab[0] ? "from " : "",
            m->vocab[0] ? m->vocab : "but no text for them was found (--vocab)");
    if (file) {
        struct census census = {0};
        count_types(file, &census);
        print_types(&census);
    } else {
        rw_outf("%-14smostly %s\n", "types", rwkv_dtype_name(m->dtype));
    }
    if (m->fingerprint[0])
        rw_outf("%-14s%s\n", "fingerprint", m->fingerprint);
    print_memory(m);
    rw_outs("\nwork for one token\n");
    rw_outf("  read        %s of weights\n", rw_show_bytes(m->token_bytes).text);
    rw_outf("  operations  %s\n", rw_show_count((double)m->token_flops).text);
    rw_outs("\nwhere it would run\n");
    int threads = thread_count(args, m);
    rw_outf("  layers      %s\n", m->placement);
    rw_outf("  processor   %d thread%s, %s instructions (this machine's best: %s)\n", threads,
            threads == 1 ? "" : "s", cpu_name(m), rw_cpu_name(rw_cpu_detect()));
    print_gpus();
    if (file)
        print_metadata(file);
}

static rwkv_status json_model(const struct info *args, const rwkv_model_info *m, rwkv_file *file,
                              rwkv_error *err)
{
    struct rw_json j = {0};
    struct census census = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "path", rw_model_name(args->model_args.path));
    rw_json_plan(&j, m);
    if (file) {
        count_types(file, &census);
        rw_json_open(&j, "types", RW_JSON_OBJECT, RW_JSON_LINES);
        for (int t = 0; t < RWKV_DTYPE_COUNT; t++) {
            if (!census.tensors[t])
                continue;
            rw_json_open(&j, rwkv_dtype_name((rwkv_dtype)t), RW_JSON_OBJECT, RW_JSON_INLINE);
            rw_json_u64(&j, "tensors", census.tensors[t]);
            rw_json_u64(&j, "bytes", census.bytes[t]);
            rw_json_close(&j);
        }
        rw_json_close(&j);
    }
    rw_json_open(&j, "machine", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "cpu", cpu_name(m));
    rw_json_text(&j, "best_cpu", rw_cpu_name(rw_cpu_detect()));
    rw_json_u64(&j, "threads", (uint64_t)thread_count(args, m));
    rw_json_u64(&j, "available_bytes", rw_env_memory_available());
    rw_json_close(&j);
    rw_json_text(&j, "placement", m->placement);
    json_gpus(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status show_model(const struct info *args, rwkv_error *err)
{
    rwkv_model_info info;
    rwkv_file *file = NULL;
    RW_TRY(get_plan(&args->model_args, &info, err));
    if (args->model_args.path)
        RW_TRY(rwkv_file_open(args->model_args.path, &file, err));
    rwkv_status status = RWKV_OK;
    if (args->json)
        status = json_model(args, &info, file, err);
    else
        print_model(args, &info, file);
    rwkv_file_close(file);
    return status;
}

/* --- tensors of a file ------------------------------------------------------------------------ */

static void shape_text(const rwkv_tensor_info *t, struct rw_str *to)
{
    rw_str_reset(to);
    rw_str_addc(to, '[');
    for (size_t i = 0; i < t->n_dims; i++)
        rw_str_printf(to, "%s%zu", i ? ", " : "", t->shape[i]);
    rw_str_addc(to, ']');
}

static rwkv_status print_tensor(const struct info *args, const rwkv_file *file, size_t index,
                                size_t width, struct rw_str *shape, rwkv_error *err)
{
    rwkv_tensor_info t;
    char sum[65] = "";
    rwkv_file_tensor(file, index, &t);
    if (args->checksums)
        RW_TRY(rwkv_file_sha256(file, index, sum, err));
    shape_text(&t, shape);
    if (shape->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    rw_out_safe(t.name);
    rw_outf("%*s  %-8s", (int)(width - RW_MIN(strlen(t.name), width)), "",
            rwkv_dtype_name(t.dtype));
    if (args->checksums)
        rw_outf("  %-20s  %s\n", shape->data, sum);
    else
        rw_outf("  %s\n", shape->data);
    return RWKV_OK;
}

#define NAME_WIDTH ((size_t)48) /* of the first column; longer names push the others aside */

static rwkv_status print_tensors(const struct info *args, const char *path, rwkv_file *file,
                                 rwkv_error *err)
{
    size_t n = rwkv_file_count(file), width = 0;
    uint64_t bytes = 0;
    rwkv_tensor_info t;
    for (size_t i = 0; i < n; i++) {
        rwkv_file_tensor(file, i, &t);
        width = RW_MAX(width, RW_MIN(strlen(t.name), NAME_WIDTH));
        bytes += t.n_bytes;
    }
    struct rw_str shape = {0};
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < n && status == RWKV_OK && !rw_interrupted; i++)
        status = print_tensor(args, file, i, width, &shape, err);
    rw_str_fini(&shape);
    if (status == RWKV_OK)
        rw_outf("%s: %s, %zu tensors, %s\n", path, rwkv_file_format(file), n,
                rw_show_bytes(bytes).text);
    return status;
}

static rwkv_status json_tensor(struct rw_json *j, const struct info *args, const rwkv_file *file,
                               size_t index, rwkv_error *err)
{
    rwkv_tensor_info t;
    char sum[65];
    rwkv_file_tensor(file, index, &t);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "name", t.name);
    rw_json_text(j, "dtype", rwkv_dtype_name(t.dtype));
    rw_json_open(j, "shape", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t d = 0; d < t.n_dims; d++)
        rw_json_u64(j, NULL, t.shape[d]);
    rw_json_close(j);
    rw_json_u64(j, "bytes", t.n_bytes);
    if (args->checksums) {
        RW_TRY(rwkv_file_sha256(file, index, sum, err));
        rw_json_text(j, "sha256", sum);
    }
    rw_json_close(j);
    return RWKV_OK;
}

/* Keys come from the file, so they are values here: [{"key": …, "value": …}]. */
static void json_metadata(struct rw_json *j, rwkv_file *file)
{
    rw_json_open(j, "metadata", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < rwkv_file_meta_count(file); i++) {
        const char *key, *value;
        rwkv_file_meta(file, i, &key, &value);
        rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(j, "key", key);
        rw_json_text(j, "value", value);
        rw_json_close(j);
    }
    rw_json_close(j);
}

static rwkv_status json_tensors(const struct info *args, const char *path, rwkv_file *file,
                                rwkv_error *err)
{
    struct rw_json j = {0};
    rwkv_status status = RWKV_OK;
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "path", path);
    rw_json_text(&j, "format", rwkv_file_format(file));
    json_metadata(&j, file);
    rw_json_open(&j, "tensors", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < rwkv_file_count(file); i++)
        RW_GO(json_tensor(&j, args, file, i, err));
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
done:
    rw_str_fini(&j.text);
    return status;
}

static rwkv_status show_tensors(const struct info *args, const char *path, rwkv_error *err)
{
    rwkv_file *file;
    RW_TRY(rwkv_file_open(path, &file, err));
    rwkv_status status =
        args->json ? json_tensors(args, path, file, err) : print_tensors(args, path, file, err);
    rwkv_file_close(file);
    return status;
}

int rw_cmd_info(int argc, char **argv)
{
    struct info info = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&info.model_args),
                                        RW_RUNNING_OPTIONS(&info.model_args),
                                        {"tensors", 0, RW_OPTION_FLAG, &info.tensors},
                                        {"checksums", 0, RW_OPTION_FLAG, &info.checksums},
                                        {"json", 0, RW_OPTION_FLAG, &info.json},
                                        {0}};
    struct rw_operands operands = {.wanted = "one MODEL", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("info", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (rw_model_operand(&info.model_args, &operands, &err))
        return rw_complain_usage("info", &err);
    if ((info.tensors || info.checksums) && !info.model_args.path) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted a FILE for --tensors, found nothing");
        return rw_complain_usage("info", &err);
    }
    rw_interrupt_catch();
    bool tensors = info.tensors || info.checksums;
    return (tensors ? show_tensors(&info, info.model_args.path, &err) : show_model(&info, &err))
               ? rw_complain(&err)
               : RW_EXIT_OK;
}
