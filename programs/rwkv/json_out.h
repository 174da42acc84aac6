/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of JSON. Members follow each other in the order of the calls; `key` is NULL inside an
 * array. A container in lines puts each element on its own line; one inline stays on its parent's.
 *
 *     struct rw_json j = {0};
 *     rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
 *     rw_json_u64(&j, "count", 3);
 *     rw_json_close(&j);
 *     status = rw_json_print(&j, &err);      // also frees
 */
#ifndef RW_PROGRAM_JSON_OUT_H
#define RW_PROGRAM_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"

#define RW_JSON_DEPTH 12

enum rw_json_container { RW_JSON_OBJECT, RW_JSON_ARRAY };
enum rw_json_form { RW_JSON_LINES, RW_JSON_INLINE };

struct rw_json {
    struct rw_str text;
    unsigned depth;
    struct {
        enum rw_json_container container;
        enum rw_json_form form;
        bool filled; /* has an element */
    } level[RW_JSON_DEPTH];
};

void rw_json_open(struct rw_json *j, const char *key, enum rw_json_container container,
                  enum rw_json_form form);
void rw_json_close(struct rw_json *j);
void rw_json_text(struct rw_json *j, const char *key, const char *text);
void rw_json_bytes(struct rw_json *j, const char *key, const char *bytes, size_t n);
void rw_json_u64(struct rw_json *j, const char *key, uint64_t value);
void rw_json_bool(struct rw_json *j, const char *key, bool value);
void rw_json_real(struct rw_json *j, const char *key, double value); /* not finite: null */
void rw_json_null(struct rw_json *j, const char *key);
/* A value that is JSON already. It comes out on one line: in JSON line ends are only whitespace. */
void rw_json_raw(struct rw_json *j, const char *key, const char *json, size_t n);

/* Write what was built, and a newline, to standard output. */
rwkv_status rw_json_print(struct rw_json *j, rwkv_error *err);

#endif
