/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the vocabulary: what its sources use to make one. */
#ifndef RW_TEXT_VOCAB_INT_H
#define RW_TEXT_VOCAB_INT_H

#include "text/vocab.h"

struct rw_vocab_entry {
    uint32_t at, size; /* its bytes, in the builder's string */
    uint32_t id;
    uint32_t place; /* the line or entry it came from */
};

/* Collects tokens, then becomes a vocabulary. The source sets the first three fields. */
struct rw_vocab_builder {
    const char *file; /* both for messages: "FILE: UNIT 7: …"; borrowed */
    const char *unit;
    size_t id_limit; /* ids are below it */
    struct rw_str bytes;
    struct rw_vocab_entry *entries;
    size_t n, capacity;
};

/* Add a token; its bytes are copied. Refuses an id ≥ id_limit, an empty and a too long token. */
rwkv_status rw_vocab_add(struct rw_vocab_builder *b, uint64_t id, const void *bytes, size_t size,
                         size_t place, rwkv_error *err);

/* Make the vocabulary of what was added. Refuses an id or bytes that occur twice, and no tokens. */
rwkv_status rw_vocab_build(const struct rw_vocab_builder *b, struct rwkv_vocab **out,
                           rwkv_error *err);
void rw_vocab_builder_fini(struct rw_vocab_builder *b);

#endif
