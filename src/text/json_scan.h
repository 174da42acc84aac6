/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that arrives byte by byte: whether what came so far can still become a value (RFC 8259), and
 * where its parts begin and end. Keeps nothing of the text. Bytes above 0x7f are taken for text in
 * strings; whether they are UTF-8 is not looked at.
 *
 *     struct rw_json_scan scan = {0};
 *     event = rw_json_scan_step(&scan, byte);
 *
 * For one value that is an object or an array: it has ended when an RW_JSON_CLOSE leaves depth 0.
 */
#ifndef RW_TEXT_JSON_SCAN_H
#define RW_TEXT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RW_JSON_SCAN_DEPTH 256 /* brackets inside one another */

enum rw_json_event {
    RW_JSON_BAD,    /* the byte cannot stand here; the scan is of no more use */
    RW_JSON_INSIDE, /* nothing that concerns others: blanks, insides of strings and numbers … */
    RW_JSON_OPEN,   /* a bracket; `depth` counts it */
    RW_JSON_CLOSE,  /* its end; `depth` does not count it any more */
    RW_JSON_QUOTE,  /* a string begins */
    RW_JSON_KEY,    /* the string that was a member's key has ended */
    RW_JSON_STRING, /* the string that was a value has ended */
    RW_JSON_SCALAR  /* a number, true, false or null begins */
};

struct rw_json_scan {
    uint8_t state;
    uint8_t digits;                            /* hexadecimal ones still wanted by an escape */
    bool key;                                  /* the string is a member's key */
    uint16_t depth;                            /* brackets that are open */
    const char *rest;                          /* of a literal: what is still wanted */
    uint64_t objects[RW_JSON_SCAN_DEPTH / 64]; /* a bit a bracket: an object? */
};

enum rw_json_event rw_json_scan_step(struct rw_json_scan *scan, char c);

/* Whether the next byte is inside a string: neither before nor behind its quotes. */
bool rw_json_scan_in_string(const struct rw_json_scan *scan);

/* Whether a text is one value, of any kind, with or without blanks around it. */
bool rw_json_scan_text(const char *text, size_t size);

#endif
