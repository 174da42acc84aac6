/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv.h: run RWKV language models.
 *
 * Two nouns carry everything. A `rwkv_model` is a set of immutable weights, mapped from a file; it
 * can be shared by many threads. A `rwkv_session` is one timeline over a model: the recurrent state
 * after the tokens it has seen, and the logits of the last of them. Memory and time per token do
 * not grow with the length of the text.
 *
 * A complete program (this one is compiled and run by the project's tests):
 *
 *     #include <stdio.h>
 *     #include <rwkv.h>
 *
 *     static int print(void *user, const char *text, size_t size)
 *     {
 *         (void)user;
 *         fwrite(text, 1, size, stdout);
 *         return 0;
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         if (argc != 3) {
 *             fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
 *             return 2;
 *         }
 *         rwkv_error err = {RWKV_OK, ""};
 *         rwkv_model *model = NULL;
 *         rwkv_session *session = NULL;
 *         rwkv_generate_options options = {.max_tokens = 32, .sampler = {.greedy = 1}};
 *         if (rwkv_model_open(argv[1], NULL, &model, &err) == RWKV_OK &&
 *             rwkv_session_new(model, &session, &err) == RWKV_OK)
 *             rwkv_generate(session, argv[2], &options, print, NULL, NULL, &err);
 *         printf("\n");
 *         rwkv_session_free(session);
 *         rwkv_model_close(model);
 *         if (err.code)
 *             fprintf(stderr, "%s\n", err.message);
 *         return err.code ? 1 : 0;
 *     }
 *
 * Conventions. Fallible functions return a `rwkv_status` (0 is success, negative is failure) and
 * take a nullable `rwkv_error *` last, which they fill on failure with the code and a message that
 * names the file, the place, what was wanted and what was found. Outputs are untouched on failure
 * unless said otherwise. Structures of options may be all zero: zero means the default. Functions
 * that free accept NULL. There is no global state: objects may be closed in any order, a model may
 * be used by many threads at once, a session by one thread at a time.
 *
 * Reproducibility: on the CPU the logits are bit-identical whatever the number of threads, however
 * the prompt is cut into chunks, and whatever other sessions share a call. They may differ, within
 * rounding, between instruction sets (`rwkv_model_options.cpu`).
 */
#ifndef RWKV_H
#define RWKV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RWKV_BUILD) && defined(__GNUC__)
#define RWKV_API __attribute__((visibility("default")))
#else
#define RWKV_API
#endif

/* --- status and errors ------------------------------------------------------------------------ */

/* X(symbol, value, name): every status there is. */
#define RWKV_STATUS_LIST(X)                                                                       \
    X(RWKV_OK, 0, "ok")                                                                           \
    X(RWKV_ERROR_ARGUMENT, -1, "argument")       /* an argument is out of its range */            \
    X(RWKV_ERROR_MEMORY, -2, "memory")           /* not enough memory */                          \
    X(RWKV_ERROR_IO, -3, "io")                   /* the system refused to open, read or write */  \
    X(RWKV_ERROR_FORMAT, -4, "format")           /* a file is not what its format demands */      \
    X(RWKV_ERROR_UNSUPPORTED, -5, "unsupported") /* well-formed, but nothing we can use */        \
    X(RWKV_ERROR_MODEL, -6, "model")             /* tensors or metadata do not make up a model */ \
    X(RWKV_ERROR_TOKEN, -7, "token")             /* a token id outside the vocabulary */          \
    X(RWKV_ERROR_STATE, -8, "state")             /* a state that belongs to another model */      \
    X(RWKV_ERROR_CANCELLED, -9, "cancelled")     /* a callback asked to stop */                   \
    X(RWKV_ERROR_NOT_FOUND, -10, "not found")    /* nothing has that name */                      \
    X(RWKV_ERROR_EXISTS, -11, "exists")          /* something has that name already */

typedef enum rwkv_status {
#define RWKV_STATUS_ENUM(symbol, value, name) symbol = value,
    RWKV_STATUS_LIST(RWKV_STATUS_ENUM)
#undef RWKV_STATUS_ENUM
} rwkv_status;

/* Filled by the function that failed; `message` is one line without a newline. */
typedef struct rwkv_error {
    rwkv_status code;
    char message[500];
} rwkv_error;

/* "0.1.0". Static storage. */
RWKV_API const char *rwkv_version(void);

/* "ok", "format", …; "unknown" for a value that is no status. Static storage. */
RWKV_API const char *rwkv_status_name(rwkv_status status);

/* Called from long operations with work done so far, of a total, in bytes unless said otherwise.
 * Return non-zero to cancel: the operation then fails with RWKV_ERROR_CANCELLED and leaves nothing.
 */
typedef int (*rwkv_progress_fn)(void *user, uint64_t done, uint64_t total);

/* --- element types ---------------------------------------------------------------------------- */

/* How numbers are stored. The block types hold 32 or 256 elements a block; see docs/model.md. */
typedef enum rwkv_dtype {
    RWKV_DTYPE_F32,
    RWKV_DTYPE_F16,
    RWKV_DTYPE_BF16,
    RWKV_DTYPE_Q4_0,
    RWKV_DTYPE_Q4_1,
    RWKV_DTYPE_Q5_0,
    RWKV_DTYPE_Q5_1,
    RWKV_DTYPE_Q8_0,
    RWKV_DTYPE_Q2_K,
    RWKV_DTYPE_Q3_K,
    RWKV_DTYPE_Q4_K,
    RWKV_DTYPE_Q5_K,
    RWKV_DTYPE_Q6_K,
    RWKV_DTYPE_IQ4_NL,
    RWKV_DTYPE_IQ4_XS,
    RWKV_DTYPE_MODEL_COUNT, /* types a weight may have end here */
    RWKV_DTYPE_F64 = RWKV_DTYPE_MODEL_COUNT,
    RWKV_DTYPE_I64,
    RWKV_DTYPE_I32,
    RWKV_DTYPE_I16,
    RWKV_DTYPE_I8,
    RWKV_DTYPE_U64,
    RWKV_DTYPE_U32,
    RWKV_DTYPE_U16,
    RWKV_DTYPE_U8,
    RWKV_DTYPE_BOOL,
    RWKV_DTYPE_F8_E4M3,
    RWKV_DTYPE_F8_E5M2,
    RWKV_DTYPE_COUNT
} rwkv_dtype;

/* "F32", "Q8_0", …; "?" for a value that is no type. Static storage. */
RWKV_API const char *rwkv_dtype_name(rwkv_dtype dtype);

/* The type of that name, upper or lower case ("q8_0"); RWKV_DTYPE_COUNT if there is none. */
RWKV_API rwkv_dtype rwkv_dtype_from_name(const char *name);

/* --- models ----------------------------------------------------------------------------------- */

typedef struct rwkv_model rwkv_model;
typedef struct rwkv_session rwkv_session;
typedef struct rwkv_vocab rwkv_vocab;

/* Whether generating skips what the zeros of the channel mix would multiply, for which the matrices
 * in question (about a quarter of a model) are copied to memory of the process's own, layer by
 * layer, while it generates. Results are the same to the bit. */
typedef enum rwkv_zeros {
    RWKV_ZEROS_AUTO, /* where enough are found and memory is available */
    RWKV_ZEROS_ON,   /* wherever memory is available */
    RWKV_ZEROS_OFF
} rwkv_zeros;

/* Whether weights of quantized types are copied to memory of the process's own, packed as this
 * processor reads them fastest, while the file's pages are let go. Generating is then faster, often
 * by a half; results are the same to the bit. */
typedef enum rwkv_packing {
    RWKV_PACKING_AUTO, /* bit by bit while generating, as far as memory is available */
    RWKV_PACKING_ON,   /* when opened */
    RWKV_PACKING_OFF
} rwkv_packing;

typedef struct rwkv_model_options {
    int threads;           /* 0: one for each core this process may use; at most 256 */
    const char *cpu;       /* NULL or "auto": the fastest here; else "ref", "avx2", "avxvnni",
                              "avx512", "avx512vnni", "avx512bf16"; on ARM "neon", "neon-dotprod",
                              "neon-i8mm" */
    size_t chunk;          /* tokens of a prompt evaluated at once, 1 … 4096; 0: 128 */
    const char *vocab;     /* a vocabulary file, or "bytes" (id = byte); NULL: found as docs say */
    uint64_t memory_limit; /* refuse to load if private memory would exceed so many bytes; 0: what
                              the system says is available */
    rwkv_zeros zeros;
    rwkv_packing packing;
    const char *strategy; /* where layers are computed and in what numbers, as the `rwkv` package
                             says it: "cuda fp16 *10 -> cpu fp32"; NULL: "cpu fp32" */
} rwkv_model_options;

/* What is known of a model. Sizes are counts of elements unless they end in _bytes. */
typedef struct rwkv_model_info {
    int version;                           /* 7 */
    size_t n_layer;                        /* L */
    size_t n_embd;                         /* C */
    size_t n_vocab;                        /* V: rows of the embedding and of the head */
    size_t head_size;                      /* N */
    size_t n_head;                         /* H = C / N */
    size_t n_ffn;                          /* F */
    size_t rank_w, rank_a, rank_v, rank_g; /* the largest over the layers */
    uint64_t n_params;                     /* elements of all tensors of the model */
    uint64_t file_bytes;                   /* weights, mapped from the file(s) */
    uint64_t token_bytes;                  /* weight bytes read for one token of decoding */
    uint64_t head_bytes;  /* of them, those of the head, which is read where logits are wanted */
    uint64_t token_flops; /* floating-point operations for one token: 2 a weight + the recurrence */
    uint64_t private_bytes; /* small vectors, widened to f32 in memory of our own */
    uint64_t state_bytes;   /* one session's state */
    uint64_t scratch_bytes; /* activations of a chunk, shared by the model's sessions */
    uint64_t zeros_bytes;   /* at most: copies of matrices for the option `zeros` */
    uint64_t packed_bytes;  /* at most: copies of weights for the option `packing` */
    size_t chunk;           /* tokens a chunk */
    int threads;            /* in use; in a plan: that would be */
    const char *cpu;        /* instruction set in use, named as in the options; static storage */
    rwkv_dtype dtype;       /* the type of most weights */
    const char *format;     /* "pth", "safetensors", "gguf"; static storage */
    char fingerprint[65];   /* hexadecimal SHA-256 that states carry: equal for equal weights,
                               whatever the file format */
    char vocab[160];        /* where the vocabulary came from, or "" if none was found */
    char placement[512];    /* which layers run where: "cuda fp16: 10 blocks; cpu fp32: 2 blocks
                               and the head" */
} rwkv_model_info;

/* A GPU that the strategy can name, as "cuda" and its index. */
typedef struct rwkv_gpu {
    char name[128];
    char capability[16]; /* the generation: "9.0" */
    uint64_t memory_bytes;
    uint64_t free_bytes; /* of them, not in use now by any program */
} rwkv_gpu;

/* How many there are. RWKV_ERROR_UNSUPPORTED says why none can be used: no plugin librwkv-cuda.so
 * (the environment variable RWKV_CUDA_PLUGIN may name it), one of another build, no driver. */
RWKV_API rwkv_status rwkv_gpu_count(size_t *n, rwkv_error *err);

/* RWKV_ERROR_ARGUMENT if there is no GPU `index`. */
RWKV_API rwkv_status rwkv_gpu_describe(size_t index, rwkv_gpu *out, rwkv_error *err);

/* Open the model in `path`: a .pth, .safetensors or .gguf file, the .index.json of a sharded one,
 * or a Hugging Face folder. The file is mapped and must not change while the model is open. The
 * path and `options` (nullable) are copied. */
RWKV_API rwkv_status rwkv_model_open(const char *path, const rwkv_model_options *options,
                                     rwkv_model **out, rwkv_error *err);

/* The same from `size` bytes at `data`, borrowed until the model and all its sessions are closed.
 * `name` is used in messages. */
RWKV_API rwkv_status rwkv_model_open_memory(const void *data, size_t size, const char *name,
                                            const rwkv_model_options *options, rwkv_model **out,
                                            rwkv_error *err);

/* Fill `info` as opening would, without loading anything beyond the file's header. Fails as opening
 * would, except for want of memory. */
RWKV_API rwkv_status rwkv_model_plan(const char *path, const rwkv_model_options *options,
                                     rwkv_model_info *info, rwkv_error *err);

/* Drop the caller's reference; the weights go when the last session has gone too. */
RWKV_API void rwkv_model_close(rwkv_model *model);

RWKV_API void rwkv_model_get_info(const rwkv_model *model, rwkv_model_info *info);

/* What was seen of the channel mix's zeros so far, in steps of one token. */
typedef struct rwkv_model_zeros {
    uint64_t inputs; /* of the value matrices, as they are multiplied: rounded, for block types */
    uint64_t zeros;  /* among them */
    size_t layers;   /* whose matrix has been copied, so that zeros are skipped */
    uint64_t bytes;  /* that those copies take */
} rwkv_model_zeros;

RWKV_API void rwkv_model_get_zeros(const rwkv_model *model, rwkv_model_zeros *zeros);

/* What has been packed so far. */
typedef struct rwkv_model_packing {
    size_t matrices;
    uint64_t bytes; /* that the copies take */
} rwkv_model_packing;

RWKV_API void rwkv_model_get_packing(const rwkv_model *model, rwkv_model_packing *packing);

/* The model's vocabulary, borrowed until the model is closed; NULL if none was found, and then
 * `err` says where it was looked for. */
RWKV_API const rwkv_vocab *rwkv_model_vocab(const rwkv_model *model, rwkv_error *err);

/* --- sessions --------------------------------------------------------------------------------- */

/* A timeline at the beginning of a text: zero state, no logits. Holds a reference to the model. */
RWKV_API rwkv_status rwkv_session_new(rwkv_model *model, rwkv_session **out, rwkv_error *err);
RWKV_API void rwkv_session_free(rwkv_session *session);

/* Evaluate `n_tokens` tokens after those already seen. Afterwards the logits are those of the last.
 * On failure (a token id outside [0, V)) the session is unchanged. n_tokens 0 does nothing. */
RWKV_API rwkv_status rwkv_session_eval(rwkv_session *session, const int32_t *tokens,
                                       size_t n_tokens, rwkv_error *err);

/* As rwkv_session_eval, and store for every token its logits [n_tokens, V] and its hidden state
 * (the output of ln_out) [n_tokens, C]; either may be NULL. */
RWKV_API rwkv_status rwkv_session_eval_all(rwkv_session *session, const int32_t *tokens,
                                           size_t n_tokens, float *logits, float *hidden,
                                           rwkv_error *err);

/* One session's share of a packed evaluation. `logits` and `hidden` as in rwkv_session_eval_all. */
typedef struct rwkv_segment {
    rwkv_session *session;
    const int32_t *tokens;
    size_t n_tokens;
    float *logits;
    float *hidden;
} rwkv_segment;

/* Evaluate several sessions of one model in one pass over the weights. A session may occur once.
 * On failure no session has changed. */
RWKV_API rwkv_status rwkv_segments_eval(const rwkv_segment *segments, size_t n_segments,
                                        rwkv_error *err);

/* The logits [V] after the last token, borrowed until the session changes; NULL before any token.
 */
RWKV_API const float *rwkv_session_logits(const rwkv_session *session);

/* The output [C] of ln_out for the last token, borrowed likewise; NULL before any token. */
RWKV_API const float *rwkv_session_hidden(const rwkv_session *session);

/* Tokens seen since the zero state (carried through copies and files; informational). */
RWKV_API uint64_t rwkv_session_position(const rwkv_session *session);

RWKV_API rwkv_model *rwkv_session_model(const rwkv_session *session); /* borrowed */

/* Back to the beginning of a text. */
RWKV_API void rwkv_session_reset(rwkv_session *session);

/* Make `to` the same timeline as `from`: state, logits, position. Both must be of one model. */
RWKV_API rwkv_status rwkv_session_copy(rwkv_session *to, const rwkv_session *from, rwkv_error *err);

/* --- states as values ------------------------------------------------------------------------- */

/* Bytes of a saved state: a header (magic, version, fingerprint, sizes), the state, the logits of
 * the last token if there are any, and a checksum. docs/model.md gives the layout. */
RWKV_API size_t rwkv_session_state_size(const rwkv_session *session);
RWKV_API void rwkv_session_state_write(const rwkv_session *session, void *to);
/* `name` (nullable) is used in messages. Refuses bytes damaged or of another model. */
RWKV_API rwkv_status rwkv_session_state_read(rwkv_session *session, const void *from, size_t size,
                                             const char *name, rwkv_error *err);

/* The same to and from a file; a file is written whole or not at all. Reading also takes a .pth or
 * .safetensors of tuned states (`blocks.N.att.time_state` [H, N, N], value index first): the shifts
 * and the position are then zero and there are no logits. */
RWKV_API rwkv_status rwkv_session_save(const rwkv_session *session, const char *path,
                                       rwkv_error *err);
RWKV_API rwkv_status rwkv_session_load(rwkv_session *session, const char *path, rwkv_error *err);

/* Write only the matrices, as a tuned-state .pth that other programs load. */
RWKV_API rwkv_status rwkv_session_save_tuned(const rwkv_session *session, const char *path,
                                             rwkv_error *err);

/* A view of one layer's state, borrowed until the session changes. */
typedef struct rwkv_layer_state {
    const float *att_shift; /* [C]: ln1 output of the last token */
    const float *ffn_shift; /* [C]: ln2 output of the last token */
    const float *wkv;       /* [H, N, N]: value index, key index */
} rwkv_layer_state;
RWKV_API rwkv_status rwkv_session_layer_state(const rwkv_session *session, size_t layer,
                                              rwkv_layer_state *out, rwkv_error *err);

#ifdef __cplusplus
}
#endif

#include "rwkv_chat.h"
#include "rwkv_text.h"

#endif
