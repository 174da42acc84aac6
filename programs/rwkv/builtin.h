/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model that is part of the program: the bytes of data/builtin.gguf, aligned to 64, put in by
 * builtin.S. Hand them to rwkv_model_open_memory; they live as long as the program.
 */
#ifndef RW_PROGRAM_BUILTIN_H
#define RW_PROGRAM_BUILTIN_H

#include <stddef.h>

extern const unsigned char rw_builtin_model[];
extern const size_t rw_builtin_model_size;

#endif
