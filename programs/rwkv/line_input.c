/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libedit's own signal handling sends a Ctrl-C on to the whole process group, so it stays off: the
 * characters are read here, where an interrupted read can be told from the end of input, and where
 * a resized or resumed terminal is put in order again.
 */
#include "line_input.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/utf8.h"
#include "interrupt.h"

#define HISTORY_LINES 1000

struct rw_lines {
    EditLine *editor; /* NULL: not a terminal */
    History *history;
    char *history_path; /* NULL: there is nowhere to keep it */
    const char *prompt; /* of the line being read */
};

static volatile sig_atomic_t resized, resumed;

static void on_terminal_signal(int number)
{
    if (number == SIGWINCH)
        resized = 1;
    else
        resumed = 1;
}

static void catch_terminal_signal(int number)
{
    struct sigaction action = {.sa_handler = on_terminal_signal};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* --- the terminal ----------------------------------------------------------------------------- */

static char *get_prompt(EditLine *editor)
{
    struct rw_lines *lines = NULL;
    el_get(editor, EL_CLIENTDATA, &lines);
    return (char *)(uintptr_t)lines->prompt; /* libedit does not write to it */
}

/* One byte from the terminal: 1, 0 at its end, -1 when interrupted. */
static int get_byte(EditLine *editor, uint8_t *byte)
{
    for (;;) {
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0)
            return (int)n;
        if (errno != EINTR || rw_interrupted)
            return -1;
        if (resized)
            el_resize(editor);
        if (resumed) {
            el_set(editor, EL_PREP_TERM, 1);
            el_set(editor, EL_REFRESH);
        }
        resized = resumed = 0;
    }
}

/* One character, for libedit. */
static int get_char(EditLine *editor, wchar_t *out)
{
    uint8_t bytes[4];
    for (size_t n = 0; n < sizeof bytes; n++) {
        size_t len;
        uint32_t code;
        int got = get_byte(editor, bytes + n);
        if (got != 1)
            return got;
        enum rw_utf8_kind kind = rw_utf8_next(bytes, n + 1, &len, &code);
        if (kind == RW_UTF8_CHAR)
            *out = (wchar_t)code;
        else if (kind == RW_UTF8_INVALID)
            *out = 0xfffd;
        if (kind != RW_UTF8_PARTIAL)
            break;
    }
    return 1;
}

/* DATA/chat_history, the folder made if it is not there; NULL if that cannot be. */
static char *find_history(void)
{
    struct rw_str path = {0};
    char *folder = rw_env_data_dir();
    if (!folder)
        return NULL;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0700);
        *slash = '/';
    }
    bool there = mkdir(folder, 0700) == 0 || errno == EEXIST;
    if (there)
        rw_str_printf(&path, "%s/chat_history", folder);
    rw_free(folder);
    return there ? rw_str_take(&path) : NULL;
}

static void open_history(struct rw_lines *lines)
{
    HistEvent event;
    lines->history = history_init();
    if (!lines->history)
        return;
    history(lines->history, &event, H_SETSIZE, HISTORY_LINES);
    history(lines->history, &event, H_SETUNIQUE, 1);
    lines->history_path = find_history();
    if (lines->history_path)
        history(lines->history, &event, H_LOAD, lines->history_path);
    el_set(lines->editor, EL_HIST, history, lines->history);
}

static bool open_editor(struct rw_lines *lines)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    lines->editor = el_init("rwkv", stdin, stdout, stderr);
    if (!lines->editor)
        return false;
    el_set(lines->editor, EL_CLIENTDATA, lines);
    el_set(lines->editor, EL_PROMPT, get_prompt);
    el_set(lines->editor, EL_EDITOR, "emacs");
    el_set(lines->editor, EL_SIGNAL, 0);
    el_set(lines->editor, EL_GETCFN, get_char);
    open_history(lines);
    el_source(lines->editor, NULL); /* the user's ~/.editrc */
    catch_terminal_signal(SIGWINCH);
    catch_terminal_signal(SIGCONT);
    return true;
}

static enum rw_line read_typed(struct rw_lines *lines, struct rw_str *line)
{
    HistEvent event;
    int n = 0;
    const char *text = el_gets(lines->editor, &n);
    if (!text || n <= 0) {
        fputs("\n", stdout);
        fflush(stdout);
        el_reset(lines->editor);
        return rw_interrupted ? RW_LINE_INTERRUPTED : RW_LINE_END;
    }
    if (lines->history && text[0] != '\n')
        history(lines->history, &event, H_ENTER, text);
    rw_str_add(line, text, text[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n);
    return RW_LINE_READ;
}

/* --- everything else -------------------------------------------------------------------------- */

static enum rw_line read_plain(struct rw_str *line)
{
    int c;
    while ((c = getc(stdin)) != EOF && c != '\n')
        rw_str_addc(line, c ? (char)c : ' '); /* texts end at a zero byte */
    if (rw_interrupted)
        return RW_LINE_INTERRUPTED;
    return c == EOF && !line->size ? RW_LINE_END : RW_LINE_READ;
}

rwkv_status rw_lines_open(struct rw_lines **out, rwkv_error *err)
{
    struct rw_lines *lines = rw_calloc(1, sizeof *lines);
    bool typed = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!lines || (typed && !open_editor(lines))) {
        rw_free(lines);
        return rw_fail(err, RWKV_ERROR_MEMORY, "cannot edit lines on this terminal");
    }
    *out = lines;
    return RWKV_OK;
}

void rw_lines_close(struct rw_lines *lines)
{
    HistEvent event;
    if (!lines)
        return;
    if (lines->history && lines->history_path)
        history(lines->history, &event, H_SAVE, lines->history_path);
    if (lines->editor)
        el_end(lines->editor);
    if (lines->history)
        history_end(lines->history);
    rw_free(lines->history_path);
    rw_free(lines);
}

bool rw_lines_are_typed(const struct rw_lines *lines)
{
    return lines->editor != NULL;
}

enum rw_line rw_lines_read(struct rw_lines *lines, const char *prompt, struct rw_str *line)
{
    rw_str_reset(line);
    lines->prompt = prompt;
    enum rw_line got = lines->editor ? read_typed(lines, line) : read_plain(line);
    rw_str_add(line, "", 0); /* never NULL */
    return line->failed ? RW_LINE_END : got;
}
