/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader of JSON Schema. grammar_schema.c makes a rule of each schema and asks for those
 * of the schemas inside; they wait in a queue, so nothing here is as deep as the schema is.
 * schema_merge.c makes one schema of several that hold together.
 */
#ifndef RW_TEXT_GRAMMAR_SCHEMA_H
#define RW_TEXT_GRAMMAR_SCHEMA_H

#include <jansson.h>

#include "text/grammar_json.h"

#define RW_SCHEMA_MERGES 512 /* schemas that are made of others, at most */

/* A schema that has a rule. */
struct rw_schema_item {
    const json_t *schema; /* borrowed */
    uint32_t rule;
    char *path; /* "#/properties/age"; owned */
};

struct rw_schema {
    json_t *root;
    json_t *made; /* an array of what was merged: it lives as long as the root */
    struct rw_rules rules;
    struct rw_json_rules json;
    struct rw_schema_item *items; /* [n_items], those from n_done on wait */
    size_t n_items, items_capacity, n_done;
    uint32_t *table; /* [table_size] items by the address of their schema, + 1 */
    size_t table_size;
    rwkv_error *err;
};

/* What a keyword is about. */
enum rw_keyword {
    RW_KEYWORD_NONE,       /* not understood */
    RW_KEYWORD_ANNOTATION, /* says nothing about what is valid */
    RW_KEYWORD_PLACE,      /* holds schemas that others refer to */
    RW_KEYWORD_GENERAL,
    RW_KEYWORD_OBJECT,
    RW_KEYWORD_ARRAY,
    RW_KEYWORD_STRING,
    RW_KEYWORD_NUMBER
};

enum rw_keyword rw_schema_keyword(const char *name);

/* Whether it says anything that annotations do not. */
bool rw_schema_asserts(const json_t *schema);

/* "schema: PATH/KEYWORD: …"; keyword is nullable. */
rwkv_status rw_schema_fail(struct rw_schema *s, rwkv_status code, const char *path,
                           const char *keyword, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The rule of a schema inside; in `path`, or where `name` is not NULL in path/place/name. */
rwkv_status rw_schema_rule(struct rw_schema *s, const json_t *schema, const char *path,
                           const char *place, const char *name, uint32_t *expr);

/* What a $ref names, borrowed; its path is the reference. */
rwkv_status rw_schema_resolve(struct rw_schema *s, const json_t *ref, const char *path,
                              const json_t **out);

/* One schema that says what two say; kept in s->made. */
rwkv_status rw_schema_merge(struct rw_schema *s, const json_t *a, const json_t *b, const char *path,
                            const json_t **out);

/* A schema without $ref and allOf that says the same. */
rwkv_status rw_schema_flatten(struct rw_schema *s, const json_t *schema, const char *path,
                              unsigned depth, const json_t **out);

/* A copy without some keywords, the list ended by NULL; kept in s->made. */
rwkv_status rw_schema_without(struct rw_schema *s, const json_t *schema, const char *const *names,
                              const char *path, const json_t **out);

/* The types of values, each from what its keywords say. */
rwkv_status rw_schema_object(struct rw_schema *s, const json_t *schema, const char *path,
                             uint32_t *expr);
rwkv_status rw_schema_array(struct rw_schema *s, const json_t *schema, const char *path,
                            uint32_t *expr);
rwkv_status rw_schema_string(struct rw_schema *s, const json_t *schema, const char *path,
                             uint32_t *expr);
rwkv_status rw_schema_number(struct rw_schema *s, const json_t *schema, const char *path,
                             bool whole, uint32_t *expr);

/* A member that is a number of things; *value stays as it is where there is none. */
rwkv_status rw_schema_count(struct rw_schema *s, const json_t *schema, const char *path,
                            const char *keyword, uint32_t *value);

/* A JSON value as a text. */
rwkv_status rw_schema_literal(struct rw_schema *s, const json_t *value, uint32_t *expr);

#endif
