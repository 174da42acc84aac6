/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of tokens to text that may be shown: whole UTF-8 characters, never part of a stop
 * sequence, whatever the cuts between tokens.
 *
 *     struct rw_text_stream s;
 *     RW_TRY(rw_text_stream_init(&s, stops, n_stops, err));
 *     while (!s.stopped) {
 *         RW_TRY(rw_text_stream_push(&s, bytes, n, err));
 *         show(s.text.data, s.text.size);
 *     }
 *     RW_TRY(rw_text_stream_finish(&s, err));
 *     show(s.text.data, s.text.size);
 *     rw_text_stream_fini(&s);
 *
 * Stop sequences are matched on the bytes. The one completed first stops the stream; of several
 * completed by the same byte, the longest. Bytes that may yet turn out to be the beginning of a
 * stop sequence are held back, and no others but an incomplete character. Bytes that are no UTF-8
 * become U+FFFD, one for each maximal invalid subpart. Pushing the bytes of a token allocates
 * nothing.
 */
#ifndef RW_TEXT_TEXT_STREAM_H
#define RW_TEXT_TEXT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"

struct rw_stop;

struct rw_text_stream {
    struct rw_str text;    /* what the last push or finish made final */
    bool stopped;          /* a stop sequence came; further bytes are ignored */
    size_t stop;           /* which one, when stopped */
    struct rw_stop *stops; /* [n_stops] */
    size_t n_stops;
    struct rw_str held; /* bytes that may begin a stop sequence */
    uint8_t partial[4]; /* the beginning of a character */
    size_t n_partial;
};

/* `stops` [n_stops] are terminated strings, copied; an empty one is RWKV_ERROR_ARGUMENT. */
rwkv_status rw_text_stream_init(struct rw_text_stream *s, const char *const *stops, size_t n_stops,
                                rwkv_error *err);
void rw_text_stream_fini(struct rw_text_stream *s);
void rw_text_stream_reset(
    struct rw_text_stream *s); /* back to the beginning, same stop sequences */

/* Take the next bytes. Afterwards s->text has what became final by them. */
rwkv_status rw_text_stream_push(struct rw_text_stream *s, const void *bytes, size_t n,
                                rwkv_error *err);

/* No more bytes will come: what was held back is final, an incomplete character U+FFFD. */
rwkv_status rw_text_stream_finish(struct rw_text_stream *s, rwkv_error *err);

#endif
