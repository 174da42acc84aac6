/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program says: results on standard output, everything else on standard error.
 *
 * Standard output is buffered; after the first failure (a full disk, a reader that went away)
 * nothing more is written, rw_out_failed() is true, and rw_out_end() turns the failure into an exit
 * status.
 */
#ifndef RW_PROGRAM_SAY_H
#define RW_PROGRAM_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

enum { RW_EXIT_OK = 0, RW_EXIT_FAILURE = 1, RW_EXIT_USAGE = 2 };

/* --- standard output -------------------------------------------------------------------------- */

void rw_out(const void *bytes, size_t n);
void rw_outs(const char *text);
/* What a model generated: as it is, but on a terminal without control characters (other than
 * newlines and tabs), which could make it do things. */
void rw_out_generated(const char *text, size_t n);
/* Text from a file: control characters and invalid UTF-8 become '?'. */
void rw_out_safe(const char *text);
void rw_outf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void rw_out_flush(void);
bool rw_out_failed(void);
bool rw_out_is_terminal(void);

/* Flush, and combine with the exit status so far: a failure to write is reported once, as an error;
 * when the reader of a pipe went away the program ends as SIGPIPE would have ended it. */
int rw_out_end(int status);

/* --- standard error --------------------------------------------------------------------------- */

/* "rwkv: MESSAGE", one line, unless the user interrupted; returns RW_EXIT_FAILURE. */
int rw_complain(const rwkv_error *err);

/* "rwkv: COMMAND: MESSAGE (see 'rwkv COMMAND --help')"; COMMAND may be NULL. Returns RW_EXIT_USAGE.
 */
int rw_complain_usage(const char *command, const rwkv_error *err);

/* A remark, printed as it is. */
void rw_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What is being done, in a line of a terminal that the next one replaces ("" takes it away). */
void rw_show_status(const char *text);

/* --- numbers for people ----------------------------------------------------------------------- */

/* Use as rw_show_bytes(n).text inside an expression. */
struct rw_shown {
    char text[32];
};
struct rw_shown rw_show_bytes(uint64_t n);              /* "1.23 GiB" */
struct rw_shown rw_show_count(double n);                /* "834 k", "1.5 G" */
struct rw_shown rw_show_seconds(double s);              /* "3.1 ms", "12.0 s" */
struct rw_shown rw_show_rate(double n, double seconds); /* n / seconds: "61.3"; "-" if unknown */

#endif
