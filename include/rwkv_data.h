/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_data.h: texts as tokens on disk, to train on: OUT.bin and OUT.idx, the official trainer's
 * format (docs/training.md).
 *
 *     const char *inputs[] = {"stories.jsonl", "books"};
 *     rwkv_data_stats stats;
 *     if (rwkv_data_build("corpus", inputs, 2, vocab, NULL, &stats, &err) == RWKV_OK)
 *         printf("%llu documents\n", (unsigned long long)stats.documents);
 *
 * and back:
 *
 *     rwkv_data *data;
 *     if (rwkv_data_open("corpus", &data, &err) == RWKV_OK) {
 *         uint64_t begin = rwkv_data_document(data, 7), end = rwkv_data_document(data, 8);
 *         rwkv_data_read(data, begin, end - begin, tokens, &err);
 *         rwkv_data_close(data);
 *     }
 */
#ifndef RWKV_DATA_H
#define RWKV_DATA_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- building --------------------------------------------------------------------------------- */

typedef enum rwkv_data_format {
    RWKV_DATA_AUTO, /* JSON lines where the name ends in .jsonl or .ndjson, text else */
    RWKV_DATA_TEXT, /* a file is a document, whatever bytes but zero it has */
    RWKV_DATA_LINES /* a line is a JSON object with the document in one of its members */
} rwkv_data_format;

#define RWKV_DATA_NO_SEPARATOR (-1)

typedef struct rwkv_data_options {
    rwkv_data_format format;
    const char *field;        /* the member that is the text; NULL: "text" */
    const char *prompt_field; /* another, which comes before it and which a run with answers_only
                                 (rwkv_trainer.h) does not learn; each is tokenized by itself, and
                                 nothing is put between them. NULL: there are no prompts */
    int32_t separator;        /* the token, below 2²⁴, that ends each document, or
                                 RWKV_DATA_NO_SEPARATOR */
    int skip_bad;  /* non-zero: leave out lines that are no documents instead of failing */
    int overwrite; /* non-zero: replace OUT.bin and OUT.idx, if they are there */
    int threads;   /* 0: one for each core this process may use; changes no byte */
    rwkv_progress_fn progress; /* nullable; bytes of input, of 0 where that is not known */
    void *progress_user;
} rwkv_data_options;

typedef struct rwkv_data_stats {
    uint64_t files;
    uint64_t documents, tokens; /* written; the separators are tokens too */
    uint64_t text_bytes;        /* of the documents */
    uint64_t empty;             /* documents without text, left out */
    uint64_t skipped;           /* lines left out, and why, of the first: */
    char first_skipped[500];
} rwkv_data_stats;

/* Write OUT.bin and OUT.idx, both whole or neither (`out` may have one of the endings). An input is
 * a file, a folder (every file in it and in its folders, in the order of their names, but for those
 * that begin with a dot) or "-", standard input. Documents follow each other as they come. Tokens
 * are u16 where the vocabulary and the separator allow it, i32 else. `options` and `stats` may be
 * NULL; `stats` is filled as far as things went. */
RWKV_API rwkv_status rwkv_data_build(const char *out, const char *const *inputs, size_t n_inputs,
                                     const rwkv_vocab *vocab, const rwkv_data_options *options,
                                     rwkv_data_stats *stats, rwkv_error *err);

/* Receives documents, in order, each in one piece or several, which are cut between words; `end` is
 * non-zero with the last. Another status than RWKV_OK stops and is handed on. */
typedef rwkv_status (*rwkv_data_text_fn)(void *user, const char *text, size_t size, int end,
                                         rwkv_error *err);

/* Read texts as rwkv_data_build does, for other uses. Of `options` (nullable) only format, field,
 * progress and its user count. */
RWKV_API rwkv_status rwkv_data_texts(const char *const *inputs, size_t n_inputs,
                                     const rwkv_data_options *options, rwkv_data_text_fn text,
                                     void *user, rwkv_error *err);

/* --- reading ---------------------------------------------------------------------------------- */

typedef struct rwkv_data rwkv_data; /* may be used by many threads at once */

typedef struct rwkv_data_info {
    uint64_t tokens, documents;
    uint64_t pieces;        /* of all documents: prompts and texts; one each without prompts */
    uint64_t answer_tokens; /* as rwkv_data_answers has them */
    uint64_t bin_bytes, idx_bytes;
    rwkv_dtype dtype;           /* of a token: U16 usually */
    uint64_t shortest, longest; /* document, in tokens; 0 if there is none */
} rwkv_data_info;

/* `path` is NAME, NAME.bin or NAME.idx. The files are mapped; of the index everything is checked.
 */
RWKV_API rwkv_status rwkv_data_open(const char *path, rwkv_data **out, rwkv_error *err);
RWKV_API void rwkv_data_close(rwkv_data *data);
RWKV_API void rwkv_data_get_info(const rwkv_data *data, rwkv_data_info *info);

/* Hexadecimal SHA-256 by which a run of training knows its data again: of all bytes of files up to
 * 256 MiB, of a spread of blocks of larger ones. */
RWKV_API void rwkv_data_fingerprint(const rwkv_data *data, char out[65]);

/* The first token of document `index`, at most info.documents, for which it is info.tokens. */
RWKV_API uint64_t rwkv_data_document(const rwkv_data *data, uint64_t index);

/* Copy the tokens at … at + n − 1, all of which must be there. Fails where a number is no token:
 * negative, or 2³¹ or more. */
RWKV_API rwkv_status rwkv_data_read(const rwkv_data *data, uint64_t at, size_t n, int32_t *tokens,
                                    rwkv_error *err);

/* Which of the tokens at … at + n − 1, all of which must be there, a run with answers_only learns:
 * answers [n] becomes 1 for those of the second, fourth … piece of their document, and of documents
 * of one piece, and 0 for the others. */
RWKV_API rwkv_status rwkv_data_answers(const rwkv_data *data, uint64_t at, size_t n,
                                       uint8_t *answers, rwkv_error *err);

typedef struct rwkv_data_report {
    uint64_t foreign;       /* numbers that are neither the separator nor a token with text */
    uint64_t foreign_at;    /* the first: its place in the stream, */
    uint64_t foreign_in;    /* its document, counted from 0, */
    int64_t foreign_number; /* and what it is */
    uint64_t open;          /* documents that do not end with the separator, if there is one */
    uint64_t distinct;      /* tokens of the vocabulary that occur, the separator included */
    uint64_t text_bytes;    /* of all documents */
} rwkv_data_report;

/* Look at every token. Fails only when cancelled, or without memory. `progress` (nullable) is told
 * bytes. */
RWKV_API rwkv_status rwkv_data_check(const rwkv_data *data, const rwkv_vocab *vocab,
                                     int32_t separator, rwkv_progress_fn progress,
                                     void *progress_user, rwkv_data_report *report,
                                     rwkv_error *err);

/* The prime of the official order of samples of `ctx` ≥ 1 tokens: the largest p with p mod 3 = 2
 * that is at most floor(n_tokens/ctx) − 1; 0: there is none. */
RWKV_API uint64_t rwkv_data_prime(uint64_t n_tokens, uint64_t ctx);

#ifdef __cplusplus
}
#endif

#endif
