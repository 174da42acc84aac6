/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of tool calls, read byte by byte as a model writes it: {"name":…,"arguments":{…}} or an
 * array of such objects. A call begins as soon as its name is known and its arguments have begun;
 * from then on these are given out as they come. Members of other names are passed over; arguments
 * that are missing are {}. Anything else is refused at the first byte that shows it: what is no
 * JSON, a name that no tool has, arguments that are no object, a member that is there twice.
 *
 *     struct rw_call_reader reader = {.names = names, .n_names = n};
 *     unsigned found = rw_call_reader_step(&reader, byte);
 *     …
 *     rw_call_reader_reset(&reader);      // for another text
 *     rw_call_reader_fini(&reader);
 */
#ifndef RW_TEXT_CALL_READER_H
#define RW_TEXT_CALL_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "text/json_scan.h"

/* What a byte brought about: any of these, in this order. */
enum rw_call_found {
    RW_CALL_BEGINS = 1,    /* of the tool `name` */
    RW_CALL_ARGUMENTS = 2, /* some of them are in `arguments` */
    RW_CALL_ENDS = 4,
    RW_CALL_OVER = 8, /* so does the object or array */
    RW_CALL_BAD = 16  /* alone: the byte does not fit, and the reader is to be reset */
};

struct rw_call_reader {
    char *const *names; /* [n_names] of tools, borrowed */
    size_t n_names;

    struct rw_json_scan scan;
    unsigned level;          /* depth inside the object of a call; 0: nothing came yet */
    unsigned member;         /* whose value comes next */
    const char *name;        /* of the call, one of `names`; NULL: not known */
    bool in_arguments;       /* inside their brackets */
    bool has_arguments;      /* they are whole */
    bool begun;              /* BEGINS was said, ENDS was not */
    size_t n_calls;          /* that have ended */
    struct rw_str word;      /* inside of the string last begun, as it was written */
    struct rw_str arguments; /* not given out yet, or by the last step */
    bool failed;             /* for want of memory */
};

/* The flags of rw_call_found. */
unsigned rw_call_reader_step(struct rw_call_reader *reader, char c);
void rw_call_reader_reset(struct rw_call_reader *reader);
void rw_call_reader_fini(struct rw_call_reader *reader);

#endif
