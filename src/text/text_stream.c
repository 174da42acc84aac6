/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stages. The first follows every stop sequence with its Knuth-Morris-Pratt automaton, whose
 * state is the length of the longest beginning of the sequence that the bytes so far end with; the
 * largest state is thus exactly what must be held back. The second joins bytes to characters.
 */
#include "text/text_stream.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/vocab.h"

struct rw_stop {
    uint8_t *bytes;
    size_t *border; /* [size]: longest proper beginning of bytes[0…i] that is also its end */
    size_t size;
    size_t state; /* < size: how much of it the bytes so far end with */
};

/* --- stop sequences --- */

/* The state after one more byte; may be `size`, a match. */
static size_t stop_step(const struct rw_stop *stop, size_t state, uint8_t byte)
{
    while (state > 0 && stop->bytes[state] != byte)
        state = stop->border[state - 1];
    return stop->bytes[state] == byte ? state + 1 : 0;
}

static rwkv_status stop_init(struct rw_stop *stop, const char *text, size_t index, rwkv_error *err)
{
    stop->size = strlen(text);
    if (stop->size == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "stop sequence %zu: wanted some text, found an empty string", index);
    stop->bytes = (uint8_t *)rw_strdup(text);
    stop->border = rw_calloc(stop->size, sizeof *stop->border);
    if (!stop->bytes || !stop->border)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for stop sequence %zu", index);
    for (size_t i = 1; i < stop->size; i++)
        stop->border[i] = stop_step(stop, stop->border[i - 1], stop->bytes[i]);
    return RWKV_OK;
}

/* --- characters --- */

static void add_replacement(struct rw_text_stream *s)
{
    rw_str_adds(&s->text, "\xef\xbf\xbd");
}

/* A byte that is text for certain. */
static void add_byte(struct rw_text_stream *s, uint8_t byte)
{
    s->partial[s->n_partial++] = byte;
    while (s->n_partial > 0) {
        size_t length;
        uint32_t code;
        switch (rw_utf8_next(s->partial, s->n_partial, &length, &code)) {
        case RW_UTF8_PARTIAL:
            return;
        case RW_UTF8_CHAR:
            rw_str_add(&s->text, s->partial, length);
            break;
        case RW_UTF8_INVALID:
            add_replacement(s);
            break;
        }
        s->n_partial -= length;
        memmove(s->partial, s->partial + length, s->n_partial);
    }
}

/* The first n bytes held are text for certain. */
static void release(struct rw_text_stream *s, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        add_byte(s, (uint8_t)s->held.data[i]);
    s->held.size -= n;
    memmove(s->held.data, s->held.data + n, s->held.size);
}

/* The text is over: of a character cut short there is one invalid part. */
static void end_text(struct rw_text_stream *s)
{
    if (s->n_partial > 0)
        add_replacement(s);
    s->n_partial = 0;
}

/* --- the stream --- */

/* Let a string have room for n bytes. */
static void make_room(struct rw_str *str, size_t n)
{
    static const char zeros[256];
    for (; n > 0; n -= RW_MIN(n, sizeof zeros))
        rw_str_add(str, zeros, RW_MIN(n, sizeof zeros));
    if (!str->failed)
        rw_str_reset(str);
}

static rwkv_status check_memory(struct rw_text_stream *s, rwkv_error *err)
{
    if (s->text.failed || s->held.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for generated text");
    return RWKV_OK;
}

/* Room for all that one token can make final, so that pushing tokens never allocates. */
static rwkv_status make_room_for_token(struct rw_text_stream *s, rwkv_error *err)
{
    size_t longest = 0;
    for (size_t i = 0; i < s->n_stops; i++)
        longest = RW_MAX(longest, s->stops[i].size);
    make_room(&s->held, longest + 1);
    make_room(&s->text, 3 * (RW_VOCAB_TOKEN_MAX + longest + sizeof s->partial));
    return check_memory(s, err);
}

rwkv_status rw_text_stream_init(struct rw_text_stream *s, const char *const *stops, size_t n_stops,
                                rwkv_error *err)
{
    *s = (struct rw_text_stream){.n_stops = n_stops};
    s->stops = rw_calloc(n_stops, sizeof *s->stops);
    rwkv_status status = RWKV_OK;
    if (!s->stops) {
        s->n_stops = 0;
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu stop sequences", n_stops);
    }
    for (size_t i = 0; i < n_stops && status == RWKV_OK; i++)
        status = stop_init(&s->stops[i], stops[i], i, err);
    if (status == RWKV_OK)
        status = make_room_for_token(s, err);
    if (status != RWKV_OK)
        rw_text_stream_fini(s);
    return status;
}

void rw_text_stream_fini(struct rw_text_stream *s)
{
    for (size_t i = 0; i < s->n_stops; i++) {
        rw_free(s->stops[i].bytes);
        rw_free(s->stops[i].border);
    }
    rw_free(s->stops);
    rw_str_fini(&s->text);
    rw_str_fini(&s->held);
    *s = (struct rw_text_stream){0};
}

void rw_text_stream_reset(struct rw_text_stream *s)
{
    for (size_t i = 0; i < s->n_stops; i++)
        s->stops[i].state = 0;
    rw_str_reset(&s->text);
    rw_str_reset(&s->held);
    s->n_partial = 0;
    s->stopped = false;
}

/* Follow all stop sequences over one byte. The most that is to be held back; when one is complete
 * (s->stopped), its length. */
static size_t match_byte(struct rw_text_stream *s, uint8_t byte)
{
    size_t hold = 0, matched = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        struct rw_stop *stop = &s->stops[i];
        stop->state = stop_step(stop, stop->state, byte);
        hold = RW_MAX(hold, stop->state);
        if (stop->state == stop->size && stop->size > matched) {
            matched = stop->size;
            s->stop = i;
        }
    }
    s->stopped = matched > 0;
    return matched ? matched : hold;
}

rwkv_status rw_text_stream_push(struct rw_text_stream *s, const void *bytes, size_t n,
                                rwkv_error *err)
{
    const uint8_t *p = bytes;
    rw_str_reset(&s->text);
    for (size_t i = 0; i < n && !s->stopped && !s->held.failed; i++) {
        rw_str_addc(&s->held, (char)p[i]);
        size_t hold = match_byte(s, p[i]);
        if (!s->held.failed)
            release(s, s->held.size - hold);
        if (s->stopped) {
            rw_str_reset(&s->held);
            end_text(s);
        }
    }
    return check_memory(s, err);
}

rwkv_status rw_text_stream_finish(struct rw_text_stream *s, rwkv_error *err)
{
    rw_str_reset(&s->text);
    release(s, s->held.size);
    end_text(s);
    return check_memory(s, err);
}
