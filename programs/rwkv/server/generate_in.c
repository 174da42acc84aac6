/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of requests that say how to generate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/generate.h"
#include "server/ids.h"

/* --- sampling --------------------------------------------------------------------------------- */

static void read_float(struct rw_fields *f, const char *name, double min, double max, float *to)
{
    double x;
    if (rw_field_real(f, name, min, max, &x))
        *to = (float)x;
}

/* OpenAI's penalties count what was generated and forget nothing; RWKV's own decay. Who asks for
 * the most likely tokens and for no penalty gets none: evaluations do, and compare. */
static void read_penalties(struct rw_fields *f, rwkv_sampler_options *s)
{
    bool certain = (rw_field_given(f, "temperature") || rw_field_given(f, "top_p")) && s->greedy;
    bool ours = rw_field_given(f, "alpha_presence") || rw_field_given(f, "alpha_frequency") ||
                rw_field_given(f, "alpha_decay");
    bool theirs = rw_field_given(f, "presence_penalty") || rw_field_given(f, "frequency_penalty");
    if (theirs || certain)
        s->presence = s->frequency = 0;
    if (theirs) {
        s->penalty_decay = 1;
        read_float(f, "presence_penalty", -2, 2, &s->presence);
        read_float(f, "frequency_penalty", -2, 2, &s->frequency);
    }
    if (ours) {
        s->penalty_decay = 0;
        read_float(f, "alpha_presence", -100, 100, &s->presence);
        read_float(f, "alpha_frequency", -100, 100, &s->frequency);
        read_float(f, "alpha_decay", 0, 1, &s->penalty_decay);
    }
}

void rw_gen_read_sampling(struct rw_gen *gen, struct rw_fields *f)
{
    rwkv_sampler_options *s = &gen->options.sampler;
    double temperature = s->temperature, top_p = s->top_p;
    int64_t top_k = s->top_k, seed = 0;
    if (rw_field_real(f, "temperature", 0, 100, &temperature)) {
        s->greedy = temperature == 0;
        s->temperature = (float)temperature;
    }
    if (rw_field_real(f, "top_p", 0, 1, &top_p)) {
        s->greedy |= top_p == 0;
        s->top_p = (float)top_p;
    }
    if (rw_field_int(f, "top_k", -1, INT32_MAX, &top_k))
        s->top_k = top_k > 0 ? (int)top_k : 0;
    read_float(f, "min_p", 0, 1, &s->min_p);
    read_float(f, "typical_p", 0, 1, &s->typical_p);
    read_penalties(f, s);
    if (!gen->call->server->options.has_seed)
        s->seed = rw_random();
    if (rw_field_int(f, "seed", INT64_MIN, INT64_MAX, &seed))
        s->seed = (uint64_t)seed;
}

/* {"50256": -100}: a token's id, and what is added to its logit. */
static void read_bias(struct rw_gen *gen, struct rw_fields *f)
{
    const json_t *object = rw_field_object(f, "logit_bias");
    size_t n = json_object_size(object), i = 0;
    if (n > RW_MAX_BIAS)
        rw_field_fail(f, "logit_bias", "wanted at most %d tokens, found %zu", RW_MAX_BIAS, n);
    if (n == 0 || f->error->status)
        return;
    gen->biases = rw_calloc(n, sizeof *gen->biases);
    if (!gen->biases) {
        rw_api_fail(f->error, 503, "server_error", "no_memory", "no memory for a request");
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        char *end;
        long token = strtol(key, &end, 10);
        double bias = json_number_value(value);
        if (!*key || *end || token < 0 || token > INT32_MAX)
            rw_field_fail(f, "logit_bias", "wanted ids of tokens, found '%.40s'", key);
        else if (!json_is_number(value) || !(bias >= -100 && bias <= 100))
            rw_field_fail(f, "logit_bias", "%s: wanted a number from -100 to 100", key);
        if (f->error->status)
            return;
        /* −100 bans, as users of the API expect. */
        gen->biases[i++] =
            (rwkv_logit_bias){(int32_t)token, bias <= -100 ? -INFINITY : (float)bias};
    }
    gen->options.sampler.bias = gen->biases;
    gen->options.sampler.n_bias = n;
}

/* --- where it ends ---------------------------------------------------------------------------- */

static void add_stop(struct rw_gen *gen, struct rw_fields *f, const char *name, const char *stop)
{
    size_t *n = &gen->options.n_stop;
    if (!*stop)
        return; /* some clients fill in an empty one */
    if (*n == RW_MAX_STOPS || strlen(stop) > RW_MAX_STOP)
        rw_field_fail(f, name, "wanted at most %d stop sequences of at most %d bytes", RW_MAX_STOPS,
                      RW_MAX_STOP);
    else
        gen->stops[(*n)++] = stop;
}

void rw_gen_read_stops(struct rw_gen *gen, struct rw_fields *f, const char *name)
{
    const char *one = NULL;
    const json_t *value = json_object_get(f->object, name);
    gen->options.stop = gen->stops;
    if (!json_is_array(value)) {
        if (rw_field_text(f, name, RW_MAX_BODY, &one))
            add_stop(gen, f, name, one);
    } else {
        const json_t *list = rw_field_list(f, name, 0, RW_MAX_STOPS);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *stop = json_array_get(list, i);
            const char *text = json_string_value(stop);
            if (!text || strlen(text) != json_string_length(stop))
                rw_field_fail(f, name, "wanted strings without U+0000, found %s", rw_kind_of(stop));
            else
                add_stop(gen, f, name, text);
        }
    }
    if (gen->chat)
        gen->stops[gen->options.n_stop++] = RWKV_CHAT_STOP; /* there is one place more */
}

/* --- grammars --------------------------------------------------------------------------------- */

static void have_grammar(struct rw_gen *gen, struct rw_fields *f, const char *name,
                         rwkv_status status, const rwkv_error *err)
{
    if (status != RWKV_OK)
        rw_field_fail(f, name, "%s", err->message);
    gen->options.grammar = gen->grammar;
}

static rwkv_status hold_grammar(struct rw_gen *gen, enum rw_grammar_kind kind, const char *text,
                                rwkv_error *err)
{
    return rw_grammars_hold(gen->call->server->grammars, kind, text, strlen(text), &gen->grammar,
                            err);
}

static bool may_have_one(struct rw_gen *gen, struct rw_fields *f, const char *name)
{
    if (gen->grammar)
        rw_field_fail(f, name, "there is another grammar already");
    return !f->error->status;
}

void rw_gen_set_json(struct rw_gen *gen)
{
    rwkv_error err;
    struct rw_fields *f = &gen->call->fields;
    if (may_have_one(gen, f, "response_format"))
        have_grammar(gen, f, "response_format", hold_grammar(gen, RW_GRAMMAR_OBJECT, "", &err),
                     &err);
}

void rw_gen_set_schema(struct rw_gen *gen, struct rw_fields *f, const char *name,
                       const json_t *schema)
{
    rwkv_error err;
    if (!may_have_one(gen, f, name))
        return;
    char *text = json_dumps(schema, JSON_COMPACT);
    if (!text)
        rw_api_fail(f->error, 503, "server_error", "no_memory", "no memory for a schema");
    else if (strlen(text) > RW_MAX_GRAMMAR)
        rw_field_fail(f, name, "wanted at most %d bytes", RW_MAX_GRAMMAR);
    else
        have_grammar(gen, f, name, hold_grammar(gen, RW_GRAMMAR_SCHEMA, text, &err), &err);
    free(text);
}

void rw_gen_set_gbnf(struct rw_gen *gen, struct rw_fields *f, const char *name, const char *text)
{
    rwkv_error err;
    if (may_have_one(gen, f, name))
        have_grammar(gen, f, name, hold_grammar(gen, RW_GRAMMAR_GBNF, text, &err), &err);
}

/* What calls of the conversation's tools may be. */
static rwkv_status make_call_grammar(struct rw_gen *gen, rwkv_error *err)
{
    size_t size = 0;
    const rwkv_chat *chat = &gen->conversation.chat;
    int several = gen->conversation.several_calls;
    RW_TRY(rwkv_chat_call_schema(chat, several, NULL, 0, &size, err));
    char *text = rw_alloc(size + 1, 1);
    if (!text)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a schema of %zu bytes", size);
    rwkv_status status = rwkv_chat_call_schema(chat, several, text, size + 1, &size, err);
    if (status == RWKV_OK)
        status = hold_grammar(gen, RW_GRAMMAR_SCHEMA, text, err);
    rw_free(text);
    return status;
}

/* Calls that the model may make or not. Where a schema says more than grammars understand, calls
 * are the model's own, as they are everywhere else; so they are in JSON that is asked for. */
static void constrain_calls(struct rw_gen *gen)
{
    rwkv_error err;
    const rwkv_chat *chat = &gen->conversation.chat;
    if (gen->grammar || make_call_grammar(gen, &err) != RWKV_OK)
        return;
    gen->calls = (rwkv_call_options){.tools = chat->tools, .n_tools = chat->n_tools};
    gen->options.grammar = gen->grammar;
    gen->options.calls = &gen->calls;
}

void rw_gen_constrain_call(struct rw_gen *gen)
{
    rwkv_error err;
    struct rw_fields *f = &gen->call->fields;
    const rwkv_chat *chat = &gen->conversation.chat;
    bool forced = chat->tool_choice == RWKV_TOOL_REQUIRED || chat->tool_choice == RWKV_TOOL_NAMED;
    if (f->error->status)
        return;
    if (forced && may_have_one(gen, f, "tool_choice"))
        have_grammar(gen, f, "tools", make_call_grammar(gen, &err), &err);
    else if (chat->tool_choice == RWKV_TOOL_AUTO && chat->n_tools > 0)
        constrain_calls(gen);
}

/* {"type": "text" | "json_object"} or {"type": "json_schema", "json_schema": {"schema": {…}}} */
static void read_format(struct rw_gen *gen, struct rw_fields *f)
{
    static const char *const types[] = {"text", "json_object", "json_schema", NULL};
    int type = 0;
    const char *gbnf = NULL;
    struct rw_fields format = rw_fields_in(f, "response_format");
    rw_field_word(&format, "type", types, &type);
    if (type == 1) {
        rw_gen_set_json(gen);
    } else if (type == 2) {
        struct rw_fields named = rw_fields_in(&format, "json_schema");
        const json_t *schema = rw_field_object(&named, "schema");
        if (!schema)
            rw_field_fail(&named, "schema", "wanted a JSON schema, found nothing");
        else
            rw_gen_set_schema(gen, &named, "schema", schema);
    }
    if (rw_field_text(f, "grammar", RW_MAX_GRAMMAR, &gbnf))
        rw_gen_set_gbnf(gen, f, "grammar", gbnf);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void read_limits(struct rw_gen *gen, struct rw_fields *f)
{
    int64_t n = 1, max_tokens = (int64_t)gen->call->server->options.max_tokens;
    bool given = rw_field_int(f, "max_tokens", 0, RW_MAX_NEW_TOKENS, &max_tokens);
    given |= rw_field_int(f, "max_completion_tokens", 0, RW_MAX_NEW_TOKENS, &max_tokens);
    gen->only_prompt = given && max_tokens == 0;
    rw_field_int(f, "n", 1, RW_MAX_CHOICES, &n);
    gen->options.max_tokens = (size_t)max_tokens;
    gen->n = (size_t)n;
}

static void read_state(struct rw_gen *gen, struct rw_fields *f)
{
    const char *user = NULL;
    rw_field_state_name(f, "state", &gen->state);
    rw_field_flag(f, "return_state", &gen->return_state);
    rw_field_flag(f, "no_cache", &gen->no_cache);
    rw_field_text(f, "user", RW_MAX_USER, &user);
    if ((gen->state || gen->return_state) && !gen->call->server->store)
        rw_field_fail(f, "state", "this server keeps no states");
}

void rw_gen_read(struct rw_gen *gen)
{
    struct rw_fields *f = &gen->call->fields;
    struct rw_fields stream;
    rw_field_name(f, "model", &gen->model);
    rw_gen_read_sampling(gen, f);
    read_bias(gen, f);
    read_limits(gen, f);
    rw_gen_read_stops(gen, f, "stop");
    read_format(gen, f);
    read_state(gen, f);
    rw_field_flag(f, "stream", &gen->stream);
    stream = rw_fields_in(f, "stream_options");
    rw_field_flag(&stream, "include_usage", &gen->stream_usage);
}
