/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies: which bytes each token id stands for, and greedy longest match from bytes to ids.
 * An object is immutable once made, may be used by many threads, and goes with its last reference.
 *
 *     struct rwkv_vocab *vocab;
 *     RW_TRY(rw_vocab_open("rwkv_vocab_v20230424.txt", &vocab, err));
 *     status = rw_vocab_encode(vocab, text, size, tokens, capacity, &n, err);
 *     rw_vocab_release(vocab);
 *
 * Three sources: a text file (one token a line: id, Python literal, length in bytes), the metadata
 * of a GGUF, and the word "bytes" (id = byte). Limits, so that a hostile file costs time and memory
 * only in proportion to its size: a token has at most RW_VOCAB_TOKEN_MAX bytes, an id of a text
 * file is below 65536 + the file's size and below 2²⁴.
 */
#ifndef RW_TEXT_VOCAB_H
#define RW_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "formats/format.h"
#include "rwkv.h"

struct rw_trie;

#define RW_VOCAB_FILE_NAME "rwkv_vocab_v20230424.txt"
#define RW_VOCAB_TOKEN_MAX 1024 /* bytes; the longest token of the World vocabulary has 128 */

/* Kinds of token in a GGUF (tokenizer.ggml.token_type). Only normal ones have text. */
enum rw_token_type { RW_TOKEN_NORMAL = 1, RW_TOKEN_CONTROL = 3, RW_TOKEN_UNUSED = 5 };

/* --- opening --- */

/* "bytes", a .gguf (told by its first bytes) or a text file. *out has one reference, the caller's.
 */
rwkv_status rw_vocab_open(const char *path, struct rwkv_vocab **out, rwkv_error *err);

/* The 256 bytes, id = byte. */
rwkv_status rw_vocab_bytes(struct rwkv_vocab **out, rwkv_error *err);

/* Text of a vocabulary file, borrowed during the call; `name` is for messages. */
rwkv_status rw_vocab_from_memory(const void *text, size_t size, const char *name,
                                 struct rwkv_vocab **out, rwkv_error *err);

/* Whether the file's metadata has a vocabulary, of any kind. */
bool rw_vocab_in_file(const struct rw_file *file);

/* From the metadata of a GGUF, which is not needed afterwards. A tokenizer other than "rwkv" is
 * RWKV_ERROR_UNSUPPORTED. */
rwkv_status rw_vocab_from_file(const struct rw_file *file, struct rwkv_vocab **out,
                               rwkv_error *err);

/* Find the vocabulary for a model. The first of these that is there decides, and fails if it cannot
 * be used: `option` (nullable; as in rw_vocab_open), `model` (nullable), RW_VOCAB_FILE_NAME beside
 * `model_path` (nullable; inside, if it is a folder), RW_VOCAB_FILE_NAME in the user's data folder.
 * On success `where` (nullable, `where_size` bytes) tells which it was. When there is none, the
 * error lists every place looked at and says how to get the file. */
rwkv_status rw_vocab_find(const struct rw_file *model, const char *model_path, const char *option,
                          struct rwkv_vocab **out, char *where, size_t where_size, rwkv_error *err);

struct rwkv_vocab *
rw_vocab_retain(struct rwkv_vocab *vocab);       /* one more reference; gives it back */
void rw_vocab_release(struct rwkv_vocab *vocab); /* one less; NULL is fine */

/* --- use --- */

/* One more than the largest id that has text. */
size_t rw_vocab_size(const struct rwkv_vocab *vocab);

/* Bytes of the longest token. */
size_t rw_vocab_longest(const struct rwkv_vocab *vocab);

/* The bytes of a token, borrowed from the vocabulary; *size is 0 (and the result not NULL) for any
 * number that is no id with text. */
const char *rw_vocab_token(const struct rwkv_vocab *vocab, int32_t id, size_t *size);

/* The trie of all tokens, borrowed from the vocabulary. */
const struct rw_trie *rw_vocab_trie(const struct rwkv_vocab *vocab);

/* A number that only vocabularies of the same tokens have: the beginning of their SHA-256. */
uint64_t rw_vocab_fingerprint(const struct rwkv_vocab *vocab);

/* As the functions of rwkv_text.h. */
rwkv_status rw_vocab_encode(const struct rwkv_vocab *vocab, const char *text, size_t size,
                            int32_t *tokens, size_t capacity, size_t *n_tokens, rwkv_error *err);
rwkv_status rw_vocab_encode_some(const struct rwkv_vocab *vocab, const char *text, size_t size,
                                 size_t *at, int32_t *tokens, size_t capacity, size_t *n_tokens,
                                 rwkv_error *err);
rwkv_status rw_vocab_decode(const struct rwkv_vocab *vocab, const int32_t *tokens, size_t n_tokens,
                            char *text, size_t capacity, size_t *size, rwkv_error *err);

/* --- writing --- */

/* As a text file that rw_vocab_open reads, whole or not at all. */
rwkv_status rw_vocab_save(const struct rwkv_vocab *vocab, const char *path, bool overwrite,
                          rwkv_error *err);

/* --- writing into a GGUF --- */

/* Append the text by which a GGUF stores token `id` and return its type: the bytes in the escaped
 * form of Python's repr; "<s>" for an id 0 without text, "[PADi]" for any other id without text. */
enum rw_token_type rw_vocab_gguf_token(const struct rwkv_vocab *vocab, int32_t id,
                                       struct rw_str *text);

/* The items of tokenizer.ggml.tokens (strings) and tokenizer.ggml.token_type (i32) for a model of
 * `n_vocab` rows, as struct rw_meta wants them; appended to two strings that the caller frees.
 * Fails when the vocabulary has more ids than the model rows. */
rwkv_status rw_vocab_gguf_items(const struct rwkv_vocab *vocab, size_t n_vocab,
                                struct rw_str *tokens, struct rw_str *types, rwkv_error *err);

#endif
