/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden tests: a folder of reference vectors against the library. Each kind of vector has a
 * function that looks at one folder and checks what it knows there; what nobody knows is named and
 * skipped.
 */
#ifndef RW_TESTS_GOLDEN_H
#define RW_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"
#include "rwkv_file.h"

struct golden {
    size_t passed, failed, skipped;
    const char *shared_data; /* folder with the World vocabulary */
    const char *temporary;   /* a folder to write in */
};

/* Print one line "ok/FAIL/skip  what: detail" and count it. */
void golden_result(struct golden *g, bool ok, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void golden_skip(struct golden *g, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Names in a folder that end in `suffix`, sorted; freed with golden_free_names. */
char **golden_names(const char *folder, const char *suffix, size_t *n);
void golden_free_names(char **names, size_t n);

/* Values of a tensor as float, or NULL if there is none of that name; freed with free. */
float *golden_floats(rwkv_file *file, const char *name, size_t *n);
int *golden_ints(rwkv_file *file, const char *name, size_t *n);

/* Spread of values: their standard deviation. And the largest and the mean square difference. */
double golden_deviation(const float *values, size_t n);
double golden_largest(const float *a, const float *b, size_t n);
double golden_rms(const float *a, const float *b, size_t n);

/* Instruction sets of this machine, best first, NULL at the end. */
const char *const *golden_isas(void);

/* Bound of every comparison with a float64 oracle, relative to the deviation of the logits. */
#define GOLDEN_BOUND 2e-4

void golden_models(struct golden *g, const char *folder);    /* NAME.vec.safetensors */
void golden_gradients(struct golden *g, const char *folder); /* those that hold gradients */
void golden_quantized(struct golden *g, const char *folder, const char *name,
                      rwkv_file *vectors); /* NAME-TYPE.gguf */
void golden_containers(struct golden *g, const char *name,
                       const char *model); /* the same bits from every container */
void golden_invariance(struct golden *g, const char *what, const char *path); /* threads, chunks */
void golden_training(struct golden *g, const char *folder);  /* NAME.run.safetensors */
void golden_files(struct golden *g, const char *folder);     /* manifest.json */
void golden_tokenizer(struct golden *g, const char *folder); /* encode.jsonl, decode.jsonl */
void golden_rows(struct golden *g, const char *folder);      /* dequant.safetensors */

#endif
