/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tensor gets which type.
 *
 * Vectors are F32: they are few, and every reader of GGUF expects it. The low-rank pairs make the
 * decay, the learning rate and the gates out of few numbers that a whole channel depends on; they
 * are 3 to 5 % of a model and stay F16, in which weights trained in BF16 lose nothing. The head
 * decides between tokens directly and gets two bits more than the rest; the embedding is read one
 * row at a time, so that sparing it below four bits saves room but no time.
 */
#include <fnmatch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/quantize.h"

bool rw_quantize_is_matrix(const struct output *o)
{
    enum rw_kind kind = o->sources[0]->spec->kind;
    return kind == RW_KIND_MATRIX || kind == RW_KIND_PAIR;
}

static rwkv_dtype due_type(const struct output *o, rwkv_dtype asked)
{
    const struct rw_spec *spec = o->sources[0]->spec;
    if (!rw_quantize_is_matrix(o))
        return RWKV_DTYPE_F32;
    if (spec->kind == RW_KIND_PAIR)
        return RWKV_DTYPE_F16;
    if (spec == &rw_rwkv7_specs[RW_SPEC_head])
        return asked == RWKV_DTYPE_Q8_0 ? RWKV_DTYPE_Q8_0 : RWKV_DTYPE_Q6_K;
    if (spec == &rw_rwkv7_specs[RW_SPEC_emb] &&
        (asked == RWKV_DTYPE_Q2_K || asked == RWKV_DTYPE_Q3_K))
        return RWKV_DTYPE_Q4_K;
    return asked;
}

static size_t row_length(const struct rw_tensor *t)
{
    return t->shape[t->n_dims - 1];
}

static bool fits(const struct rw_tensor *t, rwkv_dtype dtype)
{
    return row_length(t) % rw_dtype(dtype)->block == 0;
}

/* The type for rows that are no multiple of the block of the one that was due. */
static rwkv_dtype fallback(const struct rw_tensor *t, rwkv_dtype due)
{
    static const uint8_t small[RWKV_DTYPE_MODEL_COUNT] = {
        [RWKV_DTYPE_Q2_K] = RWKV_DTYPE_IQ4_NL,   [RWKV_DTYPE_Q3_K] = RWKV_DTYPE_IQ4_NL,
        [RWKV_DTYPE_IQ4_XS] = RWKV_DTYPE_IQ4_NL, [RWKV_DTYPE_Q4_K] = RWKV_DTYPE_Q5_0,
        [RWKV_DTYPE_Q5_K] = RWKV_DTYPE_Q5_1,     [RWKV_DTYPE_Q6_K] = RWKV_DTYPE_Q8_0,
    };
    if (fits(t, due))
        return due;
    return small[due] && fits(t, (rwkv_dtype)small[due]) ? (rwkv_dtype)small[due] : RWKV_DTYPE_F16;
}

/* Whether a rule names this tensor, in any naming. */
static bool matches(const struct output *o, const char *name, const char *pattern)
{
    char known[128];
    const struct rw_param *param = o->sources[0];
    if (fnmatch(pattern, name, 0) == 0)
        return true;
    rw_param_name(known, param->spec, RW_NAMES_GGUF, param->block);
    if (strcmp(known, name) != 0)
        return false; /* a stand-in for v0, v1, v2 of block 0, made of something else */
    for (int naming = 0; naming < RW_NAMES_GGUF; naming++) {
        rw_param_name(known, param->spec, (enum rw_naming)naming, param->block);
        if (fnmatch(pattern, known, 0) == 0)
            return true;
    }
    return false;
}

static rwkv_status apply_rule(struct conversion *c, const rwkv_quantize_rule *rule,
                              rwkv_dtype *wanted, rwkv_error *err)
{
    size_t found = 0;
    if (rule->dtype >= RWKV_DTYPE_MODEL_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a type of weights, found %s",
                       rule->pattern, rwkv_dtype_name(rule->dtype));
    for (size_t i = 0; i < c->n_outputs; i++) {
        const struct rw_named_tensor *named = &c->tensors[i];
        if (!rw_quantize_is_matrix(&c->outputs[i]) ||
            !matches(&c->outputs[i], named->name, rule->pattern))
            continue;
        wanted[i] = rule->dtype;
        found++;
    }
    return found ? RWKV_OK
                 : rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: no matrix of that name in %s",
                           rule->pattern, c->file->path);
}

/* A rule says what must be; only a default gives way. */
static rwkv_status check_demand(const struct rw_named_tensor *named, rwkv_dtype dtype,
                                rwkv_error *err)
{
    if (fits(&named->tensor, dtype))
        return RWKV_OK;
    size_t row = row_length(&named->tensor);
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "%s: type %s wants rows of a multiple of %u numbers, found %zu (%s)",
                   named->name, rwkv_dtype_name(dtype), rw_dtype(dtype)->block, row,
                   row % 32 == 0 ? "q4_0, q4_1, q5_0, q5_1, q8_0 and iq4_nl want 32"
                                 : "only f32, f16 and bf16 take any");
}

rwkv_status rw_quantize_policy(struct conversion *c, const rwkv_quantize_options *options,
                               rwkv_dtype *wanted, rwkv_error *err)
{
    const rwkv_dtype none = RWKV_DTYPE_COUNT;
    for (size_t i = 0; i < c->n_outputs; i++)
        wanted[i] = none;
    for (size_t i = 0; i < options->n_rules; i++)
        RW_TRY(apply_rule(c, &options->rules[i], wanted, err));
    c->bytes = 0;
    for (size_t i = 0; i < c->n_outputs; i++) {
        struct rw_tensor *t = &c->tensors[i].tensor;
        if (wanted[i] != none) {
            RW_TRY(check_demand(&c->tensors[i], wanted[i], err));
            t->dtype = wanted[i];
        } else {
            wanted[i] = due_type(&c->outputs[i], options->dtype);
            t->dtype = fallback(t, wanted[i]);
        }
        c->bytes += rw_tensor_bytes(t);
    }
    return RWKV_OK;
}
