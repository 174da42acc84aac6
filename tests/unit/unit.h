/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every unit test includes first: cmocka with the headers it wants, and the way to the
 * vectors.
 *
 *     int main(void)
 *     {
 *         unit_need_shared("vectors/dequant");    // exits 77, saying why, if the folder is absent
 *         …
 *     }
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Write the path of `name`, relative to the source root, into `path` and return it. */
static inline const char *unit_source(char path[1024], const char *name)
{
    const char *root = getenv("RWKV_SOURCE");

    if (name[0] == '/')
        snprintf(path, 1024, "%s", name);
    else
        snprintf(path, 1024, "%s/%s", root ? root : ".", name);
    return path;
}

/* Write the path of `name`, relative to the folder of shared vectors, into `path` and return it.
 * Where that is absent, tests/data may have it: it holds a part of vectors/. */
static inline const char *unit_shared(char path[1024], const char *name)
{
    const char *root = getenv("RWKV_SHARED"), *source = getenv("RWKV_SOURCE");

    snprintf(path, 1024, "%s/%s", root ? root : "../shared", name);
    if (access(path, R_OK) != 0 && strncmp(name, "vectors/", 8) == 0)
        snprintf(path, 1024, "%s/tests/data/%s", source ? source : ".", name + 8);
    return path;
}

/* Skip the whole program when a shared file or folder is absent. */
static inline void unit_need_shared(const char *name)
{
    char path[1024];

    if (access(unit_shared(path, name), R_OK) == 0)
        return;
    printf("skipped: %s is absent\n", path);
    exit(77);
}

#endif
