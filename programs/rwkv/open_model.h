/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say which model runs and how, shared by every command that needs one. */
#ifndef RW_PROGRAM_OPEN_MODEL_H
#define RW_PROGRAM_OPEN_MODEL_H

#include "json_out.h"
#include "options.h"
#include "rwkv.h"

struct rw_model_args {
    const char *path; /* NULL: the built-in model */
    rwkv_model_options options;
};

/* Entries of a table of rw_option. How a model runs; with -m, which; and only its vocabulary. */
#define RW_RUNNING_OPTIONS(a)                                                       \
    {"threads", 't', RW_OPTION_INT, &(a)->options.threads, .min = 1, .max = 256},   \
        {"cpu", 0, RW_OPTION_CALL, &(a)->options.cpu, .parse = rw_parse_cpu},       \
        {"strategy", 0, RW_OPTION_TEXT, &(a)->options.strategy},                    \
        {"chunk", 0, RW_OPTION_SIZE, &(a)->options.chunk, .min = 1, .max = 4096},   \
        {"memory-limit", 0, RW_OPTION_BYTES, &(a)->options.memory_limit},           \
        {"zeros", 0, RW_OPTION_CALL, &(a)->options.zeros, .parse = rw_parse_zeros}, \
        {"pack", 0, RW_OPTION_CALL, &(a)->options.packing, .parse = rw_parse_pack}, \
        RW_VOCAB_OPTION(a)
#define RW_VOCAB_OPTION(a)                              \
    {                                                   \
        "vocab", 0, RW_OPTION_TEXT, &(a)->options.vocab \
    }
#define RW_PATH_OPTION(a)                        \
    {                                            \
        "model", 'm', RW_OPTION_TEXT, &(a)->path \
    }

/* Take the model given as the operand, which may be there instead of -m; an error if both are. */
rwkv_status rw_model_operand(struct rw_model_args *args, const struct rw_operands *operands,
                             rwkv_error *err);

rwkv_status rw_parse_cpu(void *to, const char *value, rwkv_error *err);
rwkv_status rw_parse_zeros(void *to, const char *value, rwkv_error *err);
rwkv_status rw_parse_pack(void *to, const char *value, rwkv_error *err);

/* Open the model; for one in a file and with `announce`, say on standard error beforehand what
 * would be loaded. `seconds` (nullable) receives the time that opening took. */
rwkv_status rw_open_model(const struct rw_model_args *args, bool announce, double *seconds,
                          rwkv_model **out, rwkv_error *err);

/* Its vocabulary, or the error that says where it was looked for. */
rwkv_status rw_need_vocab(const rwkv_model *model, const rwkv_vocab **out, rwkv_error *err);

/* The vocabulary that --vocab names, which needs no model; or that of the model, by default of the
 * built-in one. */
struct rw_opened_vocab {
    const rwkv_vocab *vocab;
    rwkv_model *model;   /* NULL if only a vocabulary was opened, */
    rwkv_vocab *of_file; /* which is then this */
};
rwkv_status rw_open_vocab(const struct rw_model_args *args, struct rw_opened_vocab *out,
                          rwkv_error *err);
void rw_close_vocab(struct rw_opened_vocab *v); /* also of zeros */

/* Put the session where `path` (nullable: nowhere) says, and back. A path ending in .pth is written
 * as a tuned state. */
rwkv_status rw_load_state(rwkv_session *session, const char *path, rwkv_error *err);
rwkv_status rw_save_state(const rwkv_session *session, const char *path, rwkv_error *err);

/* Fail if no file can be written at `path` (nullable): asked before work that would be lost. */
rwkv_status rw_check_writable(const char *path, rwkv_error *err);

/* The plan as lines of text on standard error, and as members of a JSON object. */
void rw_note_plan(const char *path, const rwkv_model_info *info);
void rw_json_plan(struct rw_json *j, const rwkv_model_info *info);

/* What was seen of the channel mix's zeros and done about them, as a line of text and as a member
 * of a JSON object. */
void rw_describe_zeros(const rwkv_model_zeros *zeros, char *to, size_t size);
void rw_json_zeros(struct rw_json *j, const rwkv_model_zeros *zeros);
/* What has been packed: the same. */
void rw_describe_packing(const rwkv_model_packing *packing, char *to, size_t size);
void rw_json_packing(struct rw_json *j, const rwkv_model_packing *packing);

/* "RWKV-7, 12 layers of 768 channels, 191 M parameters, mostly F16": into `to`. */
void rw_describe_model(const rwkv_model_info *info, char *to, size_t size);

/* Where the model's path is shown. */
const char *rw_model_name(const char *path);

#endif
