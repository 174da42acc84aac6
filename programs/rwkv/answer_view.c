/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_view.h"

#include "say.h"

#define DIM "\033[2m"
#define NORMAL "\033[0m"

static void style(const struct rw_view *view, const char *sequence)
{
    if (view->terminal)
        rw_outs(sequence);
}

static int show(void *user, rwkv_piece piece, const char *text, size_t size)
{
    struct rw_view *view = user;
    bool thought = piece == RWKV_PIECE_REASONING;
    if (thought && !view->thinking) {
        style(view, DIM);
        rw_outs("<think>\n");
    } else if (!thought && view->thinking) {
        rw_outs("\n</think>\n");
        style(view, NORMAL);
    }
    view->thinking = thought;
    rw_out_generated(text, size);
    return 0;
}

void rw_view_begin(struct rw_view *view, const char *opening)
{
    view->open = true;
    view->terminal = rw_out_is_terminal();
    view->thinking = false;
    view->splitter = NULL;
    rwkv_splitter_new(opening, NULL, 0, show, view, &view->splitter, NULL);
}

bool rw_view_text(struct rw_view *view, const char *text, size_t size)
{
    bool shown = view->splitter && rwkv_splitter_push(view->splitter, text, size, NULL) == RWKV_OK;
    rw_out_flush();
    return shown;
}

void rw_view_end(struct rw_view *view)
{
    if (!view->open)
        return;
    view->open = false;
    if (view->splitter)
        rwkv_splitter_finish(view->splitter, NULL);
    rwkv_splitter_free(view->splitter);
    if (view->thinking)
        style(view, NORMAL);
    rw_outs("\n");
    rw_out_flush();
}
