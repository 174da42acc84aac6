/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_view.h"

#include <string.h>

#include "say.h"

#define DIM "\033[2m"
#define NORMAL "\033[0m"

static const char thought_end[] = "</think>";

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void style(const struct rw_view *view, const char *sequence)
{
    if (view->terminal)
        rw_outs(sequence);
}

void rw_view_begin(struct rw_view *view, const char *opening)
{
    view->open = true;
    view->terminal = rw_out_is_terminal();
    view->begun = view->thinking = view->drop_bracket = false;
    view->matched = 0;
    rw_str_reset(&view->held);
    if (strstr(opening, "</think")) {
        view->drop_bracket = true;
    } else if (strstr(opening, "<think")) {
        view->thinking = true;
        style(view, DIM);
        rw_view_text(view, opening, strlen(opening));
    }
}

/* Follow the thought to its end. */
static void track(struct rw_view *view, char c)
{
    if (c == thought_end[view->matched])
        view->matched++;
    else
        view->matched = c == thought_end[0];
    if (view->matched == strlen(thought_end)) {
        view->thinking = false;
        style(view, NORMAL);
    }
}

void rw_view_text(struct rw_view *view, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (view->drop_bracket) {
            view->drop_bracket = false;
            if (c == '>')
                continue;
        }
        if (is_blank(c)) {
            if (view->begun)
                rw_str_addc(&view->held, c);
            continue;
        }
        rw_out_generated(view->held.data, view->held.size);
        rw_str_reset(&view->held);
        rw_out_generated(&c, 1);
        view->begun = true;
        if (view->thinking)
            track(view, c);
    }
    rw_out_flush();
}

void rw_view_end(struct rw_view *view)
{
    if (!view->open)
        return;
    view->open = false;
    if (view->thinking)
        style(view, NORMAL);
    rw_outs("\n");
    rw_out_flush();
}

void rw_view_fini(struct rw_view *view)
{
    rw_str_fini(&view->held);
}
