/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say what a generated text may be. */
#ifndef RW_PROGRAM_GRAMMAR_IN_H
#define RW_PROGRAM_GRAMMAR_IN_H

#include "options.h"
#include "rwkv_grammar.h"

struct rw_grammar_args {
    const char *gbnf, *schema; /* files */
    bool object;
};

/* Entries of a table of rw_option. */
#define RW_GRAMMAR_OPTIONS(a)                                                                     \
    {"grammar", 0, RW_OPTION_TEXT, &(a)->gbnf}, {"json-schema", 0, RW_OPTION_TEXT, &(a)->schema}, \
    {                                                                                             \
        "json-object", 0, RW_OPTION_FLAG, &(a)->object                                            \
    }

/* The grammar that is asked for, to be freed; NULL if none is. */
rwkv_status rw_open_grammar(const struct rw_grammar_args *args, rwkv_grammar **out,
                            rwkv_error *err);

#endif
