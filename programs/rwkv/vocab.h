/* SPDX-License-Identifier: Apache-2.0 */
/* What the sub-commands of `rwkv vocab` share: vocabularies measured on texts. */
#ifndef RW_PROGRAM_VOCAB_H
#define RW_PROGRAM_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "rwkv.h"
#include "rwkv_data.h"

int rw_vocab_compare_command(int argc, char **argv);
int rw_vocab_info_command(int argc, char **argv);
int rw_vocab_train_command(int argc, char **argv);

#define RW_PATHS_MAX 64

/* Values of an option that may be given several times; borrowed. */
struct rw_paths {
    const char *list[RW_PATHS_MAX];
    size_t n;
};
rwkv_status rw_parse_path(void *to, const char *value, rwkv_error *err);

/* Entries of a table of rw_option: how texts are read, into a rwkv_data_options and an int. */
#define RW_TEXT_OPTIONS(o, format)                                       \
    {"format", 0, RW_OPTION_CHOICE, format, .choices = rw_text_formats}, \
    {                                                                    \
        "field", 0, RW_OPTION_TEXT, &(o)->field                          \
    }
extern const char *const rw_text_formats[];

struct rw_measured {
    const char *name;  /* borrowed */
    rwkv_vocab *vocab; /* owned */
    uint64_t bytes, tokens;
    uint8_t *used; /* [size of the vocabulary], nullable: whether a token occurred */
};

rwkv_status rw_measured_open(struct rw_measured *m, const char *name, rwkv_error *err);
void rw_measured_fini(struct rw_measured *m); /* also of zeros */

/* Add a text to the numbers. */
rwkv_status rw_measure_text(struct rw_measured *m, const char *text, size_t size, rwkv_error *err);

/* A table: ids, bytes per token, and how many tokens more or less than the first. */
rwkv_status rw_measured_print(const struct rw_measured *list, size_t n, bool json, rwkv_error *err);

#endif
