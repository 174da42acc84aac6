/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv grad`: the loss of a text and its derivative by every parameter, for checking. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "interrupt.h"
#include "json_out.h"
#include "open_model.h"
#include "options.h"
#include "rwkv_train.h"
#include "say.h"
#include "text_in.h"

struct grad {
    struct rw_model_args model_args;
    rwkv_gradient_options options;
    const char *tokens_arg, *text, *file, *out, *state_in;
    bool checkpoint, json;
    int precision;
    float l2wrap;

    rwkv_model *model;
    rwkv_gradient *gradient;
    struct rw_tokens tokens;
    float *initial; /* the state to begin with, or NULL */
    rwkv_gradient_memory memory;
};

static const char *const precisions[] = {"f32", "bf16", NULL};

/* --- inputs ----------------------------------------------------------------------------------- */

static rwkv_status encode(struct grad *g, const char *text, size_t size, rwkv_error *err)
{
    const rwkv_vocab *vocab;
    RW_TRY(rw_need_vocab(g->model, &vocab, err));
    return rw_encode(vocab, text, size, &g->tokens, err);
}

static rwkv_status read_tokens(struct grad *g, rwkv_error *err)
{
    if (g->tokens_arg)
        return rw_read_ids("--tokens", g->tokens_arg, &g->tokens, err);
    if (g->text)
        return encode(g, g->text, strlen(g->text), err);
    struct rw_str text = {0};
    rwkv_status status = rw_read_text(g->file, &text, err);
    if (status == RWKV_OK)
        status = encode(g, text.data, text.size, err);
    rw_str_fini(&text);
    return status;
}

/* A saved state as the gradient wants it: the parts of the layers one after the other. */
static rwkv_status load_state(struct grad *g, rwkv_error *err)
{
    rwkv_model_info info;
    rwkv_session *session = NULL;
    rwkv_status status = RWKV_OK;
    rwkv_model_get_info(g->model, &info);
    size_t c = info.n_embd, matrices = c * info.head_size;
    g->initial = rw_alloc(rwkv_gradient_state_size(g->gradient), sizeof *g->initial);
    if (!g->initial)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", g->state_in));
    RW_GO(rwkv_session_new(g->model, &session, err));
    RW_GO(rw_load_state(session, g->state_in, err));
    float *to = g->initial;
    for (size_t l = 0; l < info.n_layer; l++, to += 2 * c + matrices) {
        rwkv_layer_state layer;
        RW_GO(rwkv_session_layer_state(session, l, &layer, err));
        memcpy(to, layer.att_shift, c * sizeof *to);
        memcpy(to + c, layer.ffn_shift, c * sizeof *to);
        memcpy(to + 2 * c, layer.wkv, matrices * sizeof *to);
    }
done:
    rwkv_session_free(session);
    return status;
}

/* --- output ----------------------------------------------------------------------------------- */

static const char *source_name(const struct grad *g)
{
    if (g->file)
        return strcmp(g->file, "-") == 0 ? "standard input" : g->file;
    return g->text ? "--text" : "--tokens";
}

static void print_text(const struct grad *g)
{
    char model[160];
    rwkv_model_info info;
    rwkv_gradient_result r;
    rwkv_model_get_info(g->model, &info);
    rw_describe_model(&info, model, sizeof model);
    rwkv_gradient_get_result(g->gradient, &r);
    rw_outf("%s: %s\n", rw_model_name(g->model_args.path), model);
    rw_outf("%s: %zu tokens, %llu of them predicted\n\n", source_name(g), g->tokens.count,
            (unsigned long long)r.targets);
    rw_outf("%-20s %.6f nats a token\n", "loss", r.loss);
    rw_outf("%-20s %.6g, of %zu tensors\n", "norm of the gradient", r.norm,
            rwkv_gradient_count(g->gradient));
    rw_outf("%-20s %s: parameters %s, gradients %s, activations %s, work %s\n", "memory",
            rw_show_bytes(g->memory.total).text, rw_show_bytes(g->memory.parameters).text,
            rw_show_bytes(g->memory.gradients).text, rw_show_bytes(g->memory.activations).text,
            rw_show_bytes(g->memory.work).text);
}

static void json_memory(struct rw_json *j, const rwkv_gradient_memory *m)
{
    rw_json_open(j, "memory_bytes", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "parameters", m->parameters);
    rw_json_u64(j, "gradients", m->gradients);
    rw_json_u64(j, "activations", m->activations);
    rw_json_u64(j, "work", m->work);
    rw_json_u64(j, "total", m->total);
    rw_json_close(j);
}

static rwkv_status print_json(const struct grad *g, rwkv_error *err)
{
    struct rw_json j = {0};
    rwkv_gradient_result r;
    rwkv_gradient_get_result(g->gradient, &r);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "model", rw_model_name(g->model_args.path));
    rw_json_text(&j, "text", source_name(g));
    rw_json_u64(&j, "tokens", g->tokens.count);
    rw_json_u64(&j, "targets", r.targets);
    rw_json_real(&j, "loss", r.loss);
    rw_json_real(&j, "norm", r.norm);
    json_memory(&j, &g->memory);
    rw_json_open(&j, "tensor_norms", RW_JSON_OBJECT, RW_JSON_LINES);
    for (size_t i = 0; i < rwkv_gradient_count(g->gradient); i++) {
        rwkv_gradient_tensor t;
        rwkv_gradient_get_tensor(g->gradient, i, &t);
        rw_json_real(&j, t.name, t.norm);
    }
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

/* --- the command ------------------------------------------------------------------------------ */

static rwkv_status check_out(const struct grad *g, rwkv_error *err)
{
    if (g->out && !rw_has_suffix(g->out, ".safetensors") && !rw_has_suffix(g->out, ".pth"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a name that ends in .safetensors or .pth", g->out);
    return rw_check_writable(g->out, err);
}

static rwkv_status evaluate(struct grad *g, rwkv_error *err)
{
    if (g->tokens.count < 2)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted at least 2 tokens, found %zu",
                       source_name(g), g->tokens.count);
    g->options.max_tokens = g->tokens.count;
    g->options.checkpoint = g->checkpoint;
    g->options.precision = (rwkv_precision)g->precision;
    g->options.l2wrap = (double)g->l2wrap;
    RW_TRY(rwkv_gradient_plan(g->model, &g->options, &g->memory, err));
    RW_TRY(rwkv_gradient_new(g->model, &g->options, &g->gradient, err));
    if (g->state_in)
        RW_TRY(load_state(g, err));
    const rwkv_example example = {
        .tokens = g->tokens.ids, .n_tokens = g->tokens.count, .initial = g->initial};
    return rwkv_gradient_add(g->gradient, &example, 1, 0, err);
}

static rwkv_status grad(struct grad *g, rwkv_error *err)
{
    RW_TRY(check_out(g, err));
    RW_TRY(rw_open_model(&g->model_args, false, NULL, &g->model, err));
    RW_TRY(read_tokens(g, err));
    RW_TRY(evaluate(g, err));
    if (g->out)
        RW_TRY(rwkv_gradient_save(g->gradient, g->out, err));
    if (g->json)
        return print_json(g, err);
    print_text(g);
    return RWKV_OK;
}

static void grad_fini(struct grad *g)
{
    rw_free(g->initial);
    rw_tokens_fini(&g->tokens);
    rwkv_gradient_free(g->gradient);
    rwkv_model_close(g->model);
}

static rwkv_status check_inputs(struct grad *g, const struct rw_operands *operands, rwkv_error *err)
{
    int given = (g->tokens_arg != NULL) + (g->text != NULL) + (g->file != NULL);
    if (given != 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted one of --tokens, --text and -f, found %s",
                       given ? "several" : "none");
    return rw_model_operand(&g->model_args, operands, err);
}

int rw_cmd_grad(int argc, char **argv)
{
    /* The model itself reads nothing but a state. */
    struct grad g = {
        .model_args.options = {.chunk = 1, .zeros = RWKV_ZEROS_OFF, .packing = RWKV_PACKING_OFF}};
    rwkv_model_options *run = &g.model_args.options;
    const struct rw_option options[] = {
        RW_PATH_OPTION(&g.model_args),
        {"tokens", 0, RW_OPTION_TEXT, &g.tokens_arg},
        {"text", 0, RW_OPTION_TEXT, &g.text},
        {"file", 'f', RW_OPTION_TEXT, &g.file},
        {"out", 'o', RW_OPTION_TEXT, &g.out},
        {"state-in", 0, RW_OPTION_TEXT, &g.state_in},
        {"l2wrap", 0, RW_OPTION_FLOAT, &g.l2wrap, .min = 0, .max = 1},
        {"checkpoint", 0, RW_OPTION_FLAG, &g.checkpoint},
        {"precision", 0, RW_OPTION_CHOICE, &g.precision, .choices = precisions},
        {"json", 0, RW_OPTION_FLAG, &g.json},
        {"threads", 't', RW_OPTION_INT, &run->threads, .min = 1, .max = 256},
        {"cpu", 0, RW_OPTION_CALL, &run->cpu, .parse = rw_parse_cpu},
        {"memory-limit", 0, RW_OPTION_BYTES, &g.options.memory_limit},
        RW_VOCAB_OPTION(&g.model_args),
        {0}};
    struct rw_operands operands = {.wanted = "one MODEL", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("grad", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (check_inputs(&g, &operands, &err))
        return rw_complain_usage("grad", &err);
    status = grad(&g, &err) ? rw_complain(&err) : RW_EXIT_OK;
    grad_fini(&g);
    return status;
}
