/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers taken apart. The first byte chooses the opening, the second where the text is cut, the
 * rest is the answer. Pieces must not depend on the cut, must come in order, a call's arguments
 * must be a JSON object when they are said to be whole, and where nothing was taken for a mark, the
 * text must come back whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/status.h"
#include "base/str.h"
#include "rwkv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const openings[] = {"", " <think", " <think>\n</think", " ```json",
                                       " <think>\n</think>\n```json"};
static const rwkv_tool tools[] = {{.name = "f"}, {.name = "g"}};

/* All pieces, joined where they belong together. */
struct sink {
    struct rw_str said;      /* kinds and texts */
    struct rw_str arguments; /* of the call that is open */
    int last;
    int open; /* a call */
};

static void check(int ok)
{
    if (!ok)
        abort();
}

static int collect(void *user, rwkv_piece piece, const char *text, size_t size)
{
    struct sink *s = user;
    check(size > 0 || piece == RWKV_PIECE_CALL_END);
    check(s->open == (piece == RWKV_PIECE_ARGUMENTS || piece == RWKV_PIECE_CALL_END ||
                      piece == RWKV_PIECE_CALL_CUT));
    check(piece != RWKV_PIECE_REASONING || s->last <= RWKV_PIECE_REASONING);
    if (piece == RWKV_PIECE_CALL)
        rw_str_reset(&s->arguments);
    if (piece == RWKV_PIECE_ARGUMENTS)
        rw_str_add(&s->arguments, text, size);
    if (piece == RWKV_PIECE_CALL_END) {
        json_t *value = json_loads(s->arguments.data, 0, NULL);
        /* The library minds more: UTF-8, numbers of any size. */
        check(!value || json_is_object(value));
        check(s->arguments.data[0] == '{' && s->arguments.data[s->arguments.size - 1] == '}');
        json_decref(value);
    }
    s->open = piece == RWKV_PIECE_CALL || piece == RWKV_PIECE_ARGUMENTS;
    if ((int)piece != s->last || piece == RWKV_PIECE_CALL)
        rw_str_printf(&s->said, "\n%d:", (int)piece);
    rw_str_add(&s->said, text, size);
    s->last = (int)piece;
    return 0;
}

/* Split with a cut behind the first bytes. */
static void split(const char *opening, size_t n_tools, const char *text, size_t size, size_t cut,
                  struct sink *to)
{
    rwkv_splitter *s = NULL;
    *to = (struct sink){.last = -1};
    check(rwkv_splitter_new(opening, tools, n_tools, collect, to, &s, NULL) == RWKV_OK);
    check(rwkv_splitter_push(s, text, cut, NULL) == RWKV_OK);
    for (size_t i = cut; i < size; i++)
        check(rwkv_splitter_push(s, text + i, 1, NULL) == RWKV_OK);
    check(rwkv_splitter_finish(s, NULL) == RWKV_OK);
    check(!to->open);
    rw_str_adds(&to->said, "");
    rwkv_splitter_free(s);
}

static void fini(struct sink *s)
{
    rw_str_fini(&s->said);
    rw_str_fini(&s->arguments);
}

/* Without tools and thoughts all but the blanks at the ends is text. */
static void check_plain(const char *text, size_t size)
{
    struct sink s;
    while (size > 0 &&
           (text[size - 1] == ' ' || (text[size - 1] >= '\t' && text[size - 1] <= '\r')))
        size--;
    split(" <think>\n</think>.", 0, text, size, size / 2, &s);
    check(size == 0 ? s.said.size == 0
                    : s.said.size == size + 3 && memcmp(s.said.data + 3, text, size) == 0);
    fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sink whole, cut;
    if (size < 2)
        return 0;
    const char *opening = openings[data[0] % RW_COUNT(openings)], *text = (const char *)data + 2;
    size -= 2;
    split(opening, 2, text, size, size, &whole);
    split(opening, 2, text, size, RW_MIN(data[1], size), &cut);
    check(whole.said.size == cut.said.size &&
          memcmp(whole.said.data, cut.said.data, cut.said.size) == 0);
    fini(&whole);
    fini(&cut);
    check_plain(text, size);
    return 0;
}
