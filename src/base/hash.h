/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (libnettle) and CRC-32 (zlib) behind two small faces, and CRC-32C. */
#ifndef RW_BASE_HASH_H
#define RW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

struct rw_sha256 {
    struct sha256_ctx ctx;
};

void rw_sha256_init(struct rw_sha256 *h);
void rw_sha256_add(struct rw_sha256 *h, const void *bytes, size_t n);
void rw_sha256_hex(struct rw_sha256 *h, char out[65]);
uint64_t rw_sha256_u64(struct rw_sha256 *h); /* the first eight bytes, as a number */

/* CRC-32 as in zip: start with 0, feed pieces. */
uint32_t rw_crc32(uint32_t crc, const void *bytes, size_t n);

/* CRC-32C (Castagnoli), for short strings. */
uint32_t rw_crc32c(const void *bytes, size_t n);

#endif
