/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say how the next token is chosen and when to stop: shared by run and chat. */
#ifndef RW_PROGRAM_SAMPLING_H
#define RW_PROGRAM_SAMPLING_H

#include "options.h"
#include "rwkv.h"
#include "text_in.h"

struct rw_stops {
    char **list; /* owned */
    size_t count, capacity;
};

struct rw_biases {
    rwkv_logit_bias *list; /* owned */
    size_t count, capacity;
};

struct rw_sampling {
    float temperature, top_p, min_p, typical_p, presence, frequency, penalty_decay;
    int top_k;
    int order; /* rwkv_sampler_order */
    bool greedy;
    uint64_t seed;
    bool has_seed;
    struct rw_biases biases;
};

/* Entries of a table of rw_option. */
#define RW_SAMPLING_OPTIONS(s)                                                          \
    {"temp", 0, RW_OPTION_FLOAT, &(s)->temperature, .min = 0, .max = 100},              \
        {"top-p", 0, RW_OPTION_FLOAT, &(s)->top_p, .min = 0, .max = 1},                 \
        {"top-k", 0, RW_OPTION_INT, &(s)->top_k},                                       \
        {"min-p", 0, RW_OPTION_FLOAT, &(s)->min_p, .min = 0, .max = 1},                 \
        {"typical", 0, RW_OPTION_FLOAT, &(s)->typical_p, .min = 0, .max = 1},           \
        {"presence", 0, RW_OPTION_FLOAT, &(s)->presence, .min = -100, .max = 100},      \
        {"frequency", 0, RW_OPTION_FLOAT, &(s)->frequency, .min = -100, .max = 100},    \
        {"penalty-decay", 0, RW_OPTION_FLOAT, &(s)->penalty_decay, .min = 0, .max = 1}, \
        {"order", 0, RW_OPTION_CHOICE, &(s)->order, .choices = rw_sampling_orders},     \
        {"greedy", 0, RW_OPTION_FLAG, &(s)->greedy},                                    \
        {"seed", 0, RW_OPTION_U64, &(s)->seed, .given = &(s)->has_seed},                \
    {                                                                                   \
        "logit-bias", 0, RW_OPTION_CALL, &(s)->biases, .parse = rw_parse_bias           \
    }

#define RW_CHAT_STOP "\n\nUser:" /* where an answer ends and the next question begins */

extern const char *const rw_sampling_orders[];
extern const char *const rw_think_modes[]; /* by rwkv_think */

rwkv_status rw_parse_bias(void *biases, const char *value, rwkv_error *err);
/* Append a stop sequence; \n, \t, \r and \\ stand for the characters. */
rwkv_status rw_parse_stop(void *stops, const char *value, rwkv_error *err);
/* Append one token id. */
rwkv_status rw_parse_token(void *tokens, const char *value, rwkv_error *err);

/* A number of tokens; "inf" is SIZE_MAX. */
rwkv_status rw_parse_max_tokens(void *max_tokens, const char *value, rwkv_error *err);

/* What the official package's text completion and its chat use (docs/cli/run.md and chat.md). */
struct rw_sampling rw_sampling_for_text(void);
struct rw_sampling rw_sampling_for_chat(void);

/* The library's options for these; draws a seed if none was given, and notes it in `s`. Borrows the
 * biases. */
rwkv_sampler_options rw_sampling_options(struct rw_sampling *s);

void rw_sampling_fini(struct rw_sampling *s);
void rw_stops_fini(struct rw_stops *stops);

/* "length", "stop", "end" or "interrupted": how generation ended. */
const char *rw_finish_name(const rwkv_generate_result *result);

#endif
