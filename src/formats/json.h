/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from files that may be hostile. Parsed whole, a tree can take a hundred times the size of
 * its text; so the members of a large object are walked here one by one, looking only at strings
 * and brackets, and a value is given to the JSON library as a piece of text whose size is known.
 *
 *     struct rw_json walk = {.path = path, .place = "header", .text = text};
 *     json_auto_t *key = NULL;
 *     struct rw_bytes value;
 *     for (;;) {
 *         RW_TRY(rw_json_next(&walk, &key, &value, err));
 *         if (!key)
 *             break;
 *         …
 *     }
 */
#ifndef RW_FORMATS_JSON_H
#define RW_FORMATS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "formats/format.h"

#define RW_JSON_MAX_DEPTH 16 /* brackets inside one another */

struct rw_json {
    const char *path, *place; /* of the text, for messages */
    struct rw_bytes text;     /* borrowed */
    size_t at;
    bool inside; /* the opening brace has been read */
};

/* The next member of the object. *key is released and becomes the member's key, a string, or NULL
 * at the end of the text. *value is the value's text without space around it; what is inside its
 * brackets has not been looked at. */
rwkv_status rw_json_next(struct rw_json *walk, json_t **key, struct rw_bytes *value,
                         rwkv_error *err);

/* Parse the value of the last member; *out is a new reference. Refuses keys that occur twice. The
 * tree may take a hundred times the memory of its text. */
rwkv_status rw_json_decode(const struct rw_json *walk, struct rw_bytes value, json_t **out,
                           rwkv_error *err);

/* As rw_json_next, in an object of strings; *value is released and becomes the value. */
rwkv_status rw_json_next_string(struct rw_json *walk, json_t **key, json_t **value,
                                rwkv_error *err);

/* "a string", "a negative integer", …: for messages about values of the wrong type; NULL is
 * nothing. */
const char *rw_json_kind(const json_t *value);

#endif
