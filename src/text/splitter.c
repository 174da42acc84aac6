/* SPDX-License-Identifier: Apache-2.0 */
#include "text/splitter.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "text/call_reader.h"

static const char thought_mark[] = "<think>";
static const char thought_end[] = "</think>";
static const char fence_mark[] = "```json";
static const char fence_end[] = "```";

enum where {
    START,   /* of the answer: a thought may begin */
    THOUGHT, /* inside it */
    TEXT,
    FENCE, /* inside the mark that opens one */
    CALLS, /* inside the JSON of calls */
    AFTER  /* behind it: its fence is still open */
};

struct rwkv_splitter {
    rwkv_piece_fn piece;
    void *user;
    bool quiet;   /* while the opening is read */
    bool stopped; /* by the callback */
    bool failed;  /* for want of memory */

    enum where where;
    bool begun;      /* something that is no blank came of the thought, or of the text */
    bool line_start; /* nothing but blanks came since the line began */
    bool bracket;    /* the opening lacks the ">" of its last mark */
    size_t n_calls;
    struct rw_str held;   /* of a marker or of a call, as it came */
    struct rw_str blanks; /* given out if something follows */
    struct rw_str out;    /* to be given out, of the kind … */
    rwkv_piece kind;
    struct rw_call_reader reader;
    char **names; /* [reader.n_names] */
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Empty a string without forgetting that it failed. */
static void clear(rwkv_splitter *s, struct rw_str *str)
{
    s->failed |= str->failed;
    rw_str_reset(str);
}

/* --- giving out ------------------------------------------------------------------------------- */

static void give(rwkv_splitter *s, rwkv_piece kind, const char *text, size_t size)
{
    if (!s->quiet && !s->stopped && s->piece(s->user, kind, text, size))
        s->stopped = true;
}

static void flush(rwkv_splitter *s)
{
    if (s->out.size > 0)
        give(s, s->kind, s->out.data, s->out.size);
    clear(s, &s->out);
}

static void add(rwkv_splitter *s, rwkv_piece kind, const char *text, size_t size)
{
    if (kind != s->kind)
        flush(s);
    s->kind = kind;
    rw_str_add(&s->out, text, size);
}

/* A byte of the thought or of the text; blanks wait for what follows. */
static void add_text(rwkv_splitter *s, char c)
{
    s->line_start = c == '\n' || (s->line_start && is_blank(c));
    if (is_blank(c)) {
        if (s->begun)
            rw_str_addc(&s->blanks, c);
        return;
    }
    rwkv_piece kind = s->where == THOUGHT ? RWKV_PIECE_REASONING : RWKV_PIECE_CONTENT;
    add(s, kind, s->blanks.data, s->blanks.size);
    add(s, kind, &c, 1);
    clear(s, &s->blanks);
    s->begun = true;
}

/* What was held is text, or thought, after all. */
static void release(rwkv_splitter *s)
{
    for (size_t i = 0; i < s->held.size; i++)
        add_text(s, s->held.data[i]);
    clear(s, &s->held);
}

static void begin_text(rwkv_splitter *s)
{
    clear(s, &s->held);
    clear(s, &s->blanks);
    s->where = TEXT;
    s->begun = false;
    s->line_start = true;
}

static void begin_calls(rwkv_splitter *s)
{
    rw_call_reader_reset(&s->reader);
    s->where = CALLS;
}

/* --- taking apart ----------------------------------------------------------------------------- */

enum match { NO, PART, WHOLE };

/* Follow a mark by a byte, holding what has come of it. */
static enum match match(rwkv_splitter *s, const char *mark, char c)
{
    if (mark[s->held.size] != c)
        return NO;
    rw_str_addc(&s->held, c);
    return mark[s->held.size] ? PART : WHOLE;
}

/* Each of these takes a byte in its place and returns false if it did not, but changed the place.
 */

static bool step_start(rwkv_splitter *s, char c)
{
    if (s->held.size == 0 && is_blank(c))
        return true;
    enum match m = match(s, thought_mark, c);
    if (m == WHOLE) {
        clear(s, &s->held);
        s->where = THOUGHT;
    } else if (m == NO) {
        s->where = TEXT;
        release(s);
    }
    return m != NO;
}

static bool step_thought(rwkv_splitter *s, char c)
{
    enum match m = match(s, thought_end, c);
    if (m == WHOLE)
        begin_text(s);
    if (m != NO)
        return true;
    if (s->held.size == 0) {
        add_text(s, c);
        return true;
    }
    release(s);
    return false;
}

static bool step_text(rwkv_splitter *s, char c)
{
    bool bare = (c == '{' || c == '[') && !s->begun && s->n_calls == 0;
    if (s->reader.n_names > 0 && s->line_start && (c == fence_mark[0] || bare)) {
        if (bare)
            begin_calls(s);
        else
            s->where = FENCE;
        return false;
    }
    add_text(s, c);
    return true;
}

static bool step_fence(rwkv_splitter *s, char c)
{
    enum match m = match(s, fence_mark, c);
    if (m == WHOLE) {
        begin_calls(s);
    } else if (m == NO) {
        s->where = TEXT;
        release(s);
    }
    return m != NO;
}

/* Whether nothing was held but what goes between calls and behind them. */
static bool holds_structure_only(const rwkv_splitter *s)
{
    for (size_t i = 0; i < s->held.size; i++)
        if (!is_blank(s->held.data[i]) && !strchr(",]}", s->held.data[i]))
            return false;
    return s->reader.n_calls > 0;
}

/* No more calls come, because of a byte or of the answer's end. */
static void leave_calls(rwkv_splitter *s)
{
    s->where = TEXT;
    s->line_start = s->held.size > 0 && s->held.data[s->held.size - 1] == '\n';
    if (s->reader.begun) {
        flush(s);
        give(s, RWKV_PIECE_CALL_CUT, s->held.data, s->held.size);
        s->n_calls++;
    } else if (!holds_structure_only(s)) {
        release(s);
    }
    clear(s, &s->held);
}

static bool step_calls(rwkv_splitter *s, char c)
{
    unsigned found = rw_call_reader_step(&s->reader, c);
    if (found == RW_CALL_BAD) {
        leave_calls(s);
        return false;
    }
    rw_str_addc(&s->held, c);
    if (found & RW_CALL_BEGINS) {
        flush(s);
        give(s, RWKV_PIECE_CALL, s->reader.name, strlen(s->reader.name));
    }
    if (found & RW_CALL_ARGUMENTS)
        add(s, RWKV_PIECE_ARGUMENTS, s->reader.arguments.data, s->reader.arguments.size);
    if (found & RW_CALL_ENDS) {
        flush(s);
        give(s, RWKV_PIECE_CALL_END, "", 0);
        s->n_calls++;
        clear(s, &s->held);
    }
    if (found & RW_CALL_OVER) {
        clear(s, &s->held);
        s->where = AFTER;
        s->line_start = false;
    }
    return true;
}

static bool step_after(rwkv_splitter *s, char c)
{
    if (s->held.size == 0 && is_blank(c)) {
        add_text(s, c);
        return true;
    }
    if (s->held.size == 0 && c == '{') {
        begin_calls(s);
        return false;
    }
    enum match m = match(s, fence_end, c);
    if (m == PART)
        return true;
    s->where = TEXT;
    if (m == NO) {
        release(s);
        return false;
    }
    clear(s, &s->held);
    clear(s, &s->blanks); /* those around the fence: text that follows begins a line */
    if (s->begun)
        rw_str_addc(&s->blanks, '\n');
    return true;
}

static bool step(rwkv_splitter *s, char c)
{
    switch (s->where) {
    case START:
        return step_start(s, c);
    case THOUGHT:
        return step_thought(s, c);
    case TEXT:
        return step_text(s, c);
    case FENCE:
        return step_fence(s, c);
    case CALLS:
        return step_calls(s, c);
    case AFTER:
        return step_after(s, c);
    }
    return true;
}

static void take(rwkv_splitter *s, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        while (!step(s, text[i])) {
        }
}

/* --- the splitter ----------------------------------------------------------------------------- */

static rwkv_status result(rwkv_splitter *s, rwkv_error *err)
{
    flush(s);
    if (s->failed || s->held.failed || s->blanks.failed || s->reader.failed ||
        s->reader.word.failed || s->reader.arguments.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an answer's text");
    if (s->stopped)
        return rw_fail(err, RWKV_ERROR_CANCELLED, "stopped by the receiver of the answer");
    return RWKV_OK;
}

/* The opening was chosen for its effect: a mark that lacks its ">" counts as whole, so that the
 * model cannot miss it. */
static rwkv_status take_opening(rwkv_splitter *s, const char *opening, rwkv_error *err)
{
    s->quiet = true;
    take(s, opening, strlen(opening));
    if (s->where == START && s->held.size == strlen(thought_mark) - 1) {
        clear(s, &s->held);
        s->where = THOUGHT;
        s->bracket = true;
    } else if (s->where == THOUGHT && s->held.size == strlen(thought_end) - 1) {
        begin_text(s);
        s->bracket = true;
    }
    rwkv_status status = result(s, err);
    s->quiet = false;
    return status;
}

static rwkv_status copy_names(rwkv_splitter *s, const rwkv_tool *tools, size_t n_tools,
                              rwkv_error *err)
{
    s->names = rw_calloc(n_tools, sizeof *s->names);
    s->reader.names = s->names;
    for (size_t i = 0; s->names && i < n_tools; i++) {
        if (!tools[i].name)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "tool %zu: wanted a name, found NULL", i);
        s->names[i] = rw_strdup(tools[i].name);
        if (!s->names[i])
            break;
        s->reader.n_names++;
    }
    return s->reader.n_names == n_tools
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the names of %zu tools", n_tools);
}

rwkv_status rw_splitter_new(const char *opening, const rwkv_tool *tools, size_t n_tools,
                            rwkv_piece_fn piece, void *user, rwkv_splitter **out, rwkv_error *err)
{
    rwkv_splitter *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a splitter of answers");
    s->piece = piece;
    s->user = user;
    s->line_start = true;
    rwkv_status status = copy_names(s, tools, n_tools, err);
    if (status == RWKV_OK)
        status = take_opening(s, opening, err);
    if (status == RWKV_OK)
        *out = s;
    else
        rw_splitter_free(s);
    return status;
}

void rw_splitter_free(rwkv_splitter *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->reader.n_names; i++)
        rw_free(s->names[i]);
    rw_free(s->names);
    rw_call_reader_fini(&s->reader);
    rw_str_fini(&s->held);
    rw_str_fini(&s->blanks);
    rw_str_fini(&s->out);
    rw_free(s);
}

rwkv_status rw_splitter_push(rwkv_splitter *s, const char *text, size_t size, rwkv_error *err)
{
    if (s->bracket && size > 0) {
        s->bracket = false;
        if (text[0] == '>') {
            text++;
            size--;
        }
    }
    take(s, text, size);
    return result(s, err);
}

const char *rw_splitter_call(const rwkv_splitter *s, size_t *size)
{
    size_t mark = strlen(fence_mark);
    bool fenced = s->held.size >= mark && memcmp(s->held.data, fence_mark, mark) == 0;
    if (s->where != CALLS || (!fenced && !s->reader.begun))
        return NULL;
    *size = s->held.size - (fenced ? mark : 0);
    return s->held.data + (fenced ? mark : 0);
}

rwkv_status rw_splitter_finish(rwkv_splitter *s, rwkv_error *err)
{
    if (s->where == CALLS)
        leave_calls(s);
    else if (s->where != AFTER)
        release(s);
    return result(s, err);
}
