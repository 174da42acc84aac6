/* SPDX-License-Identifier: Apache-2.0 */
#include "grammar_in.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/status.h"

#define MAX_GRAMMAR (1u << 20) /* bytes */

rwkv_status rw_open_grammar(const struct rw_grammar_args *args, rwkv_grammar **out, rwkv_error *err)
{
    char *text;
    size_t size;
    const char *path = args->gbnf ? args->gbnf : args->schema;
    *out = NULL;
    if ((args->gbnf != NULL) + (args->schema != NULL) + args->object > 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted one of --grammar, --json-schema and --json-object, found several");
    if (args->object)
        return rwkv_grammar_any_object(out, err);
    if (!path)
        return RWKV_OK;
    RW_TRY(rw_read_file(path, MAX_GRAMMAR, &text, &size, err));
    rwkv_status status = args->gbnf ? rwkv_grammar_from_gbnf(text, size, out, err)
                                    : rwkv_grammar_from_schema(text, size, out, err);
    rw_free(text);
    return status == RWKV_OK ? status : rw_fail_within(err, status, "%s", path);
}
