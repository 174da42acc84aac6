/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ids.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/env.h"

#define LENGTH 24

uint64_t rw_random(void)
{
    uint64_t x;
    /* Short reads come without the pool being ready only; then the clock has to do. */
    if (getrandom(&x, sizeof x, 0) == (ssize_t)sizeof x)
        return x;
    double now = rw_env_time();
    memcpy(&x, &now, sizeof x);
    return x * 0x9e3779b97f4a7c15u;
}

void rw_make_id(const char *prefix, char *to, size_t size)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t at = (size_t)snprintf(to, size, "%s", prefix);
    uint64_t bits = 0;
    for (size_t i = 0; i < LENGTH && at + 1 < size; i++) {
        if (i % 8 == 0)
            bits = rw_random();
        to[at++] = digits[bits % 62];
        bits /= 62;
    }
    to[at < size ? at : size - 1] = 0;
}
