/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole .pth files, with zip and without: whatever opens must have only tensors that lie in the
 * file, which is seen by reading them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "formats/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read the tensor to its last element, in pieces, but not more than `budget` bytes from either end.
 */
static void read_ends(const struct rw_tensor *t, size_t budget)
{
    uint8_t out[4096];
    size_t n = rw_tensor_elements(t), width = rw_dtype(t->dtype)->bytes;
    size_t piece = sizeof out / width, ends = RW_MIN(n, budget / width);
    for (size_t at = 0; at < ends; at += piece) {
        size_t count = RW_MIN(piece, ends - at);
        rw_tensor_copy(t, at, count, out);
        rw_tensor_copy(t, n - at - count, count, out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_file *file;
    rwkv_error err = {0};
    if (rw_file_open_memory(&file, data, size, "fuzz.pth", &err) != RWKV_OK) {
        if (strncmp(err.message, "fuzz.pth: ", 10) != 0)
            abort();
        return 0;
    }
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (rw_file_find_index(file, file->tensors[i].name) != i)
            abort();
        read_ends(&file->tensors[i].tensor, 16384);
    }
    rw_file_close(file);
    return 0;
}
