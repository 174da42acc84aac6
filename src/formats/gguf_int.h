/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the reader and the writer of GGUF. */
#ifndef RW_FORMATS_GGUF_INT_H
#define RW_FORMATS_GGUF_INT_H

#include "formats/format.h"

#define RW_GGUF_VERSION 3
#define RW_GGUF_ALIGNMENT 32 /* of the data, unless general.alignment says otherwise */
#define RW_GGUF_MAX_DIMS 4
#define RW_GGUF_MAX_NAME 63 /* bytes of a tensor's name */

/* Bytes of a value of the metadata; 0 for strings, arrays and numbers that are no type. */
size_t rw_gguf_value_size(uint32_t type);

extern const struct rw_writer_ops rw_gguf_writer;

#endif
