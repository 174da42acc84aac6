/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sequence that is being continued: what chooses its tokens, what makes text of them, and when
 * it ends. Single generation and batches take the same steps:
 *
 *     RW_TRY(rw_generation_init(&g, model, options, err));
 *     g.session = session;
 *     … evaluate the prompt …
 *     while (!g.over) {
 *         RW_TRY(rw_generation_next(&g, memory, err)); // from the session's logits
 *         show(g.stream.text);
 *         if (g.has_token)
 *             … evaluate g.token …
 *     }
 *     RW_TRY(rw_generation_end(&g, err));
 *     show(g.stream.text);
 *     rw_generation_fini(&g);
 */
#ifndef RW_ENGINE_GENERATION_H
#define RW_ENGINE_GENERATION_H

#include "engine/engine.h"
#include "text/grammar.h"
#include "text/sampler.h"
#include "text/splitter.h"
#include "text/text_stream.h"

struct rw_generation {
    struct rwkv_session *session;   /* borrowed; set by the caller */
    const struct rwkv_vocab *vocab; /* borrowed from the model */
    size_t n_vocab;
    const rwkv_generate_options *options; /* borrowed; its sampler and stop strings are copied */
    struct rw_sampler *sampler;
    struct rw_matcher *matcher;   /* NULL without a grammar, or until it begins to hold */
    struct rwkv_splitter *calls;  /* says when it does; NULL: from the beginning */
    bool call_differs;            /* from the grammar, which does not hold for it */
    struct rw_text_stream stream; /* .text: what the last step made final */
    rwkv_generate_result result;
    int32_t token;
    bool has_token; /* the last step chose `token`, which belongs into the state */
    bool over;      /* result.finish says why */
};

rwkv_status rw_generation_init(struct rw_generation *g, struct rwkv_model *model,
                               const rwkv_generate_options *options, rwkv_error *err);
void rw_generation_fini(struct rw_generation *g);

/* Choose the next token from the session's logits, in memory that nobody else uses meanwhile, and
 * take its text. */
rwkv_status rw_generation_next(struct rw_generation *g, struct rw_candidates *memory,
                               rwkv_error *err);

/* Whether the caller's flag asks to stop. */
bool rw_generation_cancelled(const struct rw_generation *g);

/* It goes no further, for this reason if for none before. */
void rw_generation_stop(struct rw_generation *g, rwkv_finish finish);

/* What was held back as the possible beginning of a stop sequence becomes text, unless one came. */
rwkv_status rw_generation_end(struct rw_generation *g, rwkv_error *err);

#endif
