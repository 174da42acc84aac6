/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token data for training in the form the official trainer reads: NAME.bin, tokens back to back,
 * and NAME.idx, which says of what type they are and where the documents begin (Megatron-LM's
 * indexed dataset, version 1).
 *
 *     struct rw_binidx data;
 *     RW_TRY(rw_binidx_open(&data, "corpus", err));         // or corpus.bin, or corpus.idx
 *     status = rw_binidx_read(&data, 0, 512, n_vocab, tokens, err);
 *     rw_binidx_close(&data);
 *
 * The reader maps both files and checks every byte of the .idx, so that afterwards any range of
 * tokens may be asked for. The .bin, which may be larger than memory, is not read through: tokens
 * are checked as they are read.
 *
 * A document is one piece, or several. What `rwkv data build --prompt-field` writes has two a
 * document, a prompt and its answer; of a conversation they would go on by turns.
 *
 * The writer streams: what it keeps is four bytes a piece. Both files appear when it commits, or
 * neither; a pair that is there already stays whole until then, under NAME.replaced for a moment.
 */
#ifndef RW_FORMATS_BINIDX_H
#define RW_FORMATS_BINIDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "rwkv.h"

/* Sizes of pieces are stored in 31 bits. */
#define RW_BINIDX_PIECE_MAX ((uint64_t)INT32_MAX)

struct rw_binidx {
    char *name; /* of both files, without their endings; owned */
    struct rw_map bin, idx;
    rwkv_dtype dtype; /* of a token: U8, I8, I16, I32, I64 or U16 */
    size_t width;     /* its bytes */
    uint64_t n_tokens;
    uint64_t n_documents;
    uint64_t n_items;         /* the pieces that documents consist of, usually one each */
    const uint8_t *pointers;  /* [n_items] i64 in the .idx: where a piece begins in the .bin */
    const uint8_t *documents; /* [n_documents + 1] i64 in the .idx: where a document begins among
                                 the pieces */
};

/* Open NAME.bin and NAME.idx; `path` is NAME or one of the two. Fails when the pair is replaced at
 * that moment. On failure nothing is open. */
rwkv_status rw_binidx_open(struct rw_binidx *data, const char *path, rwkv_error *err);

/* The same from memory, borrowed until closing. */
rwkv_status rw_binidx_open_memory(struct rw_binidx *data, struct rw_map bin, struct rw_map idx,
                                  const char *name, rwkv_error *err);
void rw_binidx_close(struct rw_binidx *data); /* also of zeros */

/* Copy tokens at … at + n − 1, which must be there, of which each must be in [0, limit). */
rwkv_status rw_binidx_read(const struct rw_binidx *data, uint64_t at, size_t n, size_t limit,
                           int32_t *tokens, rwkv_error *err);

/* The number at position `at`, whatever it is. */
int64_t rw_binidx_token(const struct rw_binidx *data, uint64_t at);

/* The first of the tokens of document d ≤ n_documents; that of document n_documents is n_tokens. */
uint64_t rw_binidx_document(const struct rw_binidx *data, uint64_t d);

/* How many of the tokens at … at + n − 1, which must be there, belong to answers: to the second,
 * fourth … piece of their document, or to a document of a single piece. Unless NULL, answers [n]
 * becomes 1 for each of them and 0 for the others. */
size_t rw_binidx_answers(const struct rw_binidx *data, uint64_t at, size_t n, uint8_t *answers);

/* Hexadecimal SHA-256 over both files: over all their bytes up to 256 MiB each, and of larger files
 * over their size and 4096 blocks of 64 KiB spread evenly, the first and the last among them. */
void rw_binidx_fingerprint(const struct rw_binidx *data, char out[65]);

/* --- writing --- */

/* Between NAME and the endings of a pair that is being replaced. */
#define RW_BINIDX_REPLACED ".replaced"

struct rw_binidx_writer;

/* Begin NAME.bin and NAME.idx (`path` as for opening), for token ids below `n_vocab`: u16 where
 * that is enough, i32 else. What is there already stays until the commit. One writer at a time. */
rwkv_status rw_binidx_writer_open(struct rw_binidx_writer **out, const char *path, size_t n_vocab,
                                  rwkv_error *err);

/* Append tokens, each in [0, n_vocab), to the piece being written. */
rwkv_status rw_binidx_writer_add(struct rw_binidx_writer *w, const int32_t *tokens, size_t n,
                                 rwkv_error *err);

/* End the piece, which may have no tokens, and go on with the next of the document. */
rwkv_status rw_binidx_writer_end_piece(struct rw_binidx_writer *w, rwkv_error *err);

/* End the document with its last piece; one of no tokens is a document too. */
rwkv_status rw_binidx_writer_end(struct rw_binidx_writer *w, rwkv_error *err);

/* The document being written must have been ended. Frees w, also on failure. */
rwkv_status rw_binidx_writer_commit(struct rw_binidx_writer *w, rwkv_error *err);
void rw_binidx_writer_discard(struct rw_binidx_writer *w); /* NULL is fine */

/* --- names --- */

/* NAME of a path that may end in .bin or .idx, with `ending` (such as ".bin", or "") behind it;
 * owned by the caller, NULL without memory. */
char *rw_binidx_path(const char *path, const char *ending);

#endif
