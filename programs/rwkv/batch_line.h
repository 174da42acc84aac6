/* SPDX-License-Identifier: Apache-2.0 */
/* One line of `rwkv batch`: from the request's JSON to the answer's. docs/cli/batch.md has both. */
#ifndef RW_PROGRAM_BATCH_LINE_H
#define RW_PROGRAM_BATCH_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"
#include "sampling.h"

/* What the command line says, and a line may say otherwise. */
struct rw_line_defaults {
    struct rw_sampling sampling; /* line N draws from seed + N − 1 */
    struct rw_stops stops;
    size_t max_tokens; /* 0: no limit */
    int think;         /* rwkv_think */
};

struct rw_line {
    uint64_t number; /* in the input, from 1 */
    uint64_t end;    /* bytes of the input up to its end */
    bool done;

    /* What is asked. */
    char *id; /* any JSON value, as text; owned, nullable */
    struct rw_str prompt;
    bool chat; /* the prompt was made from messages */
    struct rw_sampling sampling;
    struct rw_stops stops;
    size_t max_tokens;

    /* What came of it; `err.code` says whether it failed. */
    struct rw_str text;
    rwkv_generate_result result;
    rwkv_error err;
};

struct rw_line *rw_line_new(uint64_t number, uint64_t end); /* NULL: no memory */
void rw_line_free(struct rw_line *line);                    /* NULL is fine */

/* Read the request. Fails with what is wrong in the line, without its number. */
rwkv_status rw_line_parse(struct rw_line *line, const char *json, size_t size,
                          const struct rw_line_defaults *defaults, rwkv_error *err);

/* Append the answer as one line of JSON, with its newline. */
void rw_line_write(const struct rw_line *line, struct rw_str *to);

#endif
