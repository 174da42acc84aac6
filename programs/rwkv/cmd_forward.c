/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv forward`: the numbers behind the text, as tensors in a file, for checking. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "interrupt.h"
#include "open_model.h"
#include "options.h"
#include "rwkv_file.h"
#include "say.h"
#include "text_in.h"

#define STATE_TENSORS 3 /* a layer */
#define NAME_SIZE 40

struct forward {
    struct rw_model_args model_args;
    const char *tokens_arg, *out, *state_in, *state_out;
    bool last;

    rwkv_model *model;
    rwkv_session *session;
    rwkv_model_info info;
    struct rw_tokens tokens;
    float *logits, *hidden; /* [rows, V], [rows, C]; owned unless `last` */
    size_t rows;
};

/* --- evaluation ------------------------------------------------------------------------------- */

/* Memory for the logits and hidden states of every token, refused when it could not be filled. */
static rwkv_status take_rows(struct forward *f, rwkv_error *err)
{
    size_t per_row = (f->info.n_vocab + f->info.n_embd) * sizeof(float);
    uint64_t available = rw_env_memory_available();
    uint64_t limit = f->model_args.options.memory_limit;
    if (limit && (!available || limit < available))
        available = limit;
    size_t bytes;
    bool fits = rw_mul(f->rows, per_row, &bytes) && (!available || bytes <= available);
    if (fits) {
        f->logits = rw_alloc(f->rows * f->info.n_vocab, sizeof(float));
        f->hidden = rw_alloc(f->rows * f->info.n_embd, sizeof(float));
    }
    if (!f->logits || !f->hidden)
        return rw_fail(err, RWKV_ERROR_MEMORY,
                       "the logits of %zu tokens need %s, more than is available: use --last",
                       f->rows, rw_show_bytes((uint64_t)f->rows * per_row).text);
    return RWKV_OK;
}

static rwkv_status evaluate(struct forward *f, rwkv_error *err)
{
    f->rows = f->last ? 1 : f->tokens.count;
    if (!f->last) {
        RW_TRY(take_rows(f, err));
        return rwkv_session_eval_all(f->session, f->tokens.ids, f->tokens.count, f->logits,
                                     f->hidden, err);
    }
    return rwkv_session_eval(f->session, f->tokens.ids, f->tokens.count, err);
}

/* --- output ----------------------------------------------------------------------------------- */

static rwkv_write_tensor tensor(const char *name, const float *data, size_t n_dims, size_t d0,
                                size_t d1, size_t d2)
{
    return (rwkv_write_tensor){name, RWKV_DTYPE_F32, n_dims, {d0, d1, d2}, data};
}

/* The three tensors of a layer's state; `names` has room for their names. */
static rwkv_status add_layer(const struct forward *f, size_t layer, char (*names)[NAME_SIZE],
                             rwkv_write_tensor *to, rwkv_error *err)
{
    static const char *const parts[STATE_TENSORS] = {"att_shift", "ffn_shift", "wkv"};
    const rwkv_model_info *m = &f->info;
    rwkv_layer_state s;
    RW_TRY(rwkv_session_layer_state(f->session, layer, &s, err));
    for (size_t i = 0; i < STATE_TENSORS; i++)
        snprintf(names[i], NAME_SIZE, "state.%zu.%s", layer, parts[i]);
    to[0] = tensor(names[0], s.att_shift, 1, m->n_embd, 0, 0);
    to[1] = tensor(names[1], s.ffn_shift, 1, m->n_embd, 0, 0);
    to[2] = tensor(names[2], s.wkv, 3, m->n_head, m->head_size, m->head_size);
    return RWKV_OK;
}

static rwkv_status write_out(const struct forward *f, rwkv_error *err)
{
    size_t layers = f->info.n_layer;
    rwkv_status status = RWKV_OK;
    rwkv_write_tensor *list = rw_alloc(2 + STATE_TENSORS * layers, sizeof *list);
    char(*names)[NAME_SIZE] = rw_alloc(STATE_TENSORS * layers, NAME_SIZE);
    if (!list || !names) {
        status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", f->out);
        goto done;
    }
    list[0] = tensor("logits", f->last ? rwkv_session_logits(f->session) : f->logits, 2, f->rows,
                     f->info.n_vocab, 0);
    list[1] = tensor("hidden", f->last ? rwkv_session_hidden(f->session) : f->hidden, 2, f->rows,
                     f->info.n_embd, 0);
    for (size_t l = 0; l < layers; l++)
        RW_GO(add_layer(f, l, names + STATE_TENSORS * l, list + 2 + STATE_TENSORS * l, err));
    status = rwkv_file_write(f->out, list, 2 + STATE_TENSORS * layers, err);
done:
    rw_free(names);
    rw_free(list);
    return status;
}

/* Before the work that would be lost. */
static rwkv_status check_outputs(const struct forward *f, rwkv_error *err)
{
    if (!rw_has_suffix(f->out, ".safetensors") && !rw_has_suffix(f->out, ".pth"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a name that ends in .safetensors or .pth", f->out);
    RW_TRY(rw_check_writable(f->out, err));
    return rw_check_writable(f->state_out, err);
}

static rwkv_status forward(struct forward *f, rwkv_error *err)
{
    RW_TRY(rw_read_ids("--tokens", f->tokens_arg, &f->tokens, err));
    RW_TRY(check_outputs(f, err));
    RW_TRY(rw_open_model(&f->model_args, false, NULL, &f->model, err));
    rwkv_model_get_info(f->model, &f->info);
    RW_TRY(rwkv_session_new(f->model, &f->session, err));
    RW_TRY(rw_load_state(f->session, f->state_in, err));
    RW_TRY(evaluate(f, err));
    RW_TRY(write_out(f, err));
    return rw_save_state(f->session, f->state_out, err);
}

static void forward_fini(struct forward *f)
{
    rw_free(f->logits);
    rw_free(f->hidden);
    rw_tokens_fini(&f->tokens);
    rwkv_session_free(f->session);
    rwkv_model_close(f->model);
}

int rw_cmd_forward(int argc, char **argv)
{
    struct forward f = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&f.model_args),
                                        RW_RUNNING_OPTIONS(&f.model_args),
                                        {"tokens", 0, RW_OPTION_TEXT, &f.tokens_arg},
                                        {"out", 'o', RW_OPTION_TEXT, &f.out},
                                        {"last", 0, RW_OPTION_FLAG, &f.last},
                                        {"state-in", 0, RW_OPTION_TEXT, &f.state_in},
                                        {"state-out", 0, RW_OPTION_TEXT, &f.state_out},
                                        {0}};
    struct rw_operands operands = {.wanted = "one MODEL", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("forward", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (rw_model_operand(&f.model_args, &operands, &err))
        return rw_complain_usage("forward", &err);
    if (!f.tokens_arg || !f.out) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted %s", f.out ? "--tokens" : "--out FILE");
        return rw_complain_usage("forward", &err);
    }
    status = forward(&f, &err) ? rw_complain(&err) : RW_EXIT_OK;
    forward_fini(&f);
    return status;
}
