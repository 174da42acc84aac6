/* SPDX-License-Identifier: Apache-2.0 */
#include "train/memory.h"

#include "base/status.h"
#include "base/str.h"

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

rwkv_status rw_memory_check(const struct rw_memory_part *parts, size_t n, uint64_t limit,
                            uint64_t available, const char *hint, rwkv_error *err)
{
    uint64_t total = 0, most = limit ? limit : available;
    struct rw_str list = {0};
    for (size_t i = 0; i < n; i++)
        total += parts[i].bytes;
    if (most == 0 || total <= most)
        return RWKV_OK;
    for (size_t i = 0; i < n; i++)
        rw_str_printf(&list, "%s%s %.2f MiB", i ? " + " : "", parts[i].name, mib(parts[i].bytes));
    rw_fail(err, RWKV_ERROR_MEMORY, "not enough memory: %s = %.2f MiB, %s %.2f MiB%s%s%s",
            list.data ? list.data : "all", mib(total), limit ? "the limit is" : "available are",
            mib(most), hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
    rw_str_fini(&list);
    return RWKV_ERROR_MEMORY;
}
