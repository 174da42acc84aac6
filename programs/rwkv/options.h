/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one parser of command lines. A command lists its options as data; values are typed and
 * checked.
 *
 *     struct { const char *out; size_t n; } args = {.n = 256};
 *     const struct rw_option options[] = {
 *         {"out", 'o', RW_OPTION_TEXT, &args.out},
 *         {"max-tokens", 'n', RW_OPTION_SIZE, &args.n, .min = 0, .max = 1e9},
 *         {0}};
 *     struct rw_operands operands = {.wanted = "FILE", .min = 1, .max = 1};
 *     int status = rw_options_read("run", options, argc, argv, &operands);
 *     if (status != RW_OPTIONS_READ)
 *         return status;
 *
 * Understood: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, clusters of short flags, options after
 * operands, and `--`, after which everything is an operand. Every command has -h, --help.
 */
#ifndef RW_PROGRAM_OPTIONS_H
#define RW_PROGRAM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"

enum rw_option_kind {
    RW_OPTION_FLAG,   /* bool: becomes true; takes no value */
    RW_OPTION_TEXT,   /* const char *: borrowed from argv */
    RW_OPTION_INT,    /* int in [min, max] */
    RW_OPTION_SIZE,   /* size_t in [min, max]; max 0: no upper limit */
    RW_OPTION_U64,    /* uint64_t */
    RW_OPTION_BYTES,  /* uint64_t with an optional K, M, G or T, powers of 1024 */
    RW_OPTION_FLOAT,  /* float in [min, max] */
    RW_OPTION_REAL,   /* double in [min, max] */
    RW_OPTION_CHOICE, /* int: the index in `choices` */
    RW_OPTION_CALL    /* `parse` reads it */
};

/* Store `value` in `to`; on failure the message says what was wanted and found. */
typedef rwkv_status (*rw_option_fn)(void *to, const char *value, rwkv_error *err);

struct rw_option {
    const char *name; /* without dashes; NULL ends the list */
    char letter;      /* of the short form, or 0 */
    enum rw_option_kind kind;
    void *to;
    double min, max;
    const char *const *choices; /* ended by NULL */
    rw_option_fn parse;
    bool *given; /* nullable: becomes true when the option occurs */
};

struct rw_operands {
    const char *wanted; /* as in the synopsis: "IN OUT" */
    size_t min, max;
    char **list; /* out: borrowed from argv */
    size_t count;
};

#define RW_OPTIONS_READ (-1)

/* Parse argv[1…]. Returns RW_OPTIONS_READ, or the exit status after printing the help page or a
 * complaint. `command` (NULL: the program itself) says whose page that is. argv is rearranged. */
int rw_options_read(const char *command, const struct rw_option *options, int argc, char **argv,
                    struct rw_operands *operands);

/* Give one option its value, as if it stood on the command line; a flag's is "on", "off" or NULL.
 */
rwkv_status rw_option_set(const struct rw_option *options, const char *name, const char *value,
                          rwkv_error *err);

/* The entry of `names` (ended by NULL) that `typed` was probably meant to be, or NULL. */
const char *rw_suggest(const char *typed, const char *const *names);

/* Whole numbers in decimal, nothing around them; false if it is none or does not fit. */
bool rw_parse_u64(const char *text, uint64_t *out);

#endif
