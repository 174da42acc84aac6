/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_batch.h: many sequences of one model at once.
 *
 * A step is one pass over the weights for all sequences together: those that generate get one token
 * each, those that still read their prompts get slices of them. Sequences join and leave between
 * steps. What a sequence generates, and its state, are those of rwkv_generate with the same
 * options, to the bit, whatever its neighbours do.
 *
 * A program that continues its arguments, all at once (examples/batch.c, which the tests compile
 * and run):
 *
 *     #include <stdio.h>
 *     #include <string.h>
 *     #include <rwkv_batch.h>
 *
 *     static void show(const rwkv_batch_event *event)
 *     {
 *         if (event->text_size)
 *             printf("%s: %.*s\n", (const char *)event->user, (int)event->text_size, event->text);
 *         if (event->kind == RWKV_BATCH_FINISHED && event->error)
 *             printf("%s: %s\n", (const char *)event->user, event->error->message);
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         rwkv_error err = {RWKV_OK, ""};
 *         rwkv_model *model = NULL;
 *         rwkv_batch *batch = NULL;
 *         rwkv_batch_event event;
 *         rwkv_generate_options options = {.max_tokens = 16, .sampler = {.greedy = 1}};
 *         if (argc > 1 && rwkv_model_open(argv[1], NULL, &model, &err) == RWKV_OK)
 *             rwkv_batch_new(model, NULL, &batch, &err);
 *         for (int i = 2; i < argc && !err.code; i++) {
 *             rwkv_batch_request request = {.prompt = argv[i], .prompt_size = strlen(argv[i])};
 *             request.options = &options;
 *             request.user = argv[i];
 *             rwkv_batch_add(batch, &request, NULL, &err);
 *         }
 *         while (!err.code && batch && rwkv_batch_count(batch) > 0) {
 *             rwkv_batch_step(batch, NULL, &err);
 *             while (rwkv_batch_next(batch, &event))
 *                 show(&event);
 *         }
 *         rwkv_batch_free(batch);
 *         rwkv_model_close(model);
 *         if (err.code)
 *             fprintf(stderr, "%s\n", err.message);
 *         return err.code ? 1 : 0;
 *     }
 *
 * Threads: one thread steps and takes the events; rwkv_batch_add, rwkv_batch_cancel and
 * rwkv_batch_count may be called from any thread at any time, also during a step. They take effect
 * with the next step; a sequence cancelled during a step reports nothing more of it.
 *
 * Fairness. A step has a bounded number of tokens, so no stream waits long for another's prompt. Of
 * those the generating sequences get theirs first. What is left for prompts is divided equally
 * between groups (users, keys), and within a group between the sequence that came first and the one
 * with the least left to read: none starves, and a short question need not wait for a long
 * document. Of waiting sequences the next one comes from the group with the fewest at work.
 */
#ifndef RWKV_BATCH_H
#define RWKV_BATCH_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rwkv_batch rwkv_batch;

typedef struct rwkv_batch_options {
    size_t max_sequences; /* at work together, 1 … 4096; further ones wait; 0: 32 */
    size_t step_tokens;   /* the most tokens in a step in which a sequence generates, 2 … the
                             model's chunk; 0: the chunk. Other steps have up to a chunk. */
} rwkv_batch_options;

/* Holds a reference to the model, which other sessions may use as well. The model needs a
 * vocabulary. */
RWKV_API rwkv_status rwkv_batch_new(rwkv_model *model, const rwkv_batch_options *options,
                                    rwkv_batch **out, rwkv_error *err);

/* Sequences that have not finished go without a word; their sessions are as the last step left
 * them. */
RWKV_API void rwkv_batch_free(rwkv_batch *batch);

/* What a sequence is to do. All zero but for the prompt: defaults. Pointers are borrowed during
 * rwkv_batch_add, unless said otherwise. */
typedef struct rwkv_batch_request {
    const char *prompt; /* any bytes, need not be terminated; or NULL, and … */
    size_t prompt_size;
    const int32_t *tokens; /* … the prompt as tokens [n_tokens] */
    size_t n_tokens;
    /* Nullable. The callbacks `token` and `progress` are not called, as events tell of all. The
     * flag `cancel` is borrowed until the sequence has finished. */
    const rwkv_generate_options *options;
    int only_prompt; /* non-zero: read the prompt and generate nothing (finish LENGTH) */
    /* Nullable: work in this session, which is borrowed until the sequence has finished, and then
     * has the state that rwkv_generate would leave. Without one the sequence has a session of its
     * own and finishes a step earlier, as its last token need not be evaluated. */
    rwkv_session *session;
    const rwkv_session *from; /* nullable: begin with a copy of this session's state and logits,
                                 as many sequences as one likes may branch from one state */
    uint64_t group;           /* whose it is: groups get equal shares */
    double timeout;      /* seconds from now until it ends with RWKV_FINISH_DEADLINE; 0: none */
    const size_t *marks; /* [n_marks] ascending numbers of tokens of the prompt, after each of
                            which RWKV_BATCH_MARK comes, for states to be kept there */
    size_t n_marks;
    void *user; /* handed back in the events */
} rwkv_batch_request;

/* Add a sequence. Fails, and changes nothing, where rwkv_generate would fail with these arguments,
 * or if a session is of another model or already used in this batch. `id` (nullable) becomes the
 * sequence's number, which is never used again. */
RWKV_API rwkv_status rwkv_batch_add(rwkv_batch *batch, const rwkv_batch_request *request,
                                    uint64_t *id, rwkv_error *err);

/* End a sequence (finish RWKV_FINISH_CALLER). Nothing happens if there is none of this number any
 * more. */
RWKV_API void rwkv_batch_cancel(rwkv_batch *batch, uint64_t id);

/* Sequences that have not finished. */
RWKV_API size_t rwkv_batch_count(const rwkv_batch *batch);

/* What a step did. */
typedef struct rwkv_batch_stats {
    size_t working;          /* sequences that were evaluated */
    size_t waiting;          /* sequences that wait for others to finish */
    size_t prompt_tokens;    /* evaluated in this step */
    size_t generated_tokens; /* chosen in this step */
    double seconds;
} rwkv_batch_stats;

/* One step; without sequences it does nothing. Events not taken yet are lost. A sequence that fails
 * says so in its last event; if the step itself fails, nothing has changed. `stats` is nullable. */
RWKV_API rwkv_status rwkv_batch_step(rwkv_batch *batch, rwkv_batch_stats *stats, rwkv_error *err);

typedef enum rwkv_batch_kind {
    RWKV_BATCH_MARK,    /* the prompt was read up to a mark */
    RWKV_BATCH_TOKEN,   /* a token was chosen: `token`, and in `text` what became final by it */
    RWKV_BATCH_FINISHED /* the last event of a sequence */
} rwkv_batch_kind;

/* Pointers are borrowed until the next step. */
typedef struct rwkv_batch_event {
    rwkv_batch_kind kind;
    uint64_t id;
    void *user;
    int32_t token;
    /* Whole UTF-8 characters, never part of a stop sequence, not terminated; may be empty. At the
     * end: what had been held back. */
    const char *text;
    size_t text_size;
    /* May be read, copied and saved, not changed. At a mark: the state there, and its logits. With
     * a token: the logits that it was chosen from; it is not in the state yet. At the end: the
     * request's session, the caller's again, or NULL. */
    rwkv_session *session;
    rwkv_generate_result result; /* so far */
    double queue_seconds;        /* from adding to the first step */
    const rwkv_error *error;     /* at the end, with RWKV_FINISH_ERROR; else NULL */
} rwkv_batch_event;

/* The next event of the last step; 0 if there is none. Those of a sequence come in their order. */
RWKV_API int rwkv_batch_next(rwkv_batch *batch, rwkv_batch_event *event);

#ifdef __cplusplus
}
#endif

#endif
