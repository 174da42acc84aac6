/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether there is memory for what is about to be taken.
 *
 *     const struct rw_memory_part parts[] = {{"weights", a}, {"work", b}};
 *     RW_TRY(rw_memory_check(parts, RW_COUNT(parts), limit, rw_env_memory_available(), NULL, err));
 */
#ifndef RW_TRAIN_MEMORY_H
#define RW_TRAIN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_memory_part {
    const char *name;
    uint64_t bytes;
};

/* RWKV_ERROR_MEMORY, with every part, where they are more together than the user's limit or,
 * without one (0), than what is available (0: not known). `hint`, nullable, says what needs less.
 */
rwkv_status rw_memory_check(const struct rw_memory_part *parts, size_t n, uint64_t limit,
                            uint64_t available, const char *hint, rwkv_error *err);

#endif
