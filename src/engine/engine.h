/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two public nouns from the inside. A rwkv_model owns the mapped file, the bound weights, a
 * backend and the scratch of one step, which its sessions share under a lock: one evaluation at a
 * time uses all threads. A rwkv_session owns a state and the last outputs, and a reference to its
 * model.
 */
#ifndef RW_ENGINE_ENGINE_H
#define RW_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "engine/stages.h"
#include "formats/format.h"
#include "model/rwkv7.h"
#include "rwkv.h"
#include "rwkv_evaluate.h"
#include "rwkv_file.h"
#include "text/vocab.h"

#define RW_DEFAULT_CHUNK 128
#define RW_MAX_CHUNK 4096

/* zeros.c: copies by channel of the channel mix's value matrices. */
struct rw_zeros {
    rwkv_zeros mode;
    struct rw_channels *channels; /* [L] */
    uint64_t tokens;              /* in steps of their own */
    size_t next;                  /* layer to be copied */
    rwkv_model_zeros published;
};

/* packing.c: copies of weights as products read them fastest. */
struct rw_packing {
    rwkv_packing mode;
    struct rw_weight **weights; /* [n], in the order in which they are packed */
    size_t n, n_first, next;    /* n_first: without the value matrices; next: to be packed */
    uint8_t *memory;            /* [size], or NULL: not yet taken */
    size_t size, used;
    size_t steps; /* of decoding */
    rwkv_model_packing published;
};

struct rwkv_model {
    _Atomic size_t references;
    struct rw_file *file;
    struct rw_params params;
    struct rw_arena arena; /* vectors and copied matrices */
    struct rw_rwkv7 rwkv7;
    struct rw_backend *host; /* the CPU */
    struct rw_stages stages;
    rwkv_model_info info;
    char *vocab_option;
    struct rw_sequence *sequences;  /* [chunk] of a step */
    struct rwkv_session **stepping; /* [chunk] theirs */
    pthread_mutex_t lock;           /* around an evaluation */
    pthread_mutex_t vocab_lock;     /* around the first look for a vocabulary */
    struct rwkv_vocab *vocab;
    bool vocab_sought;
    rwkv_error vocab_error;
    uint64_t memory_limit; /* as in the options */
    struct rw_zeros zeros;
    struct rw_packing packing;
    pthread_mutex_t copies_lock; /* around what the two publish */
};

struct rwkv_session {
    struct rwkv_model *model;
    float **parts; /* [stages] the state: in the memory of each its layers */
    float *mirror; /* [layout.total] the whole state on the host, or NULL: not yet needed */
    float *logits; /* [V] */
    float *hidden; /* [C] */
    bool has_logits;
    bool busy; /* named in the evaluation under way */
    uint64_t position;
};

/* Take over `file`, also on failure. */
rwkv_status rw_model_new(struct rw_file *file, const rwkv_model_options *options,
                         struct rwkv_model **out, rwkv_error *err);
/* What rw_model_new would say of it. Takes over `file`. */
rwkv_status rw_model_plan(struct rw_file *file, const rwkv_model_options *options,
                          rwkv_model_info *info, rwkv_error *err);
void rw_model_retain(struct rwkv_model *model);
void rw_model_release(struct rwkv_model *model);
const struct rwkv_vocab *rw_model_vocab(struct rwkv_model *model, rwkv_error *err);
void rw_model_get_info(struct rwkv_model *model, rwkv_model_info *info);

/* Whether so many bytes may be copied: bounded by the option, or by what the machine has to spare.
 */
bool rw_model_has_room(const struct rwkv_model *model, uint64_t bytes);
/* A copy of the weight is read from now on: the file's pages of it need not stay resident. */
void rw_model_forget_pages(const struct rwkv_model *model, const struct rw_weight *w);

/* zeros.c */
/* The weights are bound; false: no memory. */
bool rw_zeros_init(struct rwkv_model *model, const rwkv_model_options *options);
void rw_zeros_fini(struct rwkv_model *model);
/* After each step of one token, under the model's lock. */
void rw_zeros_decoded(struct rwkv_model *model);
/* No more copies will be made. */
bool rw_zeros_settled(const struct rwkv_model *model);
/* What copies of all layers would take. */
uint64_t rw_zeros_bytes(struct rwkv_model *model, const struct rw_params *params);
void rw_model_get_zeros(struct rwkv_model *model, rwkv_model_zeros *out);

/* packing.c */
/* The weights are bound; false: no memory. */
bool rw_packing_init(struct rwkv_model *model, const rwkv_model_options *options);
void rw_packing_fini(struct rwkv_model *model);
/* What copies of all weights would take. */
uint64_t rw_packing_bytes(const struct rwkv_model *model, const struct rw_params *params);
/* Before the first step. */
void rw_packing_opened(struct rwkv_model *model);
/* After each step in which sequences went on by one token, a single one `alone` or several, under
 * the model's lock. */
void rw_packing_decoded(struct rwkv_model *model, bool alone);
void rw_model_get_packing(struct rwkv_model *model, rwkv_model_packing *out);

rwkv_status rw_session_new(struct rwkv_model *model, struct rwkv_session **out, rwkv_error *err);
void rw_session_free(struct rwkv_session *session);
void rw_session_reset(struct rwkv_session *session);
void rw_session_copy(struct rwkv_session *to, const struct rwkv_session *from);
/* Floats [at, at + n) of the state, in the order of layers, to and from host memory. */
void rw_session_get(const struct rwkv_session *session, size_t at, size_t n, float *to);
void rw_session_put(struct rwkv_session *session, size_t at, size_t n, const float *from);
/* The whole state in host memory, borrowed until the session changes: itself if it is there, or a
 * copy. */
rwkv_status rw_session_view(struct rwkv_session *session, const float **out, rwkv_error *err);
/* Every id in [0, n_vocab), else RWKV_ERROR_TOKEN. */
rwkv_status rw_check_tokens(const int32_t *tokens, size_t n_tokens, size_t n_vocab,
                            rwkv_error *err);
rwkv_status rw_segments_eval(const rwkv_segment *segments, size_t n, rwkv_error *err);

/* state_file.c */
size_t rw_state_size(const struct rwkv_session *session);
void rw_state_write(const struct rwkv_session *session, void *to);
rwkv_status rw_state_read(struct rwkv_session *session, const void *from, size_t size,
                          const char *name, rwkv_error *err);
/* The same without the checksum, for copies in memory; rw_state_seal makes it what rw_state_write
 * would have written. */
void rw_state_pack(const struct rwkv_session *session, void *to);
void rw_state_seal(void *state, size_t size);
rwkv_status rw_state_unpack(struct rwkv_session *session, const void *from, size_t size,
                            const char *name, rwkv_error *err);
/* The model's fingerprint as bytes. */
void rw_state_fingerprint(const struct rwkv_model *model, uint8_t out[32]);
rwkv_status rw_state_save(const struct rwkv_session *session, const char *path, rwkv_error *err);
rwkv_status rw_state_load(struct rwkv_session *session, const char *path, rwkv_error *err);
rwkv_status rw_state_save_tuned(const struct rwkv_session *session, const char *path,
                                rwkv_error *err);

/* generate.c */
/* The ids of a text by the model's vocabulary; freed with rw_free. */
rwkv_status rw_encode_prompt(struct rwkv_model *model, const char *text, size_t size,
                             int32_t **tokens, size_t *n_tokens, rwkv_error *err);
rwkv_status rw_generate(struct rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                        const rwkv_generate_options *options, rwkv_text_fn text, void *user,
                        rwkv_generate_result *result, rwkv_error *err);

/* evaluate.c */
rwkv_status rw_evaluator_new(struct rwkv_model *model, const rwkv_evaluate_options *options,
                             struct rwkv_evaluator **out, rwkv_error *err);
void rw_evaluator_free(struct rwkv_evaluator *evaluator);
rwkv_status rw_evaluator_feed(struct rwkv_evaluator *evaluator, const int32_t *tokens,
                              size_t n_tokens, rwkv_error *err);
void rw_evaluator_result(const struct rwkv_evaluator *evaluator, rwkv_evaluation *out);

/* meter.c */
rwkv_status rw_meter_new(struct rwkv_model *model, struct rwkv_meter **out, rwkv_error *err);
void rw_meter_free(struct rwkv_meter *meter);
double rw_meter_measure(struct rwkv_meter *meter, rwkv_limit limit);

/* convert.c, random_model.c */
rwkv_status rw_convert(const char *in, const char *out, const rwkv_convert_options *options,
                       rwkv_error *err);
/* The same of a file that is open, or in memory. */
rwkv_status rw_convert_file(const struct rw_file *file, const char *out,
                            const rwkv_convert_options *options, rwkv_error *err);
rwkv_status rw_random_model_write(const char *path, const rwkv_random_model *shape,
                                  rwkv_error *err);

#endif
