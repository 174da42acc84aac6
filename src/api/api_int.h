/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the public interface share. */
#ifndef RW_API_API_INT_H
#define RW_API_API_INT_H

#include "base/status.h"

/* Return RWKV_ERROR_ARGUMENT, naming the function and what it wants. Needs `err`. */
#define REQUIRE(condition)                                                                   \
    do {                                                                                     \
        if (!(condition))                                                                    \
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted %s", __func__, #condition); \
    } while (0)

#endif
