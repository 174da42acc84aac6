/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/rerank: documents in the order of how close their vectors are to the query's. There is
 * no model trained to rank behind it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/embed.h"

struct ranked {
    size_t index;
    double score;
};

static int compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Vectors have length 1, so this is the cosine. */
static double similarity(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void add_result(struct rw_json *j, const struct rw_embed *embed, const struct ranked *r)
{
    const json_t *text = embed->inputs[r->index + 1];
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "index", r->index);
    rw_json_real(j, "relevance_score", r->score);
    if (embed->return_documents) {
        rw_json_open(j, "document", RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_bytes(j, "text", json_string_value(text), json_string_length(text));
        rw_json_close(j);
    }
    rw_json_close(j);
}

/* The first vector is the query's. */
static void end(struct rw_embed *embed)
{
    struct rw_json j = {0};
    size_t n = embed->n - 1;
    struct ranked *ranked = rw_alloc(n, sizeof *ranked);
    if (!ranked) {
        rw_api_fail(&embed->call->error, 503, "server_error", "no_memory", "no memory to rank");
        rw_call_refused(embed->call);
        return;
    }
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){
            i, similarity(embed->jobs[0].vector, embed->jobs[i + 1].vector, embed->size)};
    qsort(ranked, n, sizeof *ranked, compare);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "object", "list");
    rw_json_text(&j, "model", embed->call->served->name);
    rw_json_text(&j, "method", "cosine of embeddings");
    rw_json_open(&j, "results", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < n && (embed->top_n == 0 || i < (size_t)embed->top_n); i++)
        add_result(&j, embed, &ranked[i]);
    rw_json_close(&j);
    rw_json_open(&j, "usage", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(&j, "prompt_tokens", rw_embed_tokens(embed));
    rw_json_u64(&j, "total_tokens", rw_embed_tokens(embed));
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(embed->call, &j);
    rw_free(ranked);
}

/* A document is a text, or an object with one. */
static const json_t *text_of(const json_t *document)
{
    return json_is_object(document) ? json_object_get(document, "text") : document;
}

void rw_rerank(struct rw_call *call)
{
    const char *model = NULL;
    struct rw_fields *f = &call->fields;
    const json_t *query = json_object_get(f->object, "query");
    const json_t *documents = rw_field_list(f, "documents", 1, RW_MAX_PROMPTS);
    if (!json_is_string(query))
        rw_field_fail(f, "query", "wanted a text, found %s", rw_kind_of(query));
    if (!documents)
        rw_field_fail(f, "documents", "wanted a list of texts, found nothing");
    for (size_t i = 0; i < json_array_size(documents); i++)
        if (!json_is_string(text_of(json_array_get(documents, i))))
            rw_field_fail(f, "documents", "wanted texts, found %s at %zu",
                          rw_kind_of(json_array_get(documents, i)), i);
    if (rw_call_refused(call))
        return;
    struct rw_embed *embed = rw_embed_new(call, 1 + json_array_size(documents), end);
    if (!embed)
        return;
    embed->inputs[0] = query;
    for (size_t i = 1; i < embed->n; i++)
        embed->inputs[i] = text_of(json_array_get(documents, i - 1));
    rw_field_name(f, "model", &model);
    rw_field_int(f, "top_n", 1, INT32_MAX, &embed->top_n);
    rw_field_flag(f, "return_documents", &embed->return_documents);
    rw_embed_start(embed, model);
}
