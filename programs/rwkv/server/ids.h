/* SPDX-License-Identifier: Apache-2.0 */
/* Random names and numbers. */
#ifndef RW_SERVER_IDS_H
#define RW_SERVER_IDS_H

#include <stddef.h>
#include <stdint.h>

/* `prefix` and as many random letters and digits, at most 24, as fit into `size` bytes. */
void rw_make_id(const char *prefix, char *to, size_t size);
uint64_t rw_random(void);

#endif
