/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rwkv_grammar *grammar = NULL;
    rwkv_error err = {0};
    rwkv_status status = rwkv_grammar_from_schema((const char *)data, size, &grammar, &err);
    return fuzz_grammar(grammar, status, &err, data, size);
}
